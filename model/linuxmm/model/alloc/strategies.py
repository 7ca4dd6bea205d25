"""Small machines, and a Hypothesis state machine that drives any allocator built from the model's algorithms.

A machine has two nodes and three zones, one of which ends in the middle of a pageblock, and two CPUs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linuxmm.model.alloc.audit import broken, keeps_isolated_apart, mergeable_pairs, multiset
from linuxmm.model.alloc.boot import Area, empty_zone, free_boot_memory
from linuxmm.model.alloc.freelist import (
    CMA,
    HIGHATOMIC,
    ISOLATE,
    NOTHING,
    Pcp,
    Zone,
    pageblock_type,
)
from linuxmm.model.alloc.isolate import (
    isolate_free_page,
    isolate_pageblock,
    putback_isolated_page,
    unisolate_pageblock,
)
from linuxmm.model.alloc.machine import Machine, with_zone, zone_at
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages, zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import (
    GFP_ATOMIC,
    GFP_DMA_BIT,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL,
    GFP_NOWAIT,
    GFP_RECLAIMABLE_BIT,
)
from linuxmm.spec.alloc.request import Request, request
from linuxmm.spec.kernel import Arch, Kernel, Version, kernel, parse_version

VERSIONS: Final = (
    "2.4.22",
    "2.6.11",
    "2.6.24",
    "2.6.28",
    "2.6.32",
    "3.9",
    "3.14",
    "3.19",
    "4.2",
    "4.4",
    "4.10",
    "4.15",
    "5.4",
    "5.10",
    "5.14",
    "6.1.192",
    "6.7",
    "6.10",
    "6.12.117",
)
"""One kernel of every generation of some rule."""

GFPS: Final = (
    GFP_KERNEL,
    GFP_HIGHUSER_MOVABLE,
    GFP_KERNEL | GFP_RECLAIMABLE_BIT,
    GFP_ATOMIC,
    GFP_NOWAIT,
    GFP_KERNEL | GFP_DMA_BIT,
)

SMALL_PAGEBLOCK: Final = 3
SMALL_MAX: Final = 4
_AREAS: Final = (Area(0, 0, 0, 32, 32), Area(0, 2, 32, 108, 76), Area(1, 2, 112, 176, 64))
_CMA: Final = (144, 160)


def small_kernel(version: str) -> Kernel:
    """The usual configuration of a version; with CMA since 3.5; 32-bit in 2.4."""
    number = parse_version(version)
    if number < Version(2, 6):
        return kernel(version, Arch.I386)
    return kernel(version, cma=number >= Version(3, 5))


def small_rules(version: str) -> Rules:
    """The rules of a kernel with pageblocks of 8 pages and blocks of at most 16."""
    return rules_for(small_kernel(version), False, SMALL_PAGEBLOCK)._replace(max_order=SMALL_MAX)


def small_machine(version: str) -> Machine:
    """Two nodes: 32 pages of DMA and 76 of NORMAL; 64 of NORMAL, 16 of them CMA where the kernel has it."""
    profile, rules = small_kernel(version), small_rules(version)
    zones = tuple(_small_zone(profile, rules, area) for area in _AREAS)
    machine = Machine(zones, ((1, 0, 2), (2, 1, 0)), 2)
    return profile.behaviour("alloc.turns").function(machine)  # type: ignore[return-value]


def _small_zone(profile: Kernel, rules: Rules, area: Area) -> Zone:
    zone = empty_zone(rules, area, 2)
    first = profile.behaviour("alloc.boot-type").function()
    types = [first] * len(zone.types)
    if profile.config.cma:
        for pfn in range(max(_CMA[0], area.start), min(_CMA[1], area.end), 1 << SMALL_PAGEBLOCK):
            types[(pfn - area.start) >> SMALL_PAGEBLOCK] = CMA
    zone = replace(zone, types=tuple(types))  # type: ignore[arg-type]
    zone = free_boot_memory(profile, rules, zone, [(area.start, area.end)])
    v = zone.pcps[0].vars._replace(batch=3, high=9, high_min=9, high_max=15)
    pcps = tuple(Pcp(v, pcp.lists) for pcp in zone.pcps)
    return replace(
        zone, pcps=pcps, watermark=(4, 6, 8), boost_factor=15000, lowmem_reserve=(0, 0, 2, 2, 2, 2)
    )


class Allocator:
    """The operations of an allocator on one machine, model or compiled.

    link  rebuilds an algorithm for the representation of `machine` (the identity for the model)
    """

    def __init__(
        self, rules: Rules, machine: Any, link: Callable[[Any], Any] = lambda function: function
    ) -> None:
        self.rules = rules
        self.machine = machine
        self._link = link

    def alloc(self, req: Request) -> int:
        """The block that answers a request, or NOTHING: the fast path, then the min watermark."""
        self.machine, pfn, _ = self._link(alloc_fast)(self.rules, self.machine, req)
        if pfn == NOTHING:
            self.machine, pfn, _ = self._link(alloc_min)(self.rules, self.machine, req, False)
        return int(pfn)

    def free(self, cpu: int, pfn: int, order: int) -> None:
        """Give a block back."""
        self.machine = self._link(free_pages)(self.rules, self.machine, cpu, pfn, order)

    def drain(self, cpu: int, pfn: int) -> None:
        """Empty a CPU's lists in the zone of pfn."""
        self._in_zone(pfn, drain_pages_zone, cpu)

    def isolate(self, pfn: int) -> None:
        """Isolate a pageblock."""
        self._in_zone(pfn, isolate_pageblock, pfn)

    def unisolate(self, pfn: int, migratetype: int) -> None:
        """Undo `isolate`."""
        self._in_zone(pfn, unisolate_pageblock, pfn, migratetype)

    def take_free(self, pfn: int, order: int) -> None:
        """Take a free block off the lists."""
        self._in_zone(pfn, isolate_free_page, pfn, order)

    def put_back(self, pfn: int, order: int, migratetype: int) -> None:
        """Put a block back that was taken off."""
        self._in_zone(pfn, putback_isolated_page, pfn, order, migratetype)

    def _in_zone(self, pfn: int, function: Callable[..., Any], *arguments: int) -> None:
        index = self._link(zone_of)(self.machine, pfn)
        zone = self._link(zone_at)(self.machine, index)
        zone = self._link(function)(self.rules, zone, *arguments)
        self.machine = self._link(with_zone)(self.machine, index, zone)


