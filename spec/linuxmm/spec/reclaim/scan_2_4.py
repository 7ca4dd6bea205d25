"""How far reclaim of 2.4 looks: two lists of the machine, and address spaces without a reverse map.

A class of zones ("classzone") is a zone and those below it; reclaim runs for one.

Linux: mm/vmscan.c:shrink_cache, refill_inactive, swap_out; 2.4.14 to 2.4.37.  Seed 2.4.1 (F042).
"""

from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

DEF_PRIORITY: Final = 6
"""The first of the passes up to 2.4.22; the last is 1."""
VM_PASSES: Final = 60
"""sysctl vm.vm_passes: passes before reclaim gives up (since 2.4.23)."""
VM_CACHE_SCAN_RATIO: Final = 6
VM_MAPPED_RATIO: Final = 100
VM_LRU_BALANCE_RATIO: Final = 2


@behaviour(
    "reclaim.refill-amount",
    since="2.4.14",
    until="2.4.22",
    features=("F042",),
    source="mm/vmscan.c:shrink_caches; 2.4.17 or near (2.4.14 to 2.4.22 unconfirmed)",
)
def refill_by_thirds(wanted: int, active: int, inactive: int) -> int:
    """Pages to take down for `wanted` pages to be freed: as many as keep two thirds of the pages active."""
    return wanted * active // ((inactive + 1) * 2)


@behaviour(
    "reclaim.refill-amount",
    since="2.4.23",
    until="2.4.37",
    features=("F042",),
    source="mm/vmscan.c:refill_inactive; 2.4.23 or later (the others unconfirmed)",
)
def refill_by_ratio(wanted: int, active: int, inactive: int) -> int:
    """The same, by vm.vm_lru_balance_ratio; a class without inactive pages takes them all down."""
    return wanted * active // (inactive * VM_LRU_BALANCE_RATIO + 1)


@behaviour(
    "reclaim.cache-scan",
    since="2.4.14",
    until="2.4.22",
    features=("F042",),
    source="mm/vmscan.c:shrink_cache; 2.4.17 or near (2.4.14 to 2.4.22 unconfirmed)",
)
def scan_by_priority(inactive: int, active: int, priority: int) -> int:
    """Inactive pages that one pass looks at: a sixth of them at first, all in the end.

    Requires  priority is 6 to 1
    """
    return inactive // priority


@behaviour(
    "reclaim.cache-scan",
    since="2.4.23",
    until="2.4.37",
    features=("F042",),
    source="mm/vmscan.c:shrink_cache; 2.4.23 or later (the others unconfirmed)",
)
def scan_by_ratio(inactive: int, active: int, priority: int) -> int:
    """Pages of the class that one pass looks at: a sixth of both lists (vm.vm_cache_scan_ratio)."""
    return (inactive + active) // VM_CACHE_SCAN_RATIO


@behaviour(
    "reclaim.mapped-room",
    since="2.4.14",
    until="2.4.22",
    features=("F042",),
    source="mm/vmscan.c:shrink_cache; 2.4.17 or near (2.4.14 to 2.4.22 unconfirmed)",
)
def room_by_priority(wanted: int, scans: int, priority: int) -> int:
    """Pages in use that a pass may meet before it walks address spaces: a tenth of what it looks at, at most.

    Requires  priority is 6 to 1
    """
    return min(wanted << (10 - priority), scans // 10)


@behaviour(
    "reclaim.mapped-room",
    since="2.4.23",
    until="2.4.37",
    features=("F042",),
    source="mm/vmscan.c:shrink_cache; 2.4.23 or later (the others unconfirmed)",
)
def room_by_ratio(wanted: int, scans: int, priority: int) -> int:
    """The same, by vm.vm_mapped_ratio: a hundred for each page that is wanted."""
    return wanted * VM_MAPPED_RATIO


@formula("F042", source="mm/vmscan.c:swap_out; 2.4.17 or near, 2.4.23 or later")
def rounds_of_swap_out(spaces: int, twice: bool) -> int:
    """How many address spaces a walk may enter: each once and one again, or each twice (since 2.4.23)."""
    return (spaces << 1 if twice else spaces) + 1
