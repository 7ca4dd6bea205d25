"""The batch allocator is the model: same blocks, same state list for list, for every generation."""

from dataclasses import replace

import numpy as np
import pytest

from linuxmm.fast.allocator import ALLOC, BULK, DRAIN, FREE, GFPS, FastAllocator, operations
from linuxmm.fast.arena import Int64s
from linuxmm.fast.plain import plain_machine
from linuxmm.model.alloc.bulk import alloc_bulk
from linuxmm.model.alloc.freelist import NOTHING, Pcp, Zone
from linuxmm.model.alloc.machine import Machine, with_zone
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.request import alloc_fast, alloc_min, free_pages
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.strategies import small_machine, small_rules
from linuxmm.spec.alloc.request import request
from linuxmm.spec.errors import BadEvidence, ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import kernel

VERSIONS = (
    "2.6.18",
    "2.6.32",
    "3.14",
    "4.4",
    "4.7",
    "4.10",
    "4.20",
    "5.4",
    "5.10",
    "5.14",
    "6.1.192",
    "6.12.117",
)
SLOTS = 400
BLOCK_ORDER = 4


def _rules(version: str) -> Rules:
    return rules_for(kernel(version), False, BLOCK_ORDER)._replace(max_order=6)


def _machine(version: str, frames: int = 1024) -> Machine:
    machine = plain_machine(kernel(version), _rules(version), frames, 2, frames // 4)
    for index, zone in enumerate(machine.zones):
        pcps = tuple(
            type(p)(p.vars._replace(batch=4, high=12, high_min=12, high_max=24), p.lists) for p in zone.pcps
        )
        machine = with_zone(machine, index, _with(zone, pcps))
    return machine


def _with(zone: Zone, pcps: tuple[Pcp, ...]) -> Zone:
    return replace(zone, pcps=pcps, watermark=(8, 12, 16))


def _stream(seed: int, count: int) -> Int64s:
    rng = np.random.default_rng(seed)
    held = np.zeros(SLOTS, bool)
    rows = []
    for _ in range(count):
        slot = int(rng.integers(SLOTS))
        cpu = int(rng.integers(2))
        if rng.random() < 0.01:
            rows.append((DRAIN, 0, 0, cpu, 0))
            continue
        order = int(rng.choice([0, 0, 0, 0, 1, 1, 2, 3, 4, 5]))
        rows.append((FREE if held[slot] else ALLOC, order, int(rng.integers(len(GFPS))), cpu, slot))
        held[slot] = not held[slot]
    return operations(*np.array(rows).T)


class _Pure:
    """The same operations on the model."""

    def __init__(self, rules: Rules, machine: Machine) -> None:
        self.rules, self.machine = rules, machine
        self.slots: dict[int, tuple[int, int]] = {}
        self.checksum = 0

    def run(self, words: Int64s) -> None:
        for word in words.tolist():
            order, gfp, cpu, slot = word >> 4 & 15, GFPS[word >> 8 & 255], word >> 16 & 0xFFFF, word >> 32
            if word & 15 == ALLOC:
                asked = request(order, gfp, cpu=cpu)
                self.machine, pfn, _ = alloc_fast(self.rules, self.machine, asked)
                if pfn == NOTHING:
                    self.machine, pfn, _ = alloc_min(self.rules, self.machine, asked, False)
                if pfn != NOTHING:
                    self.slots[slot] = (pfn, order)
                self.checksum = (self.checksum * 1000003 + pfn) % (1 << 62)
            elif word & 15 == BULK:
                asked = request(0, gfp, cpu=cpu)
                array = tuple(self.slots.get(slot + at, (NOTHING, 0))[0] for at in range(1 << order))
                done = alloc_bulk(kernel("6.1.192"), self.rules, self.machine, asked, array)
                self.machine = done.machine
                for at, (old, new) in enumerate(zip(array, done.array, strict=True)):
                    if old != new:
                        self.slots[slot + at] = (new, 0)
                    self.checksum = (self.checksum * 1000003 + new) % (1 << 62)
            elif word & 15 == FREE:
                if slot in self.slots:
                    self.machine = free_pages(self.rules, self.machine, cpu, *self.slots.pop(slot))
            else:
                for index, zone in enumerate(self.machine.zones):
                    self.machine = with_zone(self.machine, index, drain_pages_zone(self.rules, zone, cpu))


def _bulk_stream(seed: int, count: int) -> Int64s:
    """Bulk requests over ranges of slots, some of them filled, among single requests and frees."""
    rng = np.random.default_rng(seed)
    held = np.zeros(SLOTS, bool)
    rows = []
    for _ in range(count):
        slot = int(rng.integers(SLOTS - 32))
        what = rng.random()
        cpu, gfp = int(rng.integers(2)), int(rng.integers(len(GFPS)))
        if what < 0.3:
            order = int(rng.integers(6))
            rows.append((BULK, order, gfp, cpu, slot))
            held[slot : slot + (1 << order)] = True
        elif what < 0.5 and not held[slot]:
            rows.append((ALLOC, int(rng.integers(5)), gfp, cpu, slot))
            held[slot] = True
        else:
            first = int(rng.integers(SLOTS - 8))
            rows += [(FREE, 0, 0, cpu, at) for at in range(first, first + 8)]
            held[first : first + 8] = False
    return operations(*np.array(rows).T)


def _silent(machine: Machine) -> Machine:
    return replace(machine, zones=tuple(replace(zone, log=()) for zone in machine.zones))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_interpreted_kernel_is_in_lockstep_with_the_model(version: str) -> None:
    rules, machine = _rules(version), _machine(version)
    pure = _Pure(rules, machine)
    fast = FastAllocator(rules, machine, SLOTS, compiled=False)
    for words in np.split(_stream(7, 600), 40):
        pure.run(words)
        fast.run(words)
        assert fast.machine == _silent(pure.machine)
        assert fast.totals.checksum == pure.checksum


@pytest.mark.parametrize("version", ["4.4", "4.7", "5.4", "6.1.192", "6.12.117"])
def test_the_compiled_kernel_is_in_lockstep_with_the_model(version: str) -> None:
    rules, machine = _rules(version), _machine(version)
    pure = _Pure(rules, machine)
    fast = FastAllocator(rules, machine, SLOTS)
    for words in np.split(_stream(11, 2000), 100):
        pure.run(words)
        fast.run(words)
        assert fast.machine == _silent(pure.machine)
        assert fast.totals.checksum == pure.checksum
    assert fast.totals.failed > 0
    assert fast.totals.below_low > 0


@pytest.mark.parametrize(("version", "compiled"), [("5.14", False), ("6.1.192", True), ("6.12.117", False)])
def test_bulk_requests_are_in_lockstep_with_the_model(version: str, compiled: bool) -> None:
    rules, machine = _rules(version), _machine(version, 256)
    pure = _Pure(rules, machine)
    fast = FastAllocator(rules, machine, SLOTS, compiled=compiled, bulk=True)
    for words in np.array_split(_bulk_stream(5, 300), 50):
        pure.run(words)
        fast.run(words)
        assert fast.machine == _silent(pure.machine)
        assert fast.totals.checksum == pure.checksum
    assert fast.totals.failed > 0


def test_kernels_without_the_bulk_allocator_refuse_its_operation() -> None:
    old = FastAllocator(_rules("5.10"), _machine("5.10"), 8, compiled=False)
    with pytest.raises(BadEvidence, match="operations:0: code: expected 0 to 2, got 3"):
        old.run(operations(BULK, 2, 0, 0, 0))
    new = FastAllocator(_rules("6.1.192"), _machine("6.1.192"), 8, compiled=False, bulk=True)
    with pytest.raises(BadEvidence, match="operations:0: slot: expected 0 to 7, got 8"):
        new.run(operations(BULK, 2, 0, 0, 5))


def test_pages_are_counted_by_zone() -> None:
    rules, machine = _rules("6.1.192"), _machine("6.1.192")
    fast = FastAllocator(rules, machine, SLOTS, counted=True, compiled=False)
    fast.run(_stream(3, 1000))
    after = fast.machine
    held = {z.kind: sum(1 << order for order, _ in z.in_use.values()) for z in after.zones}
    counts = fast.counts
    assert sum(counts.allocated) - counts.freed == sum(held.values())
    assert counts.allocated[0] == counts.allocated[3] == 0
    assert min(counts.allocated[1:3]) > 0


def test_counting_changes_nothing_but_the_counters() -> None:
    rules, machine = _rules("6.1.192"), _machine("6.1.192")
    words = _stream(3, 3000)
    plain = FastAllocator(rules, machine, SLOTS)
    counted = FastAllocator(rules, machine, SLOTS, counted=True)
    slow = FastAllocator(rules, machine, SLOTS, counted=True, compiled=False)
    for allocator in (plain, counted, slow):
        allocator.run(words)
    assert plain.machine == counted.machine
    assert plain.totals[:5] == counted.totals[:5]
    assert counted.totals == slow.totals
    assert plain.totals[5:] == (0,) * 6
    assert all(counted.totals[5:])


def test_operations_outside_their_fields_are_refused() -> None:
    with pytest.raises(BadEvidence, match=r"operations:1: order: expected 0 to 15, got 16"):
        operations(ALLOC, [0, 16], 0, 0, 0)
    fast = FastAllocator(_rules("6.1.192"), _machine("6.1.192"), 4, compiled=False)
    for name, words in (
        ("slot", operations(ALLOC, 0, 0, 0, 4)),
        ("cpu", operations(ALLOC, 0, 0, 2, 0)),
        ("order", operations(ALLOC, 7, 0, 0, 0)),
        ("gfp", operations(ALLOC, 0, 3, 0, 0)),
    ):
        with pytest.raises(BadEvidence, match=f"operations:0: {name}: expected 0 to"):
            fast.run(words)


def test_a_plain_machine_needs_whole_blocks() -> None:
    with pytest.raises(ImpossibleProfile, match="expected multiples of 64 and a CPU"):
        plain_machine(kernel("6.1.192"), _rules("6.1.192"), 1000)


def test_a_kernel_with_a_rule_that_is_not_compiled_is_refused() -> None:
    with pytest.raises(Unmodelled) as caught:
        FastAllocator(small_rules("2.4.22"), small_machine("2.4.22"), SLOTS)
    assert str(caught.value) == "rule 'walk' of this kernel (walk_adding_marks) does not run compiled"
