"""What memory.min and memory.low protect: the share that is effective in a tree, and what reclaim leaves.

Linux: mm/memcontrol.c, mm/page_counter.c, mm/vmscan.c:get_scan_count.  Seed 2.9 (F060).  4.0 to 6.12.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

SWAP_CLUSTER_MAX: Final = 32
NONE, LOW, MIN = range(3)
"""How a group is protected: not, unless nothing else can be reclaimed, always."""


@behaviour(
    "memcg.low-test",
    since="4.0",
    until="4.17",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_low; read in 4.1 to 4.15, the first release from memory",
)
def low_along_path(path: tuple[tuple[int, int], ...]) -> bool:
    """Whether a group is protected: it and every group above it, below the one reclaimed, is below its low.

    path  (usage, low) of the group and of those above it
    """
    for usage, low in path:
        if usage >= low:
            return False
    return len(path) > 0


@behaviour(
    "memcg.protected-usage",
    since="4.18",
    until="5.6",
    features=("F060",),
    source="mm/page_counter.c:propagate_protected_usage; read in 4.18 to 5.4, the last release from memory",
)
def protected_all_or_nothing(usage: int, setting: int) -> int:
    """Pages that count as protected for the parent: all, or none once the group exceeds its setting."""
    return usage if usage <= setting else 0


@behaviour(
    "memcg.protected-usage",
    since="5.7",
    features=("F060",),
    source="mm/page_counter.c:propagate_protected_usage; read in 5.7 to 6.12",
)
def protected_up_to_setting(usage: int, setting: int) -> int:
    """Pages that count as protected for the parent."""
    return min(usage, setting)


@behaviour(
    "memcg.effective",
    since="4.18",
    until="5.6",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_protected; read in 4.18 to 5.4, the last release from memory",
)
def effective_capped(
    usage: int, parent_usage: int, setting: int, parent_effective: int, siblings: int, recursive: bool
) -> int:
    """The setting, at most the parent's effective protection, and at most the group's share of that.

    siblings  protected usage of all children of the parent, this one among them
    """
    effective = min(setting, parent_effective)
    used = min(usage, setting)
    if effective > 0 and used > 0 and siblings > 0:
        return min(effective, parent_effective * used // siblings)
    return effective


@behaviour(
    "memcg.effective",
    since="5.7",
    features=("F060",),
    source="mm/memcontrol.c, mm/page_counter.c:effective_protection; read in 5.7 to 6.12",
)
def effective_shared(
    usage: int, parent_usage: int, setting: int, parent_effective: int, siblings: int, recursive: bool
) -> int:
    """The used part of the setting, or its share where all together claim more than the parent has.

    recursive  cgroup2 is mounted with memory_recursiveprot: what nobody claims is shared by unprotected usage
    """
    used = min(usage, setting)
    if siblings > parent_effective:
        return used * parent_effective // siblings
    if not recursive:
        return used
    if parent_effective > siblings and parent_usage > siblings and usage > used:
        return used + (parent_effective - siblings) * (usage - used) // (parent_usage - siblings)
    return used


@formula("F060", source="mm/memcontrol.c:mem_cgroup_protected; mm/vmscan.c:shrink_node_memcgs")
def protection_of(usage: int, effective_min: int, effective_low: int) -> int:
    """How a group is protected from reclaim of a group above it; an empty one is not."""
    if usage == 0:
        return NONE
    if usage <= effective_min:
        return MIN
    if usage <= effective_low:
        return LOW
    return NONE


@behaviour(
    "memcg.scan",
    since="3.3",
    until="5.3",
    features=("F060",),
    source="mm/vmscan.c:get_scan_count; read in 3.10 to 5.3",
)
def scan_whole(size: int, group_size: int, protection: int) -> int:
    """Pages of a list that are up for scanning, before the priority is applied: all."""
    return size


@behaviour(
    "memcg.scan",
    since="5.4",
    until="5.14",
    features=("F060",),
    source="mm/vmscan.c:get_scan_count; read in 5.4 to 5.14",
)
def scan_unprotected(size: int, group_size: int, protection: int) -> int:
    """Pages of a list that are up for scanning: those beyond the protected share, 32 at least.

    protection  the effective low of the group, or its effective min when low is not honoured any more
    """
    if protection == 0:
        return size
    return max(size - size * protection // max(group_size, protection), SWAP_CLUSTER_MAX)


@behaviour(
    "memcg.scan",
    since="5.15",
    features=("F060",),
    source="mm/vmscan.c:get_scan_count; read in 5.15 to 6.12",
)
def scan_unprotected_no_zero(size: int, group_size: int, protection: int) -> int:
    """Likewise; the group's size counts one more, so that an empty group divides by one."""
    if protection == 0:
        return size
    return max(size - size * protection // (max(group_size, protection) + 1), SWAP_CLUSTER_MAX)


@invariant(
    "memcg.protection.share",
    features=("F060",),
    seed="2.9",
    since="5.7",
    source="mm/page_counter.c:effective_protection",
)
def shares_kept(effective: tuple[int, ...], parent_effective: int) -> bool:
    """What is effectively protected of the children is together at most what is of the parent."""
    return sum(effective) <= parent_effective
