"""The events of a step over the arena: recorded, left out, or counted; and the tables of primitives.

`PRIMITIVES`, `UNTRACED` and `COUNTED` pair every primitive of the model with its array form.
"""

from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast import arena
from linuxmm.fast.arena import (
    IN_USE,
    KIND,
    ORDER_MASK,
    TAG,
    WORDS,
    FastZone,
    clear_in_use,
    pageblock_type,
    set_in_use,
)
from linuxmm.model.alloc import freelist
from linuxmm.spec.relink import Function

LOG_ZONE_LOCKED: Final = 1
LOG_PCPU_DRAIN: Final = 2
LOG_EXTFRAG: Final = 3

# What a counting run keeps in `log`.
LOCK_HOLDS: Final = 0
PCP_HOLDS: Final = 1
TAKEN: Final = 2
DRAINED: Final = 3
EXTFRAG: Final = 4
FRAGMENTING: Final = 5
NR_WORK: Final = 6
PAGES_FREED: Final = NR_WORK + 6  # after the pages handed out, by ZoneType number
NR_COUNTS: Final = PAGES_FREED + 1


def _record(z: FastZone, kind: int, pfn: int, a: int, b: int, c: int, d: int) -> None:
    used = z.log[0]
    if used + 7 <= z.log.size:
        z.log[used] = kind
        z.log[used + 1] = pfn
        z.log[used + 2] = a
        z.log[used + 3] = b
        z.log[used + 4] = c
        z.log[used + 5] = d
    z.log[0] = used + 6


def trace_zone_locked(z: FastZone, pfn: int, order: int, migratetype: int, percpu_refill: bool) -> FastZone:
    _record(z, LOG_ZONE_LOCKED, pfn, order, migratetype, 1 if percpu_refill else 0, 0)
    return z


def trace_pcpu_drain(z: FastZone, pfn: int, order: int, migratetype: int) -> FastZone:
    _record(z, LOG_PCPU_DRAIN, pfn, order, migratetype, 0, 0)
    return z


def trace_extfrag(
    z: FastZone, pfn: int, alloc_order: int, fallback_order: int, alloc_type: int, fallback_type: int
) -> FastZone:
    owned = 1 if pageblock_type(z, pfn) == alloc_type else 0
    _record(z, LOG_EXTFRAG, pfn, alloc_order, fallback_order, alloc_type | fallback_type << 8, owned)
    return z


def untraced_zone_locked(
    z: FastZone, pfn: int, order: int, migratetype: int, percpu_refill: bool
) -> FastZone:
    return z


def untraced_pcpu_drain(z: FastZone, pfn: int, order: int, migratetype: int) -> FastZone:
    return z


def untraced_extfrag(
    z: FastZone, pfn: int, alloc_order: int, fallback_order: int, alloc_type: int, fallback_type: int
) -> FastZone:
    return z


def counted_work(z: FastZone, what: int) -> FastZone:
    z.log[U(what)] += 1
    return z


def counted_zone_locked(z: FastZone, pfn: int, order: int, migratetype: int, percpu_refill: bool) -> FastZone:
    z.log[U(TAKEN)] += 1
    return z


def counted_pcpu_drain(z: FastZone, pfn: int, order: int, migratetype: int) -> FastZone:
    z.log[U(DRAINED)] += 1
    return z


def counted_extfrag(
    z: FastZone, pfn: int, alloc_order: int, fallback_order: int, alloc_type: int, fallback_type: int
) -> FastZone:
    z.log[U(EXTFRAG)] += 1
    if fallback_order < z.block_order:
        z.log[U(FRAGMENTING)] += 1
    return z


def counted_set_in_use(z: FastZone, pfn: int, order: int, movable: bool) -> FastZone:
    z.log[U(NR_WORK + z.st[U(z.counters + KIND)])] += 1 << order
    return set_in_use(z, pfn, order, movable)


def counted_clear_in_use(z: FastZone, pfn: int) -> FastZone:
    tag = int(z.mem[U(WORDS * pfn + TAG)])
    if tag & IN_USE:
        z.log[U(PAGES_FREED)] += 1 << (tag & ORDER_MASK)
    return clear_in_use(z, pfn)


_NAMES: Final = (
    "is_free_block",
    "free_order",
    "free_list_of",
    "list_head",
    "free_blocks",
    "pageblock_type",
    "spans",
    "movable_in_use",
    "nr_free_pages",
    "nr_free_cma",
    "nr_free_highatomic",
    "reserved_highatomic",
    "managed_pages",
    "watermark_of",
    "boost_of",
    "boost_factor_of",
    "lowmem_reserve_of",
    "has_isolated",
    "is_below_high",
    "is_reclaim_active",
    "is_boosted_watermark",
    "add_head",
    "add_tail",
    "remove",
    "account",
    "add_nr_free",
    "add_free_of_type",
    "set_pageblock_type",
    "set_reserved_highatomic",
    "add_isolated",
    "set_boost",
    "set_boosted_watermark",
    "set_below_high",
    "pcp_vars",
    "set_pcp_vars",
    "pcp_head",
    "pcp_tail",
    "cached_type",
    "pcp_add_head",
    "pcp_add_tail",
    "pcp_remove",
    "set_in_use",
    "clear_in_use",
    "count_work",
    "trace_zone_locked",
    "trace_pcpu_drain",
    "trace_extfrag",
)


def _here(name: str) -> Function:
    found: Function = globals()[name] if name in globals() else getattr(arena, name)
    return found


PRIMITIVES: Final[dict[Function, Function]] = {getattr(freelist, name): _here(name) for name in _NAMES}
"""Every primitive of the model -> its array form, recording events."""

UNTRACED: Final[dict[Function, Function]] = {
    **PRIMITIVES,
    freelist.trace_zone_locked: untraced_zone_locked,
    freelist.trace_pcpu_drain: untraced_pcpu_drain,
    freelist.trace_extfrag: untraced_extfrag,
}
"""The same, without events."""

COUNTED: Final[dict[Function, Function]] = {
    **PRIMITIVES,
    freelist.count_work: counted_work,
    freelist.trace_zone_locked: counted_zone_locked,
    freelist.trace_pcpu_drain: counted_pcpu_drain,
    freelist.trace_extfrag: counted_extfrag,
    freelist.set_in_use: counted_set_in_use,
    freelist.clear_in_use: counted_clear_in_use,
}
"""The same, with work and events counted in the first words of `log`."""
