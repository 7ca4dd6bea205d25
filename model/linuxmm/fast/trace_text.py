"""Byte parser of ftrace text: complete lines in, columns out, driven by tables of names and fields.

The kernel knows the shape of a line and nothing of events: which names matter, which fields they have and
where the values go comes in as `Tables`.  It never runs past `end`: the caller guarantees that the last
byte before `end` and at least `SLACK` bytes after it are newlines, and every scan stops at a newline.

Linux: kernel/trace/trace_output.c:trace_print_context, trace_print_lat_fmt, 2.6.31 to 6.12.
"""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy import int64 as i64
from numpy import uintp as u
from numpy.typing import NDArray

from linuxmm.fast.scan import (
    DASH,
    EQUALS,
    HEX,
    NL,
    SETTINGS,
    SPACE,
    byte,
    decimal,
    find,
    part,
    spaces,
    token,
    value,
)

SLACK: Final = 64

# What `parse` returns.
DONE: Final = 0  # every line was read
FULL: Final = 1  # no row is left
SPECIAL: Final = 2  # the line at POS starts with '#', ' => ' or CPU:, or is empty
NEW_NAME: Final = 3  # the name at AT, SIZE is in no table
NEW_WORD: Final = 4  # the flags text at AT, SIZE is in no table
MARK: Final = 5  # a marker line; its text starts at AT, its row is filled but for the text
BAD_COLUMN: Final = 16  # the 16-column task name is not followed by '-'
BAD_PID: Final = 17
BAD_CPU: Final = 18
BAD_FLAGS: Final = 19
BAD_TIME: Final = 20
BACKWARDS: Final = 21  # the time is before the line before it
BAD_NAME: Final = 22
BAD_VALUE: Final = 23  # the value at AT of FIELD is not a number of its form
BAD_RANGE: Final = 24  # the value at AT of FIELD does not fit
TWICE: Final = 25  # FIELD comes twice
MISSING: Final = 26  # FIELD does not come
BAD_PROBE: Final = 27  # a probe's symbol in parentheses does not close

# Cells of the state.
POS: Final = 0
LINE: Final = 1
ROW: Final = 2
TIME: Final = 3
AT: Final = 4
SIZE: Final = 5
FIELD: Final = 6
LAYOUT: Final = 7
CELLS: Final = 8

# Rows of `words`, in the order of the oracle's columns.
PAGE: Final = 0
PFN: Final = 1
ORDER: Final = 2
MT: Final = 3
WORDS: Final = 8
NO_PAGE: Final = 1

# Classes of names: a layout's number, or one of these.
OTHER: Final = -1
MARKER: Final = -2


class Tables(NamedTuple):
    """What the parser is to know of events; one entry per layout, and per field of all layouts."""

    kind: NDArray[np.uint8]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    required: NDArray[np.int64]
    order: NDArray[np.int64]
    other_layout: NDArray[np.int32]
    symbols_from: NDArray[np.int32]
    symbols_to: NDArray[np.int32]
    returns: NDArray[np.uint8]
    symbol_offset: NDArray[np.int32]
    symbol_size: NDArray[np.int32]
    key_offset: NDArray[np.int32]
    key_size: NDArray[np.int32]
    column: NDArray[np.uint8]
    form: NDArray[np.uint8]
    shift: NDArray[np.uint8]
    mask: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    arena: NDArray[np.uint8]


class Columns(NamedTuple):
    """Where rows go: times and places, and `words` [WORDS, rows] with the values of fields."""

    ts: NDArray[np.int64]
    cpu: NDArray[np.int16]
    pid: NDArray[np.int32]
    context: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    line: NDArray[np.int64]
    words: NDArray[np.int64]


@part
def _symbol_is(buf, p, layout, tab):  # type: ignore[no-untyped-def]
    """Whether the symbol at `p`, less any .suffix of the compiler, is one that the layout probes."""
    for s in range(i64(tab.symbols_from[u(layout)]), i64(tab.symbols_to[u(layout)])):
        size = i64(tab.symbol_size[u(s)])
        start = i64(tab.symbol_offset[u(s)])
        k = i64(0)
        while k < size and tab.arena[u(start + k)] == buf[u(p + k)]:
            k += 1
        if k == size:
            c = byte(buf, p + k)
            if c == 43 or c == 46 or c == 41:
                return True
    return False


@part
def _key_is(buf, p, f, tab):  # type: ignore[no-untyped-def]
    """Whether the name of field `f` and '=' stand at `p`."""
    size = i64(tab.key_size[u(f)])
    start = i64(tab.key_offset[u(f)])
    k = i64(0)
    while k < size and tab.arena[u(start + k)] == buf[u(p + k)]:
        k += 1
    return k == size and buf[u(p + k)] == EQUALS


