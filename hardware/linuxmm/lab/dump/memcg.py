"""Memory cgroups: limits and usage of each, and its counters as last flushed.

Linux: mm/memcontrol.c, mm/page_counter.c, include/linux/memcontrol.h; 6.1 to 6.12, v1 and v2.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import Memcg, MemcgState, PageCounter
from linuxmm.spec.errors import LinuxmmError

_COUNTERS: Final = ("memory", "swap", "memsw", "kmem", "tcpmem")
_FIELDS: Final = ("usage", "max", "watermark", "failcnt", "min", "low", "high")
_NOT_KEPT: Final = 0xFF
_DEEPEST: Final = 64
_ONLINE: Final = 2


def memcg_state(memory: KernelMemory) -> MemcgState:
    """Every memory cgroup that is online, parents before children, children in the order of their list.

    Errors    LinuxmmError when the kernel was built or booted without memory cgroups
    """
    root = memory.variable("root_mem_cgroup", memory.btf.pointer)
    if not root:
        raise LinuxmmError("the kernel has no memory cgroups")
    group = memory.struct("mem_cgroup", root)
    hierarchy = group.sub("css").target("cgroup").number("root")
    unified = hierarchy == memory.symbols.get("cgrp_dfl_root")
    kept = _kept(memory)
    return MemcgState(unified, tuple(_groups(memory, group, "/", kept, unified, 0)))


def _groups(
    memory: KernelMemory, group: Struct, path: str, kept: Mapping[str, int], unified: bool, depth: int
) -> Iterator[Memcg]:
    yield _group(memory, group, path, kept, unified)
    if depth > _DEEPEST:
        raise LinuxmmError(f"the cgroups below {path[:80]} do not end")
    css = memory.btf.offset("mem_cgroup", "css")
    sibling = memory.btf.offset("cgroup_subsys_state", "sibling")
    for at in memory.linked(group.at("css.children")):
        child = memory.struct("mem_cgroup", at - sibling - css)
        if not child.number("css.flags") & _ONLINE:
            continue
        name = child.sub("css").target("cgroup").target("kn").text("name")
        yield from _groups(memory, child, f"{path.rstrip('/')}/{name}", kept, unified, depth + 1)


def _group(memory: KernelMemory, group: Struct, path: str, kept: Mapping[str, int], unified: bool) -> Memcg:
    left_out = "memsw" if unified else "swap"
    counters = {name: _counter(group.sub(name)) for name in _COUNTERS if group.has(name) and name != left_out}
    stat: dict[str, int] = {}
    if group.number("vmstats"):
        values = group.target("vmstats").numbers("state")
        stat = {name: values[number] for name, number in kept.items() if number < len(values)}
    numbers = memory.btf.enumeration("memcg_memory_event")
    happened = group.numbers("memory_events")
    events = {
        name.removeprefix("MEMCG_").lower(): happened[number]
        for name, number in numbers.items()
        if number < len(happened)
    }
    return Memcg(path, group.number("id.id"), counters, stat, events)


def _counter(counter: Struct) -> PageCounter:
    return PageCounter(**{name: counter.number(name) for name in _FIELDS if counter.has(name)})


def _kept(memory: KernelMemory) -> dict[str, int]:
    """Where each counter stands in `state`: at its own number, or (6.10 and later) where a table says."""
    items = dict(memory.btf.enumeration("node_stat_item"))
    items.pop("NR_VM_NODE_STAT_ITEMS")
    own = dict(memory.btf.enumeration("memcg_stat_item"))
    most = own.pop("MEMCG_NR_STAT")
    items |= own
    table = memory.symbols.get("mem_cgroup_stats_index")
    if table is None:
        return items
    index = memory.read(table, most)
    return {name: index[number] for name, number in items.items() if index[number] != _NOT_KEPT}
