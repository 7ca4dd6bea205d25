"""Walker of raw ftrace ring-buffer pages: whole pages of one CPU in, columns out, driven by tables.

Event numbers, offsets, sizes and signs come in as `RawTables`, read from the events' `format` files.
Every offset is checked against the page's commit before it is used.

Linux: include/linux/ring_buffer.h, kernel/trace/ring_buffer.c, 2.6.31 to 6.12.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy import int64 as i64
from numpy import uintp as u
from numpy.typing import NDArray

from linuxmm.fast.scan import SETTINGS, part

# What `walk` returns.
DONE: Final = 0
BAD_COMMIT: Final = 1  # more data than a page holds
BAD_RECORD: Final = 2  # a record that does not end inside the page's data
BAD_TIME: Final = 3  # a time that no clock shows
BACKWARDS: Final = 4  # a time before the record before
SHORT: Final = 5  # a record shorter than its event's fields
BAD_RANGE: Final = 6  # a value that does not fit its column
FULL: Final = 7  # no row or gap is left

# Cells of the state.
ROW: Final = 0
GAP: Final = 1
TIME: Final = 2
AT: Final = 3
FIELD: Final = 4
LAYOUT: Final = 5
CELLS: Final = 6

OTHER: Final = -1
MARKER: Final = -2
_TOP: Final = 1 << 62
_ABSOLUTE: Final = (1 << 59) - 1


class Page(NamedTuple):
    """Shape of a ring-buffer page, in bytes: its size, where data start, the size of a kernel long."""

    size: int
    data: int
    long: int


class RawTables(NamedTuple):
    """What to do with each event number, and where the fields of each layout are.

    of_id      [65536] number of an event -> layout, OTHER or MARKER
    common     offsets of common_flags, common_preempt_count, common_pid; of the marker's text
    """

    of_id: NDArray[np.int32]
    common: NDArray[np.int64]
    kind: NDArray[np.uint8]
    order: NDArray[np.int64]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    length: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.uint8]
    signed: NDArray[np.uint8]
    column: NDArray[np.uint8]
    shift: NDArray[np.uint8]
    mask: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


class RawColumns(NamedTuple):
    """Where rows go, and gaps: the row before which events are missing, how many (-1 unknown), where."""

    ts: NDArray[np.int64]
    pid: NDArray[np.int32]
    context: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    line: NDArray[np.int64]
    words: NDArray[np.int64]
    gap_row: NDArray[np.int64]
    gap_count: NDArray[np.int64]
    gap_at: NDArray[np.int64]


@part
def _u32(words, at):  # type: ignore[no-untyped-def]
    return i64(words[u(at >> 2)])


@part
def _u64(words, at):  # type: ignore[no-untyped-def]
    """The 64-bit word at a multiple of 4, as a signed one."""
    high = i64(words[u((at >> 2) + 1)])
    if high >= 1 << 31:
        high -= 1 << 32
    return (high << 32) | i64(words[u(at >> 2)])


@part
def _load(buf, words, at, size, signed):  # type: ignore[no-untyped-def]
    """A field of 1, 2, 4 or 8 bytes at any offset."""
    if size == 4 and at & 3 == 0:
        v = _u32(words, at)
        if signed and v >= 1 << 31:
            v -= 1 << 32
        return v
    if size == 8 and at & 3 == 0:
        return _u64(words, at)
    top = i64(buf[u(at + size - 1)])
    if (signed or size == 8) and top >= 128:
        top -= 256
    v = top
    for k in range(1, i64(size)):
        v = (v << 8) | i64(buf[u(at + size - 1 - k)])
    return v


@part
def _context(flags, preempt):  # type: ignore[no-untyped-def]
    """Context bits of an entry's flags and preemption count."""
    bits = (flags & 1) | ((flags >> 6) & 2) | ((flags >> 1) & 12) | ((flags >> 2) & 16)
    if preempt & 15:
        bits |= 32
    if preempt & 240:
        bits |= 64
    return bits


@part
def _is_sync(buf, at, end):  # type: ignore[no-untyped-def]
    return (
        end - at > 5
        and buf[u(at)] == 83
        and buf[u(at + 1)] == 89
        and buf[u(at + 2)] == 78
        and buf[u(at + 3)] == 67
        and buf[u(at + 4)] == 32
    )


@part
def _clear(cells, n, order):  # type: ignore[no-untyped-def]
    cells[u(0), u(n)] = 1
    cells[u(1), u(n)] = -1
    cells[u(2), u(n)] = order
    cells[u(3), u(n)] = -1
    cells[u(4), u(n)] = 0
    cells[u(5), u(n)] = 0
    cells[u(6), u(n)] = 0


