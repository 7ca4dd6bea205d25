"""Compaction of recorded kernels keeps the clauses, and every planted fault is found."""

import gzip
import re
from functools import lru_cache
from pathlib import Path

import pytest

from linuxmm.oracle.checker.defrag import SeenMarks, judge_compaction, judge_marks
from linuxmm.oracle.defrag_evidence import has_defrag, judge_defrag, marks_of
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.capture import read_state
from linuxmm.spec.defrag import outcome
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Judgement

REAL = Path(__file__).parents[2] / "real"
CAPTURES = {"alloc-compaction-6.1": 2, "alloc-compaction-6.12": 3}


@lru_cache
def lines_of(capture: str) -> tuple[str, ...]:
    with gzip.open(REAL / capture / "trace/alloc.txt.gz", "rt") as file:
        return tuple(line for line in file if re.search(": mm_(compaction|migrate|page_free)", line))


@pytest.mark.parametrize("capture", CAPTURES)
def test_recorded_compactions_conform(capture: str) -> None:
    judgement = Judgement()
    assert judge_compaction(judgement, lines_of(capture)) == CAPTURES[capture]
    assert judgement.divergences == []
    assert judgement.clauses["defrag.source-freed"].checked > 800
    assert judgement.clauses["defrag.scanners.one-way"].checked >= 28
    assert judgement.clauses["defrag.migration.accounted"].checked >= 14


DEFER = "k-28 [000] ..... 5.0: mm_compaction_{}: node=0 zone=DMA32 order=9 consider={} limit={}\n"


@pytest.mark.parametrize(
    ("steps", "broken"),
    [
        ((("defer_compaction", 0, 2), ("deferred", 1, 2), ("defer_compaction", 0, 4)), 0),
        ((("defer_compaction", 0, 64), ("defer_compaction", 0, 64)), 0),
        ((("defer_compaction", 0, 2), ("defer_compaction", 0, 8)), 1),
        ((("defer_compaction", 0, 128),), 1),
        ((("deferred", 2, 2),), 1),
        ((("deferred", 1, 2), ("defer_reset", 0, 1), ("deferred", 3, 4)), 0),
    ],
)
def test_deferral_doubles_and_ends(steps: tuple[tuple[str, int, int], ...], broken: int) -> None:
    judgement = Judgement()
    judge_compaction(judgement, [DEFER.format(*step) for step in steps])
    assert judgement.clauses["defrag.deferral.bounded"].broken == broken


def test_an_event_without_its_fields_is_bad_evidence() -> None:
    line = "a-1 [000] ..... 5.0: mm_compaction_begin: zone_start=0x1\n"
    with pytest.raises(BadEvidence, match=r"trace:1.*zone_end"):
        judge_compaction(Judgement(), [line])
    with pytest.raises(BadEvidence, match="range="):
        judge_compaction(
            Judgement(), ["a-1 [0] 5.0: mm_compaction_isolate_freepages: nr_scanned=1 nr_taken=1"]
        )


@pytest.mark.parametrize("capture", CAPTURES)
def test_recorded_zones_remember_possible_positions(capture: str) -> None:
    judgement = Judgement()
    for mark in "ABCD":
        state = read_state(REAL / capture / "marks" / mark / "state.json.gz")
        judge_marks(judgement, tuple(marks_of(state)))
    assert judgement.divergences == []
    judge_marks(judgement, [("DMA", SeenMarks(1, 4096, (1, 1), 9000, 65, 6))])
    assert {found.clause for found in judgement.divergences} == {
        "defrag.deferral.bounded",
        "defrag.scanners.in-zone",
    }


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_whole_capture_conforms(capture: str) -> None:
    opened = open_capture(REAL / capture)
    assert has_defrag(opened)
    judgement = Judgement()
    judge_defrag(judgement, opened, "6.1.192")
    assert (judgement.divergences, judgement.gaps) == ([], {})
    assert judgement.clauses["defrag.scanners.one-way"].checked >= 28
    assert not has_defrag(open_capture(REAL / "alloc-churn-6.1"))


def test_clauses_on_outcomes_accept_and_reject() -> None:
    assert outcome.contents_kept([1, 2], [2, 1])
    assert not outcome.contents_kept([1, 2], [1, 1])
    assert outcome.free_conserved(9, 8, 1)
    assert not outcome.free_conserved(9, 8, 0)
    assert outcome.unmovable_stays([1], [1, 2])
    assert not outcome.unmovable_stays([3], [1, 2])
    assert outcome.one_way(511, 512, 9)
    assert not outcome.one_way(512, 513, 9)
    assert outcome.accounted(3, 2, 1)
    assert not outcome.accounted(3, 3, 1)
    assert outcome.source_freed(4, [(4, 5)])
    assert not outcome.source_freed(5, [(4, 5)])
    assert outcome.ends_as("complete", False)
    assert not outcome.ends_as("partial", True)
