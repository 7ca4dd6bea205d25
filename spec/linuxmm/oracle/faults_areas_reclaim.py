"""Faults of reclaim: passes over lists, shrinkers, the clock of refaults, swap, who is killed."""

import re
from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Change,
    Edit,
    dropped,
    exchanged,
    fault,
    line,
    raised,
    removal,
    trace_removals,
)

_LOG: Final = "logs/dmesg.txt"
_VICTIM: Final = r"\[ *\d+\] +\d.* guest$"
_OTHER: Final = r"\[ *\d+\] +\d.* init$"


def traced(change: Change) -> Edit:
    """An edit of the trace of the lists."""
    return Edit("trace/lru.txt.gz", change)


def event(name: str) -> str:
    """What a line of an event, or of a probe, has."""
    return f": {name}: "


def _one_more(seen: re.Match[str]) -> str:
    return f"nr_requested={int(seen[1]) + 1} nr_scanned={int(seen[2]) + 1}"


ISOLATE: Final = event("mm_vmscan_lru_isolate")
INACTIVE: Final = event("mm_vmscan_lru_shrink_inactive")
_ACTIVE: Final = event("mm_vmscan_lru_shrink_active")
_BEGIN: Final = event("mm_vmscan_direct_reclaim_begin")
_END: Final = event("mm_vmscan_direct_reclaim_end")
_SHARED: Final = event("mm_shrink_slab_start")
_SHRUNK: Final = event("mm_shrink_slab_end")

_LATE: Final = event("mm_lru_insertion") + ".*pfn=0x64ed lru=2 "
"""A page that is on the inactive list at the next mark."""
_DELETED: Final = event("mm_filemap_delete_from_page_cache")

_ORDER: Final = (
    fault(
        "addition-unseen",
        "a page is on a list of files to which nothing added it",
        "reclaim.seen.list-order",
        traced(dropped(_LATE)),
    ),
    fault(
        "added-to-the-other-list",
        "a page is on the inactive list that was added to the active one",
        "reclaim.seen.list-order",
        traced(line(_LATE, "lru=2", "lru=3")),
    ),
    fault(
        "pages-exchanged",
        "two pages of the inactive list stand in each other's place",
        "reclaim.seen.list-order",
        Edit("marks/A1/state.json.gz", exchanged("nodes", 0, "lru", "LRU_INACTIVE_FILE", places=(10, 11))),
    ),
    fault(
        "freed-out-of-turn",
        "a scan freed a page that it had not taken",
        "reclaim.seen.list-end",
        traced(line(_DELETED, "pfn=0x[0-9a-f]+", "pfn=0x29da", 2900)),
    ),
    fault(
        "woken-for-less",
        "kswapd is told another order than it is woken for",
        "reclaim.seen.kswapd-order",
        traced(raised(event("mm_vmscan_wakeup_kswapd"), "order=", 3, 20)),
    ),
)

