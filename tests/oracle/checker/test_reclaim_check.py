"""`check` judges reclaim: counts of passes, shares of shrinkers, and the clock that shadows tell."""

import gzip
import shutil
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.reclaim import Counters, ReclaimCheck
from linuxmm.oracle.faults_areas import change_of
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.reclaim_evidence import counters_of, has_reclaim, shadow_layout
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement, Verdict

LRU = Path(__file__).parents[2] / "real" / "areas" / "reclaim-lru-6.1"
TRACE = LRU / "trace" / "lru.txt.gz"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return gzip.decompress(TRACE.read_bytes()).decode().splitlines()


def judged(
    lines: list[str], version: str = "6.1.192", alone: bool = True, generations: bool = False
) -> Judgement:
    capture, judgement, profile = open_capture(LRU), Judgement(), kernel(version)
    states = {mark: counters_of(capture.state(mark)) for mark in capture.marks}
    layout = shadow_layout(profile)
    ReclaimCheck(judgement, profile, states, layout, True, alone, generations).run(lines)
    return judgement


def broken(judgement: Judgement) -> set[str]:
    return {id for id, tally in judgement.clauses.items() if tally.broken}


# ---- the recording -----------------------------------------------------------------------------------------


def test_a_recording_conforms_to_the_last_step_of_the_clock() -> None:
    report = check(LRU, only="reclaim")
    assert (report.verdict, report.judgement.gaps) == (Verdict.CONFORMS, {})
    assert {id: tally.checked for id, tally in report.judgement.clauses.items()} == {
        "reclaim.seen.clock": 3,
        "reclaim.seen.counted": 9,
        "reclaim.seen.isolated": 1877,
        "reclaim.seen.kswapd-order": 130,
        "reclaim.seen.list-end": 4460,
        "reclaim.seen.list-order": 4,
        "reclaim.seen.outcomes": 3617,
        "reclaim.seen.paired": 1935,
        "reclaim.seen.shadow": 602,
        "reclaim.seen.shrinker-deferred": 3264,
        "reclaim.seen.shrinker-share": 3264,
    }


def test_by_default_it_is_judged_beside_the_page_allocator() -> None:
    assert "reclaim" in check(LRU).areas


def test_other_eras_read_the_same_words_otherwise(lines: list[str]) -> None:
    """Of 5.4: what is put back as active did not move the clock."""
    assert broken(judged(lines, "5.4")) == {"reclaim.seen.clock", "reclaim.seen.shrinker-share"}
    assert "reclaim.seen.shrinker-share" in broken(judged(lines, "4.4"))


# ---- planted faults: each by itself in test_area_faults.py -------------------------------------------------


def planted(lines: list[str], name: str) -> list[str]:
    return change_of("reclaim", name)("\n".join(lines).encode()).decode().splitlines()


def test_what_another_cpu_defers_meanwhile_is_not_held_against_a_shrinker(lines: list[str]) -> None:
    raised = planted(lines, "deferred-too-much")
    assert broken(judged(raised)) == {"reclaim.seen.shrinker-deferred"}
    assert broken(judged(raised, alone=False)) == set()


def test_lists_by_generations_are_judged_by_counts_alone(lines: list[str]) -> None:
    assert broken(judged(planted(lines, "scanned-uncounted"), generations=True)) == set()
    wrong = planted(lines, "taken-unseen")
    assert broken(judged(wrong, generations=True)) == {"reclaim.seen.isolated"}


# ---- what is not there -------------------------------------------------------------------------------------


def test_a_trace_that_is_gone_is_a_gap(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(LRU, tmp_path / "c"))
    (copy / "trace/lru.txt.gz").unlink()
    report = check(copy, only="reclaim")
    assert report.verdict is Verdict.INCOMPLETE
    assert "trace lru: its file is not in the capture" in report.judgement.gaps
    (copy / "trace/lru.events").unlink()
    assert not has_reclaim(open_capture(copy))


def test_a_word_that_is_no_number_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(LRU, tmp_path / "c"))
    (copy / "marks/A/sys/kernel/mm/lru_gen/enabled").write_text("yes\n")
    with pytest.raises(BadEvidence, match="expected a hexadecimal number: 'yes'"):
        check(copy, only="reclaim")


def test_without_a_clock_in_the_states_none_is_judged(lines: list[str]) -> None:
    judgement = Judgement()
    states = {"A": Counters({"PGREFILL": 0}), "A1": Counters({"PGREFILL": 618})}
    ReclaimCheck(judgement, kernel("6.1"), states, shadow_layout(kernel("6.1")), clocked=True).run(lines)
    assert "reclaim.seen.clock" not in judgement.clauses
    assert "reclaim.seen.shadow" not in judgement.clauses
    assert shadow_layout(kernel("3.10")) is None
