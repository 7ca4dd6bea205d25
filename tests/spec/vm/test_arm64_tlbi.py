"""Operands of TLBI bit for bit; the operations of a flush name every page of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linuxmm.model.vm.arm64_flush import FlushRules, flush_range, flush_rules
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.arm64_flush import (
    Flushes,
    falling_scales,
    flush_kernel_range,
    flush_mm,
    flush_page,
    rising_scales,
)
from linuxmm.spec.vm.arm64_tlbi import (
    MOST_PAGES,
    Operation,
    Tlbi,
    address_operand,
    must_drop,
    operation_of,
    overlaps,
    range_operand,
    range_pages,
)

VERSIONS = ("4.20", "5.10", "6.1", "6.12")
RANGES = Flushes(ranges=True, levels=True)
MIB = 1 << 20


def rules(version: str) -> FlushRules:
    return flush_rules(kernel(version))


def test_operands() -> None:
    assert hex(address_operand(0x0000_5555_5555_5ABC, 0x1234, -1)) == "0x1234000555555555"
    assert hex(address_operand(0x0000_5555_5555_5ABC, 0x1234, 3)) == "0x1234700555555555"
    assert hex(address_operand(0xFFFF_8000_1010_0000, 0, -1)) == "0xff800010100"
    assert hex(range_operand(0x20_0000, 7, 1, 3, 3)) == "0x751e000000200"
    assert (range_pages(0, 0), range_pages(31, 3)) == (2, MOST_PAGES)


@given(
    st.integers(0, (1 << 36) - 1),
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.integers(-1, 3),
    st.integers(0, 3),
    st.integers(0, 31),
)
def test_an_operand_says_what_was_meant(
    page: int, high: bool, asid: int, level: int, scale: int, number: int
) -> None:
    start = (page << 12) | (0xFFFF << 48 if high else 0)
    one = Operation(Tlbi.VAE1, asid, start, start + 4096, level)
    assert operation_of(Tlbi.VAE1, address_operand(start, asid, level)) == one
    end = start + (range_pages(number, scale) << 12)
    many = Operation(Tlbi.RVALE1, asid, start, end, level if level > 0 else -1)
    assert operation_of(Tlbi.RVALE1, range_operand(start, asid, scale, number, level)) == many
    assert operation_of(Tlbi.ASIDE1, asid << 48) == Operation(Tlbi.ASIDE1, asid)


@given(st.integers(1, MOST_PAGES - 1))
@example(1)
@example(MOST_PAGES - 1)
@example(0x1F_FFFE)
def test_ranges_follow_each_other_and_cover_all_pages(pages: int) -> None:
    for split in (rising_scales, falling_scales):
        at = 0
        for first, count, scale in split(pages, 1):
            assert first == at
            assert scale == -1 or count in {range_pages(n, scale) for n in range(32)}
            at += count
        assert at == pages
    assert len(rising_scales(pages, 1)) <= 5
    assert len(falling_scales(pages, 1)) <= 5


@pytest.mark.parametrize("version", VERSIONS)
@given(
    st.integers(0, 1 << 34),
    st.integers(1, 1 << 34),
    st.sampled_from([(4096, 3), (2 * MIB, 2)]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1 << 35),
)
def test_every_leaf_that_a_flush_meets_is_dropped_under_both_asids(
    version: str, start: int, size: int, leaf: tuple[int, int], apart: bool, ranges: bool, probe: int
) -> None:
    stride, level = leaf
    has = Flushes(ranges and version != "4.20", version != "4.20", apart)
    done = flush_range(rules(version), has, 8, start, start + size, stride, level=level, leaves=True)
    assert len(done) <= 2 * (1024 if version == "4.20" else 512) or has.ranges
    page = (start + probe % size) // stride
    for asid in (8, 9) if apart else (8,):
        named = (
            must_drop(o.kind, o.asid, o.level, overlaps(page, 3 - level, o.start, o.end), level, asid, False)
            for o in done
        )
        assert any(named)


def test_what_is_issued_for_some_flushes() -> None:
    def kinds(done: tuple[Operation, ...]) -> list[tuple[str, int, int]]:
        return [(Tlbi(o.kind).name, o.start, o.end) for o in done]

    assert kinds(flush_range(rules("6.1"), Flushes(), 2, 0x1000, 0x3000)) == [
        ("VAE1", 0x1000, 0x2000),
        ("VAE1", 0x2000, 0x3000),
    ]
    assert kinds(flush_range(rules("6.1"), RANGES, 2, 0x1000, 0x44000)) == [
        ("VAE1", 0x1000, 0x2000),
        ("RVAE1", 0x2000, 0x4000),
        ("RVAE1", 0x4000, 0x44000),
    ]
    assert kinds(flush_range(rules("6.12"), RANGES, 2, 0x1000, 0x44000)) == [
        ("RVAE1", 0x1000, 0x41000),
        ("RVAE1", 0x41000, 0x43000),
        ("VAE1", 0x43000, 0x44000),
    ]
    whole = [("ASIDE1", 0, 0)]
    assert len(flush_range(rules("4.20"), Flushes(), 2, 0, 4 * MIB)) == 1024
    assert kinds(flush_range(rules("4.20"), Flushes(), 2, 0, 4 * MIB + 4096)) == whole
    assert kinds(flush_range(rules("5.0"), Flushes(), 2, 0, 2 * MIB)) == whole
    assert kinds(flush_range(rules("6.1"), Flushes(), 2, 0, 2 * MIB)) == whole
    assert kinds(flush_range(rules("6.1"), RANGES, 2, 0, MOST_PAGES << 12)) == whole
    assert kinds(flush_range(rules("6.12"), RANGES, 2, 0, MOST_PAGES << 12)) == [("RVAE1", 0, 8 << 30)]
    assert flush_mm(4, Flushes(two_asids=True)) == (Operation(Tlbi.ASIDE1, 4), Operation(Tlbi.ASIDE1, 5))
    assert flush_page(4, 0x1234, Flushes()) == (Operation(Tlbi.VALE1, 4, 0x1000, 0x2000),)
    assert flush_kernel_range(0, 513 << 12) == (Operation(Tlbi.VMALLE1),)
    assert len(flush_kernel_range(0, 512 << 12)) == 512


def test_before_4_20_it_is_not_described() -> None:
    with pytest.raises(Unmodelled, match=r"vm\.arm64\.ranges"):
        rules("4.19")
