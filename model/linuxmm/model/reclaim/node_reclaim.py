"""The pass of reclaim in a node that answers an allocation's walk (vm.zone_reclaim_mode).

`linuxmm.model.alloc.node_reclaim` asks, and goes on with the answer; here is what happens in between.

Linux: mm/vmscan.c:__zone_reclaim, __node_reclaim.  Seed 2.1.1.1 (F013, F014, F042).  2.6.16 to 6.12.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from linuxmm.model.alloc.dialogue import NodeReclaimed
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control, Rules, control_at
from linuxmm.model.reclaim.shrinkers import shrink_node
from linuxmm.model.reclaim.state import (
    ANON,
    DIRTY,
    SWAPCACHE,
    Lruvec,
    has,
    managed,
    mapped,
    size_of,
)
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.reclaim.lists import ACTIVE_FILE, INACTIVE_FILE, SWAPPINESS
from linuxmm.spec.reclaim.node_reclaim import (
    FIRST_PRIORITY,
    MIN_SLAB_RATIO,
    MIN_UNMAPPED_RATIO,
    RECLAIM_UNMAP,
    RECLAIM_WRITE,
    Caller,
    Held,
    share,
    too_soon,
    worth_it,
)
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


class NodeRules(NamedTuple):
    """What a kernel does in its own way: see `linuxmm.spec.reclaim.node_reclaim`.

    waits   a zone is left alone for a while after a failure (2.6.16, 2.6.17)
    """

    reclaim: Rules
    pages: Callable[[Held, int], int]
    may: Callable[[Caller], bool]
    waits: bool


class Setting(NamedTuple):
    """vm.zone_reclaim_mode and the two ratios; when reclaim last failed, in seconds, -1 for never."""

    mode: int
    min_unmapped_ratio: int = MIN_UNMAPPED_RATIO
    min_slab_ratio: int = MIN_SLAB_RATIO
    failed: int = -1


@lru_cache(maxsize=64)
def node_rules(kernel: Kernel) -> NodeRules:
    """Reclaim in a node of a kernel.

    Errors    Unmodelled before 2.6.16, which has none
    """
    return NodeRules(
        rules_for(kernel),
        kernel.behaviour("reclaim.node-reclaim.pages").function,  # type: ignore[arg-type]
        kernel.behaviour("reclaim.node-reclaim.may").function,  # type: ignore[arg-type]
        kernel.version < Version(2, 6, 18),
    )


def held(v: Lruvec) -> Held:
    """What the lists and the caches hold; shared memory is not told apart from other anonymous pages."""
    of_files = [page for page in v.pages if not has(v, page, ANON)]
    cached = sum(has(v, page, SWAPCACHE) for page in v.pages)
    return Held(
        len(of_files) + cached,
        size_of(v, INACTIVE_FILE) + size_of(v, ACTIVE_FILE),
        sum(mapped(v, page) > 0 for page in of_files),
        sum(has(v, page, DIRTY) for page in of_files),
        sum(shrinker.pages for shrinker in v.shrinkers),
    )


def worth_a_scan(rules: NodeRules, v: Lruvec, setting: Setting) -> bool:
    """Whether the node holds more than the ratios keep."""
    pages = rules.pages(held(v), setting.mode)
    least = share(managed(v), setting.min_unmapped_ratio)
    return worth_it(pages, held(v).slab, least, share(managed(v), setting.min_slab_ratio))


@verb("F013", "F014", "F042", source="mm/vmscan.c:zone_reclaim, node_reclaim; 2.6.16 to 6.12")
def node_reclaim(
    rules: NodeRules, v: Lruvec, setting: Setting, caller: Caller, order: int, zone: int, now: int = 0
) -> tuple[Lruvec, NodeReclaimed]:
    """Reclaim in a node for a block of 2**order pages: priority 4 first, until enough is freed.

    Ensures   nothing is written without RECLAIM_WRITE, nothing unmapped without RECLAIM_UNMAP
    """
    if rules.waits and too_soon(now, setting.failed):
        return v, NodeReclaimed.SOME
    if not worth_a_scan(rules, v, setting):
        return v, NodeReclaimed.FULL
    if not rules.may(caller):
        return v, NodeReclaimed.NOSCAN
    wanted = 1 << order
    control = Control(
        FIRST_PRIORITY,
        max(wanted, SWAP_CLUSTER_MAX),
        order,
        writes=setting.mode & RECLAIM_WRITE != 0,
        unmaps=setting.mode & RECLAIM_UNMAP != 0,
        reclaim_idx=zone,
        swappiness=SWAPPINESS,
    )
    for priority in range(FIRST_PRIORITY, -1, -1):
        control = control_at(control, priority, control.target, control.scanned, control.reclaimed)
        v, control = shrink_node(rules.reclaim, v, control)
        if control.reclaimed >= wanted:
            break
    return v, NodeReclaimed.SUCCESS if control.reclaimed >= wanted else NodeReclaimed.SOME
