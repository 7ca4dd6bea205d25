"""Which misuse each tool finds, and when; proper histories raise no alarm."""

import pytest

from linuxmm.model.debug.kasan import Shadows, kasan_reports, opened, slot_room
from linuxmm.model.debug.kmemcheck import kmemcheck_reports
from linuxmm.model.debug.matrix import TOOLS, When, judge
from linuxmm.model.debug.placement import PLAIN, SLABS, Heap, Place, pages_of, place, release
from linuxmm.model.debug.refusals import Faults, refusals
from linuxmm.spec.debug.catalogue import CONTROLS, DISGUISED, MISUSES
from linuxmm.spec.debug.fault_injection import FaultAttr
from linuxmm.spec.debug.history import Alloc, Free, Kind, Misuse, Read, Report, Write, well_formed
from linuxmm.spec.debug.kmemcheck import verdict_of_all

BY_ID = {misuse.id: misuse for misuse in (*MISUSES, *CONTROLS, *DISGUISED)}
ESCAPE_KASAN = {
    "slab.far.live", "slab.uaf.late-reused", "slab.free.others", "page.uaf.reused", "page.right.owned",
    "page.left.owned", "stack.far", "global.far", "uninit.slab", "uninit.page",
}  # fmt: skip


def found(tool: str) -> dict[str, str]:
    detector = TOOLS[tool]
    every = {misuse.id: judge(misuse, detector).when for misuse in (*MISUSES, *CONTROLS, *DISGUISED)}
    return {id: when.value for id, when in every.items() if when is not When.NEVER}


def test_the_catalogue_has_no_impossible_history_and_no_id_twice() -> None:
    assert len(MISUSES) >= 40
    assert len(BY_ID) == len(MISUSES) + len(CONTROLS) + len(DISGUISED)
    for misuse in BY_ID.values():
        assert list(well_formed(misuse.history)) == []
        assert misuse.proper or misuse.at < len(misuse.history)


def test_an_impossible_history_is_described() -> None:
    history = (Alloc("a", 0), Alloc("a", 8), Read("b", 0), Read("a", 0, 0))
    assert list(well_formed(history)) == [
        "event 0: block 'a' of 0 bytes",
        "event 1: block 'a' exists already",
        "event 2: no block is called 'b'",
        "event 3: an access of 0 bytes",
    ]


def test_kasan_finds_every_access_and_free_outside_open_memory_at_once() -> None:
    expected = {
        misuse.id: "at once"
        for misuse in MISUSES
        if misuse.id.split(".")[0] in ("slab", "large", "page", "stack", "global", "uninit")
        and misuse.id not in ESCAPE_KASAN
    }
    assert found("KASAN (generic)") == expected


def test_slub_debugging_finds_changed_patterns_when_the_object_changes_hands() -> None:
    assert found("slub_debug=FZPU") == {
        "slab.right.slack-write": "later", "slab.right.room": "later", "slab.right.memset": "later",
        "slab.left.write": "later", "slab.left.word": "later", "slab.far.freed": "later",
        "slab.uaf.write": "later", "slab.uaf.tail": "later", "slab.uaf.freelist": "later",
        "slab.free.twice": "at once", "slab.free.twice-apart": "at once", "slab.free.twice-late": "at once",
        "slab.free.inside": "at once",
    }  # fmt: skip


def test_slab_debugging_does_not_know_what_was_asked_for() -> None:
    slub, slab = found("slub_debug=FZPU"), found("DEBUG_SLAB")
    assert slub.keys() - slab.keys() == {"slab.right.slack-write", "slab.right.memset"}
    assert slab == {id: when for id, when in slub.items() if id in slab}
    twice = judge(BY_ID["slab.free.twice"], TOOLS["DEBUG_SLAB"]).report
    assert twice == Report(BY_ID["slab.free.twice"].at, "double free detected", "a")


def test_unmapped_pages_fault_at_any_access_to_a_free_page() -> None:
    assert found("DEBUG_PAGEALLOC") == dict.fromkeys(
        (
            "large.right.pages", "large.left", "large.uaf", "page.uaf.read", "page.uaf.write",
            "page.uaf.bit", "page.uaf.poison", "page.uaf.idle", "page.uaf.second", "page.uaf.memset",
            "page.right.read", "page.right.write",
        ),
        "at once",
    )  # fmt: skip


def test_poison_is_checked_only_when_the_page_is_handed_out_again() -> None:
    assert found("page poisoning") == dict.fromkeys(
        ("page.uaf.write", "page.uaf.bit", "page.uaf.second", "page.uaf.memset", "page.right.write"), "later"
    )
    single, several = (judge(BY_ID[id], TOOLS["page poisoning"]) for id in ("page.uaf.bit", "page.uaf.write"))
    assert single.report == Report(4, "pagealloc: single bit error", "q")
    assert several.report == Report(4, "pagealloc: memory corruption", "q")


