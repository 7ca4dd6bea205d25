"""Theorems about charges and the CPUs' stocks: any pages counted, owned and stocked, in every era."""

from typing import Annotated, Final

from linuxmm.model.memcg.charge import (
    charge_at_once,
    charge_counted_outside,
    charge_in_rounds,
    charge_noted,
    charge_noted_passes,
)
from linuxmm.model.memcg.charged import (
    Ask,
    Charged,
    Stock,
    World,
    consume,
    drain,
    force,
    give_back,
    refill,
)
from linuxmm.model.memcg.counter import NOBODY, Tree
from linuxmm.model.memcg.stuck import kill_again_if_not_costly
from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.charging import all_owned
from linuxmm.spec.memcg.counter import fits, less, stock_kept

Count = Annotated[int, Integer(least=0)]
CONSUMES, REFILLS, DRAINS, FREES, STORES_FOR_ANOTHER = range(5)
PARENT: Final = (NOBODY, 0, 0)


def counters(own: int, other: int, rest: int) -> Tree:
    """Counters of a group, of one beside it, and of the one above, which has pages of its own."""
    none = (0, 0, 0)
    total = own + other + rest
    return Tree(PARENT, (total, own, other), (total, own, other), (total, own, other), none, none)


@theorem(
    "memcg.charge.owned",
    "Whatever a charge takes from a CPU's stock or puts into it, and whatever is drained or freed, a group "
    "counts the pages that it owns and those in stocks, the one above what those below count and its own, "
    "and a stock holds a batch at most.",
    proves=(consume, refill, drain, give_back, all_owned, stock_kept),
    clauses=("memcg.charge.owned", "memcg.stock"),
    features=("F060",),
    method="inductive",
    bounds="two groups within one, one CPU's stock beside others, any pages; what is freed is owned",
    witness={
        "owned": 5,
        "passed": 1,
        "other": 3,
        "rest": 2,
        "held": 4,
        "away": 1,
        "pages": 3,
        "batch": 64,
        "step": 0,
    },
    mutants=(
        Mutant(consume, "takes a page too few", "stock.pages - pages)", "stock.pages - pages + 1)"),
        Mutant(refill, "keeps more than a batch", "if held > batch else", "if held > batch + 1 else"),
        Mutant(drain, "gives nothing back", "if stock.pages:", "if stock.pages > 1:"),
        Mutant(less, "loses a page", "return usage - pages if", "return usage - pages - 1 if"),
    ),
)
def stocks_are_counted(
    owned: Count,
    passed: Count,
    other: Count,
    rest: Count,
    held: Count,
    away: Count,
    pages: Count,
    batch: Count,
    step: Annotated[int, each((CONSUMES, REFILLS, DRAINS, FREES, STORES_FOR_ANOTHER))],
) -> bool:
    """`held` pages are in this CPU's stock, `away` in others'; `passed` of those owned are uncounted."""
    assume((passed <= owned) & stock_kept(held, batch))
    own = owned - passed + held + away
    assume(all_owned(own, owned, held + away, passed))
    state = Charged(counters(own, other, rest), None, (Stock(1, held),))
    stocked = held
    if step == CONSUMES:
        taken = consume(state, 0, 1, pages)
        if taken is not None:
            state, owned, stocked = taken, owned + pages, held - pages
    elif step == REFILLS:
        state = refill(_charged(state, 1, pages), 0, 1, pages, batch)
        stocked = state.stocks[0].pages
    elif step == DRAINS:
        state, stocked = drain(state, 0), 0
    elif step == FREES:
        assume(pages <= owned - passed)
        state, owned = give_back(state, 1, pages), owned - pages
    else:
        state = refill(_charged(state, 2, pages), 0, 2, pages, batch)
        other, stocked = other + state.stocks[0].pages, 0
    usage = state.memory.usage
    mine = all_owned(usage[1], owned, stocked + away, passed)
    above = (usage[0] == usage[1] + usage[2] + rest) & (usage[2] == other)
    return mine & above & stock_kept(state.stocks[0].pages, batch)


