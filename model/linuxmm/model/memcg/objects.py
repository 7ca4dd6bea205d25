"""Kernel memory of groups: objects charged by the byte, and the limit of its own that version 1 had.

Linux: mm/memcontrol.c:obj_cgroup_charge, obj_cgroup_uncharge, memcg_reparent_objcgs, memcg_charge_kmem.
Seed 2.9 (F060).  Kernel memory since 3.8, bytes since 5.9.
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, World, force, give_back, refill
from linuxmm.model.memcg.counter import NOBODY, Tree, force_charge, set_max, try_charge, uncharge
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.memcg.objects import bytes_over, pages_for, rest_of, whole_pages
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Step

_FEATURES: Final = ("F060",)


@dataclass(frozen=True, slots=True)
class Kmem:
    """Counters, with kernel memory's own where version 1 has one.

    kmem  pages of kernel memory by group, else None
    """

    charged: Charged
    kmem: Tree | None = None


# ---- pages -------------------------------------------------------------------------------------------------


@verb("F060", source="mm/memcontrol.c:memcg_charge_kmem, __memcg_kmem_charge, obj_cgroup_charge_pages")
def charge_pages(
    kernel: Kernel, state: Kmem, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Step[Kmem, bool | Err]:
    """Charge pages of kernel memory to a group.

    Ensures   counted in both counters, or in none
    Refuses   ENOMEM where either has no room
    """
    done = kernel.behaviour("memcg.kmem-charge").function(kernel, state, cpu, group, pages, ask, world)
    assert isinstance(done, Step)
    return done


@behaviour(
    "memcg.kmem-charge",
    since="3.8",
    until="4.4",
    features=_FEATURES,
    source="mm/memcontrol.c:memcg_charge_kmem; read in 3.8 to 4.4",
)
def kmem_first(
    kernel: Kernel, state: Kmem, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Step[Kmem, bool | Err]:
    """Kernel memory's own counter first; what would pass uncounted is forced."""
    kmem = state.kmem
    if kmem is not None:
        kmem, failed = try_charge(kmem, group, pages)
        if failed != NOBODY:
            return Step(replace(state, kmem=kmem), Err(Errno.ENOMEM))
    done = charge(kernel, state.charged, cpu, group, pages, ask, world)
    if isinstance(done.result, Err):
        kmem = None if kmem is None else uncharge(kmem, group, pages)
        return Step(Kmem(done.state, kmem), done.result, done.events)
    charged = done.state if done.result else force(done.state, group, pages)
    return Step(Kmem(charged, kmem), True, done.events)


