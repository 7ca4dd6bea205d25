"""Dumps of page tables: the kernel's text, of user and kernel tables, x86 and arm64; ranges without gaps."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.hardware.bus import Bus, store_entry
from linuxmm.hardware.memory import PhysicalMemory, Range, physical_memory
from linuxmm.hardware.tables import map_leaf
from linuxmm.model.vm.examples import ANON, find_in
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.ptdump import dump_arm64, dump_x86, lines_x86
from linuxmm.model.vm.state import small_pages
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.arm64_entry import table_entry
from linuxmm.spec.vm.folding import PGD, PTE
from linuxmm.spec.vm.ptdump import (
    Line,
    Marker,
    effective,
    gaps,
    is_writable_code,
    read_x86,
    repeated,
    scaled,
    writable_code,
)
from linuxmm.spec.vm.x86_entry import NX, USER, WRITABLE, Control
from linuxmm.spec.vm.x86_format import FORMATS, I386, PAE, X86_64, X86Format, level_shift

CONTROL = Control()
USER_SPACE = (Marker(0, "User Space"),)
KERNEL_SPACE = (*USER_SPACE, Marker(0xFFFF800000000000, "Kernel Space"))


def mapped(fmt: X86Format, leaves: list[tuple[int, int, int]]) -> PhysicalMemory:
    """Memory with tables at 0x1000 that map (address, leaf, level)."""
    bus, fresh = Bus(physical_memory((Range(0x1000, 0x100000),))), 0x2000
    for va, leaf, level in leaves:
        bus, fresh = map_leaf(fmt, bus, 0x1000, va, leaf, level, fresh)
    return bus.memory


def test_tables_of_a_process_are_listed() -> None:
    layer = TableLayer(page_rules(kernel("6.12")), small_pages(20))
    layer = layer.write(1, lambda address: find_in((ANON,), address), 0x11000, b"x" * 0x1001)[0]
    layer = layer.read(1, lambda address: find_in((ANON,), address), 0x10000, 1)[0]
    pages = layer.pages
    text = dump_x86(X86_64, CONTROL, pages.memory, pages.mms[1].root, USER_SPACE, ((0, 1 << 47),))
    assert text == (
        "---[ User Space ]---",
        "0x0000000000000000-0x0000000000010000          64K                               pte",
        "0x0000000000010000-0x0000000000011000           4K USR ro                     NX pte",
        "0x0000000000011000-0x0000000000013000           8K USR RW                     NX pte",
        "0x0000000000013000-0x0000000000200000        1972K                               pte",
        "0x0000000000200000-0x0000000040000000        1022M                               pmd",
        "0x0000000040000000-0x0000008000000000         511G                               pud",
        "0x0000008000000000-0xffff800000000000   17179737600G                               pgd",
    )


def test_tables_of_the_kernel_are_listed() -> None:
    memory = mapped(
        X86_64,
        [
            (0xFFFF888000000000, 0x0000_01E3 | NX, 2),
            (0xFFFFFFFF81000000, 0x0100_01A1, 1),
            (0xFFFFFFFF81200000, 0x0120_0163, 0),
            (0xFFFFFFFF81201000, 0x0120_117B | NX, 0),
        ],
    )
    items = lines_x86(X86_64, CONTROL, memory, 0x1000, KERNEL_SPACE)
    text = dump_x86(X86_64, CONTROL, memory, 0x1000, KERNEL_SPACE)
    assert text[:5] == (
        "---[ User Space ]---",
        "0x0000000000000000-0xffff800000000000    16777088T                               pgd",
        "---[ Kernel Space ]---",
        "0xffff800000000000-0xffff888000000000        8704G                               pgd",
        "0xffff888000000000-0xffff888040000000           1G     RW         PSE     GLB NX pud",
    )
    assert "0xffffffff81000000-0xffffffff81200000           2M     ro         PSE     GLB x  pmd" in text
    assert "0xffffffff81200000-0xffffffff81201000           4K     RW                 GLB x  pte" in text
    assert "0xffffffff81201000-0xffffffff81202000           4K     RW PWT PCD         GLB NX pte" in text
    guarded = dump_x86(X86_64, CONTROL, memory, 0x1000, KERNEL_SPACE, ((0, 1 << 47), (0x8880 << 32, 1 << 48)))
    assert guarded[1:4] == (
        "0x0000000000000000-0xffff888000000000   17179746816G                               pgd",
        "---[ Kernel Space ]---",
        text[4],
    )
    assert text[-1] == "0xffffffffc0000000-0x0000000000000000           1G                               pud"
    assert writable_code(items) == 1


def test_folded_formats_name_their_levels() -> None:
    large = mapped(I386, [(0xC0000000, 0x0000_01E3, 1)])
    assert dump_x86(I386, CONTROL, large, 0x1000, USER_SPACE) == (
        "---[ User Space ]---",
        "0x00000000-0xc0000000           3G                               pgd",
        "0xc0000000-0xc0400000           4M     RW         PSE     GLB x  pmd",
        "0xc0400000-0x00000000        1020M                               pgd",
    )
    small = mapped(PAE, [(0xC0000000, 0x0000_0161 | NX, 0)])
    assert dump_x86(PAE, CONTROL, small, 0x1000, USER_SPACE)[2:4] == (
        "0xc0000000-0xc0001000           4K     ro                 GLB NX pte",
        "0xc0001000-0xc0200000        2044K                               pte",
    )


def test_tables_of_arm64_are_listed() -> None:
    bus = Bus(physical_memory((Range(0x1000, 0x10000),)))
    base = 0xFFFF000000000000
    for at, value in (
        (0x1000, table_entry(0x2000)),
        (0x2000, table_entry(0x3000)),
        (0x2008, 0x0060_0000_4000_0711),
        (0x3000, table_entry(0x4000)),
        (0x4000, 0x0070_0000_0000_0783 | 1 << 52),
        (0x4008, 0x0040_0000_0000_0F8F),
    ):
        bus = store_entry(bus, at, 8, value)
    text = dump_arm64(bus.memory, 0x1000, base, (Marker(base, "Linear Mapping start"),))
    assert text == (
        "---[ Linear Mapping start ]---",
        "0xffff000000000000-0xffff000000001000           4K PTE       ro NX SHD AF    CON     UXN    "
        "MEM/NORMAL",
        "0xffff000000001000-0xffff000000002000           4K PTE       ro x  SHD AF NG         UXN    "
        "DEVICE/nGnRnE",
        "0xffff000000002000-0xffff000000200000        2040K PTE",
        "0xffff000000200000-0xffff000040000000        1022M PMD",
        "0xffff000040000000-0xffff000080000000           1G PUD       RW NX SHD AF        BLK UXN    "
        "DEVICE/nGnRE",
        "0xffff000080000000-0xffff008000000000         510G PUD",
        "0xffff008000000000-0x0000000000000000      261632G PGD",
    )


def test_rights_are_gathered() -> None:
    assert effective(USER | WRITABLE, WRITABLE) == WRITABLE
    assert effective(NX, WRITABLE | USER) == NX
    assert is_writable_code(WRITABLE)
    assert not is_writable_code(WRITABLE | NX)
    assert not is_writable_code(USER)
    assert [scaled(size, 0) for size in (4096, 1 << 30, 1 << 70)] == [(4, 1), (1, 3), (1024, 6)]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(FORMATS.values())),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3)), max_size=6),
)
def test_ranges_follow_each_other_and_hold_what_is_mapped(
    fmt: X86Format, chosen: list[tuple[int, int]]
) -> None:
    leaves = {
        (place << level_shift(fmt, 1)) + (bits << 12): 0x5001 | (bits & 1) << 1 | (bits & 2) << 1
        for place, bits in chosen
    }
    memory = mapped(fmt, [(va, leaf, 0) for va, leaf in leaves.items()])
    items = lines_x86(fmt, CONTROL, memory, 0x1000, USER_SPACE, ((0, 1 << (fmt.va_bits - 1)),))
    lines = [item for item in items if isinstance(item, Line)]
    assert lines[0].start == 0
    for one, two in pairwise(lines):
        assert one.end == two.start
        assert one[2:] != two[2:]
    assert lines[-1].end & ((1 << fmt.va_bits) - 1) == 1 << (fmt.va_bits - 1)
    assert {line.level for line in lines} <= set(range(PTE, PGD + 1))
    for line in lines:
        inside = {leaf & 0xFFF for va, leaf in leaves.items() if line.start <= va < line.start + 0x200000}
        if line.flags:
            assert line.flags in inside
    listed = sum((line.end - line.start) >> 12 for line in lines if line.flags)
    assert listed == len(leaves)


def test_a_printed_dump_is_read_back() -> None:
    leaves = [(0xFFFF888000000000, 0x0000_01E3 | NX, 2), (0xFFFFFFFF81000000, 0x0100_01A1, 1)]
    memory = mapped(X86_64, [*leaves, (0xFFFFFFFF81201000, 0x0120_109B | NX, 0)])
    items = lines_x86(X86_64, CONTROL, memory, 0x1000, KERNEL_SPACE)
    shown = 0x1F | 0x100 | 0x80 | 0x1000 | NX
    plain = [i._replace(flags=i.flags & shown, effective=0) if isinstance(i, Line) else i for i in items]
    found = list(read_x86(dump_x86(X86_64, CONTROL, memory, 0x1000, KERNEL_SPACE)))
    assert found == plain
    assert gaps(found, 0) == ()
    assert gaps(items, 0) == repeated(items) == ()


def test_a_dump_that_is_no_partition_is_rejected() -> None:
    line = Line(0, 0x1000, PTE, 0x63, 0)
    assert gaps([line, Line(0x2000, 0x3000, PTE, 0x61, 0)], 0) == (
        Refusal("vm.ptdump.partition", "a range starts at 0x2000, the last ended at 0x1000"),
    )
    assert repeated([line, line._replace(start=0x1000, end=0x2000)]) == (
        Refusal("vm.ptdump.partition", "the range from 0x1000 is like the one before it"),
    )
    assert repeated([line, Marker(0x1000, "Here"), line._replace(start=0x1000, end=0x2000)]) == ()


def test_a_line_that_is_no_range_is_bad_evidence() -> None:
    with pytest.raises(BadEvidence, match=r"dump\.txt:2: a range such as"):
        list(read_x86(["---[ User Space ]---", "0x0000-0x1000 4K pte?"], "dump.txt"))
