"""Traces of valgrind's lackey become references, and what is not one names its line."""

from pathlib import Path

import numpy as np
import pytest

from linuxmm.fast.lackey import CELLS, LINE, POS, ROW, SLACK, parse, read_lackey
from linuxmm.fast.scan import plain
from linuxmm.spec.errors import BadEvidence

TEXT = """==1== Lackey, an example Valgrind tool
I  04000abc,3
 L 1ffeffe7e0,8
 S 1ffeffffff,2
--1-- a note
 M 0421dd28,4
I  7ffffffff,5
"""
WORDS = [
    (0x04000ABC, 2),
    (0x1FFEFFE7E0, 0),
    (0x1FFEFFFFFF, 1),
    (0x1FFF000000, 1),
    (0x0421DD28, 1),
    (0x7FFFFFFFF, 2),
    (0x800000000, 2),
]


def words_of(path: Path, block: int = 1 << 12) -> list[tuple[int, int]]:
    found = [word for part in read_lackey(path, block) for word in part.tolist()]
    return [(word >> 4, word & 15) for word in found]


@pytest.mark.parametrize("block", [40, 64, 1 << 12])
@pytest.mark.parametrize("text", [TEXT, TEXT[:-1]])
def test_every_reference_is_read_in_blocks_of_any_size(tmp_path: Path, block: int, text: str) -> None:
    path = tmp_path / "trace"
    path.write_text(text)
    assert words_of(path, block) == WORDS


def test_an_empty_trace_has_no_references(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("")
    assert words_of(path) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (" X 1000,8", "expected 'I  ', ' L ', ' S ' or ' M ' and an address"),
        ("I 1000,8", "expected 'I  ', ' L ', ' S ' or ' M ' and an address"),
        ("hello", "expected 'I  ', ' L ', ' S ' or ' M ' and an address"),
        (" L zz,8", "expected a hexadecimal address below 2**59 and a comma"),
        (" L 1000 8", "expected a hexadecimal address below 2**59 and a comma"),
        (" L fffffffffffffff0,8", "expected a hexadecimal address below 2**59 and a comma"),
        (" L 1000,0", "expected a size of 1 to 4096 bytes at the end of the line"),
        (" L 1000,8 ", "expected a size of 1 to 4096 bytes at the end of the line"),
        (" L 1000,", "expected a size of 1 to 4096 bytes at the end of the line"),
    ],
)
def test_a_line_that_is_no_reference_is_named(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "trace"
    path.write_text(f"I  1000,1\n{line}\nI  1000,1\n")
    with pytest.raises(BadEvidence) as raised:
        words_of(path)
    assert str(raised.value) == f"{path}:2: {expected}"


def test_a_line_without_end_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("x" * 5000)
    with pytest.raises(BadEvidence, match=r"trace:1: expected a line of a trace$"):
        words_of(path)
    with pytest.raises(BadEvidence, match="expected a readable file: No such file or directory"):
        words_of(tmp_path / "none")


def test_the_scanner_stays_within_its_buffer_uncompiled() -> None:
    for text in (TEXT, " L 1\n", "I\n", " \n", "=\n", " L 1,\n"):
        data = np.frombuffer((text + "\n" * SLACK).encode(), np.uint8)
        states = []
        for scan in (parse, plain(parse)):
            words, state = np.zeros(32, np.int64), np.zeros(CELLS, np.int64)
            answer = scan(data, len(text), words, state)
            states.append((int(answer), state.tolist(), words.tolist()))
        assert states[0] == states[1]
    assert states[0][1][POS] <= len(text)
    assert (LINE, ROW) == (1, 2)
