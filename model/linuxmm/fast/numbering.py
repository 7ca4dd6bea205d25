"""Places for keys, numbered from 0 in the order of their first use: a dictionary, and a table for columns.

The table is open: a key is looked for from the slot that its product with a large odd number names, on to the
next free slot, and the table doubles when it is half full.  So a look-up costs about one line of memory.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy import uintp as U  # noqa: N812
from numpy.typing import NDArray

from linuxmm.fast.arena import Int64s
from linuxmm.fast.parts import kernel_of, part
from linuxmm.fast.prefetch import COMPILED, ask

FREE: Final = -1
KEY: Final = 0
PLACE: Final = 1
SLOT: Final = 2
"""Words of a slot: the key's bits, and its place or FREE."""
_FIRST_BITS: Final = 10
_AHEAD: Final = 16
_SPREAD: Final = 0x9E3779B97F4A7C15 - (1 << 64)
"""The golden ratio of 64 bits, as a signed word."""


def slot_of(key: int, bits: int) -> int:
    """Where a key is looked for first, of 1 << bits slots."""
    return int(np.int64(key) * np.int64(_SPREAD) >> np.int64(64 - bits)) & ((1 << bits) - 1)


_slot_of: Final = part(slot_of, inline=True)
_ask: Final = part(COMPILED[ask], inline=True)


def number_keys(keys: Int64s, places: Int64s, table: Int64s, bits: int, start: int, used: int) -> int:
    """Number keys from `start` on, until all are or the table is half full; how many are numbered.

    used   places so far; the next new key gets this number
    """
    mask = (1 << bits) - 1
    room = (mask + 1) >> 1
    at = start
    while at < keys.size:
        if at + _AHEAD < keys.size:
            _ask(table, _slot_of(keys[U(at + _AHEAD)], bits) * SLOT)
        key = keys[U(at)]
        slot = _slot_of(key, bits)
        place = table[U(slot * SLOT + PLACE)]
        while place != FREE and table[U(slot * SLOT + KEY)] != key:
            slot = (slot + 1) & mask
            place = table[U(slot * SLOT + PLACE)]
        if place == FREE:
            if used >= room:
                return at
            place = np.int64(used)
            table[U(slot * SLOT + KEY)] = key
            table[U(slot * SLOT + PLACE)] = place
            used += 1
        places[U(at)] = place
        at += 1
    return at


def move_keys(old: Int64s, table: Int64s, bits: int) -> int:
    """Enter every key of a table into a larger one that is free; how many there are."""
    mask = (1 << bits) - 1
    moved = 0
    for at in range(0, old.size, SLOT):
        place = old[U(at + PLACE)]
        if place == FREE:
            continue
        slot = _slot_of(old[U(at + KEY)], bits)
        while table[U(slot * SLOT + PLACE)] != FREE:
            slot = (slot + 1) & mask
        table[U(slot * SLOT + KEY)] = old[U(at + KEY)]
        table[U(slot * SLOT + PLACE)] = place
        moved += 1
    return moved


class Numbering:
    """Places for keys of one trace: all of them text, or all of them numbers in columns."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._bits = _FIRST_BITS
        self._table = _free_table(self._bits)
        self._used = 0

    def __len__(self) -> int:
        return self._used + len(self._places)

    def __call__(self, keys: Iterable[str]) -> Int64s:
        """The places of keys that are text; a new one for each that is new.

        Requires  no column was numbered
        """
        places = self._places
        return np.array([places.setdefault(key, len(places)) for key in keys], np.int64)

    def of_array(self, keys: NDArray[np.integer]) -> Int64s:
        """The places of a column of keys of up to 64 bits.

        Requires  no text was numbered
        """
        words: Int64s = np.ascontiguousarray(keys).astype(np.uint64).view(np.int64)
        places: Int64s = np.empty(words.size, np.int64)
        done = 0
        while done < words.size:
            before = done
            done = int(_number_keys(words, places, self._table, self._bits, done, self._used))
            if done > before:
                self._used = max(self._used, int(places[before:done].max()) + 1)
            if done < words.size:
                larger = _free_table(self._bits + 1)
                _move_keys(self._table, larger, self._bits + 1)
                self._table, self._bits = larger, self._bits + 1
        return places


def _free_table(bits: int) -> Int64s:
    return np.full(SLOT << bits, FREE, np.int64)


_number_keys: Final = kernel_of(number_keys)
_move_keys: Final = kernel_of(move_keys)
