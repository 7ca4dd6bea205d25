"""Theorems about addresses that come back: none is free before a flush that followed its unmapping."""

from typing import Annotated, Any, Final

from linuxmm.proofs.domain import Integer, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.large.reuse import (
    BUSY,
    DETACHED,
    FREE,
    LAZY,
    READY,
    Place,
    detached,
    flushed,
    freed,
    let_go,
    used,
)
from linuxmm.spec.large.vmalloc import (
    block_counts,
    lazy_max_pages,
    piece_pages,
    reusable,
    vmap_block_pages,
)

State = Annotated[int, each((FREE, BUSY, LAZY, DETACHED, READY))]
Clock = Annotated[int, Integer(least=0)]
STEPS: Final = 5


@theorem(
    "large.vmalloc.reuse-step",
    "Using addresses, unmapping them, detaching what waits, flushing it and giving it back: whatever is free "
    "was flushed after it was unmapped, with other CPUs' steps in between.",
    proves=(used, let_go, detached, flushed, freed, reusable),
    clauses=("large.vmalloc.flushed",),
    features=("F035",),
    method="inductive",
    bounds="any address, any interleaving of the five steps on any number of CPUs",
    witness={"where": LAZY, "unmapped": 3, "flush": 2, "now": 4, "step": 2, "begun": 2},
    mutants=(
        Mutant(freed, "does not wait for the flush", "place.where == READY", "place.where >= DETACHED"),
        Mutant(freed, "frees what came after the flush", "place.where == READY", "place.where == LAZY"),
        Mutant(detached, "thinks that it is flushed", "where=DETACHED", "where=READY"),
        Mutant(let_go, "is free at once", "LAZY", "FREE"),
        Mutant(flushed, "does not flush", "flush=now", "flush=place.flush"),
    ),
)
def reuse_step(
    where: State, unmapped: Clock, flush: Clock, now: Clock, step: Annotated[int, each(range(STEPS))],
    begun: Clock,
) -> bool:  # fmt: skip
    place = Place(where, unmapped, flush)
    assume((unmapped <= now) & (flush <= now) & kept(place))
    now += 1
    actions: tuple[Any, ...] = (
        used(place),
        let_go(place, now),
        detached(place),
        flushed(place, now),
        freed(place),
    )
    after: Place = actions[step]
    stale: bool = after.unmapped > after.flush
    return kept(after) & reusable(after.where == FREE, stale) & (after.flush <= now)


def kept(place: Place) -> bool:
    """The invariant of an address: what is free, or about to be, was flushed after its last unmapping."""
    return implies((place.where == FREE) | (place.where == READY), no(place.unmapped > place.flush))


@theorem(
    "large.vmalloc.lazy-max",
    "What may wait is 32 MiB for each bit of the number of CPUs.",
    proves=(lazy_max_pages,),
    features=("F035",),
    bounds="1 to 8191 CPUs",
    method="bounded",
    witness={"bits": 3, "cpus": 5},
    mutants=(
        Mutant(lazy_max_pages, "counts bits from 0", "(floor_log2(cpus) + 1)", "floor_log2(cpus)"),
        Mutant(lazy_max_pages, "grows with the CPUs", "(floor_log2(cpus) + 1)", "cpus"),
    ),
)
def lazy_max(
    bits: Annotated[int, each(range(1, 14))],
    cpus: Annotated[int, Integer(least=1, below=8192)],
) -> bool:
    assume((cpus >= 1 << (bits - 1)) & (cpus < 1 << bits))
    return lazy_max_pages(cpus) == bits * ((32 << 20) >> 12)


@theorem(
    "large.vmalloc.block-step",
    "A block is a power of two of pages with room for two of the largest pieces; taking a piece and giving "
    "one back keep its counts, and a piece lies inside it.",
    proves=(vmap_block_pages, piece_pages, block_counts),
    clauses=("large.vmalloc.block",),
    features=("F035",),
    method="bounded",
    bounds="32 and 64 bits, up to 8192 CPUs, pieces of 1 to 64 pages, any counts",
    witness={"word": 64, "order": 3, "count": 5, "free": 512, "dirty": 16, "takes": 1},
    mutants=(
        Mutant(vmap_block_pages, "has no least size", "max(2 * word, share)", "share"),
        Mutant(
            vmap_block_pages, "has no largest size", "min(1024, max(2 * word, share))", "max(2 * word, share)"
        ),
        Mutant(piece_pages, "rounds down", "roundup_pow_of_two(count)", "count // 2"),
        Mutant(
            block_counts, "looks at each count alone", "and free + dirty <= pages", "and free <= pages + 1"
        ),
    ),
)
def block_step(
    word: Annotated[int, each((32, 64))], order: Annotated[int, each(range(14))],
    count: Annotated[int, each((1, 2, 3, 5, 31, 32))], free: Clock, dirty: Clock,
    takes: Annotated[int, each((0, 1))],
) -> bool:  # fmt: skip
    pages = vmap_block_pages(word, 1 << order)
    shape = (pages & (pages - 1) == 0) & (pages >= 2 * word) & (pages <= 1024)
    piece = piece_pages(count)
    assume(block_counts(pages, free, dirty))
    if takes:
        assume(free >= piece)
        at = pages - free
        return shape & (piece >= count) & (at + piece <= pages) & block_counts(pages, free - piece, dirty)
    assume(free + dirty + piece <= pages)
    full = no(block_counts(pages, pages, 1))
    return shape & (piece >= count) & (piece < 2 * count) & block_counts(pages, free, dirty + piece) & full
