"""Counters of a control group: what fits, what is kept while a charge climbs, what a limit promises.

A charge adds to the counter of its group, then to those above; where one exceeds its limit, that is
undone and then those below, from the bottom up.  Between two such steps a group and its parent disagree by
what is *due*; a counter may exceed its limit by what is *doubtful*: added, found too much, not taken back.

Linux: kernel/res_counter.c until 3.18, mm/page_counter.c since 3.19.  Seed 2.9 (F060).
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

PAGE_COUNTER_MAX: Final = (2**63 - 1) // PAGE_SIZE
"""No limit, in pages, on a 64-bit machine."""


@formula("F060", source="mm/page_counter.c:page_counter_try_charge; kernel/res_counter.c")
def fits(usage: int, pages: int, limit: int) -> bool:
    """Whether a charge stays within a limit; both in pages, or both in bytes."""
    return usage + pages <= limit


@formula("F060", source="mm/memcontrol.c:mem_cgroup_margin")
def margin(usage: int, limit: int) -> int:
    """Pages that may still be charged to one counter."""
    return limit - usage if usage < limit else 0


@formula("F060", source="mm/page_counter.c:page_counter_cancel")
def less(usage: int, pages: int) -> int:
    """The counter after an uncharge: never below zero, which is a bug of the caller's."""
    return usage - pages if usage >= pages else 0


@formula("F060", source="mm/page_counter.c:page_counter_try_charge")
def watermark_after(watermark: int, usage: int) -> int:
    """The highest usage that was seen."""
    return usage if usage > watermark else watermark


@behaviour(
    "memcg.batch",
    since="2.6.25",
    until="2.6.32",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_charge_common; read in 2.6.28 to 2.6.32",
)
def batch_single(pages: int) -> int:
    """Pages that one charge takes from the counters: just those."""
    return pages


@behaviour(
    "memcg.batch",
    since="2.6.33",
    until="6.0",
    features=("F060",),
    source="mm/memcontrol.c:CHARGE_BATCH; read in 2.6.39 to 6.0, the first release from memory",
)
def batch_32(pages: int) -> int:
    """Pages that one charge takes from the counters: 32 at least, what is over goes to the CPU's stock."""
    return max(32, pages)


@behaviour(
    "memcg.batch",
    since="6.1",
    features=("F060",),
    source="include/linux/memcontrol.h:MEMCG_CHARGE_BATCH; read in 6.0, 6.1 and 6.12",
)
def batch_64(pages: int) -> int:
    """Pages that one charge takes from the counters: 64 at least."""
    return max(64, pages)


@behaviour(
    "memcg.retries",
    since="2.6.25",
    until="5.8",
    features=("F060",),
    source="mm/memcontrol.c:MEM_CGROUP_RECLAIM_RETRIES; read in 2.6.28 to 5.8",
)
def retries_5() -> int:
    """Rounds of reclaim without progress before a charge gives up."""
    return 5


@behaviour(
    "memcg.retries",
    since="5.9",
    features=("F060",),
    source="mm/memcontrol.c:try_charge, MAX_RECLAIM_RETRIES; read in 5.9 to 6.12",
)
def retries_16() -> int:
    """Rounds of reclaim without progress before a charge gives up."""
    return 16


@behaviour(
    "memcg.limit-unit",
    since="2.6.25",
    until="3.18",
    features=("F060",),
    source="kernel/res_counter.c:res_counter_memparse_write_strategy; read in 3.4 to 3.18",
)
def limit_rounded_up(size: int) -> int:
    """Pages that a limit of `size` bytes allows: the counters hold bytes, a limit is rounded up to pages."""
    return (size + PAGE_SIZE - 1) // PAGE_SIZE


@behaviour(
    "memcg.limit-unit",
    since="3.19",
    features=("F060",),
    source="mm/page_counter.c:page_counter_memparse; read in 3.19 to 6.12",
)
def limit_truncated(size: int) -> int:
    """Pages that a limit of `size` bytes allows: counters hold pages, the rest of a page is dropped."""
    return min(size // PAGE_SIZE, PAGE_COUNTER_MAX)


@behaviour(
    "memcg.level",
    since="2.6.25",
    until="3.18",
    features=("F060",),
    source="kernel/res_counter.c:res_counter_charge_locked; read in 2.6.28 to 3.18",
)
def checks_first(usage: int, pages: int, limit: int) -> tuple[bool, bool]:
    """Whether a charge is added to one counter, and whether it stays: tested under a lock, then added."""
    stays = fits(usage, pages, limit)
    return stays, stays


@behaviour(
    "memcg.level",
    since="3.19",
    features=("F060",),
    source="mm/page_counter.c:page_counter_try_charge; read in 3.19 to 6.12",
)
def adds_first(usage: int, pages: int, limit: int) -> tuple[bool, bool]:
    """Whether a charge is added to one counter, and whether it stays: added in any case, then tested."""
    return True, fits(usage, pages, limit)


@invariant("memcg.counter.sum", features=("F060",), seed="2.9", source="mm/page_counter.c")
def sum_kept(usage: int, due: int, own: int, children: int) -> bool:
    """What a group counts and what is due to it are its own pages and those of its children."""
    return usage + due == own + children


@invariant("memcg.counter.limit", features=("F060",), seed="2.9", source="mm/page_counter.c")
def limit_kept(usage: int, doubtful: int, over: int, limit: int) -> bool:
    """A counter exceeds its limit at most by what is doubtful, was forced on it, or was there before it.

    doubtful  added by charges that found it too much and have not taken it back yet
    over      charged by force, or above the limit when that was lowered
    """
    return 0 <= usage <= limit + doubtful + over


@invariant("memcg.counter.watermark", features=("F060",), seed="2.9", source="mm/page_counter.c")
def watermark_kept(usage: int, doubtful: int, watermark: int) -> bool:
    """What was ever counted for good is at most the watermark."""
    return usage - doubtful <= watermark


@invariant("memcg.stock", features=("F060",), seed="2.9", source="mm/memcontrol.c:refill_stock")
def stock_kept(pages: int, batch: int) -> bool:
    """A CPU keeps at most one batch of pages that are charged and not used."""
    return 0 <= pages <= batch