def test_kmemcheck_finds_reads_of_what_nobody_wrote() -> None:
    words = {
        "slab.right.slack-read": "8-bit read from uninitialized",
        "slab.left.read": "8-bit read from uninitialized",
        "slab.uaf.read": "64-bit read from freed",
        "slab.uaf.requested-again": "64-bit read from uninitialized",
        "slab.uaf.late": "64-bit read from freed",
        "slab.uaf.late-reused": "64-bit read from uninitialized",
        "uninit.slab": "64-bit read from uninitialized",
        "uninit.page": "64-bit read from uninitialized",
    }
    assert found("kmemcheck") == dict.fromkeys(words, "at once")
    for id, text in words.items():
        block = "p" if id == "uninit.page" else "a"
        assert kmemcheck_reports(BY_ID[id].history) == (Report(BY_ID[id].at, f"Caught {text} memory", block),)


def test_the_strict_kmemcheck_also_finds_partly_written_reads() -> None:
    more = {
        misuse.id
        for misuse in MISUSES
        if kmemcheck_reports(misuse.history, verdict_of_all) and not kmemcheck_reports(misuse.history)
    }
    assert more == {"slab.right.straddle", "slab.right.unaligned", "slab.right.sixteen"}
    assert all(kmemcheck_reports(control.history, verdict_of_all) == () for control in CONTROLS)


def test_kmemcheck_reports_a_byte_once_and_takes_writes_for_granted() -> None:
    history = (Alloc("a", 64), Read("a", 0, 8), Read("a", 0, 8), Free("a"), Write("a", 8), Read("a", 8, 1))
    assert kmemcheck_reports(history) == (Report(1, "Caught 64-bit read from uninitialized memory", "a"),)


def test_kmemleak_finds_lost_objects_in_the_second_scan_and_is_fooled_by_disguise() -> None:
    expected = dict.fromkeys(
        ("leak.lost", "leak.dropped", "leak.chain", "leak.cycle", "leak.self", "leak.holder-freed"), "later"
    )
    false = dict.fromkeys(("proper.masked", "proper.in-page"), "false alarm")
    assert found("kmemleak") == expected | false


def test_injected_faults_reach_what_their_filters_let_through() -> None:
    assert found("fault injection, first filters") == dict.fromkeys(
        ("null.slab-atomic", "null.pages-atomic"), "later"
    )
    assert found("fault injection, no filters") == {
        misuse.id: "later" for misuse in MISUSES if misuse.id.startswith("null.")
    }


@pytest.mark.parametrize(
    ("id", "kind"),
    [
        ("slab.right.slack-read", "slab-out-of-bounds"),
        ("slab.uaf.late", "slab-use-after-free"),
        ("slab.free.twice", "double-free"),
        ("slab.free.inside", "invalid-free"),
        ("large.right.slack", "slab-out-of-bounds"),
        ("page.uaf.idle", "use-after-free"),
        ("stack.middle", "stack-out-of-bounds"),
        ("stack.scope", "use-after-scope"),
        ("global.right", "global-out-of-bounds"),
    ],
)
def test_kasan_names_the_bug(id: str, kind: str) -> None:
    misuse = BY_ID[id]
    assert [report.kind for report in kasan_reports(misuse.history)] == [kind]


def test_without_room_in_quarantine_a_freed_object_is_handed_out_again() -> None:
    misuse: Misuse = BY_ID["slab.uaf.late-reused"]
    assert kasan_reports(misuse.history, 1 << 18) == ()
    assert [report.kind for report in kasan_reports(misuse.history, 1 << 24)] == ["slab-use-after-free"]


def test_the_shadow_of_a_small_object_is_that_of_the_worked_example() -> None:
    shadows = opened(Shadows(), Place(SLABS + 0x1000, 13, 16, Kind.SLAB, 16))
    first = (SLABS + 0x1000) >> 3
    assert [shadows[first + n] for n in range(4)] == [0x00, 0x05, 0xFC, 0xFC]
    assert slot_room(16) == 32


def test_slots_and_pages_are_handed_out_again_last_freed_first() -> None:
    heap = Heap(PLAIN)
    for name in "abc":
        heap = place(heap, Alloc(name, 13))
    first, second = heap.places["a"].base, heap.places["b"].base
    heap = release(release(release(heap, first), second), second)
    heap = place(place(place(heap, Alloc("d", 13)), Alloc("e", 13)), Alloc("f", 13))
    assert [heap.places[name].base for name in "def"] == [second, first, SLABS + 0x0100_0030]
    assert [pages_of(size) for size in (1, 4096, 4097, 10_000, 16_384, 16_385)] == [1, 1, 2, 4, 4, 8]


def test_every_third_request_fails_twice() -> None:
    history = tuple(Alloc(f"a{n}", 64, blocking=False) for n in range(10))
    faults = Faults(FaultAttr(100, 3, 2), FaultAttr())
    assert refusals(history, faults) == (2, 5)
