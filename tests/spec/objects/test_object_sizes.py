"""Size classes, alignments and layouts of the object allocators, against figures computed apart from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.objects import hardening, sizes, slab, slob, slub
from linuxmm.spec.objects.sizes import PAGE_SIZE

BYTES = st.integers(1, 1 << 16)
POWERS = st.integers(3, 12).map(lambda n: 1 << n)
WORDS = st.integers(0, (1 << 64) - 1)
SLUBS = ("2.6.22", "2.6.28", "3.10", "6.1.192", "6.12.117")


def test_classes_of_slub_are_powers_of_two_and_two_more() -> None:
    found = sorted({sizes.kmalloc_class(size, 8) for size in range(1, 8193)})
    assert found == [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192]
    assert {sizes.kmalloc_class(size, 128) for size in range(1, 513)} == {128, 256, 512}
    assert sizes.kmalloc_class(130, 64) == 192
    assert sizes.kmalloc_class(90, 64) == 128


def test_the_old_table_of_slab_depends_on_cache_lines() -> None:
    assert [sizes.kmalloc_class_of_table(size, 64) for size in (1, 33, 90, 130)] == [32, 64, 128, 192]
    assert [sizes.kmalloc_class_of_table(size, 32) for size in (90, 130)] == [96, 192]
    assert [sizes.kmalloc_class_of_table(size, 128) for size in (90, 130)] == [128, 256]


@given(BYTES, st.sampled_from([8, 16, 32, 64, 128]))
def test_a_class_holds_what_was_asked_for_and_wastes_less_than_half(size: int, least: int) -> None:
    found = sizes.kmalloc_class(size, least)
    assert found >= size
    assert found < 2 * max(size, least)
    assert sizes.kmalloc_class(found, least) == found


@given(BYTES)
def test_an_order_is_the_least_that_suffices(size: int) -> None:
    order = sizes.get_order(size)
    assert size <= PAGE_SIZE << order
    assert order == 0 or size > PAGE_SIZE << (order - 1)


@pytest.mark.parametrize(
    ("version", "largest"), [("2.6.22", 4 << 20), ("2.6.24", 2048), ("2.6.28", 4096), ("6.12", 8192)]
)
def test_the_largest_class_of_slub_by_version(version: str, largest: int) -> None:
    assert kernel(version).behaviour("objects.slub-kmalloc-largest").function(10) == largest
    assert sizes.kmalloc_granted(largest + 1, 8, largest) == 2 * max(largest, PAGE_SIZE // 2)


def test_the_largest_class_of_slab_by_version() -> None:
    assert [kernel(v).behaviour("objects.slab-kmalloc-largest").function(10) for v in ("2.6.20", "6.1")] == [
        4 << 20,
        8192,
    ]


@given(BYTES, POWERS | st.just(0), st.sampled_from([32, 64, 128]), st.booleans())
def test_alignments_are_powers_of_two_of_a_word_at_least(size: int, align: int, line: int, hw: bool) -> None:
    for rule in (sizes.calculate_alignment, sizes.calculate_alignment_all_or_nothing):
        found = rule(size, align, line, hw)
        assert found >= max(8, align)
        assert found & (found - 1) == 0
    assert sizes.calculate_alignment(20, 0, 64, True) == 32
    assert sizes.calculate_alignment_all_or_nothing(20, 0, 64, True) == 8


@given(WORDS, WORDS, WORDS)
def test_a_hardened_link_decodes_to_itself(pointer: int, secret: int, place: int) -> None:
    assert hardening.swab64(place) == int.from_bytes(place.to_bytes(8, "little"), "big")
    for encode in (hardening.encode_xor, hardening.encode_xor_swab):
        assert encode(encode(pointer, secret, place), secret, place) == pointer
    assert hardening.encode_plain(pointer, secret, place) == pointer


@pytest.mark.parametrize(
    ("version", "offsets"),
    [("5.4", [0, 0, 0, 0, 0]), ("5.7", [0, 8, 16, 48, 96]), ("5.14", [0, 8, 8, 48, 88])],
)
def test_where_the_link_stands_by_version(version: str, offsets: list[int]) -> None:
    rule = kernel(version).behaviour("objects.freelist-offset").function
    assert [rule(size, 8) for size in (8, 16, 24, 96, 190)] == offsets


@given(st.integers(8, 8192))
def test_a_link_ends_in_its_object(size: int) -> None:
    for rule in (hardening.link_at_start, hardening.link_at_middle, hardening.link_before_middle):
        assert rule(size, 8) % 8 == 0
        assert rule(size, 8) + 8 <= (size + 7) // 8 * 8


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.6.22", [0, 0, 1, 1]),
        ("2.6.28", [0, 0, 2, 3]),
        ("6.1.192", [0, 0, 2, 3]),
        ("6.12.117", [0, 0, 2, 3]),
    ],
)
def test_orders_of_slabs_by_version(version: str, expected: list[int]) -> None:
    rule = kernel(version).behaviour("objects.slub-order").function
    assert [rule(size, 1, 10) for size in (64, 192, 1408, 8192)] == expected
    assert [rule(1 << 23, 1, 10), rule(1 << 22, 1, 10)] == [slub.NO_ORDER, 10]


@given(st.integers(8, 1 << 15).map(lambda n: n & ~7), st.integers(1, 512))
def test_a_slab_holds_an_object_and_no_order_is_above_three_without_need(size: int, cpus: int) -> None:
    for version in SLUBS:
        order = kernel(version).behaviour("objects.slub-order").function(size, cpus, 10)
        objects = slub.objects_of(order, size)  # type: ignore[arg-type]
        assert 1 <= objects <= slub.MAX_OBJECTS
        assert order == sizes.get_order(size) or order <= 3  # type: ignore[operator]


def test_partial_lists_by_version() -> None:
    sizes_ = (8, 256, 1024, 8192, 1 << 20)
    found = {
        v: [kernel(v).behaviour("objects.slub-min-partial").function(size) for size in sizes_]
        for v in ("2.6.22", "2.6.24", "2.6.28", "6.1")
    }
    assert found == {
        "2.6.22": [2] * 5,
        "2.6.24": [5] * 5,
        "2.6.28": [5, 8, 10, 10, 10],
        "6.1": [5, 5, 5, 6, 10],
    }
    held = {
        v: [kernel(v).behaviour("objects.slub-cpu-partial").function(size) for size in sizes_[:4]]
        for v in ("3.1", "3.4", "6.1")
    }
    assert held == {"3.1": [0] * 4, "3.4": [30, 13, 6, 2], "6.1": [120, 52, 24, 6]}
    assert [slub.cpu_partial_slabs(52, 16), slub.cpu_partial_slabs(6, 4), slub.cpu_partial_slabs(0, 4)] == [
        7,
        3,
        0,
    ]
    assert [slub.slub_cpus_possible(1, 64), slub.slub_cpus_present(1, 64), slub.slub_cpus_present(2, 64)] == [
        64,
        64,
        2,
    ]


FLAGS = st.builds(slub.CacheFlags, *(st.booleans() for _ in range(6)))


@given(st.integers(1, 8192), POWERS, FLAGS, st.booleans())
def test_the_parts_of_an_object_lie_in_it(size: int, align: int, flags: slub.CacheFlags, wide: bool) -> None:
    made = slub.layout(size, align, flags, hardening.link_before_middle(size, 8), 16, 8, wide)
    assert made.size % align == 0
    assert size <= made.inuse <= made.size
    assert made.offset + 8 <= made.size
    assert (made.offset >= made.inuse) == slub.link_outside(size, flags, wide)
    assert made.red_left % align == 0


def test_layouts_that_slub_debug_makes() -> None:
    debug = slub.CacheFlags(poison=True, red_zone=True, store_user=True)
    assert slub.layout(64, 8, debug, 32, 32, 8, True) == slub.Layout(72, 72, 160, 8)
    kmalloc = debug._replace(kmalloc=True)
    assert [slub.layout(n, n, kmalloc, n // 2, 32, 8, True).size for n in (64, 256)] == [256, 768]
    plain = slub.layout(1360, 64, slub.CacheFlags(), 680, 16, 8, True)
    assert plain == slub.Layout(1360, 680, 1408, 0)


@pytest.mark.parametrize(
    ("size", "objects", "left", "colours"),
    [(32, 112, 0, 0), (64, 59, 0, 0), (128, 30, 64, 1), (192, 20, 128, 2), (256, 15, 128, 2)],
)
def test_slabs_with_a_struct_slab(size: int, objects: int, left: int, colours: int) -> None:
    assert slab.estimate_with_struct(0, size, 64, False) == (objects, left)
    assert slab.colours_of(left, 64) == colours
    made = kernel("2.6.20").behaviour("objects.slab-layout").function(size, size, 64, False, False, 1, 10)
    assert made == slab.SlabLayout(0, objects, left, slab.ON_SLAB, PAGE_SIZE - left - objects * size)


def test_slabs_of_large_objects_are_managed_elsewhere() -> None:
    rule = slab.layout_with_struct
    assert rule(2048, 2048, 64, False, False, 1, 10) == slab.SlabLayout(0, 2, 0, slab.OFF_SLAB, 56)
    assert rule(3000, 3000, 8, False, False, 1, 10) == slab.SlabLayout(1, 2, 2192 - 56, slab.ON_SLAB, 56)
    assert rule(3000, 3000, 8, True, False, 1, 10).order == 0
    assert rule(1 << 23, 1 << 23, 64, False, False, 1, 10).objects == 0


def test_slabs_with_index_bytes() -> None:
    rule = kernel("6.1").behaviour("objects.slab-layout").function
    assert rule(32, 32, 8, False, False, 1, 10) == slab.SlabLayout(0, 124, 4, slab.ON_SLAB, 124)
    assert rule(64, 64, 8, False, False, 1, 10) == slab.SlabLayout(0, 64, 0, slab.IN_FREE_OBJECT, 64)
    assert rule(256, 256, 8, False, True, 1, 10) == slab.SlabLayout(0, 16, 0, slab.OFF_SLAB, 16)
    assert slab.layout_with_bytes(1000, 1000, 8, False, True, 1, 10).placement == slab.ON_SLAB
    assert [slab.off_slab_bytes(16), slab.off_slab_bytes(5000)] == [32, 8192]
    with pytest.raises(Unmodelled):
        kernel("4.1").behaviour("objects.slab-layout")


@given(st.integers(16, 1 << 14).map(lambda n: n & ~7), st.integers(0, 3))
def test_a_slab_is_its_objects_management_and_rest(size: int, order: int) -> None:
    slab_bytes = PAGE_SIZE << order
    for on_slab in (False, True):
        objects, left = slab.estimate_with_bytes(order, size, on_slab)
        assert objects * (size + on_slab) + left == slab_bytes
        if size < slab_bytes - 64:
            objects, left = slab.estimate_with_struct(order, size, 8, not on_slab)
            management = slab.struct_slab_bytes(objects, 8) if on_slab else 0
            assert objects * size + management + left == slab_bytes
            assert left >= 0


def test_queues_of_slab_grow_with_the_square_of_the_nodes() -> None:
    assert [slab.array_limit(s) for s in (64, 257, 1025, 4097, 131073)] == [120, 54, 24, 8, 1]
    assert [slab.batch_count(limit) for limit in (120, 54, 24, 8, 1)] == [60, 27, 12, 4, 1]
    assert [slab.shared_limit(64, 4), slab.shared_limit(64, 1), slab.shared_limit(8192, 4)] == [480, 0, 0]
    assert [slab.alien_limit(120), slab.alien_limit(1)] == [12, 1]
    entries = [slab.alien_bytes(n, 120) - n * (n * 8 + (n - 1) * 24) for n in (2, 16, 64, 1024)]
    assert entries == [192, 23040, 387072, 100564992]
    assert slab.alien_bytes(1, 120) == 0
    assert slab.free_limit(4, 60, 30) == 330
    assert slab.queue_bytes(64, 2, 4) == 4 * 976 + 2 * 3856 + 2 * (16 + 120)
    assert slab.slub_queue_bytes(2, 4) == 272


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_reaper_takes_no_more_than_there_is(limit: int, available: int) -> None:
    assert 0 <= slab.reaped_from_array(limit, available) <= available
    assert [slab.reaped_from_array(120, 100), slab.reaped_from_array(120, 5), slab.reaped_slabs(330, 30)] == [
        24,
        3,
        3,
    ]


@given(st.integers(0, 300), st.integers(0, 40))
def test_colours_go_round(colour: int, colours: int) -> None:
    assert 0 <= slab.next_colour(colour, colours) < max(colours, 1)
    assert [slab.next_colour(n, 3) for n in range(3)] == [1, 2, 0]


def test_slob_by_version() -> None:
    sizes_ = (255, 256, 1023, 1024)
    lists = {
        v: [kernel(v).behaviour("objects.slob-lists").function(s) for s in sizes_] for v in ("2.6.24", "6.1")
    }
    assert lists == {"2.6.24": [0] * 4, "6.1": [0, 1, 1, 2]}
    freed = [kernel(v).behaviour("objects.slob-freed-list").function(1024) for v in ("2.6.28", "6.1")]
    assert freed == [0, 2]
    aligned = [kernel(v).behaviour("objects.slob-kmalloc-align").function(64, 8) for v in ("5.3", "6.1")]
    assert aligned == [8, 64]
    assert slob.kmalloc_align_natural(65, 8) == 8
    assert [slob.kmalloc_bytes(s, 8) for s in (23, 4087, 4088, 5000)] == [32, 4096, 4096, 8192]
    assert [slob.units_of(1), slob.usable_bytes(23)] == [1, 24]


@given(st.integers(0, 2047), st.sampled_from([1, 2, 4, 8, 32]), st.integers(0, 8))
def test_a_fragment_aligns_what_follows(start: int, align: int, offset: int) -> None:
    cut = slob.fragment(start, align, offset)
    assert 0 <= cut < align
    assert (start + cut + offset) % align == 0


def test_free_blocks_of_slob_are_apart_and_inside() -> None:
    assert slob.block_ordered(0, 4, 5)
    assert not slob.block_ordered(0, 4, 4)
    assert not slob.block_ordered(0, 0, 4)
    assert slob.block_inside(2040, 8, 2048)
    assert not slob.block_inside(2041, 8, 2048)
    assert not slob.block_inside(-1, 8, 2048)
