"""Reading bytes with Numba: numbers, words and a dictionary of byte strings.

Every scan stops at a newline, so a caller who puts newlines behind its data is safe.  Words are 64 bits
held in int64 as bit patterns; no operation overflows, so the functions also run un-jitted.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy import int64 as i64
from numpy import uintp as u
from numpy.typing import NDArray

SETTINGS: Final = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
part = njit(forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **SETTINGS)

NL: Final = 10
SPACE: Final = 32
DASH: Final = 45
EQUALS: Final = 61
HEX: Final = 1  # the form of a number that is hexadecimal even without 0x


class Names(NamedTuple):
    """Byte strings by hash: open addressing, a power of two slots, -1 for an empty one."""

    slots: NDArray[np.int32]
    offset: NDArray[np.int32]
    size: NDArray[np.int32]
    value: NDArray[np.int64]
    arena: NDArray[np.uint8]


@part
def byte(buf, at):  # type: ignore[no-untyped-def]
    return i64(buf[u(at)])


@part
def mix(buf, at, size):  # type: ignore[no-untyped-def]
    """A number from the size and seven bytes; equal strings have equal ones."""
    h = size
    for k in range(7):
        h = (h * 67 + byte(buf, at + ((size - 1) * k) // 6)) & 0xFFFFFFFFFFF
    return h ^ (h >> 15)


@part
def find(buf, at, size, names):  # type: ignore[no-untyped-def]
    """The entry of the bytes at `at` in `names`, or -1."""
    mask = names.slots.size - 1
    h = mix(buf, at, size) & mask
    while True:
        entry = i64(names.slots[u(h)])
        if entry < 0:
            return i64(-1)
        if names.size[u(entry)] == size:
            start = i64(names.offset[u(entry)])
            k = i64(0)
            while k < size and names.arena[u(start + k)] == buf[u(at + k)]:
                k += 1
            if k == size:
                return entry
        h = (h + 1) & mask


@part
def decimal(buf, p):  # type: ignore[no-untyped-def]
    """The word written in decimal at `p`, where it ends, and how many digits it had (-1: too large)."""
    v = i64(0)
    start = p
    c = byte(buf, p) - 48
    while 0 <= c <= 9:
        if v > 922337203685477579:
            if v < 922337203685477580 or (v == 922337203685477580 and c <= 7):
                v = v * 10 + c
            elif v < 1844674407370955161 or (v == 1844674407370955161 and c <= 5):
                v = (v - 1844674407370955161) * 10 + (c - 6)
                p += 1
                c = byte(buf, p) - 48
                if 0 <= c <= 9:
                    return v, p, i64(-1)
                return v, p, p - start
            else:
                return v, p, i64(-1)
        else:
            v = v * 10 + c
        p += 1
        c = byte(buf, p) - 48
        if v < 0 and 0 <= c <= 9:
            return v, p, i64(-1)
    return v, p, p - start


@part
def digit(c):  # type: ignore[no-untyped-def]
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    if 97 <= c <= 102:
        return c - 87
    return i64(-1)


@part
def hexadecimal(buf, p):  # type: ignore[no-untyped-def]
    """The word written in hexadecimal at `p`, where it ends, and how many digits it had (-1: too large)."""
    v = i64(0)
    start = p
    while byte(buf, p) == 48:
        p += 1
    front = p
    d = digit(byte(buf, p))
    while d >= 0:
        if p - front == 15:
            if v >= 1 << 59:
                v -= 1 << 60
        elif p - front > 15:
            return v, p, i64(-1)
        v = v * 16 + d
        p += 1
        d = digit(byte(buf, p))
    return v, p, p - start


@part
def null(buf, p):  # type: ignore[no-untyped-def]
    """Whether "(null)" stands at `p`."""
    return (
        buf[u(p)] == 40
        and buf[u(p + 1)] == 110
        and buf[u(p + 2)] == 117
        and buf[u(p + 3)] == 108
        and buf[u(p + 4)] == 108
        and buf[u(p + 5)] == 41
    )


@part
def value(buf, p, form):  # type: ignore[no-untyped-def]
    """A number of `form` at `p`: its word, where it ends, its digits (0: none, -1: too large)."""
    c = buf[u(p)]
    if c == 48 and buf[u(p + 1)] | 32 == 120:
        return hexadecimal(buf, p + 2)
    if form == HEX:
        if null(buf, p):
            return i64(0), p + 6, i64(1)
        return hexadecimal(buf, p)
    if c == DASH:
        v, q, digits = decimal(buf, p + 1)
        if v < 0:
            digits = i64(-1)
        return -v if v > 0 else v, q, digits
    return decimal(buf, p)


@part
def spaces(buf, p):  # type: ignore[no-untyped-def]
    while buf[u(p)] == SPACE:
        p += 1
    return p


@part
def token(buf, p):  # type: ignore[no-untyped-def]
    while buf[u(p)] != SPACE and buf[u(p)] != NL:
        p += 1
    return p


@njit(**SETTINGS)
def put(names, entry):  # type: ignore[no-untyped-def]
    """Enter `entry`, whose bytes are in the arena, into the slots.

    Requires  a slot is free
    """
    start = i64(names.offset[u(entry)])
    size = i64(names.size[u(entry)])
    mask = names.slots.size - 1
    h = mix(names.arena, start, size) & mask
    while names.slots[u(h)] >= 0:
        h = (h + 1) & mask
    names.slots[u(h)] = entry


def plain(compiled: Any) -> Callable[..., Any]:
    """The same function un-jitted, with everything that it calls un-jitted too.

    Compiled kernels check no bounds; run this on small and hostile inputs to find a bad index.
    """
    source: FunctionType = compiled.py_func
    globals_ = dict(source.__globals__)
    for name in source.__code__.co_names:
        if hasattr(globals_.get(name), "py_func"):
            globals_[name] = plain(globals_[name])
    return FunctionType(source.__code__, globals_, source.__name__, source.__defaults__)
