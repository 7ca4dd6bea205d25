"""Compaction of small zones by kernels of every age: nothing is lost, and free memory gathers."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.freelist import list_head
from linuxmm.model.defrag.audit import broken
from linuxmm.model.defrag.compaction import compact_zone
from linuxmm.model.defrag.picture import KINDS, drawn, memory_of
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Control, Marks, Memory, Still
from linuxmm.model.defrag.zones import (
    Direct,
    compact_memory,
    direct_compaction,
    kcompactd,
    proactive,
    put_off,
)
from linuxmm.spec.alloc.retry import ASYNC, SYNC_FULL, SYNC_LIGHT, Compaction
from linuxmm.spec.defrag.defer import Deferral
from linuxmm.spec.defrag.migration import Mode
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel

ERAS = ("3.7", "3.10", "3.15", "3.17", "3.18", "4.0", "4.3", "4.5")
"""Each with another free scanner, or another end, than the one before."""
VERSIONS = ("2.6.35", "3.4", *ERAS, "4.9", "5.4", "6.1.192", "6.12.117")


def rules_of(version: str, block: int = 3, largest: int = 5) -> Rules:
    return rules_for(kernel(version, force_max_zoneorder=largest), block_order=block)


SCATTERED = "a.f.u..a" * 4 + "a...f..." * 8


@pytest.mark.parametrize("version", VERSIONS)
def test_compact_memory_gathers_what_is_free_at_the_start(version: str) -> None:
    rules = rules_of(version, 4, 6)
    memory = memory_of(rules, SCATTERED)
    (run,) = compact_memory(rules, (memory,))
    assert list(broken(rules, memory, run.memory, run.moved)) == []
    assert drawn(run.memory).startswith("....u.......u.......u.......u...")
    assert "." not in drawn(run.memory)[88:]


def test_a_zone_of_movable_pages_ends_with_them() -> None:
    rules = rules_of("6.1.192", 2)
    memory = memory_of(rules, "a...a..." * 4)
    (run,) = compact_memory(rules, (memory,))
    assert drawn(run.memory) == "." * 20 + "a...aa.aaaaa"


@pytest.mark.parametrize(
    ("version", "captured", "result"),
    [
        ("3.4", -1, Compaction.SUCCESS),
        ("4.9", -1, Compaction.SUCCESS),
        ("5.4", 32, Compaction.SUCCESS),
        ("6.12.117", 32, Compaction.SUCCESS),
    ],
)
def test_only_newer_kernels_hand_the_block_over_at_once(
    version: str, captured: int, result: Compaction
) -> None:
    rules = rules_of(version, 4, 6)
    memory = memory_of(rules, SCATTERED)
    answer = direct_compaction(rules, (memory,), Direct(4, 1, SYNC_LIGHT))
    assert (answer.captured, answer.compacted.result) == (captured, result)
    pages = 0 if captured < 0 else 16
    assert list(broken(rules, memory, answer.zones[0], answer.moved, pages)) == []


def test_an_optimistic_run_gives_up_the_window_of_a_page_that_stays() -> None:
    rules = rules_of("6.1.192", 6, 8)
    memory = memory_of(rules, "au......a......." + "a..............." * 15)
    run, _ = compact_zone(rules, memory, Control(3, Mode.ASYNC, 1, direct=True))
    assert 0 not in dict(run.moved)
    thorough, _ = compact_zone(rules, memory, Control(-1, Mode.SYNC, 0, whole_zone=True, ignore_skips=True))
    assert 0 in dict(thorough.moved)


def test_deferral_skips_and_starts_again() -> None:
    rules = rules_of("6.1.192")
    memory = memory_of(rules, "u.u.u.u." * 4)
    asked = Direct(2, 1, SYNC_LIGHT)
    seen = []
    for _ in range(8):
        answer = direct_compaction(rules, (memory,), asked)
        memory = answer.zones[0]
        seen.append(answer.compacted.result)
    skipped = Compaction.DEFERRED
    tried = Compaction.COMPLETE
    assert seen == [tried, skipped, tried, skipped, skipped, skipped, tried, skipped]
    assert memory.marks.deferral == Deferral(1, 3, 0)
    hardest = direct_compaction(rules, (memory,), Direct(2, 1, SYNC_FULL))
    assert hardest.compacted.result is Compaction.COMPLETE


def test_below_what_failed_nothing_is_put_off_since_3_4() -> None:
    old, new = rules_of("2.6.35"), rules_of("3.4")
    failed = Marks(deferral=Deferral(0, 3, 2))
    for rules, off in ((old, True), (new, False)):
        memory = memory_of(rules, "u." * 16)
        assert put_off(rules, Memory(memory.zone, memory.pages, failed), 1)[1] is off


def test_zones_are_tried_in_turn_and_the_best_result_is_told() -> None:
    rules = rules_of("6.1.192")
    stuck = memory_of(rules, "u.u.u.u." * 4)
    free = memory_of(rules, "a.a.a.a." * 4, start=64)
    answer = direct_compaction(rules, (stuck, free), Direct(2, 1, SYNC_LIGHT))
    assert answer.compacted.result is Compaction.SUCCESS
    assert answer.zones[0].marks.deferral.shift == 1
    assert answer.zones[1].marks.deferral == Deferral(1, 0, 3)
    refused = direct_compaction(rules, (stuck,), Direct(3, 1, ASYNC, may_perform_io=False))
    assert refused.compacted.result is Compaction.SKIPPED
    assert refused.zones == (stuck,)


def test_reclaim_could_make_a_zone_fit() -> None:
    rules = rules_of("6.1.192")
    memory = memory_of(rules, "aaaaaaa." * 4, watermark=(2, 3, 4))
    answer = direct_compaction(rules, (memory,), Direct(2, 1, ASYNC), (64,))
    assert (answer.compacted.result, answer.compacted.suitable) == (Compaction.SKIPPED, True)
    assert not direct_compaction(rules, (memory,), Direct(2, 1, ASYNC), (2,)).compacted.suitable


def test_the_watermark_guards_isolation() -> None:
    rules = rules_of("6.1.192")
    memory = memory_of(rules, "a...a..." * 4, watermark=(24, 24, 24))
    (run,) = compact_memory(rules, (memory,))
    assert run.moved == ()
    assert drawn(run.memory) == drawn(memory)


def test_the_daemon_compacts_for_kswapd_and_by_itself() -> None:
    rules = rules_of("6.1.192")
    memory = memory_of(rules, "a...a..." * 4)
    zones, count = kcompactd(rules, (memory,), 3)
    assert count == 1
    assert list_head(zones[0].zone, 3, 1) >= 0
    assert kcompactd(rules, zones, 3)[1] == 0
    assert proactive(rules, (memory,), 20, kswapd_runs=True) == ((memory,), 500)
    after, wait = proactive(rules, (memory,), 100)
    assert wait == 500
    assert "........" in drawn(after[0])
    stuck = memory_of(rules, "u.u.u.u." * 4)
    assert proactive(rules, (stuck,), 20)[1] == 32000


@pytest.mark.parametrize(
    ("letter", "mode", "outside", "moves"),
    [
        ("a", Mode.ASYNC, Still(), True),
        ("f", Mode.ASYNC, Still(), True),
        ("d", Mode.ASYNC, Still(), True),
        ("s", Mode.ASYNC, Still(), True),
        ("n", Mode.ASYNC, Still(), True),
        ("v", Mode.ASYNC, Still(), True),
        ("v", Mode.SYNC, Still(refused=frozenset({0})), False),
        ("w", Mode.SYNC_LIGHT, Still(frozenset()), False),
        ("w", Mode.SYNC, Still(frozenset()), True),
        ("w", Mode.SYNC, Still(), False),
        ("l", Mode.ASYNC, Still(frozenset()), False),
        ("l", Mode.SYNC_LIGHT, Still(frozenset()), True),
        ("l", Mode.SYNC_LIGHT, Still(), False),
        ("o", Mode.SYNC_LIGHT, Still(frozenset()), False),
        ("o", Mode.SYNC, Still(frozenset()), True),
        ("p", Mode.SYNC, Still(frozenset()), False),
    ],
)
def test_what_moves_in_which_mode(letter: str, mode: Mode, outside: Still, moves: bool) -> None:
    rules = rules_of("6.1.192", 2)
    memory = memory_of(rules, letter + "..............", outside=outside)
    run, result = compact_zone(rules, memory, Control(-1, mode, 0, whole_zone=True, ignore_skips=True))
    assert result is Compaction.COMPLETE
    assert (run.moved != ()) is moves
    assert [page.content for page in run.memory.pages.values()] == [0]
    assert list(broken(rules, memory, run.memory, run.moved)) == []


def test_a_page_held_by_another_reference_is_tried_until_it_is_let_go() -> None:
    rules = rules_of("6.1.192", 2)
    memory = memory_of(rules, "f..." + "u..." * 3)
    held = memory.pages.set(0, memory.pages[0]._replace(flags=1 << 4))
    whole = Control(-1, Mode.SYNC, 0, whole_zone=True, ignore_skips=True)
    for outside, moved in ((Still(), ()), (Still(frozenset()), ((0, 13),))):
        run, _ = compact_zone(rules, Memory(memory.zone, held, memory.marks, outside), whole)
        assert run.moved == moved


LETTERS = ".u" + "".join(KINDS)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(VERSIONS),
    st.text(LETTERS, min_size=48, max_size=48),
    st.text("UMR", min_size=6, max_size=6),
    st.lists(
        st.tuples(st.integers(-1, 4), st.sampled_from((0, 1, 2)), st.sampled_from((0, 1, 2)), st.booleans()),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_sequence_of_compactions_loses_anything(
    version: str, pages: str, types: str, steps: list[tuple[int, int, int, bool]], helpful: bool
) -> None:
    rules = rules_of(version)
    memory = memory_of(rules, pages, types=types, outside=Still(frozenset() if helpful else None))
    for order, own_type, priority, daemon in steps:
        if order <= 0:
            run = compact_memory(rules, (memory,))[0]
            after, moved, captured = run.memory, run.moved, 0
        elif daemon:
            after, moved, captured = kcompactd(rules, (memory,), order)[0][0], (), 0
        else:
            answer = direct_compaction(rules, (memory,), Direct(order, own_type, priority))
            after, moved = answer.zones[0], answer.moved
            captured = 0 if answer.captured < 0 else 1 << order
        assert list(broken(rules, memory, after, moved, captured)) == []
        memory = after


@pytest.mark.parametrize("version", ["3.4", "3.10", "3.18", "4.0", "4.9", "6.1.192", "6.12.117"])
def test_every_zone_of_eight_pages(version: str) -> None:
    rules = rules_of(version, 1, 3)
    seen = 0
    for letters in product(".au", repeat=7):
        memory = memory_of(rules, "".join(letters) + ".")
        (run,) = compact_memory(rules, (memory,))
        assert list(broken(rules, memory, run.memory, run.moved)) == []
        answer = direct_compaction(rules, (memory,), Direct(1, 1, SYNC_LIGHT))
        captured = 0 if answer.captured < 0 else 2
        assert list(broken(rules, memory, answer.zones[0], answer.moved, captured)) == []
        seen += 1
    assert seen == 3**7


def test_a_kernel_without_compaction_is_refused() -> None:
    with pytest.raises(Unmodelled, match=r"defrag\."):
        rules_for(kernel("2.6.34"))


def test_a_letter_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected one of \.uafdwlpnovs"):
        memory_of(rules_of("6.1.192"), "x")
