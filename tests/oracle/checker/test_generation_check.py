"""`check` judges lists by generation: frozen lists, counters, events and shadows of two kernels."""

import gzip
import shutil
from pathlib import Path

import msgspec
import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.generations import Frozen, GenerationCheck, judge_frozen, text_lines
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.agreement import disagreements
from linuxmm.oracle.formats.areas import GenerationsState, NodeGenerations, area_file, area_state, packed
from linuxmm.oracle.generation_evidence import frozen_at, generation_marks
from linuxmm.oracle.reclaim_evidence import shadow_layout
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
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


# ---- planted faults: each by itself in test_area_faults.py -------------------------------------------------


def test_kinds_of_an_older_window_are_found(marks: dict[str, Frozen]) -> None:
    """What no capture can be made to say: more pages of files are open than of anonymous memory."""
    frozen = marks["B"]
    assert frozen_faults(frozen) == set()
    older = frozen._replace(window=frozen.window._replace(min_file=frozen.window.min_anon - 1))
    assert "reclaim.seen.gen-window" in frozen_faults(older)


def test_a_clean_trace_breaks_nothing(lines: list[str], marks: dict[str, Frozen]) -> None:
    assert judged(lines, marks) == set()
    assert judged(lines, marks, tells=False) == set()


def test_evictions_that_were_not_seen_are_missed(lines: list[str], marks: dict[str, Frozen]) -> None:
    assert "reclaim.seen.gen-shadow" in judged([line for line in lines if ": evict: " not in line], marks)


def test_6_1_counts_recent_refaults_alone(lines: list[str], marks: dict[str, Frozen]) -> None:
    """Read as of 6.1 the counters do not fit: not all of these came back soon enough."""
    assert judged(lines, marks, tells=False, version="6.1.192") == {"reclaim.seen.gen-refaults"}


def test_a_count_of_recent_refaults_that_is_too_low_is_found(
    lines: list[str], marks: dict[str, Frozen]
) -> None:
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
