"""Where huge pages of a DAX file may be mapped, and which places its pages may have."""

from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.pmem.dax import PER_PMD, Extent, Mapping, disjoint, in_device, index_at, may_be_huge

HUGE = 1 << 21
START = 0x7F00_0000_0000


def test_index_and_address_rise_together() -> None:
    mapping = Mapping(START, START + HUGE, 7, True)
    assert [index_at(mapping, START + at) for at in (0, 4095, 4096, HUGE - 1)] == [7, 7, 8, 7 + 511]


def test_a_huge_page_lies_in_mapping_and_file() -> None:
    mapping = Mapping(START, START + 2 * HUGE, 0, True)
    assert may_be_huge(mapping, START + HUGE + 5, 2 * PER_PMD, True)
    assert not may_be_huge(mapping, START + HUGE + 5, 2 * PER_PMD - 1, True), "the file ends in it"
    assert not may_be_huge(mapping._replace(start=START + 4096, pgoff=1), START + 4096, 1024, False)
    assert not may_be_huge(mapping._replace(end=START + HUGE + 4096), START + HUGE, 1024, False)
    assert not may_be_huge(mapping._replace(pgoff=1), START, 4096, False), "of another colour"
    assert not may_be_huge(mapping._replace(shared=False), START, 1024, True), "a private copy"
    assert may_be_huge(mapping._replace(shared=False), START, 1024, False)


@given(st.integers(0, 4 * PER_PMD), st.integers(0, 1500), st.integers(1, 1500), st.integers(1, 4096))
def test_every_page_of_a_permitted_huge_page_is_in_both(pgoff: int, skip: int, pages: int, size: int) -> None:
    mapping = Mapping(START + skip * 4096, START + (skip + pages) * 4096, pgoff, True)
    for address in range(mapping.start, mapping.end, 64 * 4096):
        if may_be_huge(mapping, address, size, True):
            base = address & ~(HUGE - 1)
            assert mapping.start <= base
            assert base + HUGE <= mapping.end
            assert index_at(mapping, base) % PER_PMD == 0
            assert index_at(mapping, base + HUGE - 1) < size


def test_places_of_pages() -> None:
    device, zeros = ((0x100, 0x10),), ((0x40, 1),)
    assert in_device(Extent(0, 0x100, 0x10), device, zeros)
    assert not in_device(Extent(0, 0x101, 0x10), device, zeros)
    assert in_device(Extent(5, 0x40, 1), device, zeros)
    assert disjoint((Extent(0, 8, 2), Extent(9, 10, 1), Extent(3, 4, 4)))
    assert not disjoint((Extent(0, 8, 3), Extent(9, 10, 1)))
