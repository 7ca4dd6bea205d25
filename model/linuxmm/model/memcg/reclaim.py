"""Reclaim of a tree of groups: which are visited, how far each one's lists are scanned, who is spared.

Linux: mm/vmscan.c:shrink_node_memcgs, get_scan_count, do_try_to_free_pages; mm/memcontrol.c.
Seed 2.9 (F060).  Since 3.3; before, pages stood on the lists of the machine as well.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from linuxmm.model.memcg.charged import Charged, GroupEvent, Kind, give_back
from linuxmm.model.memcg.counter import NOBODY, force_charge, uncharge
from linuxmm.model.memcg.groups import Place, Settings, Walk, effective, preorder, visit
from linuxmm.model.memcg.lists import Lists, evicting, line, owned
from linuxmm.model.memcg.swap import room_in_swap
from linuxmm.model.reclaim.outside import Backing
from linuxmm.model.reclaim.rules import Control, Rules, control_at, control_of
from linuxmm.model.reclaim.scan import shrink_lruvec
from linuxmm.model.reclaim.state import Lruvec
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.protection import LOW, MIN, NONE, protection_of
from linuxmm.spec.reclaim.lists import DEF_PRIORITY, SWAPPINESS
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Step


@dataclass(frozen=True, slots=True)
class Limited:
    """Backing of which a group may take so many slots more."""

    inner: Backing
    left: int

    def swap_free(self) -> int:
        """Slots that the group may take."""
        return max(0, min(self.inner.swap_free(), self.left))

    def take_slot(self, page: int) -> "tuple[Limited, bool]":
        """A slot, if the group may have one more."""
        if self.left <= 0:
            return self, False
        inner, taken = self.inner.take_slot(page)
        return Limited(inner, self.left - taken), taken

    def give_slot(self, page: int) -> "Limited":
        """The slot is free again."""
        return Limited(self.inner.give_slot(page), self.left + 1)

    def pageout(self, page: int) -> "tuple[Limited, int]":
        """Write a page out."""
        inner, how = self.inner.pageout(page)
        return Limited(inner, self.left), how


class Asked(NamedTuple):
    """What reclaim of a tree is for.

    target    the group whose limit is the cause, or 0: the machine has too little
    settings  memory.min and memory.low
    charged   pages charged to each group
    """

    target: int
    settings: Settings
    charged: tuple[int, ...]


class Pass(NamedTuple):
    """What one pass over a tree came to.

    skipped  a group was spared for its memory.low; visited  groups that were scanned, in order
    low      groups that were scanned although their low covered them
    """

    control: Control
    skipped: bool
    visited: tuple[int, ...]
    low: tuple[int, ...]


Guards = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""How each group is guarded: not, LOW or MIN; and the pages of min and of low that a scan leaves out."""


@verb("F060", source="mm/vmscan.c:shrink_node_memcgs; mm/memcontrol.c:mem_cgroup_low")
def guards(kernel: Kernel, lists: Lists, asked: Asked) -> Guards:
    """How each group is guarded from this reclaim.

    Ensures   the target itself is never guarded, nor is who is not below it
    """
    found = kernel.behaviour("memcg.guards").function(kernel, lists, asked)
    assert isinstance(found, tuple)
    return found


@behaviour(
    "memcg.guards",
    since="3.3",
    until="3.19",
    features=("F060",),
    source="mm/vmscan.c:shrink_zone; read in 3.4 to 3.16",
)
def guards_nobody(kernel: Kernel, lists: Lists, asked: Asked) -> Guards:
    """Nobody is."""
    none = (0,) * len(lists.parent)
    return none, none, none


@behaviour(
    "memcg.guards",
    since="4.0",
    until="4.17",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_low; read in 4.1 to 4.15",
)
def guards_below_low(kernel: Kernel, lists: Lists, asked: Asked) -> Guards:
    """By memory.low, who is below it together with all above up to the target; scans know nothing of it."""
    test = kernel.behaviour("memcg.low-test").function
    below = preorder(lists.parent, asked.target)[1:]
    kept = [NONE] * len(lists.parent)
    for group in below:
        above = tuple((asked.charged[at], asked.settings.low[at]) for at in line(lists, group) if at in below)
        kept[group] = LOW if test(above) else NONE
    none = (0,) * len(kept)
    return tuple(kept), none, none


