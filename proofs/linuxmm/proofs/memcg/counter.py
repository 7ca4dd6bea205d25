"""Theorems about charges: in any tree, at any depth, between any two steps of any number of charges.

One charge moves; what all others owe to the counter that is looked at, doubt about it and hold of it are
numbers that the step leaves alone.
"""

from typing import Annotated, Final

from linuxmm.model.memcg.counter import CLIMBS, DOUBTS, HOLDS, LEAVES, UNDOES, Charge, advance, delta, holds
from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.memcg.counter import adds_first, checks_first, limit_kept, sum_kept

Count = Annotated[int, Integer(least=0)]
PHASES: Final = (CLIMBS, DOUBTS, UNDOES, HOLDS, LEAVES)


def sensible(charge: Charge) -> bool:
    """What holds of every charge that has not ended."""
    if charge.phase == HOLDS:
        return charge.at >= 0
    if charge.phase == UNDOES:
        return (charge.at >= 0) & (charge.at < charge.failed) & (charge.failed < charge.depth)
    if charge.phase == DOUBTS:
        return (charge.at >= 0) & (charge.at < charge.depth) & (charge.failed == charge.at)
    return (charge.at >= 0) & (charge.at < charge.depth)


def part(charge: Charge, level: int) -> int:
    """Pages that the counter at a level counts of a charge."""
    return charge.pages if holds(charge, level) else 0


@theorem(
    "memcg.counter.sum",
    "Whatever step a charge or uncharge makes, each counter on its way and what is due to it stay equal to "
    "the group's own pages and the counters of its children; a charge that goes on stays sensible.",
    proves=(advance, delta, holds, sum_kept),
    clauses=("memcg.counter.sum",),
    features=("F060",),
    method="inductive",
    bounds="any tree, any depth, any number of charges and pages",
    witness={
        "pages": 3,
        "depth": 3,
        "phase": CLIMBS,
        "at": 1,
        "failed": -1,
        "usage": 5,
        "limit": 9,
        "first": False,
        "forced": False,
        "level": 1,
        "others": 0,
        "own": 2,
        "children": 6,
    },
    mutants=(
        Mutant(advance, "moves up twice", "phase=phase, at=charge.at + 1", "phase=phase, at=charge.at + 2"),
        Mutant(delta, "leaves what is doubtful", "(DOUBTS, UNDOES, LEAVES)", "(UNDOES, LEAVES)"),
        Mutant(advance, "undoes one too few", "charge.at + 1 == last", "charge.at + 2 == last"),
    ),
)
def keeps_sum(
    pages: Count,
    depth: Count,
    phase: Annotated[int, each(PHASES)],
    at: Count,
    failed: Annotated[int, Integer(least=-1)],
    usage: Count,
    limit: Count,
    first: Annotated[bool, each((False, True))],
    forced: Annotated[bool, each((False, True))],
    level: Count,
    others: Annotated[int, Integer()],
    own: Count,
    children: Count,
) -> bool:
    charge = Charge(0, pages, depth, phase, at, failed, forced)
    assume(join(sensible, charge) & (level < depth))
    mine = part(charge, level)
    below = own if level == 0 else part(charge, level - 1)
    owed = others + (0 if level == 0 else below - mine)
    assume(sum_kept(usage, owed, own, children))
    added, stays = True, True
    if phase == CLIMBS and not forced:
        added, stays = (checks_first if first else adds_first)(usage, pages, limit)
    change = delta(charge) if added and phase != HOLDS else 0
    after = advance(charge, added, stays)
    moved = change if level == at and phase != HOLDS else 0
    if level == 0:
        return sum_kept(usage + moved, others, own + part(after, 0) - mine, children)
    owed_after = others + part(after, level - 1) - part(after, level)
    children_after = children + part(after, level - 1) - below
    return sum_kept(usage + moved, owed_after, own, children_after)


@theorem(
    "memcg.counter.limit",
    "A counter exceeds its limit at most by what charges have added, found too much and not taken back, and "
    "by what was forced on it; a counter that is tested before it is charged has nothing doubtful.",
    proves=(adds_first, checks_first, advance, limit_kept),
    clauses=("memcg.counter.limit",),
    features=("F060",),
    method="inductive",
    bounds="any limit, any number of charges and pages; a limit that stays",
    witness={
        "pages": 3,
        "usage": 8,
        "limit": 9,
        "doubtful": 1,
        "over": 0,
        "phase": CLIMBS,
        "first": False,
        "forced": False,
    },
    mutants=(
        Mutant(
            adds_first, "one page too many fits", "fits(usage, pages, limit)", "fits(usage, pages, limit + 1)"
        ),
        Mutant(checks_first, "tests nothing", "fits(usage, pages, limit)", "True"),
        Mutant(advance, "keeps what does not fit", "if stays:", "if added:"),
    ),
)
def keeps_limit(
    pages: Count,
    usage: Count,
    limit: Count,
    doubtful: Count,
    over: Count,
    phase: Annotated[int, each((CLIMBS, DOUBTS, UNDOES, LEAVES))],
    first: Annotated[bool, each((False, True))],
    forced: Annotated[bool, each((False, True))],
) -> bool:
    assume(limit_kept(usage, doubtful, over, limit))
    charge = Charge(0, pages, 2, phase, 0, 1 if phase == UNDOES else 0, forced)
    assume(implies(phase != CLIMBS, usage >= pages) & implies(phase == DOUBTS, doubtful >= pages))
    if first:
        assume(doubtful == 0)
        assume(no(phase == DOUBTS))
    added, stays = True, True
    if phase == CLIMBS and not forced:
        added, stays = (checks_first if first else adds_first)(usage, pages, limit)
    after = advance(charge, added, stays)
    doubts = doubtful + (pages if after.phase == DOUBTS else 0) - (pages if phase == DOUBTS else 0)
    forces = over + (pages if forced and phase == CLIMBS else 0)
    kept = limit_kept(usage + (delta(charge) if added else 0), doubts, forces, limit)
    return kept & implies(first, doubts == 0)
