"""process_vm_readv and writev: refusals in order, partial transfers, and what the running kernel does."""

import ctypes
import errno
import mmap
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest

from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import small_pages
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Err, Errno, Refusal
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.page_layer import PageArea
from linuxmm.spec.vm.process_vm import (
    BATCH_PAGES,
    MAX_RW_COUNT,
    Call,
    Segment,
    batches,
    judge,
    local_segments,
    refusal,
    transfer,
    within_both,
)

PAGE = 4096
RW, R, NONE = 0x73, 0x71, 0x70


AREAS = (PageArea(0x10000, 0x12000, RW), PageArea(0x12000, 0x13000, R), PageArea(0x14000, 0x15000, RW))
ONE = (Segment(0x10000, 10),)


def find(address: int) -> PageArea | None:
    """The area of the examples that holds an address."""
    return next((area for area in AREAS if area.start <= address < area.end), None)


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (Call(False, None, None, flags=1, exists=False), Err(Errno.EINVAL)),
        (Call(False, None, None, exists=False), Err(Errno.EFAULT)),
        (Call(False, (Segment(0, 1),) * 1025, None), Err(Errno.EINVAL)),
        (Call(False, (Segment(0, 1 << 63),), None), Err(Errno.EINVAL)),
        (Call(False, (Segment(0x7FFFFFFFF000, 1),), None), Err(Errno.EFAULT)),
        (Call(False, (), None, exists=False), 0),
        (Call(False, (Segment(0, 0),), None, exists=False), 0),
        (Call(False, ONE, None, exists=False), Err(Errno.EFAULT)),
        (Call(False, ONE, (Segment(0, 1),) * 1025), Err(Errno.EINVAL)),
        (Call(False, ONE, (Segment(0, (1 << 64) - 1),)), Err(Errno.EINVAL)),
        (Call(False, ONE, (), exists=False), 0),
        (Call(False, ONE, (Segment(1 << 62, 0),), exists=False), 0),
        (Call(False, ONE, ONE, exists=False, permitted=False), Err(Errno.ESRCH)),
        (Call(False, ONE, ONE, permitted=False), Err(Errno.EPERM)),
        (Call(False, ONE, ONE), None),
    ],
)
def test_refusals_in_the_order_of_the_kernel(call: Call, result: Err | int | None) -> None:
    assert refusal(call) == result


def test_a_call_moves_less_than_two_gigabytes() -> None:
    call = Call(False, (Segment(0, 1 << 30), Segment(0, 1 << 31), Segment(0, 5)), ONE)
    assert local_segments(call) == (Segment(0, 1 << 30), Segment(0, MAX_RW_COUNT - (1 << 30)), Segment(0, 0))


def test_pages_are_pinned_in_batches() -> None:
    long = Segment(0x123, (BATCH_PAGES + 1) * PAGE)
    assert list(batches(long)) == [(0x123, BATCH_PAGES * PAGE - 0x123), (BATCH_PAGES * PAGE, PAGE + 0x123)]
    assert list(batches(Segment(5, 0))) == []


def test_the_shorter_side_decides() -> None:
    assert within_both(3, 3, 5)
    assert not within_both(4, 3, 5)


def test_another_result_is_refused() -> None:
    assert judge(8, 8) is None
    assert judge(Err(Errno.ESRCH), Err(Errno.EPERM)) == Refusal(
        "vm.process-vm.result", "the call gave EPERM, expected ESRCH"
    )
    assert judge(8, 16) == Refusal("vm.process-vm.result", "the call gave 16 bytes, expected 8 bytes")


def run(layer: ContentLayer, call: Call) -> tuple[ContentLayer, int | Err]:
    """A transfer between address spaces 1 and 2 with the same areas."""
    return transfer(layer, call, 1, find, 2, find)


def data(layer: ContentLayer, space: int, address: int, length: int) -> bytes:
    """What memory holds."""
    return layer.read(space, find, address, length)[1].data


def test_bytes_go_where_the_segments_say() -> None:
    layer = ContentLayer().write(2, find, 0x10FFC, b"abcdefgh")[0]
    call = Call(
        False, (Segment(0x10000, 3), Segment(0x11FFF, 1), Segment(0x10100, 99)), (Segment(0x10FFC, 8),)
    )
    layer, result = run(layer, call)
    assert result == 8
    assert [data(layer, 1, at, 4) for at in (0x10000, 0x11FFC, 0x10100)] == [b"abc\0", b"\0\0\0d", b"efgh"]
    layer, result = run(layer, replace(call, write=True, remote=(Segment(0x14000, 2), Segment(0x11800, 3))))
    assert result == 5
    assert (data(layer, 2, 0x14000, 4), data(layer, 2, 0x11800, 4)) == (b"ab\0\0", b"cde\0")


