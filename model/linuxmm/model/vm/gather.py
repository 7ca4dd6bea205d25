"""Unmapping in batches: pages and tables are gathered, the TLBs are flushed once, only then they are freed.

What was gathered is held in bundles: a few pages in the structure itself, then pages that hold 510 pointers
each, as long as there is room and memory for them; a full one makes for a flush.  Whoever unmaps beside
another one of the same address space flushes everything at its end, since the other may have cleared entries
that it has not flushed yet.

Linux: mm/mmu_gather.c, include/asm-generic/tlb.h.  Seed 2.3.2 (F041).  3.0 to 6.12; read in 6.1, 6.12.
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula, verb
from linuxmm.spec.step import Event, Step

BUNDLE: Final = 8
"""MMU_GATHER_BUNDLE: pages that the structure itself holds."""
PER_BATCH: Final = 510
"""MAX_GATHER_BATCH on 64 bits: a page less two words of head, in pointers."""
MOST_BATCHES: Final = 10000 // PER_BATCH
"""MAX_GATHER_BATCH_COUNT: bounds how long freeing keeps the CPU."""
TABLES: Final = 509
"""MAX_TABLE_BATCH: a page less a head of three words, in pointers."""
EVERYTHING: Final = (0, 1 << 64)


@dataclass(frozen=True, slots=True)
class TlbFlush(Event):
    """A flush of an address space: bytes start to end, half open; whether tables are freed after it."""

    start: int
    end: int
    freed_tables: bool


@dataclass(frozen=True, slots=True)
class Freed(Event):
    """Frames given back: of pages, or of tables."""

    frames: tuple[int, ...]
    tables: bool


@dataclass(frozen=True, slots=True)
class Gather:
    """An unmapping under way.

    whole     the address space goes as a whole (exit)
    start, end  bytes whose entries were cleared since the last flush; start > end: none
    pages     frames unmapped since, tables: frames of tables taken out since
    room      pages that the bundles so far hold;  batches: how many there are
    """

    whole: bool = False
    start: int = 1 << 64
    end: int = 0
    pages: tuple[int, ...] = ()
    tables: tuple[int, ...] = ()
    room: int = BUNDLE
    batches: int = 0


@formula("F041", source="mm/mmu_gather.c:tlb_next_batch; 3.0 to 6.12")
def pages_before_flush(batches: int) -> int:
    """How many pages an unmapping gathers at most before it flushes, with so many batches at hand."""
    return BUNDLE + PER_BATCH * min(batches, MOST_BATCHES)


@verb("F041", source="mm/mmu_gather.c:__tlb_remove_page_size; include/asm-generic/tlb.h:tlb_remove_tlb_entry")
def remove_page(
    gather: Gather, address: int, size: int, frame: int, memory: bool = True
) -> Step[Gather, None]:
    """An entry was cleared: its page is kept until the flush; a full bundle brings that about.

    address, size  in bytes;  memory: whether a page for the next bundle is to be had
    """
    gather = replace(
        gather,
        start=min(gather.start, address),
        end=max(gather.end, address + size),
        pages=(*gather.pages, frame),
    )
    if len(gather.pages) < gather.room:
        return Step(gather, None)
    if gather.batches < MOST_BATCHES and memory:
        return Step(replace(gather, room=gather.room + PER_BATCH, batches=gather.batches + 1), None)
    return flush(gather)


@verb("F041", source="mm/mmu_gather.c:tlb_remove_table; include/asm-generic/tlb.h:pte_free_tlb")
def remove_table(
    gather: Gather, address: int, size: int, frame: int, memory: bool = True
) -> Step[Gather, None]:
    """A table was taken out: kept until the flush too; without memory for the list it is freed at once,
    after a flush."""
    gather = replace(
        gather,
        start=min(gather.start, address),
        end=max(gather.end, address + size),
        tables=(*gather.tables, frame),
    )
    if memory and len(gather.tables) < TABLES:
        return Step(gather, None)
    step = _flush_tlb(gather)
    return Step(replace(step.state, tables=()), None, (*step.events, Freed(gather.tables, True)))


def _flush_tlb(gather: Gather) -> Step[Gather, None]:
    """Source    include/asm-generic/tlb.h:tlb_flush_mmu_tlbonly"""
    if gather.start >= gather.end:
        return Step(gather, None)
    start, end = EVERYTHING if gather.whole else (gather.start, gather.end)
    event = TlbFlush(start, end, bool(gather.tables))
    return Step(replace(gather, start=1 << 64, end=0), None, (event,))


@verb("F041", source="mm/mmu_gather.c:tlb_flush_mmu")
def flush(gather: Gather) -> Step[Gather, None]:
    """Flush the TLBs, then free what was gathered; the bundles are kept.

    Ensures   nothing is freed before the flush
    """
    step = _flush_tlb(gather)
    events = step.events
    if gather.tables:
        events = (*events, Freed(gather.tables, True))
    if gather.pages:
        events = (*events, Freed(gather.pages, False))
    return Step(replace(step.state, pages=(), tables=()), None, events)


@verb("F041", source="mm/mmu_gather.c:tlb_finish_mmu; 4.14 to 6.12 (nested flushes)")
def finish(gather: Gather, beside_others: bool = False) -> Step[Gather, None]:
    """The end: flush what is left; everything if others unmap in the same address space (`beside_others`)."""
    if beside_others:
        start, end = EVERYTHING
        gather = replace(gather, whole=True, start=start, end=end)
    step = flush(gather)
    return Step(Gather(whole=gather.whole), None, step.events)


@invariant(
    "vm.gather.freed-after-flush",
    features=("F041",),
    seed="2.3.2",
    source="mm/mmu_gather.c:tlb_flush_mmu",
)
def freed_after_flush(unmapped_at: int, flushed_at: int, freed_at: int) -> bool:
    """What was mapped is freed after a flush that came after its entry was cleared; times in steps."""
    return (unmapped_at < flushed_at) & (flushed_at < freed_at)
