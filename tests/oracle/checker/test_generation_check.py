"""`check` judges lists by generation: frozen lists, counters, events and shadows of two kernels."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.generations import Frozen, GenerationCheck, Listed, judge_frozen, text_lines
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.agreement import disagreements
from linuxmm.oracle.formats.areas import GenerationsState, NodeGenerations, area_file, area_state, packed
from linuxmm.oracle.generation_evidence import frozen_at, generation_marks
from linuxmm.oracle.reclaim_evidence import shadow_layout
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.generations import Window
from linuxmm.spec.verdict import Judgement, Verdict

AREAS = Path(__file__).parents[2] / "real" / "areas"
CAPTURE = AREAS / "reclaim-mglru-6.12"
VERSION = "6.12.117"
CHECKED = {
    "6.1": {"counted": 6, "lists": 5828, "rates": 32, "refaults": 3, "shadow": 58587, "sizes": 164, "text": 4,
            "window": 7},
    "6.12": {"counted": 1524, "lists": 6751, "rates": 32, "refaults": 6, "shadow": 26043, "sizes": 164,
             "text": 4, "window": 7},
}  # fmt: skip


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return gzip.decompress((CAPTURE / "trace/lru.txt.gz").read_bytes()).decode().splitlines()


@pytest.fixture(scope="module")
def marks() -> dict[str, Frozen]:
    capture = open_capture(CAPTURE)
    found = {mark: frozen_at(capture, mark) for mark in generation_marks(capture)}
    return {mark: frozen for mark, frozen in found.items() if frozen is not None}


def broken(judgement: Judgement) -> set[str]:
    return {id for id, tally in judgement.clauses.items() if tally.broken}


def frozen_faults(frozen: Frozen) -> set[str]:
    judgement = Judgement()
    judge_frozen(judgement, "B", frozen)
    return broken(judgement)


def judged(
    lines: list[str], marks: dict[str, Frozen], tells: bool = True, version: str = VERSION
) -> set[str]:
    judgement, profile = Judgement(), kernel(version)
    layout = shadow_layout(profile)
    assert layout is not None
    GenerationCheck(judgement, profile, marks, layout, True, tells).run(lines)
    return broken(judgement)


# ---- the recording -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", CHECKED)
def test_a_recording_conforms(release: str) -> None:
    report = check(AREAS / f"reclaim-mglru-{release}", only="reclaim")
    assert (report.verdict, report.judgement.gaps) == (Verdict.CONFORMS, {})
    checked = {id: tally.checked for id, tally in report.judgement.clauses.items() if ".gen-" in id}
    assert checked == {f"reclaim.seen.gen-{name}": times for name, times in CHECKED[release].items()}
    assert "reclaim.seen.clock" not in report.judgement.clauses


def test_states_say_what_debugfs_says() -> None:
    capture = open_capture(CAPTURE)
    for mark in generation_marks(capture):
        assert list(disagreements(capture, mark)) == []


# ---- planted faults: a machine that stands still -----------------------------------------------------------


def other_first(frozen: Frozen, change: Callable[[Listed], Listed]) -> Frozen:
    return frozen._replace(pages=(change(frozen.pages[0]), *frozen.pages[1:]))


def one_more(frozen: Frozen) -> Frozen:
    zones = frozen.sizes[0][0]
    return frozen._replace(sizes=(((zones[0] + 1, *zones[1:]), frozen.sizes[0][1]), *frozen.sizes[1:]))


def more_refaults(frozen: Frozen) -> Frozen:
    return frozen._replace(rates=frozen.rates._replace(refaulted=((9**9, 0, 0, 0), (0, 0, 0, 0))))


def more_average(frozen: Frozen) -> Frozen:
    return frozen._replace(rates=frozen.rates._replace(avg_refaulted=((0, 0, 0, 0), (0, 9**9, 0, 0))))


def other_text(frozen: Frozen) -> Frozen:
    assert frozen.text is not None
    return frozen._replace(text=((frozen.text[0][0], 77777, 0), *frozen.text[1:]))


def other_window(frozen: Frozen) -> Frozen:
    return frozen._replace(
        window=Window(frozen.window.max_seq, frozen.window.min_anon + 9, frozen.window.min_file)
    )


STILL: list[tuple[Callable[[Frozen], Frozen], str]] = [
    (other_window, "reclaim.seen.gen-window"),
    (
        lambda f: f._replace(window=f.window._replace(min_file=f.window.min_anon - 1)),
        "reclaim.seen.gen-window",
    ),
    (lambda f: f._replace(pages=(*f.pages, f.pages[0])), "reclaim.seen.gen-lists"),
    (lambda f: other_first(f, lambda page: page._replace(plain=False)), "reclaim.seen.gen-lists"),
    (lambda f: other_first(f, lambda page: page._replace(generation=-1)), "reclaim.seen.gen-lists"),
    (lambda f: other_first(f, lambda page: page._replace(own_kind=1 - page.kind)), "reclaim.seen.gen-lists"),
    (lambda f: f._replace(pages=f.pages[1:]), "reclaim.seen.gen-sizes"),
    (one_more, "reclaim.seen.gen-sizes"),
    (lambda f: f._replace(told=(1, 2, 3, 4)), "reclaim.seen.gen-sizes"),
    (more_refaults, "reclaim.seen.gen-rates"),
    (more_average, "reclaim.seen.gen-rates"),
    (other_text, "reclaim.seen.gen-text"),
]


@pytest.mark.parametrize(("change", "clause"), STILL)
def test_faults_planted_in_a_frozen_machine_are_found(
    marks: dict[str, Frozen], change: Callable[[Frozen], Frozen], clause: str
) -> None:
    assert frozen_faults(marks["B"]) == set()
    assert clause in frozen_faults(change(marks["B"]))


# ---- planted faults: between marks -------------------------------------------------------------------------


def edited(lines: list[str], event: str, change: Callable[[str], str], number: int = 300) -> list[str]:
    places = [at for at, line in enumerate(lines) if f": {event}: " in line]
    place = places[min(number, len(places) - 1)]
    return [*lines[:place], change(lines[place]), *lines[place + 1 :]]


def more(name: str, by: int) -> Callable[[str], str]:
    return lambda line: re.sub(rf"{name}=(\d+)", lambda found: f"{name}={int(found[1]) + by}", line)


def shadow(word: str) -> Callable[[str], str]:
    return lambda line: re.sub(r"shadow=0x\w+", f"shadow=0x{word}", line)


EVENTS = [
    ("refault", shadow("fffff0000001"), "reclaim.seen.gen-shadow"),
    ("refault", shadow("d0000001"), "reclaim.seen.gen-shadow"),
    ("refault", lambda line: "", "reclaim.seen.gen-refaults"),
    ("mm_vmscan_lru_isolate", more("nr_taken", 1), "reclaim.seen.gen-counted"),
    ("mm_vmscan_lru_isolate", more("nr_skipped", 5000), "reclaim.seen.gen-counted"),
    (
        "mm_vmscan_lru_isolate",
        lambda line: line.replace("inactive_anon", "inactive_file"),
        "reclaim.seen.gen-counted",
    ),
    ("mm_vmscan_lru_shrink_inactive", more("nr_reclaimed", 1), "reclaim.seen.gen-counted"),
]


@pytest.mark.parametrize(("event", "change", "clause"), EVENTS)
def test_faults_planted_in_events_are_found(
    lines: list[str], marks: dict[str, Frozen], event: str, change: Callable[[str], str], clause: str
) -> None:
    assert clause in judged(edited(lines, event, change), marks)


def test_a_clean_trace_breaks_nothing(lines: list[str], marks: dict[str, Frozen]) -> None:
    assert judged(lines, marks) == set()
    assert judged(lines, marks, tells=False) == set()


def test_evictions_that_were_not_seen_are_missed(lines: list[str], marks: dict[str, Frozen]) -> None:
    assert "reclaim.seen.gen-shadow" in judged([line for line in lines if ": evict: " not in line], marks)


def test_6_1_counts_recent_refaults_alone(lines: list[str], marks: dict[str, Frozen]) -> None:
    """Read as of 6.1 the counters do not fit: not all of these came back soon enough."""
    assert judged(lines, marks, tells=False, version="6.1.192") == {"reclaim.seen.gen-refaults"}


def test_counters_that_disagree_are_found(lines: list[str], marks: dict[str, Frozen]) -> None:
    for name, change in (("PGSCAN_ANON", 1), ("PGSTEAL_FILE", 1), ("PGSTEAL_KSWAPD", 1)):
        events = {**marks["B"].events, name: marks["B"].events[name] + change}
        wrong = {**marks, "B": marks["B"]._replace(events=events)}
        assert "reclaim.seen.gen-counted" in judged(lines, wrong, tells=False)
    back = marks["B"]._replace(window=Window(0, 0, 0))
    assert "reclaim.seen.gen-window" in judged(lines, {**marks, "B": back})
    low = marks["B"]._replace(workingset=(marks["B"].workingset[0], 0))
    assert "reclaim.seen.gen-refaults" in judged(lines, {**marks, "B": low})


# ---- what is not there -------------------------------------------------------------------------------------


def test_a_text_that_is_none_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(CAPTURE, tmp_path / "c"))
    (copy / "marks/B/sys/kernel/debug/lru_gen").write_text("memcg 0\n node 0\n 1 2 three 4\n")
    with pytest.raises(BadEvidence, match=r"lru_gen: expected lines of four numbers: .*'three'"):
        check(copy, only="reclaim")
    assert tuple(text_lines(" 7 10 3 4x\n")) == ((7, 3, 4),)


def test_lists_that_are_switched_off_are_not_judged(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(CAPTURE, tmp_path / "c"))
    capture = open_capture(copy)
    state = area_state(capture, "B", "generations")
    assert isinstance(state, GenerationsState)
    off = GenerationsState({"0": _changed(state, enabled=False)})
    (copy / area_file("B", "generations")).write_bytes(packed(off))
    assert frozen_at(capture, "B") is None
    fewer = GenerationsState({"0": _changed(state, max_seq=99)})
    (copy / area_file("B", "generations")).write_bytes(packed(fewer))
    assert [finding.where for finding in disagreements(capture, "B")] == ["generations of node 0"]


def _changed(state: GenerationsState, **changed: int) -> NodeGenerations:
    return msgspec.structs.replace(state.nodes["0"], **changed)