@part
def _context(buf, p, q):  # type: ignore[no-untyped-def]
    """The context bits of the flags column [p, q), or -1."""
    if q - p < 4 or q - p > 8:
        return i64(-1)
    bits = i64(0)
    c = byte(buf, p)
    if c == 100:
        bits = i64(1)
    elif c == 68:
        bits = i64(3)
    elif c == 98:
        bits = i64(2)
    elif c != 46 and c != 88:
        return i64(-1)
    c = byte(buf, p + 2)
    if c == 90:
        bits |= 20
    elif c == 122:
        bits |= 16
    elif c == 72:
        bits |= 12
    elif c == 104:
        bits |= 4
    elif c == 115:
        bits |= 8
    elif c != 46:
        return i64(-1)
    if buf[u(p + 3)] != 46:
        bits |= 32
    if q - p > 4 and buf[u(p + 4)] != 46:
        bits |= 64
    return bits


@part
def _head(buf, p, n, st, out):  # type: ignore[no-untyped-def]
    """Read task, CPU, flags and time of the line at `p` into row `n`: where the rest starts, or -code."""
    breaks = i64(0)
    for k in range(17):
        breaks += buf[u(p + k)] == NL
    if breaks or buf[u(p + 16)] != DASH:
        return i64(-BAD_COLUMN)
    v, p, digits = decimal(buf, p + 17)
    if digits <= 0 or v < 0 or v > 0x7FFFFFFF or buf[u(p)] != SPACE:
        return i64(-BAD_PID)
    out.pid[u(n)] = v
    p = spaces(buf, p)
    if buf[u(p)] == 40:
        while buf[u(p)] != 41:
            if buf[u(p)] == NL:
                return i64(-BAD_PID)
            p += 1
        p = spaces(buf, p + 1)
    if buf[u(p)] != 91:
        return i64(-BAD_CPU)
    v, p, digits = decimal(buf, p + 1)
    if digits <= 0 or v < 0 or v > 0x7FFF or buf[u(p)] != 93:
        return i64(-BAD_CPU)
    out.cpu[u(n)] = v
    p = spaces(buf, p + 1)
    q = token(buf, p)
    if buf[u(q - 1)] == 58:
        out.context[u(n)] = 128
    else:
        bits = _context(buf, p, q)
        if bits < 0:
            return i64(-BAD_FLAGS)
        out.context[u(n)] = bits
        p = spaces(buf, q)
    v, p, digits = decimal(buf, p)
    if digits <= 0 or digits > 18:
        return i64(-BAD_TIME)
    if buf[u(p)] == 46:
        w, p, digits = decimal(buf, p + 1)
        if v > 9000000000:
            return i64(-BAD_TIME)
        if digits == 6:
            v = v * 1000000000 + w * 1000
        elif digits == 9:
            v = v * 1000000000 + w
        else:
            return i64(-BAD_TIME)
    if buf[u(p)] != 58 or buf[u(p + 1)] != SPACE:
        return i64(-BAD_TIME)
    out.ts[u(n)] = v
    if v < st[u(TIME)]:
        return i64(-BACKWARDS)
    return spaces(buf, p + 1)


@part
def _probe(buf, p, layout, tab):  # type: ignore[no-untyped-def]
    """The layout whose symbol stands in the parentheses at `p` (OTHER: none), and where they end (-1)."""
    if buf[u(p)] != 40:
        return i64(OTHER), p
    entry = p + 1
    q = entry
    arrow = i64(0)
    while buf[u(q)] != 41:
        if buf[u(q)] == NL:
            return i64(OTHER), i64(-1)
        if buf[u(q)] == 60 and buf[u(q + 1)] == DASH and buf[u(q + 2)] == SPACE:
            arrow = q + 3
        q += 1
    while layout >= 0:
        symbol = arrow if arrow else entry
        if i64(tab.returns[u(layout)]) == (arrow > 0) and _symbol_is(buf, symbol, layout, tab):
            return layout, spaces(buf, q + 1)
        layout = i64(tab.other_layout[u(layout)])
    return i64(OTHER), q


