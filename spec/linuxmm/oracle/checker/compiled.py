"""A compiled scan over plainly permitted events; everything else goes to `PageChecker`.

Ownership is kept in arrays: a byte of state a page, and beside it the record of its last event.  The scan
accepts what can be accepted without a second look and stops at the first other event; that event's
neighbourhood is handed to the checker, judged there, and taken back.  Verdicts, tallies and divergences are
those of the checker alone.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numba import njit
from numpy import uintp as u
from numpy.typing import NDArray

from linuxmm.oracle.checker.pages import GRANT, ISOLATED_LEAVES, LISTED_WHILE_OWNED, RELEASE, PageChecker
from linuxmm.oracle.formats.events import Events
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Row
from linuxmm.spec.alloc.gfp import gfp_zone_highest
from linuxmm.spec.alloc.page_state import UNKNOWN, Chunk, Owned, Pages
from linuxmm.spec.vocabulary import MigrateType

OWNED: Final = 1
FREE: Final = 2
ABSENT: Final = 4
HEAD: Final = 8
ORDER_SHIFT: Final = 4

PAGE: Final = np.dtype(
    [
        ("number", np.int64),
        ("line", np.int64),
        ("pid", np.int32),
        ("cpu", np.int16),
        ("kind", np.uint8),
        ("order", np.int8),
        ("mt", np.int8),
        ("asked", np.int8),
    ],
    align=True,
)
"""The last grant or release of the block that a page heads (number -1: what the checker has); the scan writes
it and never reads it, so that it waits for one byte a page."""

MOST_PAGES: Final = 1 << 26
_ALLOC: Final = int(Kind.MM_PAGE_ALLOC)
_FREE: Final = int(Kind.MM_PAGE_FREE)
_LOCKED: Final = int(Kind.MM_PAGE_ALLOC_ZONE_LOCKED)
_DRAIN: Final = int(Kind.MM_PAGE_PCPU_DRAIN)
_ISOLATE: Final = int(MigrateType.ISOLATE)
_JUDGED: Final = np.isin(
    np.arange(256),
    [
        int(kind)
        for kind in (
            Kind.MM_PAGE_ALLOC_EXTFRAG,
            Kind.SETPFB,
            Kind.SETMT,
            Kind.SPLIT,
            Kind.BULKALLOC_R,
            Kind.ISOL_R,
            Kind.TAKEOFF,
            Kind.COMPACTFREE,
            Kind.MARK,
        )
    ],
)
_zone_highest = njit(inline="always")(gfp_zone_highest)


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _scan(
    states: Any,
    dirty: Any,
    pages: Any,
    spans: Any,
    aside: Any,
    ours: Any,
    judged: Any,
    counts: Any,
    max_order: int,
    block_order: int,
    at: int,
    stop: int,
    first: int,
    kinds: Any,
    cpus: Any,
    pids: Any,
    lines: Any,
    pfns: Any,
    orders: Any,
    types: Any,
    gfps: Any,
) -> int:
    """Accept plain events from row `at` up to `stop`; the row of the first other event, or `stop`.

    Indices are unsigned: a signed one is tested for wrapping round, in every access.
    """
    span = 0
    while at < stop:
        kind = kinds[u(at)]
        if judged[u(kind)]:
            return at
        if kind != _ALLOC and kind != _FREE and kind != _LOCKED and kind != _DRAIN:
            at += 1
            continue
        pfn = pfns[u(at)]
        order = np.int64(orders[u(at)])
        if pfn < 0 and kind == _ALLOC:
            at += 1
            continue
        size = np.int64(1) << (order & 31)
        if order < 0 or order > max_order or pfn < 0 or pfn & (size - 1) or pfn + size > pages.size:
            return at
        number = types[u(at)]
        mt = ours[u(number)] if 0 <= number < ours.size else -1
        held = np.uint8(0)
        for page in range(pfn, pfn + size):
            held |= states[u(page)]
        if kind == _LOCKED or kind == _DRAIN:
            if held & OWNED or (kind == _LOCKED and mt == _ISOLATE):
                return at
            counts[2] += 1
            counts[3] += kind == _LOCKED
            at += 1
            continue
        while span < spans.shape[0] - 1 and pfn >= spans[span, 1]:
            span += 1
        while span > 0 and pfn < spans[span, 0]:
            span -= 1
        if pfn < spans[span, 0] or pfn + size > spans[span, 1]:
            return at
        head = states[u(pfn)]
        if kind == _ALLOC:
            if held & (OWNED | ABSENT) or spans[span, 2] > _zone_highest(gfps[u(at)]):
                return at
            for block in range(pfn >> block_order, ((pfn + size - 1) >> block_order) + 1):
                if aside[u(block)]:
                    return at
            for page in range(pfn, pfn + size):
                states[u(page)] = OWNED
            states[u(pfn)] = OWNED | HEAD | order << ORDER_SHIFT
            pages[u(pfn)].asked = max(mt, 0)
            counts[0] += 1
        else:
            if held & ABSENT:
                return at
            if not (head & HEAD and head >> ORDER_SHIFT == order) and held & (OWNED | FREE):
                return at
            for page in range(pfn, pfn + size):
                states[u(page)] = FREE
            counts[1] += 1
        record = pages[u(pfn)]
        record.number = first + at
        record.line = lines[u(at)]
        record.pid = pids[u(at)]
        record.cpu = cpus[u(at)]
        record.kind = kind
        record.order = order
        record.mt = mt
        dirty[u(pfn >> max_order)] = 1
        at += 1
    return at


@dataclass(slots=True)
class Scanner:
    """The arrays of one judgement, and the checker that they are exchanged with.

    states  what is known of each page: state bits, with the order of an owned head
    dirty   chunks that the scan changed since the checker last saw them
    aside   pageblocks that are ISOLATE or CMA
    """

    checker: PageChecker
    states: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    dirty: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    pages: NDArray[Any] = field(default_factory=lambda: _unknown(0))
    aside: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, np.int64))

    @property
    def _size(self) -> int:
        return 1 << self.checker.pages.layout.max_order

    # ---- events ------------------------------------------------------------------------------------------

    def see(self, batch: Events, start: int, stop: int, first: int) -> None:
        """Judge the rows `start` to `stop` - 1, none a mark of a frozen state; `first` numbers row 0."""
        self._make_room(batch)
        layout = self.checker.pages.layout
        spans = np.array([(s.start, s.end, int(s.zone)) for s in layout.spans], np.int64).reshape(-1, 3)
        ours = np.array(self.checker.names.ours, np.int64)
        at = start
        while at < stop:
            at = _scan(
                self.states,
                self.dirty,
                self.pages,
                spans,
                self.aside,
                ours,
                _JUDGED,
                self.counts,
                layout.max_order,
                layout.pageblock_order,
                at,
                stop,
                first,
                batch.kind,
                batch.cpu,
                batch.pid,
                batch.line,
                batch.pfn,
                batch.order,
                batch.mt,
                batch.a,
            )
            if at < stop:
                self._judge(_row(batch, at, first, self.checker.names.ours))
                at += 1

    def _judge(self, row: Row) -> None:
        self.tally()
        if row.pfn < 0:
            self.checker.see(row)
            return
        near = range((row.pfn - 8) // self._size, (row.pfn + self._size + 8) // self._size + 1)
        for chunk in near:
            self._to_checker(chunk)
        self.checker.see(row)
        self._from_checker(row.pfn // self._size)
        if row.kind in (Kind.SETPFB, Kind.SETMT):
            self._set_aside()

    def tally(self) -> None:
        """Note in the judgement which clauses the scan looked at."""
        checked = self.checker.judgement.checked
        for count, clauses in zip(
            self.counts.tolist(),
            (GRANT, RELEASE, (LISTED_WHILE_OWNED,), (ISOLATED_LEAVES,)),
            strict=True,
        ):
            for name in clauses if count else ():
                checked(name, count)
        self.counts[:] = 0

    # ---- exchange ----------------------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take over everything that the checker knows."""
        self.pages["number"] = -1
        self.states[:] = 0
        self.dirty[:] = 0
        known = self.checker.pages.chunks
        self._grow(max((chunk for chunk in known if chunk < self._limit), default=-1) + 1)
        for chunk in known:
            self._from_checker(chunk)
        self._set_aside()

    def release(self) -> None:
        """Give everything back to the checker."""
        self.tally()
        for chunk in np.flatnonzero(self.dirty).tolist():
            self._to_checker(chunk)

    @property
    def _limit(self) -> int:
        return MOST_PAGES // self._size

    def _make_room(self, batch: Events) -> None:
        top = int(batch.pfn.max(initial=-1))
        self._grow(min(top // self._size + 1, self._limit))

    def _grow(self, chunks: int) -> None:
        size = self._size * chunks
        if size <= self.pages.size:
            return
        size = min(max(size, 2 * self.pages.size), MOST_PAGES)
        more = _unknown(size)
        more[: self.pages.size] = self.pages
        self.pages = more
        self.states = _longer(self.states, size)
        self.dirty = _longer(self.dirty, -(-size // self._size))
        self._set_aside()

    def _set_aside(self) -> None:
        order = self.checker.pages.layout.pageblock_order
        self.aside = np.zeros((self.pages.size >> order) + 1, np.uint8)
        inside = [block for block in self.checker.pages.types if 0 <= block < self.aside.size]
        self.aside[inside] = 1

    def _to_checker(self, chunk: int) -> None:
        """Tell the checker what the scan changed in a chunk since it last knew."""
        base = chunk * self._size
        if not 0 <= base < self.pages.size or not self.dirty[chunk]:
            return
        self.dirty[chunk] = 0
        part = self.pages[base : base + self._size]
        state = self.states[base : base + self._size]
        changed = np.flatnonzero(part["number"] >= 0)
        known = self.checker.pages
        established = self.checker.established
        with known.heads.mutate() as heads:
            for at, held, record in zip(
                changed.tolist(), state[changed].tolist(), part[changed].tolist(), strict=True
            ):
                number, line, pid, cpu, kind, order, mt, asked = record
                established[base + at] = Row(number, kind, cpu, pid, 0, line, base + at, order, mt, 0, 0, 0)
                if held & HEAD:
                    heads[base + at] = Owned(held >> ORDER_SHIFT, asked)
                else:
                    heads.pop(base + at, None)
            done = heads.finish()
        part["number"][changed] = -1
        masks = Chunk(*(_mask(state, bit) for bit in (OWNED, FREE, ABSENT)))
        self.checker.pages = Pages(known.layout, done, known.chunks.set(chunk, masks), known.types)

    def _from_checker(self, chunk: int) -> None:
        """Take over a chunk of which the scan has told everything."""
        base = chunk * self._size
        if not 0 <= base < self.pages.size:
            return
        known = self.checker.pages
        masks = known.chunks.get(chunk, UNKNOWN)
        state = self.states[base : base + self._size]
        state[:] = 0
        for mask, bit in zip(masks, (OWNED, FREE, ABSENT), strict=True):
            if mask:
                state |= _bits(mask, self._size) * np.uint8(bit)
        for at in np.flatnonzero(state & OWNED).tolist():
            held = known.heads.get(base + at)
            if held is not None:
                state[at] |= HEAD | held.order << ORDER_SHIFT


def _row(batch: Events, at: int, first: int, ours: tuple[int, ...]) -> Row:
    number = int(batch.mt[at])
    return Row(
        first + at,
        int(batch.kind[at]),
        int(batch.cpu[at]),
        int(batch.pid[at]),
        int(batch.context[at]),
        int(batch.line[at]),
        int(batch.pfn[at]),
        int(batch.order[at]),
        ours[number] if 0 <= number < len(ours) else -1,
        int(batch.a[at]),
        int(batch.b[at]),
        int(batch.c[at]),
    )


def _mask(state: NDArray[np.uint8], bit: int) -> int:
    return int.from_bytes(np.packbits(state & bit != 0, bitorder="little").tobytes(), "little")


def _bits(mask: int, size: int) -> NDArray[np.uint8]:
    raw = np.frombuffer(mask.to_bytes((size + 7) // 8, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little")[:size]


def _unknown(pages: int) -> NDArray[Any]:
    made = np.zeros(pages, PAGE)
    made["number"] = -1
    return made


def _longer(array: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    made = np.zeros(size, np.uint8)
    made[: array.size] = array
    return made
