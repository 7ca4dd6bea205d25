"""The compiled allocator of one machine, one operation at a time, with the events of each step.

For judging recordings: every operation is named by a code, runs the model's own algorithm, and leaves what
it did in the log.  For throughput use `linuxmm.fast.allocator`, which runs whole batches.
"""

from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import Final, NamedTuple

from linuxmm.fast import arena
from linuxmm.fast.arena import FastZone
from linuxmm.fast.link import RULES, Linked
from linuxmm.fast.machine import PRIMITIVES, FastMachine, pack, unpack, walk, zone_at
from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import set_pageblock_type
from linuxmm.model.alloc.isolate import (
    isolate_free_page,
    putback_isolated_page,
)
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.machine import zone_at as model_zone_at
from linuxmm.model.alloc.pcp import pop_pcplist
from linuxmm.model.alloc.request import (
    alloc_fast,
    alloc_min,
    first_passing,
    free_to_zone,
    get_page_from_freelist,
    rmqueue,
    zone_of,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.pcp import PcpVars
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.relink import Function, Relinker
from linuxmm.spec.vocabulary import NR_MIGRATETYPES

ALLOC_FAST: Final = 0
ALLOC_MIN: Final = 1
TAKE: Final = 2
FREE: Final = 3
FREE_LARGE: Final = 4
FREE_ONE: Final = 5
DRAIN: Final = 6
POP: Final = 7
ISOLATE_FREE: Final = 8
PUTBACK: Final = 9
SET_TYPE: Final = 10
CHOOSE: Final = 11
ATTEMPT: Final = 12


def step(
    m: FastMachine, code: int, pfn: int, order: int, migratetype: int, cpu: int, r: Request, flags: int
) -> int:
    """One operation; a pfn for the codes that hand out, else 0."""
    if code == ALLOC_FAST:
        return alloc_fast(RULES, m, r)[1]  # type: ignore[arg-type]
    if code == ALLOC_MIN:
        return alloc_min(RULES, m, r, False)[1]  # type: ignore[arg-type]
    if code == ATTEMPT:
        return get_page_from_freelist(RULES, m, r, flags, order != 0)[1]  # type: ignore[arg-type]
    if code == CHOOSE:
        return first_passing(RULES, m, r, flags, pfn)  # type: ignore[arg-type]
    zone = model_zone_at(m, zone_of(m, pfn))  # type: ignore[arg-type]
    if code == TAKE:
        return rmqueue(RULES, zone, cpu, order, migratetype, flags)[1]
    if code == POP:
        return pop_pcplist(RULES, zone, cpu, order, migratetype, flags)[1]
    if code == FREE:
        free_to_zone(RULES, zone, cpu, pfn, order)
    elif code == FREE_LARGE:
        RULES.free_large(RULES, zone, pfn, order)
    elif code == FREE_ONE:
        free_one_page(RULES, zone, pfn, order, migratetype, flags != 0)
    elif code == DRAIN:
        RULES.pcp_drain(RULES, zone, cpu, order, flags)
    elif code == ISOLATE_FREE:
        isolate_free_page(RULES, zone, pfn, order)
    elif code == PUTBACK:
        putback_isolated_page(RULES, zone, pfn, order, migratetype)
    elif code == SET_TYPE:
        set_pageblock_type(zone, pfn, migratetype)
    return 0


_COLD: Final = frozenset(
    {
        "free_one_page",
        "rmqueue_bulk",
        "rmqueue_smallest",
        "rmqueue",
        "try_zones",
        "move_freepages",
        "count_block",
        "steal_and_retry",
        "claim_fallback",
        "steal_smallest",
        "fallback_from_largest",
        "drain_list_by_list",
        "drain_growing_rounds",
        "drain_rounds",
        "drain_single_list",
        "watermark_ok_any_block",
        "watermark_ok_harder_any_type",
        "watermark_ok_per_order",
    }
)


@lru_cache(maxsize=8)
def _compiled(rules: Rules) -> Function:
    return Linked(rules, PRIMITIVES, _COLD).entry(step)


class LogEntry(NamedTuple):
    """One event of a step; fields as the tracepoint orders them, unused ones 0.

    kind  LOG_ZONE_LOCKED: order, migratetype, percpu_refill; LOG_PCPU_DRAIN: order, migratetype;
          LOG_EXTFRAG: alloc order, fallback order, types (alloc | fallback << 8), change of ownership
    """

    kind: int
    pfn: int
    a: int
    b: int
    c: int
    d: int


class Snapshot(NamedTuple):
    """A machine's arrays at one moment."""

    mem: arena.Int32s
    st: arena.Int64s
    log: arena.Int64s


_NO_REQUEST: Final = Request(0, 0, 0, 0, 0, 0, -1, 0)


def _plain(zone: FastZone) -> FastZone:
    """A zone whose numbers are plain ints, which are quicker to read one at a time."""
    return FastZone(zone.mem, zone.st, zone.log, *(int(word) for word in zone[3:]))


class Engine:
    """A machine that runs compiled operations; its state can be read back at any time.

    zones  the zones in the arena, by number
    """

    def __init__(self, rules: Rules, machine: Machine) -> None:
        self.rules = rules
        self.arrays = pack(machine)
        self.zones = tuple(_plain(zone_at(self.arrays, index)) for index in range(self.arrays.nr_zones))
        self._step = _compiled(rules)
        self._link = Relinker(PRIMITIVES)
        self._interpreted = Rules._make(
            self._link(value) if isinstance(value, FunctionType) else value for value in rules
        )

    @property
    def machine(self) -> Machine:
        """The model's state now."""
        return unpack(self.arrays)

    def run(
        self,
        code: int,
        *,
        pfn: int = 0,
        order: int = 0,
        migratetype: int = 0,
        cpu: int = 0,
        request: Request = _NO_REQUEST,
        flags: int = 0,
    ) -> int:
        """Run one operation; the pfn that it hands out, or -1 or 0.

        Requires  pfn lies in a zone, for every code but ALLOC_FAST and ALLOC_MIN
        Errors    LinuxmmError when the step had more events than the log holds
        """
        self.arrays.log[0] = 1
        result = self._step(self.arrays, code, pfn, order, migratetype, cpu, request, flags)
        if self.arrays.log[0] > self.arrays.log.size:
            raise LinuxmmError(f"operation {code} had more events than the log of the arena holds")
        return int(result)

    def interpret(self, step: Function, zone: int, *arguments: int) -> None:
        """Run a rare step of the model on a zone: the same algorithm over the arrays, not compiled.

        step  a function of (rules, zone, *arguments); its events replace those of the last operation
        """
        self.arrays.log[0] = 1
        self._link(step)(self._interpreted, self.zones[zone], *arguments)

    def snapshot(self) -> Snapshot:
        """The state and the log as they are."""
        m = self.arrays
        return Snapshot(m.mem.copy(), m.st.copy(), m.log[: int(m.log[0])].copy())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot."""
        m = self.arrays
        m.mem[:] = snapshot.mem
        m.st[:] = snapshot.st
        m.log[: snapshot.log.size] = snapshot.log

    def log(self) -> Iterator[LogEntry]:
        """The events of the last operation, in order."""
        used = int(self.arrays.log[0])
        words = self.arrays.log[1:used].tolist()
        return (LogEntry(*words[at : at + 6]) for at in range(0, len(words), 6))

    def zone_of(self, pfn: int) -> int:
        """Zone number of the zone whose span holds pfn, or -1."""
        for index, zone in enumerate(self.zones):
            if zone.start <= pfn < zone.end:
                return index
        return -1

    def holder(self, pfn: int) -> str:
        """Where a block is: "free", "cached", "in use" or "unknown"."""
        tag = int(self.arrays.mem[arena.WORDS * pfn + arena.TAG])
        for bit, name in ((arena.FREE, "free"), (arena.CACHED, "cached"), (arena.IN_USE, "in use")):
            if tag & bit:
                return name
        return "unknown"

    @property
    def nr_cpus(self) -> int:
        """CPUs whose lists the machine has."""
        words = self.arrays.blocks // max(self.arrays.nr_zones, 1)
        return (words - arena.PCP_VARS) // arena.NR_PCP_VARS

    def has_block(self, pfn: int, order: int) -> bool:
        """Whether (pfn, order) is an aligned block inside one zone."""
        if not 0 <= order <= self.rules.max_order or pfn < 0 or pfn & ((1 << order) - 1):
            return False
        zone = self.zone_of(pfn)
        return zone >= 0 and self.zone_of(pfn + (1 << order) - 1) == zone

    def is_listed(self, pfn: int, order: int) -> bool:
        """Whether any page of a block stands on a free list or a CPU's list.

        Requires  has_block(pfn, order)
        """
        tags = self.arrays.mem[arena.TAG :: arena.WORDS]
        listed = arena.FREE | arena.CACHED
        if (tags[pfn : pfn + (1 << order)] & listed).any():
            return True
        for above in range(1, self.rules.max_order + 1):
            head = pfn >> above << above
            tag = int(tags[head])
            if tag & listed and tag & arena.ORDER_MASK >= above and head < pfn:
                return True
        return False

    def next_cached(self, zone: int, cpu: int, order: int, migratetype: int) -> int:
        """The block that a CPU's list hands out next, or -1."""
        index = self.rules.pcp_index(order, migratetype)
        return int(arena.pcp_head(self.zones[zone], cpu, index))

    def free_block(self, pfn: int) -> int:
        """The first pfn of the free block that holds pfn, or -1."""
        for order in range(self.rules.max_order + 1):
            head = pfn >> order << order
            if self.free_order(head) == order:
                return head
        return -1

    def list_of(self, pfn: int) -> int:
        """The node of the head of the free list on which a free block stands.

        Requires  free_order(pfn) >= 0
        """
        zone = self.zones[self.zone_of(pfn)]
        tag = int(self.arrays.mem[arena.WORDS * pfn + arena.TAG])
        migratetype = tag >> arena.TYPE_SHIFT & arena.TYPE_MASK
        return int(zone.heads) + (tag & arena.ORDER_MASK) * NR_MIGRATETYPES + migratetype

    def list_head(self, pfn: int) -> int:
        """The first block of the free list on which a free block stands.

        Requires  free_order(pfn) >= 0
        """
        return int(self.arrays.mem[arena.WORDS * self.list_of(pfn)])

    def free_list(self, zone: int, order: int, migratetype: int) -> tuple[int, ...]:
        """The free blocks of a list, the first to be handed out first."""
        z = self.zones[zone]
        return tuple(walk(z, int(z.heads) + order * NR_MIGRATETYPES + migratetype))

    def turn_list(self, zone: int, order: int, migratetype: int, heads: tuple[int, ...]) -> None:
        """Give a free list another order.

        Requires  heads are its blocks
        """
        z = self.zones[zone]
        ring = (int(z.heads) + order * NR_MIGRATETYPES + migratetype, *heads)
        for node, after in zip(ring, (*ring[1:], ring[0]), strict=True):
            self.arrays.mem[arena.WORDS * node] = after
            self.arrays.mem[arena.WORDS * after + arena.PREV] = node

    def pcp_vars(self, zone: int, cpu: int) -> PcpVars:
        """The numbers of a CPU's list in a zone."""
        return PcpVars(*(int(word) for word in arena.pcp_vars(self.zones[zone], cpu)))

    def set_pcp_vars(self, zone: int, cpu: int, numbers: PcpVars) -> None:
        """Give a CPU's list in a zone other numbers."""
        arena.set_pcp_vars(self.zones[zone], cpu, numbers)

    def set_flags(self, zone: int, reclaim_active: bool, below_high: bool) -> None:
        """Give a zone other flags."""
        counters = self.zones[zone].counters
        self.arrays.st[counters + arena.RECLAIM_ACTIVE] = reclaim_active
        self.arrays.st[counters + arena.BELOW_HIGH] = below_high

    def boost(self, zone: int) -> int:
        """The watermark boost of a zone, in pages."""
        return int(arena.boost_of(self.zones[zone]))

    def set_boost(self, zone: int, pages: int) -> None:
        """Give a zone another watermark boost."""
        arena.set_boost(self.zones[zone], pages)

    def free_order(self, pfn: int) -> int:
        """The order of the free block that starts at pfn, or -1."""
        index = self.zone_of(pfn)
        return -1 if index < 0 else int(arena.free_order(self.zones[index], pfn))

    def node_of(self, zone: int) -> int:
        """The node of a zone."""
        return int(self.arrays.st[self.zones[zone].counters + arena.NODE])

    def start_of(self, zone: int) -> int:
        """The first pfn of a zone."""
        return int(self.zones[zone].start)

    def pageblock_type(self, pfn: int) -> int:
        """The type of the pageblock that holds pfn."""
        return int(arena.pageblock_type(self.zones[max(self.zone_of(pfn), 0)], pfn))