def quiet(machine: Machine) -> Machine:
    """The machine without the events of its last steps."""
    return replace(machine, zones=tuple(replace(zone, log=()) for zone in machine.zones))


class AllocatorMachine(RuleBasedStateMachine):
    """Random requests, frees, drains and isolations; every invariant after every step."""

    versions: tuple[str, ...] = VERSIONS

    @initialize(data=st.data())
    def start(self, data: st.DataObject) -> None:
        """Draw a kernel."""
        self.version = data.draw(st.sampled_from(self.versions), "version")
        self.single_type = small_kernel(self.version).version < Version(2, 6, 24)
        self.subject = Allocator(small_rules(self.version), small_machine(self.version))
        self.held: list[tuple[int, int]] = []
        self.isolated: list[int] = []

    def request(self, order: int, gfp: int, cpu: int, node: int) -> Request:
        """A request as this kernel understands it."""
        return request(order, gfp, cpu=cpu, node=node, grouping_disabled=self.single_type)

    @rule(
        order=st.integers(0, SMALL_MAX),
        gfp=st.sampled_from(GFPS),
        cpu=st.integers(0, 1),
        node=st.integers(0, 1),
    )
    def alloc(self, order: int, gfp: int, cpu: int, node: int) -> None:
        """Ask for a block; it must be aligned, in one zone that the request permits, and not set aside."""
        req = self.request(order, gfp, cpu, node)
        before = self.subject.machine
        pfn = self.subject.alloc(req)
        if pfn == NOTHING:
            return
        assert pfn & ((1 << order) - 1) == 0
        zone = before.zones[zone_of(before, pfn)]
        assert zone.start <= pfn
        assert pfn + (1 << order) <= zone.end
        assert zone.kind <= req.class_index
        assert free_list_covering(zone, pfn) != ISOLATE
        assert pageblock_type(zone, pfn) != CMA or req.migratetype == 1
        self.held.append((pfn, order))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), cpu=st.integers(0, 1))
    def free(self, data: st.DataObject, cpu: int) -> None:
        """Give back any held block, on any CPU."""
        pfn, order = self.held.pop(data.draw(st.integers(0, len(self.held) - 1), "which"))
        self.subject.free(cpu, pfn, order)

    @rule(cpu=st.integers(0, 1), zone=st.integers(0, 2))
    def drain(self, cpu: int, zone: int) -> None:
        """Empty a CPU's lists in one zone."""
        self.subject.drain(cpu, _AREAS[zone].start)
        assert not any(self.subject.machine.zones[zone].pcps[cpu].lists)

    @rule(block=st.integers(0, 21))
    def isolate(self, block: int) -> None:
        """Isolate a pageblock that no free block crosses, or give it back; where isolation is sound (4.6)."""
        pfn = block << SMALL_PAGEBLOCK
        index = zone_of(self.subject.machine, pfn)
        if index == NOTHING:
            return
        zone = self.subject.machine.zones[index]
        if not keeps_isolated_apart(self.subject.rules, replace(zone, nr_isolated=1)):
            return
        if crossed(zone, pfn):
            return
        if pfn in self.isolated:
            self.isolated.remove(pfn)
            self.subject.unisolate(pfn, 0 if self.single_type else 1)
        elif pageblock_type(zone, pfn) not in (CMA, HIGHATOMIC):
            self.isolated.append(pfn)
            self.subject.isolate(pfn)

    @rule(zone=st.integers(0, 2), order=st.integers(0, SMALL_MAX))
    def compact(self, zone: int, order: int) -> None:
        """Take a free block off its list and put it back."""
        state = self.subject.machine.zones[zone]
        heads = [pfn for row in state.lists[order][:3] for pfn in row]
        if heads and not self.isolated:
            self.subject.take_free(heads[0], order)
            self.subject.put_back(heads[0], order, self._type_of(heads[0]))

    def _type_of(self, pfn: int) -> int:
        machine = self.subject.machine
        return pageblock_type(machine.zones[zone_of(machine, pfn)], pfn)

    @rule(order=st.integers(0, SMALL_MAX), gfp=st.sampled_from(GFPS[:3]), node=st.integers(0, 1))
    def roundtrip(self, order: int, gfp: int, node: int) -> None:
        """With empty per-CPU lists, free(alloc(s)) restores the free blocks."""
        for cpu in range(2):
            for area in _AREAS:
                self.subject.drain(cpu, area.start)
        before = self.subject.machine.zones
        pfn = self.subject.alloc(self.request(order, gfp, 0, node))
        if pfn == NOTHING:
            return
        self.subject.free(0, pfn, order)
        for area in _AREAS:
            self.subject.drain(0, area.start)
        for was, now in zip(before, self.subject.machine.zones, strict=True):
            if not self.isolated and not mergeable_pairs(was):
                assert multiset(now) == multiset(was)

    @invariant()
    def holds(self) -> None:
        """Every registered invariant of the allocator."""
        if hasattr(self, "subject"):
            assert broken(self.subject.rules, self.subject.machine) == ()
            self.subject.machine = quiet(self.subject.machine)


def free_list_covering(zone: Zone, pfn: int) -> int:
    """The migratetype of the list whose free block holds page pfn, or NOTHING if the page is not free."""
    for order in range(len(zone.lists)):
        held = zone.free.get(pfn & -(1 << order))
        if held is not None and held[0] >= order:
            return held[1]
    return NOTHING


def crossed(zone: Zone, start: int) -> bool:
    """Whether a free block reaches over an end of the pageblock at `start`, or the zone cuts it."""
    end = start + (1 << zone.pageblock_order)
    if start < zone.start or end > zone.end:
        return True
    return any(
        pfn < end and start < pfn + (1 << order) and (pfn < start or pfn + (1 << order) > end)
        for where in (zone.free, zone.in_use, zone.cached)
        for pfn, (order, _) in where.items()
    )
