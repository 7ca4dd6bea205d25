"""Keys get places in the order of their first use, however many there are and however they collide."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast.numbering import Numbering

KEYS = st.integers(0, (1 << 64) - 1)


@settings(deadline=None)  # compiled at first
@given(st.lists(st.lists(KEYS | st.integers(0, 9), max_size=60), max_size=6))
def test_columns_are_numbered_as_a_dictionary_does(columns: list[list[int]]) -> None:
    numbering = Numbering()
    known: dict[int, int] = {}
    for column in columns:
        expected = [known.setdefault(key, len(known)) for key in column]
        assert numbering.of_array(np.array(column, np.uint64)).tolist() == expected
        assert len(numbering) == len(known)


@pytest.mark.parametrize("step", [1, 1 << 10, 1 << 40, (1 << 63) + 1])
def test_the_table_grows(step: int) -> None:
    keys = np.arange(5000, dtype=np.uint64) * np.uint64(step)
    numbering = Numbering()
    assert numbering.of_array(keys).tolist() == list(range(5000))
    assert numbering.of_array(keys[::-1]).tolist() == list(range(4999, -1, -1))
    assert len(numbering) == 5000


def test_keys_of_other_widths_are_the_same_keys() -> None:
    numbering = Numbering()
    assert numbering.of_array(np.array([7, 9], np.int32)).tolist() == [0, 1]
    assert numbering.of_array(np.array([9, 7], np.uint64)).tolist() == [1, 0]


def test_text_is_numbered_too() -> None:
    numbering = Numbering()
    assert numbering(["a", "b", "a"]).tolist() == [0, 1, 0]
    assert numbering(["c", "b"]).tolist() == [2, 1]
    assert len(numbering) == 3
