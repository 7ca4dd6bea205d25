"""What memory holds: every rule about its bytes accepts what it should and rejects what it should not."""

from dataclasses import replace

import pytest

from linuxmm.spec.step import Err, Errno, Refusal
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.contents import ZEROS, Object, object_of, punch, resize, write_object
from linuxmm.spec.vm.page_layer import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGSEGV,
    PageArea,
    PageLayer,
    Read,
    Signal,
    Written,
)
from linuxmm.spec.vm.rights import Accessor

PAGE = 0x1000
RW = 0x3 | 0x70
SHARED = 0x8 | 0x80


ANON = PageArea(0x10000, 0x14000, RW)
FILE = PageArea(0x20000, 0x24000, RW, 1, 7)
SHARE = PageArea(0x30000, 0x34000, RW | SHARED, 0, 7)
READABLE = PageArea(0x40000, 0x41000, 0x1 | 0x70)
NOTHING = PageArea(0x50000, 0x51000, 0x70)
AREAS = (ANON, FILE, SHARE, READABLE, NOTHING)
DATA = b"a" * PAGE + b"b" * PAGE + b"c" * 100
LAYER = ContentLayer().with_object(7, object_of(DATA))


def find(address: int) -> PageArea | None:
    """The area of the tests' address space that holds an address."""
    return next((area for area in AREAS if area.start <= address < area.end), None)


def data(layer: ContentLayer, address: int, length: int, space: int = 1) -> bytes:
    """What a read gives that must be certain."""
    found = layer.read(space, find, address, length)[1]
    assert found.signal is None
    assert all(len(piece) == 1 for piece in found.pieces)
    return found.data


def written(layer: ContentLayer, address: int, text: bytes, space: int = 1) -> ContentLayer:
    """The layer after a write that must succeed."""
    layer, done = layer.write(space, find, address, text)
    assert done == Written(len(text))
    return layer


def test_the_layer_is_a_page_layer() -> None:
    layer: PageLayer = LAYER
    assert layer is LAYER


def test_memory_is_zeros_until_written_across_pages() -> None:
    assert data(LAYER, 0x10FF0, 0x20) == bytes(0x20)
    layer = written(LAYER, 0x10FFE, b"wxyz")
    assert data(layer, 0x10FFD, 6) == b"\0wxyz\0"
    assert data(LAYER, 0x10FFD, 6) == bytes(6)


def test_a_private_mapping_sees_the_file_until_it_writes() -> None:
    assert data(LAYER, 0x20000, 2) == b"bb"
    layer = written(LAYER, 0x31000, b"B")
    assert data(layer, 0x20000, 2) == b"Bb"
    layer = written(written(layer, 0x20001, b"P"), 0x31000, b"S")
    assert (data(layer, 0x20000, 3), data(layer, 0x31000, 3)) == (b"BPb", b"Sbb")
    layer = layer.discard(1, FILE, 0x20000, 0x21000)
    assert data(layer, 0x20000, 3) == b"Sbb"


def test_beyond_the_end_of_a_file_is_sigbus() -> None:
    found = LAYER.read(1, find, 0x20FFF, PAGE + 2)[1]
    assert found == Read(((b"b",), (b"c" * 100 + bytes(PAGE - 100),)), Signal(SIGBUS, BUS_ADRERR, 0x22000))
    assert LAYER.write(1, find, 0x33FFF, b"x")[1] == Written(0, Signal(SIGBUS, BUS_ADRERR, 0x33FFF))


def test_bytes_beyond_the_end_within_a_page_may_be_lost() -> None:
    layer = written(LAYER, 0x32000 + 100, b"tail")
    found = layer.read(1, find, 0x32000 + 99, 5)[1]
    assert found.pieces == ((b"ctail", b"c\0\0\0\0"),)
    kept, why = layer.observe(1, find, 0x32000 + 99, b"ctail")
    assert why is None
    assert kept.read(1, find, 0x32000 + 100, 4)[1].pieces == ((b"tail", bytes(4)),)
    lost, why = layer.observe(1, find, 0x32000 + 99, b"c\0\0\0\0")
    assert why is None
    assert data(lost, 0x32000 + 99, 5) == b"c\0\0\0\0"
    assert layer.observe(1, find, 0x32000 + 99, b"cxail")[1] == Refusal(
        "vm.contents.read", "byte at 0x32064 is 0x78, expected 0x74 or 0x00"
    )


@pytest.mark.parametrize(
    ("address", "kind", "accessor", "signal"),
    [
        (0x1000, "read", Accessor.THREAD, Signal(SIGSEGV, SEGV_MAPERR, 0x1000)),
        (0x40000, "write", Accessor.THREAD, Signal(SIGSEGV, SEGV_ACCERR, 0x40000)),
        (0x40000, "write", Accessor.REMOTE, Signal(SIGSEGV, SEGV_ACCERR, 0x40000)),
        (0x40000, "write", Accessor.FORCED, None),
        (0x50000, "read", Accessor.THREAD, Signal(SIGSEGV, SEGV_ACCERR, 0x50000)),
        (0x50000, "read", Accessor.REMOTE, Signal(SIGSEGV, SEGV_ACCERR, 0x50000)),
        (0x50000, "read", Accessor.FORCED, None),
    ],
)
def test_who_may_touch_what(address: int, kind: str, accessor: Accessor, signal: Signal | None) -> None:
    if kind == "read":
        assert LAYER.read(1, find, address, 1, accessor)[1].signal == signal
    else:
        assert LAYER.write(1, find, address, b"x", accessor)[1].signal == signal