_PASSES: Final = (
    fault(
        "taken-unseen",
        "a pass took a page more than it looked at",
        "reclaim.seen.isolated",
        traced(raised(f"{ISOLATE}.*inactive_file", "nr_taken=", 1, 20)),
    ),
    fault(
        "looked-beyond",
        "a pass looked at more pages than it was asked to",
        "reclaim.seen.isolated",
        traced(raised(ISOLATE, "nr_scanned=", 5000, 20)),
    ),
    fault(
        "freed-untaken",
        "a pass freed more pages than it took",
        "reclaim.seen.outcomes",
        traced(raised(INACTIVE, "nr_reclaimed=", 40, 20)),
    ),
    fault(
        "priority-beyond",
        "a pass has a priority that there is not",
        "reclaim.seen.outcomes",
        traced(raised(INACTIVE, "priority=", 13, 20)),
    ),
    fault(
        "deactivated-untaken",
        "a pass took down more pages than it took",
        "reclaim.seen.outcomes",
        traced(raised(_ACTIVE, "nr_deactivated=", 40, 20)),
    ),
    fault(
        "scanned-uncounted",
        "the counters miss a page that a pass looked at",
        "reclaim.seen.counted",
        traced(line(f"{ISOLATE}.*inactive", r"nr_requested=(\d+) nr_scanned=(\d+)", _one_more, 20)),
    ),
    fault(
        "pass-of-other-pages",
        "a pass ends with other pages than it took",
        "reclaim.seen.paired",
        traced(raised(_ACTIVE, "nr_taken=", 1, 20)),
    ),
    fault(
        "direct-unbegun",
        "direct reclaim ends that did not begin",
        "reclaim.seen.paired",
        traced(dropped(_BEGIN, 20)),
    ),
    fault(
        "direct-unended",
        "a task begins direct reclaim in direct reclaim",
        "reclaim.seen.paired",
        traced(dropped(_END, 20)),
    ),
)
_SHRINKERS: Final = (
    fault(
        "share-too-large",
        "a shrinker is asked for more than its share",
        "reclaim.seen.shrinker-share",
        traced(line(_SHARED, r"total_scan \d+", "total_scan 77777", 20)),
    ),
    fault(
        "share-of-delta",
        "the share is not that of the priority",
        "reclaim.seen.shrinker-share",
        traced(line(_SHARED, r"delta \d+", "delta 77777", 20)),
    ),
    fault(
        "deferred-too-much",
        "a shrinker defers what was never asked for",
        "reclaim.seen.shrinker-deferred",
        traced(line(_SHRUNK, r"new scan count \d+", "new scan count 77777", 20)),
    ),
)
_CLOCK: Final = (
    fault(
        "activated-unclocked",
        "a page was put back as active, and the clock stood still",
        "reclaim.seen.clock",
        traced(raised(INACTIVE, "nr_activate_file=", 1, 20)),
    ),
    fault(
        "evicted-unseen",
        "the clock moved, and nothing was evicted",
        "reclaim.seen.clock",
        traced(dropped(event("evict"), 20)),
    ),
    fault(
        "activation-unseen",
        "the clock moved, and nothing was activated",
        "reclaim.seen.clock",
        traced(dropped(event("(?:wact|activate)"), 20)),
    ),
    fault(
        "shadow-of-no-eviction",
        "a shadow tells a time at which nothing was evicted",
        "reclaim.seen.shadow",
        traced(line(event("refault"), r"shadow=0x\w+", "shadow=0x7ffff0000001", 20)),
    ),
)
_SWAP: Final = (
    fault(
        "swap-used-untold",
        "a device uses a page more than SwapFree says",
        "reclaim.swap.total",
        Edit(
            "marks/*/proc/swaps", line("^/", r"(\d+)(\s+\S+)$", lambda seen: f"{int(seen[1]) + 4}{seen[2]}")
        ),
    ),
    fault(
        "swap-size-untold",
        "SwapTotal is a page less than the devices",
        "reclaim.swap.total",
        Edit("marks/*/proc/meminfo", raised("^SwapTotal:", r"SwapTotal: +", -4)),
    ),
)
_OOM: Final = (
    fault(
        "other-victim",
        "the killer took another task than the worst",
        "reclaim.oom.victim",
        Edit(_LOG, raised("oom-kill:constraint=", ",pid=", 100000)),
    ),
    fault(
        "smaller-victim",
        "a task with more memory lives",
        "reclaim.oom.victim",
        Edit(_LOG, line(_OTHER, r"(\] +\d+ +\d+ +\d+ +)\d+", r"\g<1>1999999")),
    ),
    fault(
        "spared-killed",
        "a task that is to be spared is killed",
        "reclaim.oom.spared",
        Edit(_LOG, line(_VICTIM, r"( +)0 guest$", r"\g<1>-1000 guest")),
    ),
    removal(
        "log-removed", "the log of the kernel is not in the folder", "reclaim.oom.victim", Edit(_LOG, None)
    ),
)

RECLAIM_FAULTS: Final[tuple[AreaFault, ...]] = (
    *_ORDER,
    *_PASSES,
    *_SHRINKERS,
    *_CLOCK,
    *_SWAP,
    *_OOM,
    *trace_removals("trace/lru.txt.gz", "reclaim.seen.paired"),
)
