"""The invariants of areas: an accepting and a rejecting case each; what maps prints."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma, is_private_writable
from linuxmm.spec.vm.flat import (
    Attributes,
    below_task_size,
    canonical,
    chains_match,
    changed,
    committed_counted,
    disjoint,
    flat,
    holds,
    locked_counted,
    total_counted,
    untouched_offsets,
    whole_pages,
    within_limit,
)
from linuxmm.spec.vm.maps import MapsLine, maps_text, read_maps
from linuxmm.spec.vm.space import AddressSpace

PAGE = 4096
RW = vm.VM_READ | vm.VM_WRITE | vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC | vm.VM_ACCOUNT


def area(first: int, pages: int, flags: int = RW, **other: object) -> Vma:
    return Vma(first * PAGE, (first + pages) * PAGE, flags, first, **other)  # type: ignore[arg-type]


LOW, HIGH, APART = area(1, 2), area(3, 1), area(9, 1)
CASES: list[tuple[str, Callable[..., bool], tuple[object, ...], tuple[object, ...]]] = [
    ("whole pages", whole_pages, ((LOW,),), ((replace(LOW, end=LOW.end + 1),),)),
    ("disjoint", disjoint, ((LOW, HIGH),), ((LOW, area(2, 2)),)),
    ("task size", below_task_size, ((LOW,), 3 * PAGE), ((LOW,), 2 * PAGE)),
    ("total", total_counted, ((LOW, HIGH), 3), ((LOW, HIGH), 2)),
    ("locked", locked_counted, ((LOW, area(3, 4, RW | vm.VM_LOCKED)), 4), ((LOW,), 2)),
    ("committed", committed_counted, ((LOW, area(3, 4, vm.VM_READ)), 2), ((LOW,), 3)),
    ("limit", within_limit, (9, 10, 8), (10, 10, 9)),
    ("chain", chains_match, ((area(1, 1, anon=7, chain=1),),), ((area(1, 1, anon=7),),)),
    ("offset", untouched_offsets, ((LOW,),), ((replace(LOW, pgoff=7),),)),
    ("canonical", canonical, ((LOW, APART),), ((LOW, HIGH),)),
]


@pytest.mark.parametrize(("name", "invariant", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_each_invariant_accepts_and_rejects(
    name: str, invariant: Callable[..., bool], good: tuple[object, ...], bad: tuple[object, ...]
) -> None:
    assert invariant(*good), name
    assert not invariant(*bad), name


@pytest.mark.parametrize(
    "other",
    [
        area(3, 1, RW | vm.VM_DONTCOPY),
        area(3, 1, anon=1, chain=1),
        area(3, 1, name="heap of mine"),
        replace(HIGH, pgoff=9),
        replace(HIGH, file=4),
        area(4, 1),
    ],
)
def test_neighbours_that_differ_in_anything_stay_apart(other: Vma) -> None:
    assert canonical((LOW, other))


def test_a_boundary_may_be_excepted() -> None:
    assert canonical((LOW, HIGH), frozenset({HIGH.start}))


def test_a_space_holds_what_it_must_or_not() -> None:
    space = AddressSpace((LOW, APART), 1 << 30, 1 << 29, 1 << 28, 1 << 27, 1 << 27, total=3)
    assert holds(space)
    assert not holds(replace(space, total=4))
    assert not holds(replace(space, areas=(APART, LOW)))


def test_pages_have_the_attributes_of_their_area_however_it_is_cut() -> None:
    whole = area(1, 3, file=5)
    parts = (area(1, 1, file=5), area(2, 2, file=5))
    assert flat((whole,)) == flat(parts)
    assert flat((whole,))[2] == Attributes(RW, 5, 2, None)
    assert changed((whole,), (area(1, 2, file=5),)) == frozenset({3})


@pytest.mark.parametrize(
    ("flags", "private"), [(RW, True), (RW | vm.VM_SHARED, False), (vm.VM_READ, False), (vm.VM_WRITE, True)]
)
def test_private_memory_is_written_and_not_shared(flags: int, private: bool) -> None:
    assert is_private_writable(flags) == private


def test_maps_is_printed_as_the_kernel_prints_it() -> None:
    files = Map(
        {
            1: MappedFile(1, "/usr/bin/true", 0xFE, 0, 26723),
            2: MappedFile(2, "/dev/zero (deleted)", 0, 1, 1714, kind=FileKind.SHARED_ANONYMOUS),
        }
    )
    shared = vm.VM_READ | vm.VM_SHARED | vm.VM_MAYSHARE
    areas = (
        Vma(0x555555554000, 0x555555555000, vm.VM_READ | vm.VM_EXEC, 3, 1),
        Vma(0x555555600000, 0x555555621000, RW, 0x555555600),
        Vma(0x7FFFF0000000, 0x7FFFF0002000, shared, 0, 2, name="ring"),
        Vma(0x7FFFF0010000, 0x7FFFF0012000, RW, 9, name="my arena"),
        Vma(0x7FFFF0020000, 0x7FFFF0021000, vm.VM_READ, 9, special="[vdso]"),
        Vma(0x7FFFFFFDE000, 0x7FFFFFFFF000, RW | vm.VM_GROWSDOWN, 9),
    )
    space = AddressSpace(
        areas,
        0x7FFFFFFFF000,
        0,
        0,
        0x555555600000,
        0x555555621000,
        files=files,
        start_stack=0x7FFFFFFFE680,
    )
    assert maps_text(space).splitlines() == [
        "555555554000-555555555000 r-xp 00003000 fe:00 26723                      /usr/bin/true",
        "555555600000-555555621000 rw-p 00000000 00:00 0                          [heap]",
        "7ffff0000000-7ffff0002000 r--s 00000000 00:01 1714                       [anon_shmem:ring]",
        "7ffff0010000-7ffff0012000 rw-p 00000000 00:00 0                          [anon:my arena]",
        "7ffff0020000-7ffff0021000 r--p 00000000 00:00 0                          [vdso]",
        "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]",
    ]
    assert read_maps(maps_text(space).encode())[0] == MapsLine(
        0x555555554000, 0x555555555000, "r-xp", 0x3000, (0xFE, 0), 26723, "/usr/bin/true"
    )


def test_a_line_that_is_no_maps_line_is_named() -> None:
    with pytest.raises(
        BadEvidence, match=r"^here:1: expected START-END RIGHTS OFFSET DEVICE INODE \[NAME\]$"
    ):
        read_maps(b"nonsense\n", "here")


def test_flag_letters_go_both_ways() -> None:
    letters = vm.flag_letters(RW | vm.VM_LOCKED)
    assert letters == ("rd", "wr", "mr", "mw", "me", "lo", "ac")
    assert vm.flags_of_letters(" ".join(letters) + " zz") == RW | vm.VM_LOCKED