def test_a_lazily_freed_page_is_old_or_zeros_until_written() -> None:
    layer = written(LAYER, 0x10000, b"old").free_lazily(1, ANON, 0x10000, 0x12000)
    assert layer.read(1, find, 0x10000, 3)[1].pieces == ((b"old", bytes(3)),)
    assert layer.resident(1, ANON, 0x10000, 0x12000) == (None, False)
    layer = written(layer, 0x10001, b"N")
    assert layer.read(1, find, 0x10000, 3)[1].pieces == ((b"oNd", b"\0N\0"),)
    kept, why = layer.observe(1, find, 0x10000, b"\0N\0")
    assert (why, data(kept, 0x10000, 3)) == (None, b"\0N\0")
    assert layer.observe(1, find, 0x10000, b"old")[1] == Refusal(
        "vm.contents.read", "byte at 0x10001 is 0x6c, expected 0x4e"
    )


def test_a_lazily_freed_page_that_was_seen_gone_stays_gone() -> None:
    layer = written(LAYER, 0x10000, b"old").free_lazily(1, ANON, 0x10000, 0x11000)
    kept, _ = layer.observe(1, find, 0x10000, b"old")
    assert kept == layer
    gone, why = layer.observe(1, find, 0x10000, bytes(3))
    assert (why, data(gone, 0x10000, 3)) == (None, bytes(3))


def test_a_child_has_copies_and_shares_objects() -> None:
    layer = written(written(LAYER, 0x10000, b"mine"), 0x20000, b"P").copy(1, 2, (ANON,))
    layer = written(layer, 0x10000, b"HERS", 2)
    layer = written(layer, 0x30000, b"both", 2)
    assert (data(layer, 0x10000, 4), data(layer, 0x10000, 4, 2)) == (b"mine", b"HERS")
    assert (data(layer, 0x20000, 1), data(layer, 0x20000, 1, 2)) == (b"P", b"b")
    assert data(layer, 0x30000, 4) == b"both"
    assert layer.drop(2).contents.spaces == layer.contents.spaces.delete(2)


def test_pages_move_and_are_unmapped() -> None:
    layer = written(LAYER, 0x11000, b"moves").move(1, 0x11000, 0x13000, PAGE)
    assert (data(layer, 0x11000, 5), data(layer, 0x13000, 5)) == (bytes(5), b"moves")
    assert data(layer.zap(1, 0x13000, 0x14000), 0x13000, 5) == bytes(5)
    assert data(layer.zap(1, 0, 1 << 47), 0x13000, 5) == bytes(5)
    assert layer.zap(1, 0x14000, 0x15000) is layer


def test_populating_for_writing_copies_the_file() -> None:
    layer, error = LAYER.populate(1, FILE, 0x20000, 0x22000, True)
    assert error is None
    layer = written(layer, 0x31000, b"S")
    assert data(layer, 0x20000, 1) == b"b"
    assert LAYER.populate(1, FILE, 0x20000, 0x24000, False)[1] == Err(Errno.EFAULT)


def test_resident_is_what_was_touched() -> None:
    layer = written(LAYER.read(1, find, 0x10000, 1)[0], 0x12000, b"x")
    assert layer.resident(1, ANON, 0x10000, 0x14000) == (True, False, True, False)
    assert replace(layer, swap=True, huge=True).resident(1, ANON, 0x10000, 0x12000) == (None, None)
    assert layer.resident(1, FILE, 0x20000, 0x21000) == (None,)
    assert layer.copy(1, 2, (ANON,)).resident(2, ANON, 0x10000, 0x13000) == (None, False, True)
    assert layer.judge_resident(1, ANON, 0x10000, 0x12000, (True, False)) is None
    assert layer.judge_resident(1, ANON, 0x10000, 0x12000, (True, True)) == Refusal(
        "vm.contents.resident", "page 0x11000 was expected to be not resident"
    )


def test_shared_memory_is_resident_where_touched() -> None:
    layer = ContentLayer().with_object(7, Object(4 * PAGE, swaps=True))
    layer = layer.read(1, find, 0x30000, 1)[0].write(1, find, 0x32000, b"x")[0]
    assert layer.resident(1, SHARE, 0x30000, 0x34000) == (True, False, True, False)
    assert replace(layer, swap=True, huge=True).resident(1, SHARE, 0x30000, 0x32000) == (None, None)


def test_a_file_that_shrinks_takes_private_copies_with_it() -> None:
    layer = written(written(LAYER, 0x20000, b"P"), 0x21000, b"Q")
    smaller = replace(layer, contents=resize(layer.contents, 7, PAGE + 10))
    assert data(smaller, 0x20000, 12) == b"P" + b"b" * 11
    assert smaller.read(1, find, 0x21000, 1)[1].signal == Signal(SIGBUS, BUS_ADRERR, 0x21000)
    again = replace(smaller, contents=resize(smaller.contents, 7, 3 * PAGE))
    assert data(again, 0x31000, 12) == b"b" * 10 + bytes(2)
    assert data(again, 0x21000, 3) == bytes(3)


def test_holes_and_writes_through_the_file() -> None:
    layer = replace(LAYER, contents=write_object(LAYER.contents, 7, 3 * PAGE, b"more"))
    assert data(layer, 0x33000, 5) == b"more\0"
    assert data(layer, 0x32000 + 99, 2) == b"c\0"
    layer = written(layer, 0x20000, b"P")
    holed = replace(layer, contents=punch(layer.contents, 7, 0, 2 * PAGE))
    assert (data(holed, 0x30000, 1), data(holed, 0x31000, 1), data(holed, 0x20000, 2)) == (
        b"\0",
        b"\0",
        b"Pb",
    )
    assert holed.contents.objects[7].pages[3][0] == b"more" + ZEROS[4:]
