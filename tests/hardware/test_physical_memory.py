"""Memory keeps what is written, answers errors as values, and changes nothing that was not named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.hardware.memory import (
    AccessError,
    Fault,
    PhysicalMemory,
    Range,
    cleared,
    physical_memory,
    poisoned,
    read_bytes,
    read_word,
    write_bytes,
    write_word,
)

RANGES = (Range(0x0, 0x3000), Range(0x5000, 0x7000), Range(0x7000, 0x8000, writable=False))
EMPTY = physical_memory(RANGES)


def written(memory: PhysicalMemory, address: int, data: bytes) -> PhysicalMemory:
    after = write_bytes(memory, address, data)
    assert isinstance(after, PhysicalMemory)
    return after


def test_words_are_little_endian_and_may_cross_frames() -> None:
    memory = write_word(EMPTY, 0xFFC, 0x1122334455667788)
    assert isinstance(memory, PhysicalMemory)
    assert read_bytes(memory, 0xFFC, 8) == bytes.fromhex("8877665544332211")
    assert read_word(memory, 0x1000, 4) == 0x11223344
    assert sorted(memory.frames) == [0, 1]


@pytest.mark.parametrize(
    ("address", "size", "expected"),
    [
        (0x2FFF, 2, AccessError(Fault.ABSENT, 0x3000)),
        (0x3000, 1, AccessError(Fault.ABSENT, 0x3000)),
        (0x9000, 0, b""),
        (0x6FFF, 2, b"\0\0"),
    ],
)
def test_only_memory_that_is_there_is_read(address: int, size: int, expected: object) -> None:
    assert read_bytes(EMPTY, address, size) == expected


def test_a_write_that_fails_changes_nothing_and_names_the_first_address() -> None:
    assert write_bytes(EMPTY, 0x2FFE, b"abcd") == AccessError(Fault.ABSENT, 0x3000)
    assert write_bytes(EMPTY, 0x6FFF, b"ab") == AccessError(Fault.READ_ONLY, 0x7000)


def test_poison_is_reported_until_the_whole_frame_is_cleared() -> None:
    memory = poisoned(written(EMPTY, 0x5100, b"data"), 5)
    assert read_bytes(memory, 0x4FFF + 1, 1) == AccessError(Fault.POISONED, 0x5000)
    assert read_bytes(memory, 0x6000, 1) == b"\0"
    assert read_bytes(written(memory, 0x5100, b"new"), 0x5100, 3) == AccessError(Fault.POISONED, 0x5100)
    assert read_bytes(cleared(memory, 5), 0x5100, 4) == bytes(4)
    with pytest.raises(ValueError, match="frame 0x3 holds no memory"):
        poisoned(EMPTY, 3)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ((Range(0, 0x800),), "range 0x0-0x800: expected one or more whole frames"),
        ((Range(0x1000, 0x1000),), "range 0x1000-0x1000: expected one or more whole frames"),
        ((Range(0, 0x2000), Range(0x1000, 0x3000)), "range 0x1000-0x3000 starts below 0x2000"),
    ],
)
def test_a_map_that_cannot_be_is_refused(ranges: tuple[Range, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        physical_memory(ranges)


@given(st.lists(st.tuples(st.integers(0, 0x2FF0), st.binary(max_size=16)), max_size=12))
def test_memory_reads_back_the_last_write_of_each_byte(writes: list[tuple[int, bytes]]) -> None:
    memory, model = EMPTY, bytearray(0x3000)
    for address, data in writes:
        memory = written(memory, address, data)
        model[address : address + len(data)] = data
    assert read_bytes(memory, 0, 0x3000) == bytes(model)