@behaviour(
    "memcg.kmem-charge",
    since="4.5",
    until="5.15",
    features=_FEATURES,
    source="mm/memcontrol.c:__memcg_kmem_charge_memcg; read in 4.5 to 5.15; __GFP_NOFAIL "
    "passes the limit of kernel memory at least since 4.15",
)
def kmem_last(
    kernel: Kernel, state: Kmem, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Step[Kmem, bool | Err]:
    """Memory first; where kernel memory's own counter then refuses, memory is given back."""
    done = charge(kernel, state.charged, cpu, group, pages, ask, world)
    if isinstance(done.result, Err) or state.kmem is None:
        return Step(replace(state, charged=done.state), done.result, done.events)
    kmem, failed = try_charge(state.kmem, group, pages)
    if failed == NOBODY:
        return Step(Kmem(done.state, kmem), True, done.events)
    if ask.nofail:
        return Step(Kmem(done.state, force_charge(kmem, group, pages)), True, done.events)
    return Step(Kmem(give_back(done.state, group, pages), kmem), Err(Errno.ENOMEM), done.events)


@behaviour(
    "memcg.kmem-charge",
    since="5.16",
    features=_FEATURES,
    source="mm/memcontrol.c:obj_cgroup_charge_pages, memcg_account_kmem; read in 5.17 to 6.12",
)
def kmem_counted(
    kernel: Kernel, state: Kmem, cpu: int, group: int, pages: int, ask: Ask, world: World
) -> Step[Kmem, bool | Err]:
    """Kernel memory is counted, and has no limit."""
    done = charge(kernel, state.charged, cpu, group, pages, ask, world)
    kmem = state.kmem
    if done.result is True and kmem is not None:
        kmem = force_charge(kmem, group, pages)
    return Step(Kmem(done.state, kmem), done.result, done.events)


@verb("F060", source="mm/memcontrol.c:memcg_uncharge_kmem, __memcg_kmem_uncharge, obj_cgroup_uncharge_pages")
def give_pages_back(kernel: Kernel, state: Kmem, cpu: int, group: int, pages: int) -> Kmem:
    """Pages of kernel memory are freed."""
    kmem = None if state.kmem is None else uncharge(state.kmem, group, pages)
    charged = kernel.behaviour("memcg.kmem-uncharge").function(kernel, state.charged, cpu, group, pages)
    assert isinstance(charged, Charged)
    return Kmem(charged, kmem)


@behaviour(
    "memcg.kmem-uncharge",
    since="3.8",
    until="5.10",
    features=_FEATURES,
    source="mm/memcontrol.c:__memcg_kmem_uncharge; read in 3.10 to 5.10",
)
def back_to_counters(kernel: Kernel, charged: Charged, cpu: int, group: int, pages: int) -> Charged:
    """They leave the counters."""
    return give_back(charged, group, pages)


@behaviour(
    "memcg.kmem-uncharge",
    since="5.11",
    features=_FEATURES,
    source="mm/memcontrol.c:__memcg_kmem_uncharge, obj_cgroup_uncharge_pages; read in 5.11 to 6.12",
)
def back_to_stock(kernel: Kernel, charged: Charged, cpu: int, group: int, pages: int) -> Charged:
    """They go to the CPU's stock."""
    batch = kernel.behaviour("memcg.batch").function(1)
    assert isinstance(batch, int)
    return refill(charged, cpu, group, pages, batch)


@verb("F060", source="mm/memcontrol.c:memcg_update_kmem_limit, mem_cgroup_write")
def write_kmem_limit(
    kernel: Kernel, state: Kmem, group: int, limit: int, busy: bool, first: bool
) -> Kmem | Err:
    """Version 1: memory.kmem.limit_in_bytes.

    busy      the group has tasks or children; first  nothing was written to it before
    Refuses   EBUSY where more is used, or where a busy group begins to count; EOPNOTSUPP since 5.16
    """
    assert state.kmem is not None
    after = kernel.behaviour("memcg.kmem-limit").function(state.kmem, group, limit, busy and first)
    if isinstance(after, Errno):
        return Err(after)
    assert isinstance(after, Tree)
    return replace(state, kmem=after)


@behaviour(
    "memcg.kmem-limit",
    since="3.8",
    until="4.5",
    features=_FEATURES,
    source="mm/memcontrol.c:memcg_activate_kmem, memcg_update_kmem_limit; read in 3.8 to 4.5",
)
def limit_begins_counting(kmem: Tree, group: int, limit: int, begins: bool) -> Tree | Errno:
    """The first write begins to count, which a group with tasks or children cannot."""
    return Errno.EBUSY if begins else limit_if_it_fits(kmem, group, limit, begins)


@behaviour(
    "memcg.kmem-limit",
    since="4.6",
    until="5.15",
    features=_FEATURES,
    source="mm/memcontrol.c:memcg_update_kmem_limit; read in 4.6 to 5.15",
)
def limit_if_it_fits(kmem: Tree, group: int, limit: int, begins: bool) -> Tree | Errno:
    """What usage does not exceed is set."""
    after = set_max(kmem, group, limit)
    return Errno.EBUSY if after is None else after


@behaviour(
    "memcg.kmem-limit",
    since="5.16",
    until="6.5",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_write; read in 5.17 to 6.0 and 6.2 to 6.5, 5.16 unconfirmed",
    replaced_in=("6.1.158",),
)
def limit_refused(kmem: Tree, group: int, limit: int, begins: bool) -> Tree | Errno:
    """It is refused."""
    return Errno.EOPNOTSUPP


@behaviour(
    "memcg.kmem-limit",
    since="6.6",
    features=_FEATURES,
    source="mm/memcontrol.c:mem_cgroup_write; read in 6.6.9 to 6.12",
    backports=("6.1.158",),
)
def limit_ignored(kmem: Tree, group: int, limit: int, begins: bool) -> Tree | Errno:
    """It is accepted, and means nothing."""
    return kmem


# ---- bytes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ByteStock:
    """Bytes that a CPU has of one objcg."""

    objcg: int = NOBODY
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of all groups.

    group   objcg -> the group that it stands for now; rest  bytes kept with it; used  bytes in its objects
    pages   charged for it and not given back; stocks  by CPU
    """

    kmem: Kmem
    group: tuple[int, ...]
    rest: tuple[int, ...]
    used: tuple[int, ...]
    pages: tuple[int, ...]
    stocks: tuple[ByteStock, ...]


def no_objects(kmem: Kmem, groups: tuple[int, ...]) -> Objects:
    """An objcg for each of the groups, and no object."""
    none = (0,) * len(groups)
    return Objects(kmem, groups, none, none, none, (ByteStock(),) * len(kmem.charged.stocks))


def _add(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], values[at] + value, *values[at + 1 :])


def _with_stock(state: Objects, cpu: int, stock: ByteStock) -> Objects:
    return replace(state, stocks=(*state.stocks[:cpu], stock, *state.stocks[cpu + 1 :]))


def _pages_back(kernel: Kernel, state: Objects, cpu: int, objcg: int, pages: int) -> Objects:
    if not pages:
        return state
    kmem = give_pages_back(kernel, state.kmem, cpu, state.group[objcg], pages)
    return replace(state, kmem=kmem, pages=_add(state.pages, objcg, -pages))


@verb("F060", source="mm/memcontrol.c:drain_obj_stock; 5.9 to 6.12")
def drain_bytes(kernel: Kernel, state: Objects, cpu: int) -> Objects:
    """A CPU's stock is given up: whole pages go back, the rest to its objcg."""
    stock = state.stocks[cpu]
    if stock.objcg == NOBODY:
        return state
    state = _pages_back(kernel, state, cpu, stock.objcg, whole_pages(stock.bytes))
    state = replace(state, rest=_add(state.rest, stock.objcg, bytes_over(stock.bytes)))
    return _with_stock(state, cpu, ByteStock())


@verb("F060", source="mm/memcontrol.c:refill_obj_stock; 5.9 to 6.12")
def refill_bytes(kernel: Kernel, state: Objects, cpu: int, objcg: int, size: int, charging: bool) -> Objects:
    """Bytes of charged pages go to the CPU's stock, which takes over what the objcg has kept."""
    gives = kernel.behaviour("memcg.bytes-kept").function(charging)
    if state.stocks[cpu].objcg != objcg:
        state = drain_bytes(kernel, state, cpu)
        state = _with_stock(state, cpu, ByteStock(objcg, state.rest[objcg]))
        state = replace(state, rest=_add(state.rest, objcg, -state.rest[objcg]))
        gives = True
    held = state.stocks[cpu].bytes + size
    state = _with_stock(state, cpu, ByteStock(objcg, held))
    if not gives:
        return state
    over = kernel.behaviour("memcg.bytes-over").function(held)
    assert isinstance(over, tuple)
    back, left, kept, stays = over
    stock = ByteStock(objcg, left) if stays else ByteStock()
    state = replace(_with_stock(state, cpu, stock), rest=_add(state.rest, objcg, kept))
    return _pages_back(kernel, state, cpu, objcg, back)


@verb("F060", source="mm/memcontrol.c:obj_cgroup_charge; 5.9 to 6.12")
def charge_object(
    kernel: Kernel, state: Objects, cpu: int, objcg: int, size: int, ask: Ask, world: World
) -> Step[Objects, bool | Err]:
    """An object of so many bytes is allocated.

    Ensures   its bytes come from the CPU's stock, or pages are charged and the stock gets what is over
    Refuses   ENOMEM where the group has no room for the pages
    """
    stock = state.stocks[cpu]
    if stock.objcg == objcg and stock.bytes >= size:
        state = _with_stock(state, cpu, ByteStock(objcg, stock.bytes - size))
        return Step(replace(state, used=_add(state.used, objcg, size)), True)
    pages = pages_for(size)
    done = charge_pages(kernel, state.kmem, cpu, state.group[objcg], pages, ask, world)
    state = replace(state, kmem=done.state)
    if isinstance(done.result, Err):
        return Step(state, done.result, done.events)
    state = replace(state, pages=_add(state.pages, objcg, pages), used=_add(state.used, objcg, size))
    if rest_of(size):
        state = refill_bytes(kernel, state, cpu, objcg, rest_of(size), True)
    return Step(state, True, done.events)


@verb("F060", source="mm/memcontrol.c:obj_cgroup_uncharge; 5.9 to 6.12")
def free_object(kernel: Kernel, state: Objects, cpu: int, objcg: int, size: int) -> Objects:
    """An object is freed, on whatever CPU.

    Requires  its bytes are charged to the objcg
    """
    state = replace(state, used=_add(state.used, objcg, -size))
    return refill_bytes(kernel, state, cpu, objcg, size, False)


@verb("F060", source="mm/memcontrol.c:memcg_reparent_objcgs; 5.9 to 6.12")
def reparent(state: Objects, group: int) -> Objects:
    """A group is removed: its objects are charged to the group above from now on.

    Ensures   counters stay as they are: those above have the pages already, and the removed one's own
              counter keeps them for ever
    """
    above = state.kmem.charged.memory.parent[group]
    return replace(state, group=tuple(above if at == group else at for at in state.group))


@verb("F060", source="mm/memcontrol.c:obj_cgroup_release; 5.9 to 6.12")
def release(kernel: Kernel, state: Objects, cpu: int, objcg: int) -> Objects:
    """The last object is gone, and no stock holds the objcg: the pages that it kept go back.

    Requires  that it is so
    """
    kept = state.rest[objcg]
    state = replace(state, rest=_add(state.rest, objcg, -kept))
    return _pages_back(kernel, state, cpu, objcg, whole_pages(kept))
