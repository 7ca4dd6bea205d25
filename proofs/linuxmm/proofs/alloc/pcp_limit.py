"""Theorems about how far a CPU's lists may fill: what a free leaves behind after its giving back.

A round of giving back takes at least the pages asked for, since it takes whole blocks; so what is bounded
here is an upper bound of what the lists hold.
"""

from typing import Annotated

from linuxmm.proofs.alloc.pcp import Amount, Flag, Number, bounded_vars
from linuxmm.proofs.domain import each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.alloc.pcp import (
    commit_adaptive,
    commit_doubling,
    commit_emptying,
    commit_free_high_capped,
    with_pages,
)
from linuxmm.spec.arith import clamp

FreedOrder = Annotated[int, each((0, 1, 2, 3, 9))]


@theorem(
    "alloc.pcp.limit-doubling",
    "From 5.14 to 6.6 a free that finds the lists below their limit leaves them below it if the block is no "
    "larger than a batch; in general it leaves them below the limit or takes back a batch at least.",
    proves=(commit_doubling, commit_free_high_capped),
    features=("F020", "F027"),
    method="inductive",
    bounds="any sizes up to 2**31 pages with 4 * batch <= high (as alloc.pcp.high-sizes has it), factors up "
    "to 6, orders 0 to 3 and 9",
    witness={
        "pages": 59,
        "batch": 10,
        "high": 60,
        "factor": 1,
        "scale": 5,
        "order": 0,
        "active": False,
        "capped": True,
    },
    mutants=(
        Mutant(commit_doubling, "waits until the limit is passed", "v.pages < high", "v.pages <= high"),
        Mutant(commit_doubling, "gives back one page", "clamp(batch, v.batch, high - v.batch)", "1"),
        Mutant(commit_emptying, "gives nothing back", "return _drain_doubling(v, high, most)", "return v, 0"),
        Mutant(commit_emptying, "keeps high orders freed in a row", "return v, v.pages", "return v, 0"),
    ),
)
def limit_doubling(
    pages: Number,
    batch: Number,
    high: Number,
    factor: Number,
    scale: Number,
    order: FreedOrder,
    active: Flag,
    capped: Annotated[bool, each((False, True))],
) -> bool:
    v = bounded_vars(pages, batch, high, high, high, factor, 0, scale, 0)
    assume(4 * batch <= high)
    size = 1 << order
    commit = commit_free_high_capped if capped else commit_doubling
    left = pages + size - commit(with_pages(v, pages + size), order, active, False)[1]
    return ((left < high) | (left <= pages + size - batch)) & implies(
        (pages < high) & (size <= batch), left < high
    )


@theorem(
    "alloc.pcp.limit-adaptive",
    "Since 6.7 a free that finds the lists below their limit leaves them below what the limit was if the "
    "block is no larger than a batch, and below high_max if they were below it; in general it leaves them "
    "below the limit or takes back a batch at least.  The limit itself may fall with the free, by no more "
    "than the pages freed in a row or the largest batch.",
    proves=(commit_adaptive,),
    features=("F020", "F027"),
    method="inductive",
    bounds="any sizes up to 2**31 pages with 4 * batch <= high_min, CONFIG_PCP_BATCH_SCALE_MAX 0 and 5, "
    "orders 0 to 3 and 9",
    witness={
        "pages": 59,
        "batch": 5,
        "high": 60,
        "least": 20,
        "most": 80,
        "factor": 1,
        "frees": 5,
        "flags": 0,
        "scale": 5,
        "order": 0,
        "active": False,
        "below": False,
    },
    mutants=(
        Mutant(commit_adaptive, "waits until the limit is passed", "v.pages < high", "v.pages <= high"),
        Mutant(
            commit_adaptive,
            "gives back a page",
            "return v, clamp(v.free_count, v.batch, high - v.batch)",
            "return v, 1",
        ),
        Mutant(
            commit_adaptive,
            "forgets high orders freed in a row",
            "return v, min(v.pages, v.batch << v.scale_max)",
            "return v, 0",
        ),
    ),
)
def limit_adaptive(
    pages: Amount,
    batch: Amount,
    high: Amount,
    least: Amount,
    most: Amount,
    factor: Amount,
    frees: Amount,
    flags: Amount,
    scale: Annotated[int, each((0, 5))],
    order: FreedOrder,
    active: Flag,
    below: Flag,
) -> bool:
    v = bounded_vars(pages, batch, high, least, most, factor, frees, scale, flags)
    assume(4 * batch <= least)
    limit, size = clamp(high, least, most), 1 << order
    after, back = commit_adaptive(with_pages(v, pages + size), order, active, below)
    left = pages + size - back
    small = size <= batch
    fell = limit - after.high
    return (
        ((left < limit) | (left <= pages + size - batch))
        & implies((pages < limit) & small, left < limit)
        & implies((pages < most) & small, left < most)
        & ((fell <= frees + size) | (fell <= batch << scale))
    )