@behaviour(
    "memcg.guards",
    since="4.18",
    features=("F060",),
    source="mm/memcontrol.c:mem_cgroup_protected, mem_cgroup_calculate_protection; read in 4.18 to 6.12",
)
def guards_by_share(kernel: Kernel, lists: Lists, asked: Asked) -> Guards:
    """By effective memory.min and memory.low."""
    least = effective(kernel, lists.parent, asked.charged, asked.settings.min, asked.target)
    low = effective(kernel, lists.parent, asked.charged, asked.settings.low, asked.target)
    below = preorder(lists.parent, asked.target)[1:]
    how = tuple(
        protection_of(used, least[at], low[at]) if at in below else NONE
        for at, used in enumerate(asked.charged)
    )
    return how, least, low


@verb("F060", source="mm/vmscan.c:get_scan_count; 4.0 to 6.12")
def rules_of_group(
    kernel: Kernel, rules: Rules, v: Lruvec, control: Control, charged: int, protection: int, online: bool
) -> Rules:
    """The rules by which a group's lists are scanned: the protected share is left out, and a removed group's
    short lists are scanned at any priority.
    """
    share = kernel.behaviour("memcg.scan").function
    may_swap = control.swaps and v.backing.swap_free() > 0
    whole = rules.whole(control.priority, may_swap, control.swappiness)

    def least(size: int, scan: int, forced: bool) -> int:
        left = share(size, charged, protection)
        assert isinstance(left, int)
        return rules.least(size, left >> control.priority, forced or not online)

    def rounding(scan: int, part: int, denominator: int) -> int:
        return scan if whole else rules.rounding(scan, part, denominator)

    return rules._replace(least=least, rounding=rounding, whole=lambda priority, swap, swappiness: False)


@verb("F060", source="mm/vmscan.c:shrink_lruvec, shrink_node_memcg; 3.3 to 6.12")
def shrink_group(
    kernel: Kernel, rules: Rules, lists: Lists, group: int, asked: Asked, control: Control, protection: int
) -> tuple[Lists, Control]:
    found = [control]

    def step(v: Lruvec) -> Lruvec:
        own = rules_of_group(kernel, rules, v, control, asked.charged[group], protection, lists.online[group])
        v, found[0] = shrink_lruvec(own, v, control)
        return v

    if lists.swap is None:
        return evicting(kernel, lists, group, asked.target, step), found[0]
    inner = lists.shared.backing
    limited = Limited(inner, room_in_swap(lists.swap, group, inner.swap_free()))
    lists = evicting(kernel, _backed(lists, limited), group, asked.target, step)
    after = lists.shared.backing
    assert isinstance(after, Limited)
    assert lists.swap is not None
    taken = limited.left - after.left
    swap = force_charge(lists.swap, group, taken) if taken > 0 else uncharge(lists.swap, group, -taken)
    return replace(_backed(lists, after.inner), swap=swap), found[0]


def _backed(lists: Lists, backing: Backing) -> Lists:
    return replace(lists, shared=replace(lists.shared, backing=backing))


