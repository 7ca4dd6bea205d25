"""Memory maps and NUMA tables become a machine, or are refused with the place that is wrong."""

import pytest
from hypothesis import given

from linuxmm.hardware.firmware import (
    E820Entry,
    E820Type,
    Srat,
    SratCpu,
    SratMemory,
    sanitised,
    topology_of,
    usable_ranges,
)
from linuxmm.hardware.memory import Range
from linuxmm.hardware.strategies import e820_maps
from linuxmm.hardware.topology import (
    Cpu,
    NodeRange,
    Topology,
    disjoint,
    distances_valid,
    machine_of,
    nearest_first,
    node_of,
)
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.vocabulary import CpuId, NodeId

RAM, RESERVED = E820Type.RAM, E820Type.RESERVED
# What a 512 MiB virtual machine of QEMU reports, with the change that Linux makes to the first frame.
QEMU = (
    E820Entry(0x0, 0x9FC00, RAM),
    E820Entry(0x9FC00, 0x400, RESERVED),
    E820Entry(0xF0000, 0x10000, RESERVED),
    E820Entry(0x100000, 0x1FEE0000, RAM),
    E820Entry(0x1FFE0000, 0x20000, RESERVED),
    E820Entry(0x0, 0x1000, RESERVED),
)


def test_overlaps_go_to_the_higher_kind_and_neighbours_join() -> None:
    assert sanitised(QEMU)[:3] == (
        E820Entry(0x0, 0x1000, RESERVED),
        E820Entry(0x1000, 0x9EC00, RAM),
        E820Entry(0x9FC00, 0x400, RESERVED),
    )
    assert usable_ranges(QEMU) == (Range(0x1000, 0x9F000), Range(0x100000, 0x1FFE0000))


@given(e820_maps())
def test_each_address_is_of_the_highest_kind_given(entries: tuple[E820Entry, ...]) -> None:
    clean = sanitised(entries)
    assert sanitised(clean) == clean
    for at in range(0, 32 * 4096 + 32 * 1024, 1024):
        given_ = [entry.type for entry in entries if entry.start <= at < entry.end]
        kept = [entry.type for entry in clean if entry.start <= at < entry.end]
        assert kept == ([max(given_)] if given_ else [])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ((E820Entry(0, 4096, RESERVED),), "e820: expected at least one whole frame of usable memory"),
        (
            (E820Entry((1 << 52) - 1, 2, RAM),),
            "e820: entry 0: expected a range below 0x10000000000000, not 0xfffffffffffff+0x2",
        ),
    ],
)
def test_an_impossible_map_is_refused(entries: tuple[E820Entry, ...], message: str) -> None:
    with pytest.raises(BadEvidence) as raised:
        usable_ranges(entries)
    assert str(raised.value) == message


SRAT = Srat(
    (
        SratMemory(4, 0x100000, 0x1FF00000),
        SratMemory(1, 0x20000000, 0x20000000, hotpluggable=True),
        SratMemory(4, 0x0, 0xA0000),
        SratMemory(9, 0x0, 0x1000, enabled=False),
    ),
    (SratCpu(4, 0), SratCpu(1, 2), SratCpu(1, 3, enabled=False)),
)


def test_domains_become_nodes_in_the_order_of_the_table() -> None:
    expected = Topology(
        (Cpu(CpuId(0), 0, NodeId(0)), Cpu(CpuId(1), 2, NodeId(1))),
        (
            NodeRange(NodeId(0), 0x0, 0xA0000),
            NodeRange(NodeId(0), 0x100000, 0x20000000),
            NodeRange(NodeId(1), 0x20000000, 0x40000000, hotpluggable=True),
        ),
        ((10, 20), (20, 10)),
    )
    assert topology_of(SRAT) == expected
    assert disjoint(expected)
    assert distances_valid(expected)
    assert [node_of(expected, at) for at in (0x0, 0xA0000, 0x3FFFFFFF, 0x40000000)] == [0, None, 1, None]


def test_distances_are_taken_by_domain() -> None:
    far = tuple(tuple(10 if a == b else 20 + a + b for b in range(5)) for a in range(5))
    assert topology_of(SRAT, far).distances == ((10, 25), (25, 10))


def test_nodes_are_visited_nearest_first() -> None:
    topology = Topology((), (), ((10, 30, 20), (30, 10, 20), (20, 20, 10)))
    assert nearest_first(topology, NodeId(0)) == (0, 2, 1)
    assert nearest_first(topology, NodeId(2)) == (2, 0, 1)


@pytest.mark.parametrize(
    ("srat", "slit", "message"),
    [
        (Srat((), ()), None, "SRAT: expected at least one enabled entry"),
        (
            Srat((SratMemory(0, 0, 0x2000), SratMemory(1, 0x1000, 0x1000)), ()),
            None,
            "SRAT: memory entry 1: 0x1000-0x2000 overlaps 0x0-0x2000: expected each address once",
        ),
        (
            Srat((SratMemory(0, 0, 0),), ()),
            None,
            "SRAT: memory entry 0: expected a range below 0x10000000000000",
        ),
        (Srat((), (SratCpu(0, 1), SratCpu(0, 1))), None, "SRAT: CPU 1: expected APIC number 1 once"),
        (Srat((), (SratCpu(0, 1),)), ((10, 20),), "SLIT: row 0: expected 1 distances, found 2"),
        (Srat((), (SratCpu(0, 1),)), ((11,),), "SLIT: row 0, column 0: expected 10, found 11"),
        (
            Srat((), (SratCpu(0, 1),)),
            ((10, 10), (20, 10)),
            "SLIT: row 0, column 1: expected 11 to 255, found 10",
        ),
        (
            Srat((), (SratCpu(1, 1),)),
            ((10,),),
            "SLIT: expected a row for proximity domain 1; there are 1",
        ),
    ],
)
def test_an_impossible_numa_table_is_refused(
    srat: Srat, slit: tuple[tuple[int, ...], ...] | None, message: str
) -> None:
    with pytest.raises(BadEvidence) as raised:
        topology_of(srat, slit)
    assert str(raised.value) == message


def test_invariants_of_a_topology_reject() -> None:
    twice = (NodeRange(NodeId(0), 0, 0x2000), NodeRange(NodeId(1), 0x1000, 0x3000))
    assert not disjoint(Topology((), twice, ((10, 20), (20, 10))))
    assert not distances_valid(Topology((), (), ((10, 9), (20, 10))))
    assert not distances_valid(Topology((), (), ((20,),)))


def test_usable_memory_that_no_node_claims_is_refused() -> None:
    topology = topology_of(SRAT)
    machine = machine_of((Range(0x100000, 0x21000000),), topology)
    assert machine.memory.ranges == (Range(0x100000, 0x21000000),)
    with pytest.raises(ValueError, match="usable memory at 0xa0000 belongs to no node"):
        machine_of((Range(0x0, 0x200000),), topology)
