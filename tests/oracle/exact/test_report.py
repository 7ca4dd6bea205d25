"""What a failed prediction means depends on whether the evidence is whole."""

from linuxmm.oracle.check import ExactResult, Report
from linuxmm.spec.verdict import Judgement, Verdict

FAILED = ExactResult("buddy A..B", 10, 9, 20, {}, 1, False, ("line 7: mm_page_alloc",))
EQUAL = ExactResult("buddy A..B", 10, 10, 20, {}, 0, True, ())


def report(exact: ExactResult, *gaps: str) -> Report:
    judgement = Judgement(events=30)
    for gap in gaps:
        judgement.gap(gap)
    return Report("capture", "6.1.192", ("alloc",), judgement, [exact])


def test_a_failed_prediction_from_whole_evidence_diverges() -> None:
    assert report(FAILED).verdict is Verdict.DIVERGES
    assert report(EQUAL).verdict is Verdict.CONFORMS


def test_a_failed_prediction_from_evidence_with_gaps_is_incomplete() -> None:
    assert report(FAILED, "trace buddy: probe commit missed 8 hits").verdict is Verdict.INCOMPLETE
    assert report(EQUAL, "trace buddy: probe commit missed 8 hits").verdict is Verdict.INCOMPLETE