@part
def _record(buf, words, p, length, t, n, st, out, counts, tab):  # type: ignore[no-untyped-def]
    """Read the data record at `p` into row `n`: 1 when it took the row, 0 when not, or -code."""
    if length < tab.common[u(4)]:
        return i64(-SHORT)
    event = i64(buf[u(p)]) | (i64(buf[u(p + 1)]) << 8)
    layout = i64(tab.of_id[u(event)])
    if layout == MARKER and not _is_sync(buf, p + tab.common[u(3)], p + length):
        layout = i64(OTHER)
    if layout == OTHER:
        counts[u(event)] += 1
        return i64(0)
    if n >= out.ts.size:
        return i64(-FULL)
    cells = out.words
    out.ts[u(n)] = t
    out.pid[u(n)] = _load(buf, words, p + tab.common[u(2)], i64(4), True)
    flags = i64(buf[u(p + tab.common[u(0)])])
    out.context[u(n)] = _context(flags, i64(buf[u(p + tab.common[u(1)])]))
    out.line[u(n)] = p
    if layout == MARKER:
        _clear(cells, n, i64(-1))
        out.kind[u(n)] = 7
        cells[u(4), u(n)] = p + tab.common[u(3)]
        cells[u(5), u(n)] = p + length
        return i64(1)
    st[u(LAYOUT)] = layout
    if length < tab.length[u(layout)]:
        return i64(-SHORT)
    _clear(cells, n, tab.order[u(layout)])
    out.kind[u(n)] = tab.kind[u(layout)]
    for f in range(i64(tab.first[u(layout)]), i64(tab.last[u(layout)])):
        v = _load(buf, words, p + tab.offset[u(f)], i64(tab.size[u(f)]), tab.signed[u(f)])
        if v < tab.low[u(f)] or v > tab.high[u(f)]:
            st[u(FIELD)] = f
            return i64(-BAD_RANGE)
        if tab.mask[u(f)] != -1:
            cells[u(tab.column[u(f)]), u(n)] |= (v & tab.mask[u(f)]) << i64(tab.shift[u(f)])
        else:
            cells[u(tab.column[u(f)]), u(n)] = v
    return i64(1)


@part
def _missed(words, base, commit, n, st, out, page):  # type: ignore[no-untyped-def]
    """Note the events missing before this page: 0, or a code."""
    gap = st[u(GAP)]
    if gap >= out.gap_row.size:
        return i64(FULL)
    used = page.data + (commit & 0x3FFFFFFF)
    count = i64(-1)
    if commit & (1 << 30):
        if used + page.long > page.size or used & 3:
            return i64(BAD_COMMIT)
        count = _u64(words, base + used) if page.long == 8 else _u32(words, base + used)
        if count < 0:
            return i64(BAD_COMMIT)
    out.gap_row[u(gap)] = n
    out.gap_count[u(gap)] = count
    out.gap_at[u(gap)] = base
    st[u(GAP)] = gap + 1
    return i64(0)


@part
def _absolute(t, stamp):  # type: ignore[no-untyped-def]
    """The full time of a 59-bit stamp, its top bits taken from the time before."""
    full = (t & ~_ABSOLUTE) | stamp
    if t > _ABSOLUTE and full < t:
        full += _ABSOLUTE + 1
    return full


@njit(**SETTINGS)
def walk(buf, words, pages, page, st, out, counts, tab):  # type: ignore[no-untyped-def]
    """Read `pages` pages of one CPU into rows from ROW on and gaps from GAP on.

    Requires  words is buf as 32-bit words; pages * page.size <= buf.size; page.size and data divide by 4
    Ensures   counts[event] grows by the records without a layout; `line` is an offset in `buf`
    Returns   DONE, or a code with AT, the offset in `buf` of the page or record that is bad
    """
    n = st[u(ROW)]
    for number in range(pages):
        base = number * page.size
        st[u(AT)] = base
        t = _u64(words, base)
        commit = _u32(words, base + 8)
        size = commit & 0x3FFFFFFF
        if t < 0 or t > _TOP:
            return BAD_TIME
        if t < st[u(TIME)]:
            return BACKWARDS
        if size > page.size - page.data:
            return BAD_COMMIT
        if commit & (1 << 31):
            code = _missed(words, base, commit, n, st, out, page)
            if code:
                return code
        i = base + page.data
        end = i + size
        while i < end:
            st[u(AT)] = i
            if end - i < 4:
                return BAD_RECORD
            head = _u32(words, i)
            kind = head & 31
            delta = head >> 5
            if kind == 0 or kind >= 29:
                if kind == 29 and delta == 0:
                    break
                if end - i < 8:
                    return BAD_RECORD
                extra = _u32(words, i + 4)
                if kind == 30:
                    t += delta + (extra << 27)
                    i += 8
                    if t > _TOP:
                        return BAD_TIME
                    continue
                if kind == 31:
                    full = _absolute(t, delta + (extra << 27))
                    if full < t:
                        return BACKWARDS
                    if full > _TOP:
                        return BAD_TIME
                    t = full
                    i += 8
                    continue
                whole = 4 + ((extra + 3) & ~3)
                if whole > end - i or extra < 4:
                    return BAD_RECORD
                if kind == 29:
                    i += whole
                    continue
                p = i + 8
                length = extra - 4
            else:
                length = kind << 2
                whole = 4 + length
                p = i + 4
                if whole > end - i:
                    return BAD_RECORD
            t += delta
            took = _record(buf, words, p, length, t, n, st, out, counts, tab)
            if took < 0:
                return -took
            n += took
            i += whole
        if t > _TOP:
            return BAD_TIME
        st[u(TIME)] = t
    st[u(ROW)] = n
    return DONE
