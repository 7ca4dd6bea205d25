"""A machine at boot, against hand-made cases and against two real kernels."""

from dataclasses import replace
from pathlib import Path

import pytest

from linuxmm.model.alloc.audit import broken
from linuxmm.model.alloc.boot import Booted, Options, boot, zone_areas
from linuxmm.model.alloc.movable import MemoryRange, MovableOptions, movable_starts
from linuxmm.model.alloc.sizes import (
    Sysctls,
    check_pagelist_fraction,
    setup_lowmem_reserve,
    setup_watermarks,
    size_pcps,
    totalreserve_pages,
)
from linuxmm.model.alloc.zonelist import fallback_orders
from linuxmm.oracle.exact.machine import kernel_of, machine_of, rules_of
from linuxmm.oracle.formats.capture import open_capture, read_state
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import Arch, kernel
from linuxmm.spec.step import Err, Errno

F = 1 << 20
"""Pages of 4 GiB."""
TWO_NODES = [MemoryRange(0, 1, 9000), MemoryRange(1, 9000, 20000)]


def areas_of(
    version: str, memory: list[MemoryRange], arch: Arch = Arch.X86_64, **movable: int
) -> list[tuple]:  # type: ignore[type-arg]
    found = zone_areas(kernel(version, arch), memory, MovableOptions(**movable))  # type: ignore[arg-type]
    return [(a.node, a.kind, a.start, a.end, a.present) for a in found]


