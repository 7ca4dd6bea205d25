"""Worked figures of the debugging tools, and their properties on drawn values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.debug import kasan, kmemcheck, kmemleak
from linuxmm.spec.debug.fault_injection import (
    Draw,
    FaultAttr,
    fail_nth,
    page_request_is_eligible,
    parse_boot_parameter,
    should_fail,
    should_fail_always_counting,
    slab_request_is_eligible,
)
from linuxmm.spec.debug.kmemleak import BLACK, Tracked, is_leak, mark
from linuxmm.spec.debug.page_poison import (
    PAGE_POISON,
    Corrupted,
    becomes_guard,
    check_poison,
    minorder_is_accepted,
)
from linuxmm.spec.errors import BadEvidence, Unmodelled
from linuxmm.spec.kernel import kernel


def test_redzones_grow_with_the_object() -> None:
    limits = (48, 96, 448, 3968, 16_128, 32_256, 64_512)
    assert [kasan.redzone_size(n) for n in limits] == [16, 32, 64, 128, 256, 512, 1024]
    assert [kasan.redzone_size(n + 1) for n in limits] == [32, 64, 128, 256, 512, 1024, 2048]
    assert [kasan.object_room(n) for n in (8, 16, 64, 4096)] == [32, 32, 96, 4352]


def test_variables_and_globals_end_in_redzones_of_whole_32_bytes() -> None:
    assert [kasan.stack_room(n) for n in (1, 13, 40, 200, 600, 5000)] == [32, 32, 96, 288, 736, 5280]
    assert [n + kasan.global_redzone(n) for n in (1, 16, 17, 40, 1000)] == [32, 32, 64, 96, 1248]


def test_the_shadow_covers_memory_one_to_eight_and_wraps_into_its_place() -> None:
    assert kasan.shadow_address(0xFFFF_8000_0000_0000, kasan.OFFSET_X86_64) == 0xFFFF_EC00_0000_0000
    assert kasan.shadow_address(0xFFFF_FFFF_FFFF_FFF8, kasan.OFFSET_X86_64) == 0xFFFF_FBFF_FFFF_FFFF
    assert kasan.shadow_bytes(1 << 30) == 1 << 27


def test_kmemcheck_needs_eight_times_the_shadow_of_kasan() -> None:
    for covered in (8, 4096, 1 << 30):
        assert kmemcheck.shadow_bytes(covered) == covered == 8 * kasan.shadow_bytes(covered)
    assert kmemcheck.verdict_of_all((2, 3, 1)) == kmemcheck.Shadow.FREED
    assert kmemcheck.verdict_of_any((3, 1, 2)) == kmemcheck.Shadow.INITIALIZED
    assert kmemcheck.verdict_of_any((3, 1)) == kmemcheck.Shadow.FREED


def test_quarantine_limits_follow_memory() -> None:
    assert kasan.quarantine_limit(1 << 18, 1) == (32 << 20) - (1 << 20)
    assert kasan.quarantine_limit(1 << 13, 4) == 0
    assert kasan.quarantine_batch(1 << 18, 1024) == 1 << 20
    assert kasan.quarantine_batch(1 << 28, 1024) == 64 << 20


@given(st.lists(st.integers(0, 255), min_size=1, max_size=64))
def test_a_changed_page_is_always_reported_with_its_outermost_bytes(memory: list[int]) -> None:
    differing = [n for n, byte in enumerate(memory) if byte != PAGE_POISON]
    found = check_poison(memory)
    if not differing:
        assert found is None
    else:
        assert found is not None
        assert (found.first, found.last) == (differing[0], differing[-1])


def test_one_flipped_bit_is_told_from_corruption() -> None:
    page = [PAGE_POISON] * 16
    assert check_poison(page) is None
    assert check_poison([*page[:5], 0xAB, *page[6:]]) == Corrupted(5, 5, "pagealloc: single bit error")
    assert check_poison([*page[:5], 0xA9, *page[6:]]) == Corrupted(5, 5, "pagealloc: memory corruption")
    assert check_poison([0xAB, *page[2:], 0xAB]) == Corrupted(0, 15, "pagealloc: memory corruption")


def test_small_remainders_become_guards() -> None:
    assert [becomes_guard(order, 2) for order in range(4)] == [True, True, False, False]
    assert [minorder_is_accepted(n) for n in (0, 5, 6)] == [True, True, False]


def outcomes(attr: FaultAttr, size: int, count: int) -> tuple[FaultAttr, list[int]]:
    refused = []
    for request in range(1, count + 1):
        attr, fails = should_fail(attr, size, Draw())
        if fails:
            refused.append(request)
    return attr, refused


def test_the_attributes_of_the_worked_examples() -> None:
    assert outcomes(FaultAttr(100, 3, 2), 1, 10) == (FaultAttr(100, 3, 0, 0, 6), [3, 6])
    assert outcomes(FaultAttr(100, 1, -1, space=10), 4, 4) == (FaultAttr(100, 1, -1, 2), [3, 4])
    assert outcomes(FaultAttr(0, 3, 2, 10), 4, 5) == (FaultAttr(0, 3, 2, 10), [])


def test_up_to_3_4_requests_count_even_without_a_probability() -> None:
    assert should_fail_always_counting(FaultAttr(0, 3, 2, 10), 4, Draw()) == (FaultAttr(0, 3, 2, 6), False)
    for old in ("2.6.20", "2.6.32", "3.4"):
        assert kernel(old).behaviour("should_fail").function is should_fail_always_counting
    for new in ("3.6", "4.9", "6.12"):
        assert kernel(new).behaviour("should_fail").function is should_fail
    with pytest.raises(Unmodelled, match="'should_fail' has no behaviour registered for kernel 2"):
        kernel("2.6.19").behaviour("should_fail")


def test_filters_leave_the_attributes_alone() -> None:
    marked = FaultAttr(100, 2, 1, task_filter=True)
    assert should_fail(marked, 1, Draw()) == (marked, False)
    assert should_fail(marked, 1, Draw(make_it_fail=True)) == (marked._replace(seen=1), False)
    assert should_fail(FaultAttr(50), 1, Draw(dice=49)) == (FaultAttr(50, times=0), True)
    assert should_fail(FaultAttr(50), 1, Draw(dice=50)) == (FaultAttr(50), False)
    assert should_fail(FaultAttr(50), 1, Draw(on_stack=False)) == (FaultAttr(50), False)


def test_the_third_request_of_a_task_fails() -> None:
    left, refused = 3, []
    for request in range(1, 4):
        left, fails = fail_nth(left)
        refused += [request] if fails else []
    assert (left, refused) == (0, [3])


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("wait", [False, True])
def test_first_filters_leave_atomic_requests_of_an_order(order: int, wait: bool) -> None:
    eligible = page_request_is_eligible(order, 1, nofail=False, highmem=False, direct_reclaim=wait)
    assert eligible == (order >= 1 and not wait)
    assert not page_request_is_eligible(order, 0, nofail=True, highmem=False, direct_reclaim=False)
    assert not page_request_is_eligible(order, 0, nofail=False, highmem=True, direct_reclaim=False)


def test_failslab_spares_what_must_not_fail() -> None:
    def ask(**changes: bool) -> bool:
        asked = {"boot_cache": False, "nofail": False, "direct_reclaim": False, "marked": False}
        return slab_request_is_eligible(**(asked | changes))

    assert ask()
    assert not ask(boot_cache=True)
    assert not ask(nofail=True)
    assert not ask(direct_reclaim=True)
    assert not ask(cache_filter=True)
    assert ask(cache_filter=True, marked=True)
    assert ask(direct_reclaim=True, ignore_gfp_wait=False)


def test_boot_parameters_are_read_and_bad_ones_named() -> None:
    assert parse_boot_parameter("10,100,0,-1") == FaultAttr(100, 10, -1, 0)
    with pytest.raises(BadEvidence) as caught:
        parse_boot_parameter("10,100,0")
    assert str(caught.value) == (
        "boot parameter: expected interval,probability,space,times, found '10,100,0'"
    )


OBJECTS = tuple(Tracked(0x1000 * (n + 1), 64) for n in range(3))
NOWHERE = (0, 0x1000, 0x2008, 0x303F)


def led_to(roots: list[int], words: list[list[int]], white: set[int]) -> set[int]:
    """Independent of the marking: the objects that a walk from the roots comes to."""
    reached: set[int] = set()
    waiting = [(word >> 12) - 1 for word in roots if word]
    while waiting:
        index = waiting.pop()
        if index not in reached:
            reached.add(index)
            waiting += [(word >> 12) - 1 for word in words[index] if word]
    return reached & white


def test_what_is_left_white_is_exactly_what_no_path_leads_to() -> None:
    for code in range(4**5):
        picks = [NOWHERE[code >> 2 * n & 3] for n in range(5)]
        words = [picks[2:3], picks[3:4], picks[4:5]]
        marked = mark(OBJECTS, picks[:2], words, (False,) * 3)
        grey = {n for n, block in enumerate(marked) if kmemleak.is_grey(block.found, block.min_count)}
        assert grey == led_to(picks[:2], words, {0, 1, 2})


def test_an_area_of_vmalloc_needs_two_pointers_and_passes_on_the_third() -> None:
    area = Tracked(0x9000, 0x1000, min_count=2, excess_ref=0x1000)
    holder = Tracked(0x1000, 64)
    marked = mark((area, holder), (0x9000,) * 3, ((), ()), (False, False))
    assert [block.found for block in marked] == [2, 1]
    marked = mark((area, holder), (0x9000,) * 2, ((), ()), (False, False))
    assert [block.found for block in marked] == [2, 0]


def test_changed_unscanned_and_black_blocks() -> None:
    first, second = Tracked(0x1000, 64), Tracked(0x2000, 64)
    assert [b.found for b in mark((first, second), (), ((0x2000,), ()), (True, False))] == [1, 1]
    unscanned = first._replace(scanned=False)
    assert [b.found for b in mark((unscanned, second), (0x1000,), ((0x2000,), ()), (False, False))] == [1, 0]
    black = first._replace(min_count=BLACK)
    assert [b.found for b in mark((black, second), (0x1000,), ((0x2000,), ()), (False, False))] == [0, 0]


def test_only_old_white_blocks_are_reported_and_once() -> None:
    block = Tracked(0x1000, 64, created=100)
    assert [is_leak(block, now) for now in (104, 105)] == [False, True]
    assert not is_leak(block._replace(reported=True), 105)
    assert not is_leak(block._replace(found=1), 105)
