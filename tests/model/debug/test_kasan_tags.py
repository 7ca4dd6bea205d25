"""KASAN with tags: whole granules, misses by chance, no quarantine."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.debug.kasan_tags import tag_reports
from linuxmm.model.debug.matrix import TOOLS, When, judge
from linuxmm.spec.debug.catalogue import CONTROLS, DISGUISED, MISUSES
from linuxmm.spec.debug.history import Alloc, Free, Kind, Read, Report, Store, Write
from linuxmm.spec.debug.kasan_tags import (
    TAG_INVALID,
    TAG_KERNEL,
    TAG_MAX,
    Mode,
    access_is_forbidden,
    granules,
    may_be_freed,
    odds_of_missing,
    random_tag,
    tag_bytes,
    tags_agree,
    tags_of,
)

GENERIC, SOFTWARE, HARDWARE = "KASAN (generic)", "KASAN (software tags)", "KASAN (hardware tags)"


def found(tool: str) -> set[str]:
    return {misuse.id for misuse in MISUSES if judge(misuse, TOOLS[tool]).when is not When.NEVER}


def test_tags_lose_what_lies_in_the_last_granule_and_see_who_owns_memory() -> None:
    lost = {
        "slab.right.slack-read", "slab.right.slack-write", "slab.right.straddle", "slab.right.unaligned",
        "slab.right.sixteen", "slab.right.memset", "stack.right", "stack.middle", "global.right",
        "global.left",
    }  # fmt: skip
    gained = {
        "slab.far.live", "slab.uaf.late-reused", "slab.free.others", "page.uaf.reused", "page.right.owned",
        "page.left.owned", "stack.far",
    }  # fmt: skip
    assert found(GENERIC) - found(SOFTWARE) == lost
    assert found(SOFTWARE) - found(GENERIC) == gained
    assert found(SOFTWARE) - found(HARDWARE) == {"stack.left", "stack.far", "stack.scope"}
    assert found(HARDWARE) <= found(SOFTWARE)


def test_proper_histories_raise_no_alarm_whatever_the_tags() -> None:
    for misuse in (*CONTROLS, *DISGUISED):
        for mode in Mode:
            assert all(tag_reports(misuse.history, mode, seed) == () for seed in range(20))


def test_two_blocks_of_one_tag_hide_a_wrong_access() -> None:
    history = (Alloc("a", 16), Alloc("b", 16), Read("a", 16))
    caught = (Report(2, "invalid-access", "a"),)
    for first in range(0xF0, 0xFE):
        for second in range(0xF0, 0xFE):
            reports = tag_reports(history, Mode.HARDWARE, chosen=(first, second))
            assert reports == (() if first == second else caught)
    other = (Alloc("a", 16), Alloc("c", 600), Alloc("b", 16), Read("a", 16))
    missed = [seed for seed in range(4000) if not tag_reports(other, Mode.SOFTWARE, seed * 7919)]
    assert 0 < len(missed) / 4000 < 0.02
    assert odds_of_missing(Mode.SOFTWARE) == Fraction(1, 254)
    assert odds_of_missing(Mode.HARDWARE) == Fraction(1, 14)


def test_frees_are_checked_by_tag_and_place() -> None:
    history = (Alloc("a", 16), Free("a", 8), Free("a"), Free("a"))
    assert tag_reports(history, Mode.SOFTWARE) == (
        Report(1, "invalid-free", "a"),
        Report(3, "double-free", "a"),
    )


def test_large_blocks_pages_and_stores_are_checked_too() -> None:
    large = (Alloc("big", 10_000), Write("big", 10_000, 1), Free("big"), Read("big", 0))
    assert [report.event for report in tag_reports(large, Mode.HARDWARE)] == [1, 3]
    page = (Alloc("p", 4096, Kind.PAGES), Free("p"), Store("p", 0, "p"))
    assert [report.event for report in tag_reports(page, Mode.HARDWARE)] == [2]
    datum = (Alloc("g", 8, Kind.GLOBAL), Read("g", 64))
    assert tag_reports(datum, Mode.SOFTWARE) == ()


@given(st.integers(0, 0xFFFF_FFFF))
def test_two_tags_in_a_row_always_differ_in_software(state: int) -> None:
    state, first = random_tag(state)
    assert random_tag(state)[1] % 2 != first % 2
    history = (Alloc("a", 16), Alloc("b", 16), Read("a", 16))
    assert tag_reports(history, Mode.SOFTWARE, state) == (Report(2, "invalid-access", "a"),)


@given(st.integers(0, 0xFFFF_FFFF))
def test_a_random_tag_is_never_a_special_one(state: int) -> None:
    after, tag = random_tag(state)
    assert 0 <= after < 1 << 32
    assert 0 <= tag <= TAG_MAX < TAG_INVALID < TAG_KERNEL


@given(st.integers(0, 255), st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_checks_compare_every_granule(pointer: int, memory: list[int]) -> None:
    forbidden = access_is_forbidden(Mode.SOFTWARE, pointer, memory)
    assert forbidden == (pointer != TAG_KERNEL and not tags_agree(pointer, memory))
    low = access_is_forbidden(Mode.HARDWARE, pointer, memory)
    assert not low or pointer != TAG_KERNEL
    assert may_be_freed(pointer, memory[0]) == (pointer in (memory[0], TAG_KERNEL))


def test_sixteen_bytes_share_a_tag() -> None:
    assert list(granules(0x1000, 13)) == [0x100]
    assert list(granules(0x1000, 17)) == [0x100, 0x101]
    assert tags_of(Mode.SOFTWARE) == 254
    assert (tag_bytes(Mode.SOFTWARE, 4096), tag_bytes(Mode.HARDWARE, 4096)) == (256, 128)