@part
def _fields(buf, p, n, layout, st, out, words, tab):  # type: ignore[no-untyped-def]
    """Read `key=value` pairs at `p` into row `n`: where the line ends, or -code."""
    cells = out.words
    cells[u(PAGE), u(n)] = NO_PAGE
    cells[u(PFN), u(n)] = -1
    cells[u(ORDER), u(n)] = tab.order[u(layout)]
    cells[u(MT), u(n)] = -1
    cells[u(4), u(n)] = 0
    cells[u(5), u(n)] = 0
    cells[u(6), u(n)] = 0
    first = i64(tab.first[u(layout)])
    last = i64(tab.last[u(layout)])
    want = first
    seen = i64(0)
    while buf[u(p)] != NL:
        f = want
        if f >= last or not _key_is(buf, p, f, tab):
            f = first
            while f < last and not _key_is(buf, p, f, tab):
                f += 1
            if f == last:
                p = spaces(buf, token(buf, p))
                continue
        st[u(FIELD)] = f
        p += i64(tab.key_size[u(f)]) + 1
        st[u(AT)] = p
        bit = i64(1) << (f - first)
        if seen & bit:
            return i64(-TWICE)
        seen |= bit
        want = f + 1
        form = tab.form[u(f)]
        if form <= HEX:
            v, q, digits = value(buf, p, form)
            if digits == 0 and form == HEX and buf[u(p)] == 40:
                q = token(buf, p)
                v = i64(NO_PAGE)
            elif digits == 0:
                return i64(-BAD_VALUE)
            elif digits < 0:
                return i64(-BAD_RANGE)
            if buf[u(q)] != SPACE and buf[u(q)] != NL:
                return i64(-BAD_VALUE)
        else:
            q = token(buf, p)
            if q == p:
                return i64(-BAD_VALUE)
            entry = find(buf, p, q - p, words)
            if entry < 0:
                st[u(SIZE)] = q - p
                return i64(-NEW_WORD)
            v = words.value[u(entry)]
        if v < tab.low[u(f)] or v > tab.high[u(f)]:
            return i64(-BAD_RANGE)
        column = tab.column[u(f)]
        if tab.mask[u(f)] != -1:
            cells[u(column), u(n)] |= (v & tab.mask[u(f)]) << i64(tab.shift[u(f)])
        else:
            cells[u(column), u(n)] = v
        p = spaces(buf, q)
    if seen & tab.required[u(layout)] != tab.required[u(layout)]:
        f = first
        while (seen >> (f - first)) & 1 or not (tab.required[u(layout)] >> (f - first)) & 1:
            f += 1
        st[u(FIELD)] = f
        return i64(-MISSING)
    return p


@part
def _is_special(buf, p):  # type: ignore[no-untyped-def]
    c = buf[u(p)]
    if c == SPACE:
        return buf[u(p + 1)] == EQUALS and buf[u(p + 2)] == 62
    return c == 35 or c == NL or (c == 67 and buf[u(p + 1)] == 80 and buf[u(p + 2)] == 85)


@part
def _is_sync(buf, p):  # type: ignore[no-untyped-def]
    return (
        buf[u(p)] == 83
        and buf[u(p + 1)] == 89
        and buf[u(p + 2)] == 78
        and buf[u(p + 3)] == 67
        and buf[u(p + 4)] == SPACE
    )


@njit(**SETTINGS)
def parse(buf, end, st, out, names, counts, words, tab):  # type: ignore[no-untyped-def]
    """Read the lines of `buf[:end]` from POS on into rows from ROW on; POS stays at the line not read.

    Requires  0 <= POS <= end; buf[end-1 : end+SLACK] are newlines (or end is 0)
    Ensures   counts[entry] grows by the lines whose name has no layout; TIME is the last line's
    Returns   DONE, FULL, SPECIAL, NEW_NAME, NEW_WORD, MARK, or a BAD_ code with AT and FIELD
    """
    p = st[u(POS)]
    n = st[u(ROW)]
    room = out.ts.size
    while p < end:
        st[u(POS)] = p
        st[u(ROW)] = n
        if n >= room:
            return FULL
        if _is_special(buf, p):
            return SPECIAL
        st[u(AT)] = p
        q = _head(buf, p, n, st, out)
        if q < 0:
            return -q
        e = q
        while buf[u(e)] != 58 and buf[u(e)] != SPACE and buf[u(e)] != NL:
            e += 1
        st[u(AT)] = q
        if buf[u(e)] != 58 or e == q:
            return BAD_NAME
        entry = find(buf, q, e - q, names)
        if entry < 0:
            st[u(SIZE)] = e - q
            return NEW_NAME
        layout = names.value[u(entry)]
        q = spaces(buf, e + 1)
        st[u(AT)] = q
        if layout == MARKER:
            if _is_sync(buf, q):
                return MARK
            layout = i64(OTHER)
        elif layout >= 0 and tab.symbols_to[u(layout)] > tab.symbols_from[u(layout)]:
            layout, q = _probe(buf, q, layout, tab)
            if q < 0:
                return BAD_PROBE
        if layout >= 0:
            st[u(LAYOUT)] = layout
            q = _fields(buf, q, n, layout, st, out, words, tab)
            if q < 0:
                return -q
            out.kind[u(n)] = tab.kind[u(layout)]
            out.line[u(n)] = st[u(LINE)]
            st[u(TIME)] = out.ts[u(n)]
            n += 1
        else:
            counts[u(entry)] += 1
            st[u(TIME)] = out.ts[u(n)]
            while buf[u(q)] != NL:
                q += 1
        p = q + 1
        st[u(LINE)] += 1
    st[u(POS)] = p
    st[u(ROW)] = n
    return DONE
