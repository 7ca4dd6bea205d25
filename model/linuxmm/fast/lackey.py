"""Reader of memory traces by valgrind's lackey tool (`--tool=lackey --trace-mem=yes --log-file=FILE`).

A line is `I  ADDRESS,SIZE` for a fetch, ` L`, ` S` or ` M` for a load, a store or both; addresses are
hexadecimal, sizes decimal.  An access that crosses into another page is two references; one that loads and
stores is a write.  Lines of valgrind itself start with `==` or `--` and are skipped.

Seed 2.3 (F040, F041).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numba import njit
from numpy import int64 as i64
from numpy import uintp as u
from numpy.typing import NDArray

from linuxmm.fast.scan import DASH, EQUALS, NL, SETTINGS, SPACE, byte, decimal, hexadecimal
from linuxmm.spec.errors import BadEvidence

_I: Final = 73
_L: Final = 76
_S: Final = 83
_M: Final = 77
_COMMA: Final = 44
_LARGEST: Final = 4096
BLOCK: Final = 1 << 22
SLACK: Final = 64

# Cells of the state.
POS: Final = 0
LINE: Final = 1
ROW: Final = 2
CELLS: Final = 3

DONE: Final = 0
BAD_KIND: Final = 1
BAD_ADDRESS: Final = 2
BAD_SIZE: Final = 3

_EXPECTED: Final = {
    BAD_KIND: "expected 'I  ', ' L ', ' S ' or ' M ' and an address",
    BAD_ADDRESS: "expected a hexadecimal address below 2**59 and a comma",
    BAD_SIZE: f"expected a size of 1 to {_LARGEST} bytes at the end of the line",
}


@njit(**SETTINGS)
def parse(buf, end, words, state):  # type: ignore[no-untyped-def]
    """Parse complete lines from POS on; what went wrong, or DONE.

    Requires  a newline before `end`, SLACK newlines behind it, two rows a line in `words`
    """
    at = state[POS]
    line = state[LINE]
    row = state[ROW]
    answer = DONE
    while at < end:
        one = byte(buf, at)
        two = byte(buf, at + 1)
        if (one == EQUALS and two == EQUALS) or (one == DASH and two == DASH):
            while byte(buf, at) != NL:
                at += 1
        else:
            if one == _I and two == SPACE:
                code = i64(2)
            elif one == SPACE and two == _L:
                code = i64(0)
            elif one == SPACE and (two == _S or two == _M):
                code = i64(1)
            else:
                answer = BAD_KIND
                break
            if byte(buf, at + 2) != SPACE:
                answer = BAD_KIND
                break
            address, p, digits = hexadecimal(buf, at + 3)
            if digits <= 0 or address < 0 or address >= 1 << 59 or byte(buf, p) != _COMMA:
                answer = BAD_ADDRESS
                break
            size, p, digits = decimal(buf, p + 1)
            if digits <= 0 or size < 1 or size > _LARGEST or byte(buf, p) != NL:
                answer = BAD_SIZE
                break
            words[u(row)] = (address << 4) | code
            row += 1
            last = address + size - 1
            if last >> 12 != address >> 12:
                words[u(row)] = ((last >> 12) << 16) | code
                row += 1
            at = p
        at += 1
        line += 1
    state[POS] = at
    state[LINE] = line
    state[ROW] = row
    return answer


def read_lackey(path: Path, block: int = BLOCK) -> Iterator[NDArray[np.int64]]:
    """The references of a trace, as words for `linuxmm.fast.translate`, a block of the file at a time.

    Errors    BadEvidence naming the line
    """
    buf = np.empty(block + SLACK, np.uint8)
    words = np.empty(2 * (block // 6 + 2), np.int64)
    state = np.zeros(CELLS, np.int64)
    kept = 0
    try:
        with path.open("rb") as file:
            while True:
                got = file.readinto(buf.data[kept:block])
                size = kept + got
                if got == 0:
                    if size == 0:
                        return
                    buf[size] = NL  # the last line may lack its newline
                    size += 1
                tail = np.flatnonzero(buf[:size][::-1] == NL)
                if tail.size == 0:
                    if size == block:
                        raise BadEvidence(str(path), "expected a line of a trace", line=int(state[LINE]) + 1)
                    kept = size
                    continue
                end = size - int(tail[0])
                rest = buf[end:size].copy()
                buf[end : end + SLACK] = NL
                state[POS] = state[ROW] = 0
                answer = parse(buf, end, words, state)
                if answer != DONE:
                    raise BadEvidence(str(path), _EXPECTED[int(answer)], line=int(state[LINE]) + 1)
                if state[ROW]:
                    yield words[: int(state[ROW])].copy()
                if got == 0:
                    return
                kept = rest.size
                buf[:kept] = rest
    except OSError as error:
        raise BadEvidence(str(path), f"expected a readable file: {error.strerror}") from error
