"""A whole machine in one arena: building it from the model's state, and reading it back.

`pack` and `unpack` are the abstraction function and its inverse; lockstep tests compare through them.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from immutables import Map
from numpy import uintp as U  # noqa: N812

from linuxmm.fast import arena, events
from linuxmm.fast.arena import KIND, NODE, FastZone, Int32s, Int64s
from linuxmm.model.alloc import machine as model_machine
from linuxmm.model.alloc.freelist import Pcp, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.spec.alloc.pcp import PcpVars
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.relink import Function
from linuxmm.spec.vocabulary import NR_MIGRATETYPES

HEADS: Final = 0
COUNTERS: Final = 1
START: Final = 2
END: Final = 3
BLOCKS: Final = 4
ZONE_WORDS: Final = 5
LOG_WORDS: Final = 1 << 16


class FastMachine(NamedTuple):
    """Zones of a machine in an arena.

    table     per zone: first list head, first counter, start, end, where the type of pageblock 0 would be
              (zones that share a pageblock each note its type, as FLATMEM kernels do);
              then the zonelists, each with its length;
              then the notes: a word, one a zone, two a node
    nr_zones, nr_nodes
    lists_at  index in `table` of the zonelist of node 0; every zonelist takes nr_zones + 1 words
    """

    mem: Int32s
    st: Int64s
    log: Int64s
    table: Int64s
    nodes: int
    blocks: int
    block_order: int
    lists_per_cpu: int
    nr_orders: int
    nr_zones: int
    nr_nodes: int
    lists_at: int


# ---- primitives ------------------------------------------------------------------------------------------


def zone_at(m: FastMachine, index: int) -> FastZone:
    t = m.table
    at = index * ZONE_WORDS
    return FastZone(
        m.mem,
        m.st,
        m.log,
        t[U(at + HEADS)],
        t[U(at + COUNTERS)],
        t[U(at + BLOCKS)],
        t[U(at + START)],
        t[U(at + END)],
        m.block_order,
        m.lists_per_cpu,
        m.nr_orders,
    )


def with_zone(m: FastMachine, index: int, zone: FastZone) -> FastMachine:
    return m


def nr_zones(m: FastMachine) -> int:
    return m.nr_zones


def zonelist_length(m: FastMachine, node: int) -> int:
    return m.table[U(m.lists_at + node * (m.nr_zones + 1))]  # type: ignore[no-any-return]


def zonelist_entry(m: FastMachine, node: int, position: int) -> int:
    return m.table[U(m.lists_at + node * (m.nr_zones + 1) + 1 + position)]  # type: ignore[no-any-return]


def nr_online_nodes(m: FastMachine) -> int:
    return m.nr_nodes


def note(m: FastMachine, word: int) -> int:
    return m.table[U(_notes_at(m) + word)]  # type: ignore[no-any-return]


def set_note(m: FastMachine, word: int, value: int) -> FastMachine:
    m.table[U(_notes_at(m) + word)] = value
    return m


def _notes_at(m: FastMachine) -> int:
    return m.table.size - (1 + m.nr_zones + 2 * m.nr_nodes)


def zone_node(z: FastZone) -> int:
    return z.st[U(z.counters + NODE)]  # type: ignore[no-any-return]


def zone_kind(z: FastZone) -> int:
    return z.st[U(z.counters + KIND)]  # type: ignore[no-any-return]


_OF_MACHINE: Final[dict[Function, Function]] = {
    model_machine.zone_at: zone_at,
    model_machine.with_zone: with_zone,
    model_machine.nr_zones: nr_zones,
    model_machine.zonelist_length: zonelist_length,
    model_machine.zonelist_entry: zonelist_entry,
    model_machine.nr_online_nodes: nr_online_nodes,
    model_machine.note: note,
    model_machine.set_note: set_note,
    model_machine.zone_node: zone_node,
    model_machine.zone_kind: zone_kind,
}
PRIMITIVES: Final[dict[Function, Function]] = {**events.PRIMITIVES, **_OF_MACHINE}
"""Every primitive of the model -> its array form, recording events."""

UNTRACED: Final[dict[Function, Function]] = {**events.UNTRACED, **_OF_MACHINE}
"""The same, without events."""

COUNTED: Final[dict[Function, Function]] = {**events.COUNTED, **_OF_MACHINE}
"""The same, with work and events counted."""


# ---- abstraction -----------------------------------------------------------------------------------------


def pack(machine: Machine, log_words: int = LOG_WORDS) -> FastMachine:
    """The machine as arrays.

    Ensures   unpack(pack(m)) == m
    Errors    ImpossibleProfile when a pfn does not fit the arena's 31-bit words
    """
    zones = machine.zones
    first = zones[0]
    orders, lists, cpus = len(first.lists), len(first.pcps[0].lists), len(first.pcps)
    frames = max(zone.end for zone in zones)
    heads = orders * NR_MIGRATETYPES + cpus * lists
    nodes = frames + heads * len(zones)
    if arena.WORDS * nodes >= 1 << 31:
        raise ImpossibleProfile(f"{frames} page frames do not fit an arena; its limit is 2**31 words")
    words = arena.PCP_VARS + cpus * arena.NR_PCP_VARS
    blocks = words * len(zones)
    mem = np.zeros(arena.WORDS * nodes, np.int32)
    each = mem.reshape(nodes, arena.WORDS)
    each[frames:, 0] = each[frames:, arena.PREV] = np.arange(frames, nodes, dtype=np.int32)
    st = np.zeros(blocks + sum(len(zone.types) for zone in zones), np.int64)
    lists_at = ZONE_WORDS * len(zones)
    notes_at = lists_at + len(machine.zonelists) * (len(zones) + 1)
    table = np.zeros(notes_at + 1 + len(zones) + 2 * machine.nr_nodes, np.int64)
    for word, value in machine.notes.items():
        table[notes_at + word] = value
    types_at = blocks
    for index, zone in enumerate(zones):
        table[index * ZONE_WORDS : (index + 1) * ZONE_WORDS] = (
            frames + index * heads,
            index * words,
            zone.start,
            zone.end,
            types_at - (zone.start >> zone.pageblock_order),
        )
        types_at += len(zone.types)
    for node, zonelist in enumerate(machine.zonelists):
        at = lists_at + node * (len(zones) + 1)
        table[at] = len(zonelist)
        table[at + 1 : at + 1 + len(zonelist)] = zonelist
    packed = FastMachine(
        mem,
        st,
        np.ones(log_words, np.int64),
        table,
        nodes,
        blocks,
        first.pageblock_order,
        lists,
        orders,
        len(zones),
        machine.nr_nodes,
        lists_at,
    )
    for index, zone in enumerate(zones):
        _pack_zone(zone_at(packed, index), zone)
    return packed


def _pack_zone(z: FastZone, zone: Zone) -> None:
    for order, row in enumerate(zone.lists):
        for migratetype, heads in enumerate(row):
            for pfn in heads:
                arena.add_tail(z, pfn, order, migratetype)
    for cpu, pcp in enumerate(zone.pcps):
        for index, heads in enumerate(pcp.lists):
            for pfn in heads:
                arena.pcp_add_tail(z, cpu, index, pfn, *zone.cached[pfn])
        arena.set_pcp_vars(z, cpu, pcp.vars)
    for pfn, (order, movable) in zone.in_use.items():
        arena.set_in_use(z, pfn, order, bool(movable))
    first = zone.start >> zone.pageblock_order
    z.st[z.blocks + first : z.blocks + first + len(zone.types)] = zone.types
    counters = z.st[z.counters :]
    counters[arena.NR_FREE : arena.MANAGED + 1] = (
        zone.nr_free,
        zone.nr_free_cma,
        zone.nr_free_highatomic,
        zone.reserved_highatomic,
        zone.nr_isolated,
        zone.boost,
        zone.boost_factor,
        zone.boosted_watermark,
        zone.below_high,
        zone.reclaim_active,
        zone.managed,
    )
    counters[arena.WATERMARK : arena.WATERMARK + 3] = zone.watermark
    counters[arena.LOWMEM_RESERVE : arena.LOWMEM_RESERVE + 6] = zone.lowmem_reserve
    counters[arena.NODE] = zone.node
    counters[arena.KIND] = zone.kind


def unpack(m: FastMachine) -> Machine:
    """The model's state that the arrays stand for (the step's events are not part of it)."""
    cpus = (int(m.table[COUNTERS + ZONE_WORDS]) if m.nr_zones > 1 else m.blocks) - arena.PCP_VARS
    return Machine(
        tuple(_unpack_zone(zone_at(m, i), m, cpus // arena.NR_PCP_VARS) for i in range(m.nr_zones)),
        tuple(
            tuple(int(zonelist_entry(m, node, at)) for at in range(int(zonelist_length(m, node))))
            for node in range((_notes_at(m) - m.lists_at) // (m.nr_zones + 1))
        ),
        m.nr_nodes,
        Map({word: int(value) for word, value in enumerate(m.table[_notes_at(m) :]) if value}),
    )


def walk(z: FastZone, head: int) -> Iterable[int]:
    """The pfns of the list that begins at node `head`."""
    node = int(z.mem[arena.WORDS * head])
    while node != head:
        yield node
        node = int(z.mem[arena.WORDS * node])


def _unpack_zone(z: FastZone, m: FastMachine, cpus: int) -> Zone:
    counters = [int(word) for word in z.st[z.counters : z.counters + arena.PCP_VARS]]
    base = int(z.heads)
    lists = tuple(
        tuple(tuple(walk(z, base + order * NR_MIGRATETYPES + mt)) for mt in range(NR_MIGRATETYPES))
        for order in range(m.nr_orders)
    )
    pcp_base = base + m.nr_orders * NR_MIGRATETYPES
    pcps = tuple(
        Pcp(
            PcpVars(*(int(word) for word in arena.pcp_vars(z, cpu))),
            tuple(
                tuple(walk(z, pcp_base + cpu * m.lists_per_cpu + index)) for index in range(m.lists_per_cpu)
            ),
        )
        for cpu in range(cpus)
    )
    start, end = int(z.start), int(z.end)
    tags = z.mem[arena.WORDS * start + arena.TAG : arena.WORDS * end : arena.WORDS]
    first = start >> z.block_order
    last = (end - 1) >> z.block_order
    return Zone(
        node=counters[arena.NODE],
        kind=counters[arena.KIND],
        start=start,
        end=end,
        managed=counters[arena.MANAGED],
        free=_tagged(tags, start, arena.FREE),
        lists=lists,
        cached=_tagged(tags, start, arena.CACHED),
        in_use=_tagged(tags, start, arena.IN_USE),
        types=tuple(int(t) for t in z.st[z.blocks + first : z.blocks + last + 1]),
        pageblock_order=int(z.block_order),
        pcps=pcps,
        watermark=(counters[arena.WATERMARK], counters[arena.WATERMARK + 1], counters[arena.WATERMARK + 2]),
        boost=counters[arena.BOOST],
        boost_factor=counters[arena.BOOST_FACTOR],
        lowmem_reserve=tuple(counters[arena.LOWMEM_RESERVE : arena.LOWMEM_RESERVE + 6]),
        nr_free=counters[arena.NR_FREE],
        nr_free_cma=counters[arena.NR_FREE_CMA],
        nr_free_highatomic=counters[arena.NR_FREE_HIGHATOMIC],
        reserved_highatomic=counters[arena.RESERVED_HIGHATOMIC],
        nr_isolated=counters[arena.NR_ISOLATED],
        boosted_watermark=bool(counters[arena.BOOSTED]),
        below_high=bool(counters[arena.BELOW_HIGH]),
        reclaim_active=bool(counters[arena.RECLAIM_ACTIVE]),
    )


def _tagged(tags: Int32s, start: int, bit: int) -> Map[int, tuple[int, int]]:
    found = np.flatnonzero(tags & bit)
    return Map(
        {
            start + int(at): (
                int(tags[at]) & arena.ORDER_MASK,
                int(bool(tags[at] & arena.MOVABLE_BIT))
                if bit == arena.IN_USE
                else (int(tags[at]) >> arena.TYPE_SHIFT) & arena.TYPE_MASK,
            )
            for at in found
        }
    )