def _charged(state: Charged, group: int, pages: int) -> Charged:
    """Pages of a batch that were counted and are not needed."""
    total, own, other = state.memory.usage
    extra = (own + pages, other) if group == 1 else (own, other + pages)
    usage = (total + pages, *extra)
    limit = (total + pages, own + pages, other + pages)
    return Charged(Tree(PARENT, limit, usage, usage, (0, 0, 0), (0, 0, 0)), None, state.stocks)


ERAS: Final = (
    "2.6.28",
    "2.6.32",
    "2.6.35",
    "3.4",
    "3.10",
    "3.12",
    "3.16",
    "3.17",
    "3.18",
    "4.3",
    "4.4",
    "5.10",
    "5.17",
    "6.12",
)
"""One kernel of each kind of loop, and of each way to pass a limit."""


@theorem(
    "memcg.charge.limit",
    "In every era a charge that is granted leaves a group within its limit, or is one that may pass it: of a "
    "dying task, one that may not fail, or (4.19 to 5.15) one for which nobody can be killed; one that "
    "fails, or passes uncounted, leaves the counters no higher than they were.",
    proves=(charge_in_rounds, charge_counted_outside, charge_noted_passes, charge_noted, charge_at_once),
    clauses=("memcg.counter.limit",),
    features=("F060",),
    bounds="a kernel of each era, one group, a page, any usage and limit, reclaim that brings something once",
    witness={
        "usage": 4,
        "limit": 4,
        "freed": 1,
        "era": 13,
        "blocking": True,
        "killed": False,
        "nofail": False,
    },
    mutants=(
        Mutant(
            force,
            "forces a page more",
            "force_charge(state.memory, group, pages)",
            "force_charge(state.memory, group, pages + 1)",
        ),
        Mutant(fits, "one page too many", "usage + pages <= limit", "usage + pages <= limit + 1"),
        Mutant(
            charge_at_once,
            "takes a batch for a page",
            "            batch = pages\n            continue\n        if _exempt",
            "            return Step(force(state, group, batch), True)\n        if _exempt",
        ),
    ),
)
def limits_hold(
    usage: Count,
    limit: Count,
    freed: Count,
    era: Annotated[int, each(range(len(ERAS)))],
    blocking: Annotated[bool, each((False, True))],
    killed: Annotated[bool, each((False, True))],
    nofail: Annotated[bool, each((False, True))],
) -> bool:
    assume((usage <= limit) & (freed <= usage))
    left = [freed]

    def reclaim(state: Charged, group: int, pages: int, may_swap: bool) -> tuple[Charged, int]:
        now, left[0] = left[0], 0
        return give_back(state, 0, now), now

    now = kernel(ERAS[era])
    tree = Tree((NOBODY,), (limit,), (usage,), (usage,), (0,), (0,))
    ask = Ask(blocking=blocking, killed=killed, nofail=nofail, killer=False)
    state, world = Charged(tree, None, (Stock(),)), World(reclaim, lambda s, g: (s, False))
    if era < 3:
        done = charge_in_rounds(now, state, 0, 0, 1, ask, world)
    elif era < 5:
        done = charge_counted_outside(now, state, 0, 0, 1, ask, world)
    elif era < 6:
        done = charge_noted_passes(now, state, 0, 0, 1, ask, world)
    elif era < 7:
        done = charge_noted(now, state, 0, 0, 1, ask, world)
    else:
        done = charge_at_once(now, state, 0, 0, 1, ask, world)
    after = drain(done.state, 0).memory.usage[0]
    if done.result is True:
        nobody_to_kill = now.behaviour("memcg.stuck").name == kill_again_if_not_costly.__name__
        may_pass = nofail or killed or (nobody_to_kill and blocking)
        passes = bool(now.behaviour("memcg.pass").function()) and may_pass
        return (after <= limit) | (passes & (after <= limit + 1))
    return after <= usage
