"""All that a CPU could cache of the tables as they stand: what the specification calls current.

Linux: none; Intel SDM 3A 4.10.2, 4.10.3.  Seed 2.3.2 (F041).
"""

from collections.abc import Iterable, Iterator

from linuxmm.hardware.bus import SERVED, Bus, load_entry
from linuxmm.hardware.x86_walk import is_global
from linuxmm.spec.vm.staleness import Cached
from linuxmm.spec.vm.x86_entry import (
    ALL_RIGHTS,
    DIRTY,
    PHYSICAL,
    PRESENT,
    RIGHTS,
    Control,
    gathered,
    has_reserved,
    is_leaf,
    leaf_base,
    table_base,
)
from linuxmm.spec.vm.x86_format import X86Format, entry_address, page_number


def on_the_way(
    fmt: X86Format, control: Control, bus: Bus, pcid: int, va: int, level: int, table: int, rights: int
) -> Iterator[Cached]:
    """What a walk for `va` from a table could leave in a cache: each lower table, and the leaf."""
    while True:
        _, entry, fault = load_entry(bus, entry_address(fmt, table, va, level), 1 << fmt.entry_shift)
        if fault != SERVED or entry & PRESENT == 0 or has_reserved(fmt, control, entry, level):
            return
        rights = gathered(fmt, rights, entry, level)
        if is_leaf(fmt, control, entry, level):
            data = leaf_base(fmt, entry, level) | (entry & DIRTY) | rights
            shared = is_global(control, entry)
            yield Cached(0 if shared else pcid, shared, level, page_number(fmt, va, level), False, data)
            return
        table = table_base(entry)
        level -= 1
        yield Cached(pcid, False, level, page_number(fmt, va, level + 1), True, table | rights)


def cacheable(
    fmt: X86Format,
    control: Control,
    bus: Bus,
    roots: Iterable[tuple[int, int]],
    addresses: Iterable[int],
    pointers: Iterable[Cached] = (),
) -> frozenset[Cached]:
    """What any walk for one of the addresses could cache.

    roots     (PCID, root) of each context in use
    pointers  tables that a CPU may still have cached: a walk may start from them too
    """
    found: set[Cached] = set()
    starts: list[tuple[int, int | None, int, int, int]] = [
        (pcid, None, fmt.top, root, ALL_RIGHTS) for pcid, root in roots
    ]
    starts += [
        (one.pcid, one.page, one.level, one.data & PHYSICAL, one.data & RIGHTS)
        for one in pointers
        if one.table
    ]
    for va in addresses:
        for pcid, page, level, table, rights in starts:
            if page is None or page == page_number(fmt, va, level + 1):
                found.update(on_the_way(fmt, control, bus, pcid, va, level, table, rights))
    return frozenset(found)