def test_what_was_copied_is_returned() -> None:
    layer = ContentLayer()
    far = (Segment(0x12FF0, 0x20),)
    assert run(layer, Call(False, (Segment(0x10000, 0x20),), far))[1] == 0x10
    assert run(layer, Call(True, (Segment(0x10000, 0x20),), far))[1] == Err(Errno.EFAULT)
    assert run(layer, Call(True, (Segment(0x12FF0, 0x20),), (Segment(0x10000, 0x20),)))[1] == 0x10
    assert run(layer, Call(False, (Segment(0x13000, 1),), ONE))[1] == Err(Errno.EFAULT)
    assert run(layer, Call(False, (Segment(0x10000, 8),), (Segment(0x13000, 0), *ONE)))[1] == 8
    assert run(layer, Call(False, (Segment(0x10000, 64),), (*ONE, Segment(0x13000, 1), *ONE)))[1] == 10


def test_pages_are_pinned_whatever_is_copied() -> None:
    layer, result = run(ContentLayer(), Call(False, (Segment(0x10000, 1),), (Segment(0x10000, 2 * PAGE),)))
    assert result == 1
    assert layer.resident(2, AREAS[0], 0x10000, 0x12000) == (True, True)


# ---- the running kernel ----------------------------------------------------------------------------------


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
PAGES_OF_A_SIDE = 8
RIGHTS = (3, 1, 0, None, 3, 3, 0, 0)
"""PROT_* of each page; None for a hole."""


@pytest.fixture
def sides() -> Iterator[tuple[int, int]]:
    """Addresses of two stretches of pages, with the same rights."""
    maps = [mmap.mmap(-1, PAGES_OF_A_SIDE * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2)]
    keep = [ctypes.c_char.from_buffer(each) for each in maps]
    found = [ctypes.addressof(each) for each in keep]
    for base in found:
        for page, rights in enumerate(RIGHTS):
            if rights is None:
                assert LIBC.munmap(base + page * PAGE, PAGE) == 0
            else:
                assert LIBC.mprotect(base + page * PAGE, PAGE, rights) == 0
    yield found[0], found[1]
    for base in found:
        hole = base + RIGHTS.index(None) * PAGE
        fixed = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10
        LIBC.mmap.restype = ctypes.c_void_p
        LIBC.mmap(ctypes.c_void_p(hole), ctypes.c_size_t(PAGE), 3, fixed, -1, ctypes.c_size_t(0))
        assert LIBC.mprotect(base, PAGES_OF_A_SIDE * PAGE, 3) == 0
    keep.clear()


def call_kernel(write: bool, local: tuple[Segment, ...], remote: tuple[Segment, ...]) -> int | Err:
    """The real system call, on this process."""
    name = "process_vm_writev" if write else "process_vm_readv"
    lists = [
        (Vector * max(len(each), 1))(*(Vector(*segment) for segment in each)) for each in (local, remote)
    ]
    done = int(
        getattr(LIBC, name)(os.getpid(), lists[0], len(local), lists[1], len(remote), ctypes.c_ulong(0))
    )
    return Err(Errno(ctypes.get_errno())) if done < 0 else done


def drawn(rng: random.Random, base: int) -> tuple[Segment, ...]:
    """A few segments in and about a side."""
    lengths = (0, 1, 7, 100, PAGE, PAGE + 9)
    return tuple(
        Segment(base + rng.randrange(6 * PAGE), rng.choice(lengths)) for _ in range(rng.randrange(4))
    )


