"""The formulas of vmalloc and CMA at their edges, and each invariant accepting and rejecting."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.spec.kernel import kernel
from linuxmm.spec.large import cma, vmalloc
from linuxmm.spec.vocabulary import PAGE_SIZE

PAGE = PAGE_SIZE


def test_sizes_with_their_guard() -> None:
    assert [vmalloc.area_size(n, True) for n in (1, PAGE, PAGE + 1)] == [2 * PAGE, 2 * PAGE, 3 * PAGE]
    assert vmalloc.area_size(PAGE, False) == PAGE


def test_how_much_may_wait() -> None:
    assert [vmalloc.lazy_max_pages(n) for n in (1, 2, 3, 4, 255, 256)] == [
        8192 * n for n in (1, 2, 2, 3, 8, 9)
    ]


def test_blocks_of_cpus() -> None:
    assert vmalloc.vmap_block_pages(64, 8) == 1024
    assert vmalloc.vmap_block_pages(64, 8192) == 256
    assert vmalloc.vmap_block_pages(32, 8) == 256
    assert vmalloc.vmap_block_pages(32, 64) == 64
    assert [vmalloc.piece_pages(n) for n in (1, 2, 3, 33)] == [1, 2, 4, 64]


@pytest.mark.parametrize(("version", "align"), [("2.4.22", PAGE), ("2.6.24", 1 << 17), ("6.1", 1 << 16)])
def test_the_alignment_of_device_memory(version: str, align: int) -> None:
    rule = kernel(version, *_arch(version)).behaviour("large.ioremap-align").function
    assert rule(1 << 16, 30) == align
    assert rule(1 << 40, 24) == (PAGE if version == "2.4.22" else 1 << 24)


def _arch(version: str) -> tuple[object, ...]:
    from linuxmm.spec.kernel import Arch

    return (Arch.I386,) if version.startswith("2.4") else ()


def test_fits() -> None:
    assert [vmalloc.fit_type(10, 20, *each) for each in ((10, 10), (10, 3), (17, 3), (12, 3), (9, 3))] == [
        vmalloc.FULL,
        vmalloc.LEFT_EDGE,
        vmalloc.RIGHT_EDGE,
        vmalloc.NO_EDGE,
        vmalloc.NO_FIT,
    ]
    assert vmalloc.fit_type(10, 20, 15, 6) == vmalloc.NO_FIT
    assert vmalloc.search_length(PAGE, PAGE, 0, 9 * PAGE) == PAGE
    assert vmalloc.search_length(4 * PAGE, 4 * PAGE, 0, 4 * PAGE) == 4 * PAGE
    assert vmalloc.search_length(PAGE, 4 * PAGE, 0, 9 * PAGE) == 5 * PAGE - 1
    assert vmalloc.permitted_starts(
        ((PAGE, 3 * PAGE), (4 * PAGE, 9 * PAGE)), 2 * PAGE, PAGE, 0, 99 * PAGE
    ) == (PAGE,)
    holes = ((PAGE, 4 * PAGE), (5 * PAGE, 20 * PAGE), (32 * PAGE, 64 * PAGE))
    assert vmalloc.permitted_starts(holes, 2 * PAGE, 2 * PAGE, 0, 99 * PAGE) == (2 * PAGE, 6 * PAGE)


def test_holes_are_what_nobody_takes() -> None:
    assert vmalloc.holes_between(((5, 7), (1, 2), (7, 9)), 0, 10) == ((0, 1), (2, 5), (9, 10))
    assert vmalloc.holes_between((), 3, 10) == ((3, 10),)
    assert vmalloc.holes_between(((0, 4), (8, 20)), 2, 10) == ((4, 8),)
    assert vmalloc.holes_between(((2, 12),), 3, 10) == ()


def test_a_hole_that_serves_wherever_it_begins() -> None:
    holes = ((PAGE, 4 * PAGE), (5 * PAGE, 20 * PAGE), (32 * PAGE, 64 * PAGE))
    assert vmalloc.surely_found(holes, 2 * PAGE, 2 * PAGE, 0, 99 * PAGE) == 6 * PAGE
    assert vmalloc.surely_found(holes, 2 * PAGE, 16 * PAGE, 0, 99 * PAGE) == 32 * PAGE
    assert vmalloc.surely_found(holes, 2 * PAGE, PAGE, 0, 99 * PAGE) == PAGE
    assert vmalloc.surely_found(holes, 40 * PAGE, PAGE, 0, 99 * PAGE) == vmalloc.NOTHING
    assert vmalloc.surely_found(holes, 2 * PAGE, PAGE, 19 * PAGE, 99 * PAGE) == 32 * PAGE


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(0, 40), min_size=2, max_size=12),
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 3)), min_size=1, max_size=3, unique_by=lambda a: a[0]
    ),
    st.integers(0, 44),
)
def test_areas_of_a_chunk_stand_at_the_highest_base_with_room(
    edges: set[int], areas: list[tuple[int, int]], vend: int
) -> None:
    ordered = [4 * edge for edge in sorted(edges)]
    holes = tuple(zip(ordered[::2], ordered[1::2], strict=False))
    chunk = tuple((4 * offset, 4 * size) for offset, size in areas)

    def room(base: int) -> bool:
        return all(
            base + offset + size <= 4 * vend
            and any(low <= base + offset and base + offset + size <= high for low, high in holes)
            for offset, size in chunk
        )

    expected = max((base for base in range(0, 180, 4) if room(base)), default=vmalloc.NOTHING)
    assert vmalloc.top_down_base(holes, chunk, 4, 4 * vend + 3) == expected


def test_nodes_and_huge_pages() -> None:
    assert [vmalloc.node_of(n << 16, 3) for n in range(4)] == [0, 1, 2, 0]
    assert [vmalloc.vmap_nodes(n) for n in (1, 4, 300)] == [1, 4, 128]
    assert [vmalloc.huge_shift(4 << 20, n, True, 21) for n in (1, 2, 3)] == [21, 21, 12]
    assert vmalloc.huge_shift(2 << 20, 2, False, 21) == 21


@pytest.mark.parametrize(
    ("invariant", "good", "bad"),
    [
        (vmalloc.apart, (5, 5), (6, 5)),
        (vmalloc.guard_kept, (2 * PAGE, PAGE), (2 * PAGE, 2 * PAGE)),
        (vmalloc.reusable, (True, False), (True, True)),
        (vmalloc.augmented, (9, 3, 9, 4), (3, 3, 9, 4)),
        (vmalloc.block_counts, (8, 3, 5), (8, 4, 5)),
        (cma.owned, (True, True), (True, False)),
        (cma.well_placed, (64, 64, 72, 8, 3), (64, 64, 68, 8, 3)),
        (cma.well_placed, (64, 64, 120, 8, 3), (64, 64, 124, 8, 2)),
    ],
)
def test_invariants_accept_and_reject(invariant: object, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    assert callable(invariant)
    assert invariant(*good)
    assert not invariant(*bad)


def test_bits_and_pages() -> None:
    assert [cma.aligned_mask(n, 2) for n in (0, 2, 3, 5)] == [0, 0, 1, 7]
    assert [cma.bits_of(n, 2) for n in (1, 4, 5)] == [1, 1, 2]
    assert cma.page_of(100, 3, 2) == 112
    assert cma.zero_run(0b0001_0011, 8, 0, 2, 0, 0) == 2
    assert cma.zero_run(0b0001_0011, 8, 0, 2, 1, 0) == 2
    assert cma.zero_run(0b0001_0011, 8, 0, 2, 1, 1) == 5
    assert cma.zero_run(0b0001_0011, 8, 0, 4, 0, 0) == cma.NOTHING
    assert cma.zero_run(0, 8, 6, 3, 0, 0) == cma.NOTHING


@pytest.mark.parametrize(("version", "offset"), [("3.9", 0), ("4.4", 2), ("4.13", 6), ("6.12", 6)])
def test_what_an_area_is_off_an_alignment(version: str, offset: int) -> None:
    rule = kernel(version).behaviour("large.cma-offset").function
    assert rule(64 + 12, 4, 1) == offset
    assert rule(64, 4, 1) == 0
