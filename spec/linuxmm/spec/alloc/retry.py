"""When a request that found nothing tries again: limits on reclaim and compaction, and who may kill.

Linux: mm/page_alloc.c:should_reclaim_retry, should_compact_retry, __alloc_pages_may_oom.  Seed 2.1.1.1,
2.1.1.3 (F014, F017).  2.6 to 6.12.
"""

from enum import IntEnum
from typing import Final

from linuxmm.spec.alloc.gfp import GFP_RETRY_MAYFAIL_BIT, GFP_THISNODE_BIT
from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_ALLOC_COSTLY_ORDER

MAX_RECLAIM_RETRIES: Final = 16
MAX_COMPACT_RETRIES: Final = 16

SYNC_FULL: Final = 0
SYNC_LIGHT: Final = 1
ASYNC: Final = 2


class Compaction(IntEnum):
    """What direct compaction answers; the order in which several zones' results are combined."""

    NOT_SUITABLE_ZONE = 0
    SKIPPED = 1
    DEFERRED = 2
    NO_SUITABLE_PAGE = 3
    CONTINUE = 4
    COMPLETE = 5
    PARTIAL_SKIPPED = 6
    CONTENDED = 7
    SUCCESS = 8


@formula("F017", source="mm/page_alloc.c:should_reclaim_retry; 4.7 to 6.12")
def reclaim_loops(loops: int, progress: bool, order: int) -> int:
    """Rounds without progress; a costly order never counts as progress.

    Ensures   0 after progress at a cheap order, else one more
    """
    return 0 if progress and order <= PAGE_ALLOC_COSTLY_ORDER else loops + 1


@formula("F017", source="mm/page_alloc.c:should_reclaim_retry; 4.7 to 6.12")
def reclaim_gives_up(loops: int) -> bool:
    """Whether reclaim was tried often enough."""
    return loops > MAX_RECLAIM_RETRIES


@formula("F017", source="mm/page_alloc.c:should_compact_retry; 4.8 to 6.12")
def compact_again(
    order: int, result: int, suitable: bool, priority: int, retries: int
) -> tuple[bool, int, int]:
    """(try again, priority, retries) after compaction answered `result`.

    suitable: for SKIPPED, whether reclaim could make a zone fit for compaction
    priority: SYNC_FULL < SYNC_LIGHT < ASYNC; a costly order never asks for SYNC_FULL
    Ensures   the priority never rises; finitely many retries
    """
    if order == 0:
        return False, priority, retries
    if result == Compaction.SUCCESS:
        retries += 1
    if result == Compaction.SKIPPED:
        return suitable, priority, retries
    limit = MAX_COMPACT_RETRIES
    least = SYNC_FULL
    if order > PAGE_ALLOC_COSTLY_ORDER:
        limit //= 4
        least = SYNC_LIGHT
    gave_up = result in (
        Compaction.DEFERRED,
        Compaction.CONTENDED,
        Compaction.PARTIAL_SKIPPED,
        Compaction.COMPLETE,
    )
    if not gave_up and retries <= limit:
        return True, priority, retries
    if priority > least:
        return True, priority - 1, 0
    return False, priority, retries


@formula("F017", source="mm/page_alloc.c:__alloc_pages_may_oom; 4.13 to 6.12")
def oom_may_kill(order: int, gfp: int, class_index: int, dumping_core: bool) -> bool:
    """Whether a task may be killed for this request: it must be cheap, and the kill must help it."""
    if dumping_core or order > PAGE_ALLOC_COSTLY_ORDER or class_index < 2:
        return False
    return not gfp & (GFP_RETRY_MAYFAIL_BIT | GFP_THISNODE_BIT)


@formula("F017", source="mm/page_alloc.c:__alloc_pages_slowpath; 2.6.24 to 4.6")
def progress_again(order: int, progress: int, reclaimed: int, repeat: bool) -> bool:
    """Whether reclaim's progress is reason enough to try again, up to 4.6.

    reclaimed: pages so far; repeat: __GFP_REPEAT
    """
    return (progress > 0 and order <= PAGE_ALLOC_COSTLY_ORDER) or (repeat and reclaimed < 1 << order)


@invariant(
    "alloc.request.atomic-never-waits",
    features=("F017",),
    seed="2.1.1.3",
    source="mm/page_alloc.c:__alloc_pages_slowpath",
)
def atomic_never_waits(direct_reclaim: bool, asked_for_reclaim: bool) -> bool:
    """A request without __GFP_DIRECT_RECLAIM never reclaims, compacts or kills by itself."""
    return direct_reclaim or not asked_for_reclaim


@invariant(
    "alloc.request.no-recursion",
    features=("F017",),
    seed="2.1.1.3",
    source="mm/page_alloc.c:__alloc_pages_slowpath",
)
def no_recursion(memalloc: bool, asked_for_reclaim: bool) -> bool:
    """A reclaimer (PF_MEMALLOC) never enters reclaim again."""
    return not memalloc or not asked_for_reclaim


@invariant(
    "alloc.request.nofail",
    features=("F017",),
    seed="2.1.1.3",
    source="mm/page_alloc.c:__alloc_pages_slowpath",
)
def nofail_never_fails(nofail: bool, direct_reclaim: bool, failed: bool) -> bool:
    """A __GFP_NOFAIL request that may reclaim is never refused."""
    return not (nofail and direct_reclaim and failed)


FAILED_UNCHANGED: Final = clause(
    "alloc.request.refusal-changes-nothing",
    "A request that fails at once leaves the free pages as they were.",
    features=("F012", "F017"),
    seed="2.1.1.1",
    source="mm/page_alloc.c:get_page_from_freelist",
).id