def test_the_running_kernel_does_the_same(sides: tuple[int, int]) -> None:
    if call_kernel(False, ONE, ONE) == Err(Errno.EPERM) or ctypes.get_errno() == errno.ENOSYS:
        pytest.skip("this kernel, or what confines this process, has no process_vm_readv")
    areas = tuple(
        PageArea(base + page * PAGE, base + (page + 1) * PAGE, 0x70 | rights)
        for base in sides
        for page, rights in enumerate(RIGHTS)
        if rights is not None
    )

    def mapped(address: int) -> PageArea | None:
        return next((area for area in areas if area.start <= address < area.end), None)

    rng, layer, results = random.Random(4), ContentLayer(), set()
    for number in range(1500):
        start = sides[1] + rng.choice((0, 4, 5)) * PAGE
        text = bytes([number % 256, number // 256])
        layer = layer.write(1, mapped, start + number % 4000, text)[0]
        ctypes.memmove(start + number % 4000, text, 2)
        call = Call(rng.random() < 0.5, drawn(rng, sides[0]), drawn(rng, sides[1]))
        layer, expected = transfer(layer, call, 1, mapped, 1, mapped)
        assert call_kernel(call.write, call.local or (), call.remote or ()) == expected, call
        results.add(expected if isinstance(expected, Err) else expected > 0)
    assert results == {True, False, Err(Errno.EFAULT)}
    for area in areas:
        if area.flags & 1:
            found = layer.read(1, mapped, area.start, PAGE)[1].data
            assert ctypes.string_at(area.start, PAGE) == found


class Given(NamedTuple):
    """A list of segments as the call sees it: an address of an array, and a count."""

    said: str
    segments: tuple[Segment, ...] | None


def lists(good: Segment) -> tuple[Given, ...]:
    """Lists that are right, wrong in one way, or empty."""
    return (
        Given("good", (good,)),
        Given("unreadable", None),
        Given("too long", (good,) * 1025),
        Given("longest", (good,) * 1024),
        Given("negative length", (Segment(good.base, (1 << 64) - 1),)),
        Given("beyond user space", (Segment(0xFFFF_8000_0000_0000, 8),)),
        Given("not mapped", (Segment(16, 8),)),
        Given("empty", ()),
        Given("of no bytes", (Segment(good.base, 0),)),
        Given("wrong at its end", (good, Segment(good.base, 1 << 63))),
    )


def refused_by_kernel(write: bool, pid: int, local: Given, remote: Given, flags: int) -> int | Err:
    """The real system call with these arguments."""
    pointers, counts = [], []
    for given in (local, remote):
        segments = given.segments or (Segment(0, 0),)
        pointers.append((Vector * len(segments))(*(Vector(*segment) for segment in segments)))
        counts.append(1 if given.segments is None else len(given.segments))
    places = [
        ctypes.c_void_p((1 << 64) - 1) if given.segments is None else pointer
        for given, pointer in zip((local, remote), pointers, strict=True)
    ]
    name = "process_vm_writev" if write else "process_vm_readv"
    done = int(getattr(LIBC, name)(pid, places[0], counts[0], places[1], counts[1], ctypes.c_ulong(flags)))
    return Err(Errno(ctypes.get_errno())) if done < 0 else done


def test_the_running_kernel_refuses_in_the_same_order() -> None:
    buffers = [ctypes.create_string_buffer(64) for _ in range(2)]
    good = [Segment(ctypes.addressof(buffer), 8) for buffer in buffers]
    if refused_by_kernel(False, os.getpid(), Given("", (good[0],)), Given("", (good[1],)), 0) != 8:
        pytest.skip("this kernel, or what confines this process, has no process_vm_readv")
    kept = {
        *range(good[0].base >> 12, (good[0].base >> 12) + 1),
        *range(good[1].base >> 12, (good[1].base >> 12) + 1),
    }

    def mapped(address: int) -> PageArea | None:
        page = address & -PAGE
        return PageArea(page, page + PAGE, RW) if page >> 12 in kept else None

    nobody, judged = 2**22 + 7, 0
    for write in (False, True):
        for pid in (os.getpid(), nobody):
            for flags in (0, 1):
                for local in lists(good[0]):
                    for remote in lists(good[1]):
                        call = Call(write, local.segments, remote.segments, flags, pid != nobody)
                        expected = transfer(ContentLayer(), call, 1, mapped, 1, mapped)[1]
                        found = refused_by_kernel(write, pid, local, remote, flags)
                        assert judge(expected, found) is None, (write, pid, flags, local.said, remote.said)
                        judged += 1
    assert judged == 800


def test_page_tables_do_the_same() -> None:
    meaning, table = ContentLayer(), TableLayer(page_rules(kernel("6.1")), small_pages(60))
    rng = random.Random(5)
    for number in range(300):
        text = bytes([number % 256]) * 3
        meaning = meaning.write(2, find, 0x10000 + number, text)[0]
        table = table.write(2, find, 0x10000 + number, text)[0]
        call = Call(rng.random() < 0.5, drawn(rng, 0x10000), drawn(rng, 0x10000))
        meaning, expected = transfer(meaning, call, 1, find, 2, find)
        table, found = transfer(table, call, 1, find, 2, find)
        assert found == expected
        for space in (1, 2):
            for area in AREAS:
                assert (
                    meaning.read(space, find, area.start, area.end - area.start)[1]
                    == (table.read(space, find, area.start, area.end - area.start)[1])
                )
