"""All that an arm64 element could cache of the tables as they stand: what the specification calls current.

Linux: none; Arm ARM D8.12.  Seed 2.3.2 (F041).
"""

from collections.abc import Iterable, Iterator

from linuxmm.hardware.arm64_element import LAST, LIMITS
from linuxmm.hardware.bus import SERVED, Bus, load_entry
from linuxmm.spec.vm.arm64_entry import (
    ADDRESS,
    AF,
    NG,
    Arm64Control,
    exceeds,
    half_of,
    index_of,
    is_invalid,
    is_leaf,
    limited,
)
from linuxmm.spec.vm.arm64_tlbi import SHAPE
from linuxmm.spec.vm.staleness import Cached
from linuxmm.spec.vm.x86_format import page_number


def on_the_way(
    control: Arm64Control, bus: Bus, asid: int, va: int, level: int, table: int, limits: int
) -> Iterator[Cached]:
    """What a walk for `va` from a table of Arm's `level` could leave: each lower table, and the leaf."""
    while True:
        bus, entry, fault = load_entry(bus, table + (index_of(va, level) << 3), 8)
        if fault != SERVED or is_invalid(entry, level) or exceeds(control, entry):
            return
        size = LAST - level
        if is_leaf(entry, level):
            if entry & AF:
                data, shared = (entry & ~LIMITS) | limits, entry & NG == 0
                yield Cached(0 if shared else asid, shared, size, page_number(SHAPE, va, size), False, data)
            return
        limits = limited(control, limits, entry)
        table = entry & ADDRESS
        level += 1
        yield Cached(asid, False, size - 1, page_number(SHAPE, va, size), True, table | limits)


def cacheable(
    control: Arm64Control,
    bus: Bus,
    roots: Iterable[tuple[int, int, int]],
    addresses: Iterable[int],
    pointers: Iterable[Cached] = (),
) -> frozenset[Cached]:
    """What any walk for one of the addresses could cache.

    roots     (ASID, root of the lower half, root of the upper half) of each context in use
    pointers  tables that an element may still have cached: a walk may start from them too
    """
    found: set[Cached] = set()
    tables = [one for one in pointers if one.table]
    roots = list(roots)
    for va in addresses:
        for asid, *halves in roots:
            if half_of(va) < 2:
                found.update(on_the_way(control, bus, asid, va, 0, halves[half_of(va)], 0))
        for one in tables:
            if one.page == page_number(SHAPE, va, one.level + 1):
                start = LAST - one.level, one.data & ADDRESS, one.data & LIMITS
                found.update(on_the_way(control, bus, one.pcid, va, *start))
    return frozenset(found)