@verb("F060", source="mm/vmscan.c:shrink_zone, shrink_node, shrink_node_memcgs; 3.3 to 6.12")
def shrink_tree(
    kernel: Kernel, rules: Rules, lists: Lists, asked: Asked, control: Control, low_too: bool
) -> tuple[Lists, Pass]:
    """One pass at one priority over a tree of groups.

    low_too   groups that their memory.low covers are scanned as well
    Ensures   a group that its memory.min covers is not touched
    Errors    Unmodelled before 3.3
    """
    order = preorder(lists.parent, asked.target)
    how, least, worth = guards(kernel, lists, asked)
    told = bool(kernel.behaviour("memcg.low-share").function())
    shared = bool(kernel.behaviour("memcg.walk-shared").function(control.kswapd))
    ends = kernel.behaviour("memcg.walk-ends").function
    key = (asked.target, _figure(kernel, "memcg.walk-place", control.priority))
    place = lists.places.get(key, Place()) if shared else Place()
    walk, skipped = Walk(), False
    visited: list[int] = []
    low: list[int] = []
    while True:
        place, walk, group = visit(order, place, walk)
        if group == NOBODY:
            break
        if how[group] == MIN:
            continue
        if how[group] == LOW:
            if not low_too:
                skipped = True
                continue
            low.append(group)
        visited.append(group)
        by_low = not low_too and worth[group] > least[group]
        skipped |= by_low and told
        kept = worth[group] if by_low else least[group]
        lists, control = shrink_group(kernel, rules, lists, group, asked, control, kept)
        enough = control.reclaimed >= control.target
        if ends(asked.target != 0, control.kswapd, enough):
            break
    if shared:
        lists = replace(lists, places=lists.places.set(key, place))
    return lists, Pass(control, skipped, tuple(visited), tuple(low))


@verb("F060", source="mm/vmscan.c:try_to_free_mem_cgroup_pages, do_try_to_free_pages; 3.3 to 6.12")
def reclaim_group(
    kernel: Kernel,
    rules: Rules,
    lists: Lists,
    asked: Asked,
    pages: int,
    may_swap: bool,
    first: Callable[[Lists], tuple[Lists, int]] | None = None,
) -> tuple[Lists, int, tuple[Pass, ...]]:
    """Reclaim pages of a group and those below it: harder with every pass, low too if nothing else helps.

    first     what is done before each pass: soft limits, where the machine has too little
    Ensures   at most 26 passes; (lists, pages reclaimed, passes)
    """
    top = len(lists.shared.zones) - 1
    begun = control_of(0, False, top, SWAPPINESS)._replace(swaps=may_swap)
    target = _figure(kernel, "memcg.reclaim-target", pages)
    done: list[Pass] = []
    reclaimed = 0
    for low_too in (False, True):
        for priority in range(DEF_PRIORITY, -1, -1):
            if first is not None:
                lists, taken = first(lists)
                reclaimed += taken
            control = control_at(begun, priority, target, 0, reclaimed)
            lists, one = shrink_tree(kernel, rules, lists, asked, control, low_too)
            done.append(one)
            reclaimed = one.control.reclaimed
            if reclaimed >= target:
                return lists, reclaimed, tuple(done)
        if reclaimed or not any(one.skipped for one in done):
            break
    return lists, reclaimed, tuple(done)


@dataclass(frozen=True, slots=True)
class Household:
    """Counters and lists of all groups together."""

    charged: Charged
    lists: Lists


@verb("F060", source="mm/memcontrol.c:try_charge_memcg, uncharge_folio; 3.3 to 6.12")
def reclaimed_by(
    kernel: Kernel, rules: Rules, home: Household, group: int, pages: int, may_swap: bool, settings: Settings
) -> Step[Household, int]:
    """Reclaim for a limit, and give what each group lost back to its counters; the result says how much.

    Ensures   counters fall by exactly the pages that are gone; swap counts the slots that were taken
    """
    asked = Asked(group, settings, home.charged.memory.usage)
    lists = replace(home.lists, swap=home.charged.swap)
    before = [owned(lists, at) for at in range(len(lists.parent))]
    lists, freed, passes = reclaim_group(kernel, rules, lists, asked, pages, may_swap)
    charged = replace(home.charged, swap=lists.swap)
    for at, had in enumerate(before):
        lost = had - owned(lists, at)
        if lost:
            charged = give_back(charged, at, lost)
    low = tuple(GroupEvent(Kind.LOW, at) for one in passes for at in one.low)
    return Step(Household(charged, lists), freed, low)


def _figure(kernel: Kernel, rule: str, *arguments: int) -> int:
    value = kernel.behaviour(rule).function(*arguments)
    assert isinstance(value, int)
    return value
