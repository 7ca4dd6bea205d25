"""Theorems about the numbers of the per-CPU lists: batches, limits, and how much is given back."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, SignedWord, Truth, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.alloc.pcp import (
    PcpVars,
    alloc_halves_free_count,
    alloc_halves_free_factor,
    batch_size,
    commit_adaptive,
    commit_batch,
    commit_doubling,
    commit_emptying,
    commit_free_high,
    commit_free_high_capped,
    decayed_high,
    drain_all_step,
    high_from_fraction,
    high_shared_by_cpus,
    high_six_batches,
    index_two_huge_lists,
    order_of_index,
    refill_adaptive,
    refill_batch,
    refill_scaled,
)
from linuxmm.spec.arith import rounddown_pow_of_two

Pages = Annotated[int, Integer(least=0)]
Number = Annotated[int, SignedWord(40)]
Amount = Annotated[int, Integer()]
Flag = Annotated[bool, Truth()]

SIZES = "any sizes up to 2**31 pages, factors up to 6"


def bounded_vars(
    pages: int, batch: int, high: int, least: int, most: int, factor: int, frees: int, scale: int, flags: int
) -> PcpVars:
    """Numbers as a running kernel has them: a batch of at least 1, and limits in order."""
    for value in (pages, high, least, most, frees):
        assume((value >= 0) & (value < 1 << 31))
    assume((batch >= 1) & (batch <= 1 << 16) & (factor >= 0) & (factor <= scale) & (scale <= 6))
    assume((least <= most) & (flags >= 0) & (flags < 4))
    return PcpVars(pages, batch, high, least, most, factor, frees, flags, scale)


@theorem(
    "alloc.pcp.batch-size",
    "The batch is one less than a power of two and at most three eighths of the bytes that it may cover.",
    proves=(batch_size, rounddown_pow_of_two),
    features=("F020",),
    bounds="any memory size; limits of 512 KiB and 1 MiB",
    witness={"managed": 1 << 20, "limit": 1 << 20},
    mutants=(
        Mutant(batch_size, "does not subtract one", "batch // 2) - 1", "batch // 2)"),
        Mutant(
            batch_size,
            "has no limit",
            "min(managed >> 10, limit_bytes // PAGE_SIZE)",
            "max(managed >> 10, limit_bytes)",
        ),
    ),
)
def batch_bounds(managed: Pages, limit: Annotated[int, each((512 * 1024, 1024 * 1024))]) -> bool:
    batch = batch_size(managed, limit)
    return (batch >= 0) & (8 * batch <= 3 * (limit // 4096)) & (batch & (batch + 1) == 0)


@theorem(
    "alloc.pcp.high-sizes",
    "A limit shared by CPUs is at least four batches; one from a fraction gives batches of 1 to 96 pages.",
    proves=(high_shared_by_cpus, high_from_fraction, high_six_batches),
    features=("F020", "F027"),
    bounds="any memory size; 1, 2, 3, 4, 8 and 64 CPUs, fractions 8 to 71",
    witness={"total": 10000, "divisor": 4, "batch": 63},
    mutants=(
        Mutant(high_shared_by_cpus, "forgets the four batches", "batch << 2", "batch"),
        Mutant(high_from_fraction, "has no largest batch", "min(max(1, high // 4), 96)", "max(1, high // 4)"),
        Mutant(high_six_batches, "takes three", "6 * batch", "3 * batch"),
    ),
)
def high_sizes(total: Pages, divisor: Annotated[int, each((1, 2, 3, 4, 8, 64))], batch: Pages) -> bool:
    high, size = high_from_fraction(total, divisor + 7)
    return (
        (high_shared_by_cpus(total, divisor, batch) >= 4 * batch)
        & (high <= total)
        & (size >= 1)
        & (size <= 96)
        & (high_six_batches(batch) >= high_shared_by_cpus(0, divisor, batch))
    )


@theorem(
    "alloc.pcp.index-inverse",
    "Each order and migratetype has its own list below the number of lists, and the list tells the order.",
    proves=(index_two_huge_lists, order_of_index),
    features=("F020", "F021"),
    bounds="orders 0 to 3 and a pageblock, three migratetypes",
    witness={"one": (9, 1), "other": (0, 2)},
    mutants=(
        Mutant(index_two_huge_lists, "overlaps the orders", "3 * order", "2 * order"),
        Mutant(order_of_index, "divides by four", "index // 3", "index // 4"),
    ),
)
def index_inverse(
    one: Annotated[tuple[int, int], each((order, kind) for order in (0, 1, 2, 3, 9) for kind in range(3))],
    other: Annotated[tuple[int, int], each((order, kind) for order in (0, 1, 2, 3, 9) for kind in range(3))],
) -> bool:
    index, second = index_two_huge_lists(*one), index_two_huge_lists(*other)
    same = one == other or (one[0] == other[0] == 9 and (one[1] == 1) == (other[1] == 1))
    return 0 <= index < 14 and order_of_index(index, 9) == one[0] and (index == second) == same


@theorem(
    "alloc.pcp.commit-within",
    "A free gives back no more than there is, and nothing while the limit is not reached, in every "
    "generation up to 6.6.",
    proves=(commit_batch, commit_doubling, commit_free_high, commit_free_high_capped),
    features=("F020", "F027"),
    bounds=SIZES,
    witness={
        "pages": 100,
        "batch": 10,
        "high": 60,
        "factor": 1,
        "scale": 5,
        "order": 0,
        "active": False,
        "below": False,
        "generation": 1,
    },
    mutants=(
        Mutant(commit_batch, "gives back twice the batch", "v.batch if", "2 * v.batch if"),
        Mutant(commit_doubling, "forgets the limit", "if v.pages < high:", "if False:"),
        Mutant(commit_doubling, "has no largest amount", "clamp(batch, v.batch, high - v.batch)", "batch"),
        Mutant(commit_emptying, "gives back one too many", "return v, v.pages", "return v, v.pages + 1"),
    ),
)
def commit_within(
    pages: Number,
    batch: Number,
    high: Number,
    factor: Number,
    scale: Number,
    order: Annotated[int, each((0, 3, 9))],
    active: Flag,
    below: Flag,
    generation: Annotated[int, each(range(4))],
) -> bool:
    v = bounded_vars(pages, batch, high, high, high, factor, 0, scale, 0)
    assume(pages >= 1)
    if generation == 0:
        assume(high >= batch)
        back = commit_batch(v, order, active, below)[1]
    elif generation == 1:
        back = commit_doubling(v, order, active, below)[1]
    elif generation == 2:
        back = commit_free_high(v, order, active, below)[1]
    else:
        back = commit_free_high_capped(v, order, active, below)[1]
    early = (pages < min(4 * batch, high)) & ((generation < 2) | (factor == 0) | (order != 3))
    return (back >= 0) & (back <= pages) & implies(early, back == 0)


@theorem(
    "alloc.pcp.order-0-limit",
    "With a fixed batch the lists stay below the limit: after a free and its giving back there are fewer "
    "pages than high.",
    proves=(commit_batch,),
    features=("F020",),
    method="inductive",
    bounds="any sizes with 1 <= batch <= high",
    witness={"pages": 59, "batch": 10, "high": 60},
    mutants=(
        Mutant(commit_batch, "waits until the limit is passed", "v.pages >= v.high", "v.pages > v.high"),
        Mutant(commit_batch, "gives nothing back", "v, v.batch if", "v, 0 if"),
    ),
)
def order_0_limit(pages: Pages, batch: Pages, high: Pages) -> bool:
    assume((batch >= 1) & (batch <= high) & (pages < high))
    v = PcpVars(pages + 1, batch, high, high, high, 0, 0, 0, 5)
    return pages + 1 - commit_batch(v, 0, False, False)[1] < high


@theorem(
    "alloc.pcp.adaptive-within",
    "Since 6.7 a free gives back no more than there is, and the limit stays between its least and its most.",
    proves=(commit_adaptive,),
    features=("F020", "F027"),
    bounds="any sizes up to 2**31 pages, CONFIG_PCP_BATCH_SCALE_MAX 0 and 5, orders 0 and 3",
    witness={
        "pages": 100,
        "batch": 10,
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
        Mutant(
            commit_adaptive,
            "has no largest amount",
            "clamp(v.free_count, v.batch, high - v.batch)",
            "v.free_count + v.pages + 1",
        ),
        Mutant(
            commit_adaptive,
            "gives back one too many",
            "return v, min(v.pages, v.batch << v.scale_max)",
            "return v, v.pages + 1",
        ),
    ),
)
def adaptive_within(
    pages: Amount,
    batch: Amount,
    high: Amount,
    least: Amount,
    most: Amount,
    factor: Amount,
    frees: Amount,
    flags: Amount,
    scale: Annotated[int, each((0, 5))],
    order: Annotated[int, each((0, 3))],
    active: Flag,
    below: Flag,
) -> bool:
    assume(pages >= 1)
    v = bounded_vars(pages, batch, high, least, most, factor, frees, scale, flags)
    after, back = commit_adaptive(v, order, active, below)
    return (back >= 0) & (back <= pages) & (least <= after.high) & (after.high <= most)


@theorem(
    "alloc.pcp.refill",
    "A refill fetches at least one block, and since 6.7 keeps the limit in its bounds.",
    proves=(refill_batch, refill_scaled, refill_adaptive),
    features=("F020", "F027"),
    bounds=SIZES,
    witness={
        "pages": 0,
        "batch": 10,
        "high": 60,
        "least": 20,
        "most": 80,
        "factor": 1,
        "frees": 5,
        "scale": 5,
        "order": 0,
        "below": False,
        "generation": 2,
    },
    mutants=(
        Mutant(refill_scaled, "may fetch nothing", "max(v.batch >> order, 2)", "v.batch >> order"),
        Mutant(
            refill_adaptive,
            "lets the limit grow without bound",
            "min(high + batch, v.high_max)",
            "high + batch",
        ),
        Mutant(refill_batch, "fetches nothing", "return v, v.batch", "return v, 0"),
    ),
)
def refill(
    pages: Number,
    batch: Number,
    high: Number,
    least: Number,
    most: Number,
    factor: Number,
    frees: Number,
    scale: Number,
    order: Annotated[int, each((0, 3, 9))],
    below: Flag,
    generation: Annotated[int, each(range(3))],
) -> bool:
    v = bounded_vars(pages, batch, high, least, most, factor, frees, scale, 0)
    if generation == 0:
        return refill_batch(v, order, below)[1] >= 1
    if generation == 1:
        return refill_scaled(v, order, below)[1] >= 1
    after, blocks = refill_adaptive(v, order, below)
    return (blocks >= 1) & (least <= after.high) & (after.high <= most)


@theorem(
    "alloc.pcp.decay",
    "The decay of an idle CPU never raises its limit above what it was or holds, nor lowers it below the "
    "least; "
    "a round of draining takes something while there is something.",
    proves=(decayed_high, drain_all_step, alloc_halves_free_count, alloc_halves_free_factor),
    features=("F020", "F023"),
    bounds=SIZES,
    witness={"pages": 70, "batch": 10, "high": 60, "least": 20, "most": 80, "frees": 5, "scale": 5},
    mutants=(
        Mutant(decayed_high, "forgets the least", ", v.high_min)", ", 0)"),
        Mutant(drain_all_step, "takes more than there is", "min(v.pages", "max(v.pages"),
        Mutant(alloc_halves_free_count, "doubles", "v.free_count >> 1", "v.free_count << 1"),
    ),
)
def decay(
    pages: Number, batch: Number, high: Number, least: Number, most: Number, frees: Number, scale: Number
) -> bool:
    v = bounded_vars(pages, batch, high, least, most, 0, frees, scale, 0)
    lowered, step = decayed_high(v), drain_all_step(v)
    return (
        (lowered <= max(high, pages))
        & implies(high >= least, lowered >= least)
        & (step <= pages)
        & implies(pages > 0, step > 0)
        & (alloc_halves_free_count(v).free_count <= frees)
        & (alloc_halves_free_factor(v).factor <= v.factor)
    )
