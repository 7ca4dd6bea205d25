"""Who a group's limit does not hold up, when a charge is tried again, and what is done for memory.high.

Linux: mm/memcontrol.c:try_charge_memcg, try_charge, __mem_cgroup_try_charge.  Seed 2.9 (F060).  Since 2.6.25.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.memcg.counter import margin
from linuxmm.spec.registry import formula

_FEATURES: Final = ("F060",)
COSTLY: Final = 8
"""Pages beyond which a charge is not tried again merely because something was reclaimed."""

# ---- who is exempt from a limit ----------------------------------------------------------------------------


@behaviour(
    "memcg.exempt",
    since="2.6.25",
    until="2.6.28",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_charge_common; read in 2.6.28, earlier unconfirmed",
)
def exempt_nobody(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Whether a task's charges pass a limit: nobody's."""
    return False


@behaviour(
    "memcg.exempt",
    since="2.6.29",
    until="2.6.33",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_try_charge; read in 2.6.29 to 2.6.32, 2.6.33 unconfirmed",
)
def exempt_victim(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a victim of the OOM killer."""
    return killed


@behaviour(
    "memcg.exempt",
    since="2.6.34",
    until="3.15",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_try_charge; read in 2.6.34 to 3.14, 3.15 unconfirmed",
)
def exempt_dying(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a victim, and of a task with a fatal signal."""
    return killed | signalled


@behaviour(
    "memcg.exempt",
    since="3.16",
    until="4.8",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.16 to 4.6, 4.7 and 4.8 unconfirmed",
    replaced_in=("4.4.155",),
)
def exempt_exiting(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a task that is on its way out, too."""
    return killed | signalled | exiting


@behaviour(
    "memcg.exempt",
    since="4.9",
    until="5.3",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, PF_MEMALLOC; read in 4.9 to 5.3",
    backports=("4.4.155",),
    replaced_in=("4.19.95",),
)
def exempt_reclaimer(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a task that reclaims memory itself, too."""
    return killed | signalled | exiting | reclaims


@behaviour(
    "memcg.exempt",
    since="5.4",
    until="5.15",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, __GFP_ATOMIC; read in 5.4 to 5.11",
    backports=("4.19.95",),
    replaced_in=("5.15.16",),
)
def exempt_atomic(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Atomic ones, too."""
    return killed | signalled | exiting | reclaims | atomic


@behaviour(
    "memcg.exempt",
    since="5.16",
    until="5.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg; read in 5.15.16, 5.15.135 and 5.17, 5.18 unconfirmed",
    backports=("5.15.16",),
)
def exempt_not_dying(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a task that reclaims memory, and atomic ones: a dying task has to wait like any other."""
    return reclaims | atomic


@behaviour(
    "memcg.exempt",
    since="5.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg; read in 5.19 to 6.12",
)
def exempt_only_reclaimer(killed: bool, signalled: bool, exiting: bool, reclaims: bool, atomic: bool) -> bool:
    """Those of a task that reclaims memory; __GFP_HIGH passes where all else failed."""
    return reclaims


@behaviour(
    "memcg.pass",
    since="2.6.25",
    until="4.3",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, bypass; read in 2.6.28 to 4.3",
)
def passes_uncounted() -> bool:
    """Whether what passes a limit is counted: no, it belongs to nobody, or to the root."""
    return False


@behaviour(
    "memcg.pass",
    since="4.4",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge, force; read in 4.4 to 6.12",
)
def passes_counted() -> bool:
    """It is counted, and the group exceeds its limit."""
    return True


# ---- when a charge is tried again --------------------------------------------------------------------------


@behaviour(
    "memcg.again",
    since="2.6.25",
    until="2.6.37",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_do_charge; read in 2.6.28 to 2.6.37",
)
def again_with_any(reclaimed: int, room: int, pages: int) -> bool:
    """Whether a charge is tried again after reclaim: something was reclaimed, or there is some room."""
    return (reclaimed > 0) | (room > 0)


@behaviour(
    "memcg.again",
    since="2.6.38",
    until="3.7",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge; read in 2.6.38 to 3.6, 3.7 unconfirmed",
)
def again_with_room(reclaimed: int, room: int, pages: int) -> bool:
    """There is room for it, or it is one page and something was reclaimed."""
    return (room >= pages) | ((pages == 1) & (reclaimed > 0))


@behaviour(
    "memcg.again",
    since="3.8",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, try_charge; read in 3.8 to 6.12",
)
def again_if_not_costly(reclaimed: int, room: int, pages: int) -> bool:
    """There is room for it, or it is eight pages at most and something was reclaimed."""
    return (room >= pages) | ((pages <= COSTLY) & (reclaimed > 0))


@formula("F060", source="mm/memcontrol.c:mem_cgroup_margin; mm/page_counter.c:page_counter_try_charge")
def room_is_enough(usage: int, limit: int, pages: int) -> bool:
    """Whether a charge that nobody comes before is sure to fit when it is tried again."""
    return margin(usage, limit) >= pages


@behaviour(
    "memcg.stock-serves",
    since="2.6.25",
    until="3.7",
    features=_FEATURES,
    source="mm/memcontrol.c:consume_stock; read in 2.6.34 to 3.6, 3.7 unconfirmed",
)
def stock_serves_single(pages: int) -> bool:
    """Whether a CPU's stock may serve a charge: of one page."""
    return pages == 1


@behaviour(
    "memcg.stock-serves",
    since="3.8",
    features=_FEATURES,
    source="mm/memcontrol.c:consume_stock; read in 3.8 to 6.12",
)
def stock_serves_any(pages: int) -> bool:
    """Of any number of pages up to what is there."""
    return True


@behaviour(
    "memcg.order",
    since="2.6.25",
    until="3.17",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, try_charge; read in 2.6.29 to 3.17",
)
def memory_first() -> bool:
    """Whether memory with swap is counted before memory: after it."""
    return False


@behaviour(
    "memcg.order",
    since="3.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 3.18 to 6.12",
)
def both_first() -> bool:
    """Before it."""
    return True


@behaviour(
    "memcg.refused-by-both",
    since="2.6.25",
    until="2.6.36",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_do_charge; read in 2.6.31 to 2.6.36",
)
def gives_back() -> bool:
    """Whether memory gives pages back that memory with swap has no room for: yes."""
    return True


@behaviour(
    "memcg.refused-by-both",
    since="2.6.37",
    until="2.6.37",
    features=_FEATURES,
    source="mm/memcontrol.c:__mem_cgroup_do_charge; read in 2.6.37, which lost the line",
)
def keeps() -> bool:
    """No: they stay counted, and nobody owns them."""
    return False


@behaviour(
    "memcg.refused-by-both",
    since="2.6.38",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_do_charge, try_charge; read in 2.6.38 to 6.12",
)
def gives_back_again() -> bool:
    """Yes again."""
    return True


@invariant("memcg.charge.owned", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:try_charge")
def all_owned(counted: int, owned: int, stocked: int, passed: int) -> bool:
    """What is counted is what was granted, but for what passed uncounted, and what the CPUs' stocks hold.

    owned  pages granted, passed ones among them
    """
    return counted == owned - passed + stocked


# ---- memory.high -------------------------------------------------------------------------------------------

AT_ONCE, OWED, SKIPPED = range(3)
"""What becomes of pages charged above memory.high: reclaimed at once, owed till the task returns, nothing."""


@behaviour(
    "memcg.over-high",
    since="4.0",
    until="4.0",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 4.0",
)
def high_at_once(owed: int, blocking: bool, reclaims: bool, batch: int) -> int:
    """What a charge that succeeds does for each group above its high: reclaim, whatever it may do."""
    return AT_ONCE


@behaviour(
    "memcg.over-high",
    since="4.1",
    until="4.3",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 4.1 and 4.3",
)
def high_if_blocking(owed: int, blocking: bool, reclaims: bool, batch: int) -> int:
    """Reclaim, if it may wait."""
    return AT_ONCE if blocking else SKIPPED


@behaviour(
    "memcg.over-high",
    since="4.4",
    until="5.18",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge; read in 4.4 to 5.17, 5.18 unconfirmed",
)
def high_owed(owed: int, blocking: bool, reclaims: bool, batch: int) -> int:
    """The task owes its batch until it returns to user space."""
    return OWED


@behaviour(
    "memcg.over-high",
    since="5.19",
    features=_FEATURES,
    source="mm/memcontrol.c:try_charge_memcg; read in 5.19 to 6.12",
)
def high_owed_up_to_a_batch(owed: int, blocking: bool, reclaims: bool, batch: int) -> int:
    """Likewise, but one that owes more than a batch and may wait pays at once.

    owed   with what this charge adds
    batch  the CPU's, not this charge's
    """
    return AT_ONCE if (owed > batch) & blocking & (not reclaims) else OWED
