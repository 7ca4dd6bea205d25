"""Theorems about putting compaction off, and about when the daemon starts and stops by itself."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.defrag.defer import (
    consider,
    defer,
    defer_reset,
    deferral_bounded,
    marks_ordered,
    next_check_ms,
    score_marks,
    starts_by_itself,
    weighted_score,
)

Shift = Annotated[int, each(range(7))]
Count = Annotated[int, Integer(0, 1 << 20)]


@theorem(
    "defrag.deferral.bounded-step",
    "Whatever happens to a zone, at most 63 requests are put off in a row: the count stays within its limit, "
    "the limit within 64, and a request is put off only below the limit.",
    proves=(consider, defer, defer_reset, deferral_bounded),
    clauses=("defrag.deferral.bounded",),
    features=("F039",),
    method="inductive",
    bounds="every shift, any count and orders",
    witness={"considered": 1, "shift": 2, "failed": 3, "order": 9, "allocated": False},
    mutants=(
        Mutant(defer, "doubles without end", "min(shift + 1, MAX_DEFER_SHIFT)", "shift + 1"),
        Mutant(consider, "counts on", "return False, limit", "return False, considered + limit"),
        Mutant(consider, "puts off at the limit too", ">= limit", "> limit"),
        Mutant(defer, "keeps the count", "return 0,", "return considered + 64,"),
    ),
)
def bounded_step(
    considered: Count, shift: Shift, failed: Count, order: Count, allocated: Annotated[bool, Truth()]
) -> bool:
    assume(deferral_bounded(considered, shift))
    off, count = consider(considered, shift)
    after, doubled, least = defer(considered, shift, failed, order)
    kept, same, above = defer_reset(considered, shift, failed, order, allocated)
    stays = deferral_bounded(count, shift) & deferral_bounded(after, doubled) & deferral_bounded(kept, same)
    return stays & implies(off, count < 1 << shift) & (least <= order) & (above > order)


@theorem(
    "defrag.proactive.marks",
    "The daemon's two marks are percentages in order, and a node at which it starts is above both.",
    proves=(score_marks, starts_by_itself, marks_ordered),
    clauses=("defrag.proactive.marks-ordered",),
    features=("F039",),
    bounds="every proactiveness and score",
    witness={"proactiveness": 20, "score": 95, "runs": False},
    mutants=(
        Mutant(
            score_marks, "has a low mark of nothing", "max(100 - proactiveness, 5)", "100 - proactiveness"
        ),
        Mutant(score_marks, "passes a hundred", "min(low + 10, 100)", "low + 10"),
        Mutant(starts_by_itself, "starts at the low mark", "[1]", "[0]"),
    ),
)
def marks(
    proactiveness: Annotated[int, Integer(0, 101)], score: Annotated[int, Integer(0, 101)],
    runs: Annotated[bool, Truth()],
) -> bool:  # fmt: skip
    low, high = score_marks(proactiveness)
    starts = starts_by_itself(score, proactiveness, runs)
    return marks_ordered(low, high) & implies(starts, (score > high) & (proactiveness > 0))


@theorem(
    "defrag.proactive.score",
    "A zone adds at most its own percentage to its node's score, and the daemon sleeps for 500 ms or more.",
    proves=(weighted_score, next_check_ms),
    features=("F039",),
    bounds="zones of up to 2**40 pages in a node of as many",
    witness={"present": 100, "node": 400, "extfrag": 50},
    mutants=(
        Mutant(weighted_score, "is not divided", "// (node_present + 1)", ""),
        Mutant(next_check_ms, "does not wait", "CHECK_INTERVAL_MS << MAX_DEFER_SHIFT", "0"),
    ),
)
def score(
    present: Annotated[int, Integer(0, 1 << 40)], node: Annotated[int, Integer(0, 1 << 40)],
    extfrag: Annotated[int, each((0, 1, 50, 99, 100))],
) -> bool:  # fmt: skip
    assume(present <= node)
    share = weighted_score(present, extfrag, node)
    return (share >= 0) & (share <= extfrag) & (next_check_ms(share, extfrag) >= 500)