def test_addresses_decide_the_zone() -> None:
    memory = [MemoryRange(0, 1, 0x9F), MemoryRange(0, 0x100, F // 4), MemoryRange(0, F, 5 * F)]
    assert areas_of("6.1", memory) == [
        (0, 0, 1, 4096, 3998),
        (0, 1, 4096, F // 4, F // 4 - 4096),
        (0, 2, F, 5 * F, 4 * F),
    ]
    pae = areas_of("5.10", [MemoryRange(0, 1, F // 4)], Arch.I386_PAE)
    assert pae == [(0, 0, 1, 4096, 4095), (0, 2, 4096, 229376, 225280), (0, 3, 229376, 262144, 32768)]
    assert [kind for _, kind, *_ in areas_of("2.6.14", [MemoryRange(0, 1, 9000)])] == [0, 2]
    assert [kind for _, kind, *_ in areas_of("2.6.15", [MemoryRange(0, 1, 9000)])] == [0, 1]


def test_kernelcore_leaves_the_rest_of_each_node_movable() -> None:
    memory = [MemoryRange(0, 0, 8192), MemoryRange(1, 8192, 16384)]
    split = movable_starts(memory, MovableOptions(kernelcore=6000), 0, 1024)
    assert split == {0: 3072, 1: 11264}
    assert movable_starts(memory, MovableOptions(movablecore=10384), 0, 1024) == {0: 3072, 1: 11264}
    assert movable_starts(memory, MovableOptions(kernelcore=16384), 0, 1024) == {}
    assert movable_starts(memory, MovableOptions(), 0, 1024) == {}
    half = movable_starts(memory, MovableOptions(kernelcore_percent=50), 0, 1024)
    assert (
        half == {0: 4096, 1: 12288} == movable_starts(memory, MovableOptions(movablecore_percent=50), 0, 1024)
    )


def test_memory_below_the_highest_kernel_zone_counts_as_kernelcore() -> None:
    memory = [MemoryRange(0, 0, 4096), MemoryRange(1, 4096, 16384)]
    assert movable_starts(memory, MovableOptions(kernelcore=6144), 4096, 1024) == {1: 6144}


def test_hotpluggable_and_mirrored_memory_decide_where_movable_begins() -> None:
    plug = [MemoryRange(0, 0, 4096), MemoryRange(0, 4096, 8192, hotpluggable=True)]
    assert movable_starts(plug, MovableOptions(node=True, kernelcore=1), 0, 1024) == {0: 4096}
    mirror = [MemoryRange(0, 0, 2 * F, mirrored=True), MemoryRange(0, 2 * F, 3 * F)]
    assert movable_starts(mirror, MovableOptions(mirror=True), F, 1024) == {0: 2 * F}
    assert movable_starts([MemoryRange(0, 0, 2 * F)], MovableOptions(mirror=True), F, 1024) == {}
    assert areas_of("4.6", mirror, mirror=True)[-1] == (0, 4, 2 * F, 3 * F, F)
    holes = [
        MemoryRange(0, 0, F, mirrored=True),
        MemoryRange(0, F, 2 * F),
        MemoryRange(0, 2 * F, 3 * F, mirrored=True),
        MemoryRange(0, 3 * F, 4 * F),
    ]
    with pytest.raises(Unmodelled, match="interleave"):
        areas_of("4.6", holes, mirror=True)


@pytest.mark.parametrize(
    ("version", "options", "message"),
    [
        (
            "2.6.22",
            MovableOptions(kernelcore=1),
            "kernelcore= came with 2.6.23; kernel 2.6.22 does not have it",
        ),
        (
            "4.16",
            MovableOptions(kernelcore_percent=5),
            "kernelcore=nn% came with 4.17; kernel 4.16 does not have it",
        ),
        ("4.5", MovableOptions(mirror=True), "kernelcore=mirror came with 4.6; kernel 4.5 does not have it"),
        ("3.7", MovableOptions(node=True), "movable_node came with 3.8; kernel 3.7 does not have it"),
        ("6.1", MovableOptions(kernelcore_percent=101), "kernelcore=nn% and movablecore=nn% take 0 to 100"),
    ],
)
def test_options_that_a_kernel_lacks_are_refused(version: str, options: MovableOptions, message: str) -> None:
    with pytest.raises(ImpossibleProfile) as caught:
        zone_areas(kernel(version), TWO_NODES, options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("memory", "message"),
    [
        ([], "a machine needs at least one range of memory"),
        ([MemoryRange(0, 5, 5)], "memory range 5..5 of node 0 is empty"),
        ([MemoryRange(0, 0, 9), MemoryRange(1, 8, 12)], "memory range 8..12 of node 1 overlaps another"),
    ],
)
def test_impossible_memory_is_refused(memory: list[MemoryRange], message: str) -> None:
    with pytest.raises(ImpossibleProfile) as caught:
        zone_areas(kernel("6.1"), memory, MovableOptions())
    assert str(caught.value) == message


# ---- zonelists -------------------------------------------------------------------------------------------

RING = [[10, 20, 30, 20], [20, 10, 20, 30], [30, 20, 10, 20], [20, 30, 20, 10]]
FLAT = [[10, 20, 20], [20, 10, 20], [20, 20, 10]]


def test_equally_distant_nodes_take_turns_as_the_first_fallback() -> None:
    assert fallback_orders(kernel("6.1"), range(3), range(3), FLAT) == ((0, 1, 2), (1, 2, 0), (2, 0, 1))
    assert fallback_orders(kernel("6.1"), range(4), range(4), RING) == (
        (0, 1, 3, 2),
        (1, 2, 0, 3),
        (2, 3, 1, 0),
        (3, 0, 2, 1),
    )


def test_a_node_without_cpus_is_preferred_and_one_without_memory_never_named() -> None:
    assert fallback_orders(kernel("5.10"), range(3), (0, 1), FLAT)[0] == (0, 2, 1)
    assert fallback_orders(kernel("5.10"), (0, 1), (0, 1, 2), FLAT)[2] == (0, 1)


def test_zone_order_uses_every_high_zone_before_low_memory() -> None:
    node = boot(kernel("4.4"), TWO_NODES, (0, 1))
    zone = boot(kernel("4.4"), TWO_NODES, (0, 1), options=Options(zone_order=True))
    assert [(z.node, z.kind) for z in node.machine.zones] == [(0, 0), (0, 1), (1, 1)]
    assert node.machine.zonelists == ((1, 0, 2), (2, 1, 0))
    assert zone.machine.zonelists == ((1, 2, 0), (2, 1, 0))
    assert node.nofallback == ((1, 0), (2,))
    with pytest.raises(ImpossibleProfile, match=r"zone existed from 2\.6\.23 to 4\.13, not in 4\.14"):
        boot(kernel("4.14"), TWO_NODES, options=Options(zone_order=True))


# ---- the first free memory -------------------------------------------------------------------------------


def lists_of(booted: Booted, zone: int, order: int) -> tuple[int, ...]:
    row = booted.machine.zones[zone].lists[order]
    return next((heads for heads in row if heads), ())


def test_boot_memory_is_freed_in_the_largest_blocks_and_used_from_the_bottom_since_5_10() -> None:
    memory = [MemoryRange(0, 1, 4096)]
    new = boot(kernel("6.1"), memory)
    assert [lists_of(new, 0, o) for o in range(11)] == [
        (1,),
        (2,),
        (4,),
        (8,),
        (16,),
        (32,),
        (64,),
        (128,),
        (256,),
        (512,),
        (1024, 2048, 3072),
    ]
    assert lists_of(boot(kernel("5.9"), memory), 0, 10) == (3072, 2048, 1024)
    old = boot(kernel("2.6.11"), memory)
    assert sorted(old.machine.zones[0].free.items()) == [
        (pfn, (order, 0)) for pfn, (order, _) in sorted(new.machine.zones[0].free.items())
    ]


def test_reserved_memory_is_present_but_not_managed() -> None:
    booted = boot(kernel("6.1"), [MemoryRange(0, 1, 4096)], reserved=[(0, 16), (2000, 2100)])
    (zone,) = booted.machine.zones
    assert (booted.areas[0].present, zone.managed, zone.nr_free) == (4095, 4095 - 115, 4095 - 115)


@pytest.mark.parametrize("version", ["2.6.23", "2.6.24", "4.3", "4.4"])
def test_one_or_two_pageblocks_are_set_aside_from_2_6_24_to_4_3(version: str) -> None:
    booted = boot(
        kernel(version), [MemoryRange(0, 0, 4096), MemoryRange(0, 4096, 60000)], reserved=[(4096, 4100)]
    )
    types = [zone.types for zone in booted.machine.zones]
    reserved = [[at for at, type in enumerate(t) if type == 6] for t in types]
    assert reserved == ([[0], [1]] if version in ("2.6.24", "4.3") else [[], []])
    assert broken(booted.rules, booted.machine) == ()


def test_a_machine_of_few_pageblocks_does_not_group_by_mobility() -> None:
    assert boot(kernel("6.1"), [MemoryRange(0, 0, 5 * 512 - 1)]).rules.grouping_disabled
    assert not boot(kernel("6.1"), [MemoryRange(0, 0, 5 * 512)]).rules.grouping_disabled
    assert not boot(kernel("2.6.23"), [MemoryRange(0, 0, 512)]).rules.grouping_disabled


# ---- sizes -----------------------------------------------------------------------------------------------


def test_a_pagelist_fraction_between_1_and_7_is_einval() -> None:
    assert [check_pagelist_fraction(f) for f in (0, 8, 100)] == [None] * 3
    assert [check_pagelist_fraction(f) for f in (-1, 1, 7)] == [Err(Errno.EINVAL)] * 3
    with pytest.raises(ImpossibleProfile, match="percpu_pagelist_fraction 7: 0, or 8 and more"):
        boot(kernel("6.1"), TWO_NODES, options=Options(sysctls=Sysctls(pagelist_fraction=7)))


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("5.13", (96, 2500, 2500, 2500)), ("5.14", (3, 1250, 1250, 1250)), ("6.12", (3, 0, 1250, 1250))],
)
def test_a_fraction_fixes_the_limit_of_the_lists(version: str, numbers: tuple[int, ...]) -> None:
    memory = [MemoryRange(0, 4096, 24096)]
    booted = boot(kernel(version), memory, (0, 0), options=Options(sysctls=Sysctls(pagelist_fraction=8)))
    v = booted.machine.zones[0].pcps[0].vars
    assert (v.batch, v.high, v.high_min, v.high_max) == numbers


def test_deferred_memory_is_counted_in_the_sizes_of_the_lists_since_5_4() -> None:
    for version, batch in (("5.3", 1), ("5.4", 63)):
        machine = kernel(version)
        small = boot(machine, [MemoryRange(0, 4096, 8192)])
        grown = (replace(small.machine.zones[0], managed=1 << 20),)
        again = machine.behaviour("alloc.deferred-meminit-pcp").function(machine, grown, (0,))
        assert isinstance(again, tuple)
        assert again[0].pcps[0].vars.batch == batch


@pytest.mark.parametrize("name", ["alloc-churn-6.1", "alloc-churn-6.12"])
def test_sizes_equal_those_of_a_real_kernel(name: str) -> None:
    """Watermarks and list sizes follow from one size of DMA32 at boot, before the initrd was given back."""
    capture = open_capture(Path(__file__).parents[2] / "real" / name)
    state = read_state(capture.path / "marks" / "A" / "state.json.gz")
    profile = kernel_of(capture.description, state)
    zones = machine_of(state, rules_of(profile, state)).zones

    reserve = setup_lowmem_reserve(zones)
    assert [z.lowmem_reserve[:2] for z in reserve] == [z.lowmem_reserve[:2] for z in zones]
    assert totalreserve_pages(zones) == state.totalreserve_pages

    def numbers(found: tuple) -> list[tuple]:  # type: ignore[type-arg]
        keep = [p.vars._replace(pages=0, factor=0, free_count=0, flags=0) for z in found for p in z.pcps]
        if profile.version.major == 6 and profile.version.minor >= 7:
            keep = [v._replace(high=0) for v in keep]
        return [(z.watermark, z.boost) for z in found] + keep

    fitting = []
    for managed in range(zones[1].managed - 4000, zones[1].managed + 1):
        at_boot = (zones[0], replace(zones[1], managed=managed))
        sized = setup_watermarks(profile, at_boot, state.min_free_kbytes, state.watermark_scale_factor)
        sized = tuple(size_pcps(profile, z, (0,)) for z in sized)
        if numbers(sized) == numbers(zones):
            fitting.append(managed)
    assert fitting
