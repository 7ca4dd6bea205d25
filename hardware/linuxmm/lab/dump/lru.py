"""LRU lists of each node in list order, with their costs and ages."""

from typing import Any

from linuxmm.lab.dump.allocator import nodes
from linuxmm.lab.memory import KernelMemory

Document = dict[str, Any]


def lru_state(memory: KernelMemory) -> Document:
    """Node number -> lists by name and costs; lists of the node's own lruvec (no memory cgroups)."""
    btf = memory.btf
    names = btf.enumeration("lru_list")
    offset = btf.offset("page", "lru")
    found: Document = {}
    for node in nodes(memory):
        vector = node.sub("__lruvec")
        lists: Document = {
            name: memory.pages_on(vector.at(f"lists[{number}]"), offset)
            for name, number in names.items()
            if name not in ("NR_LRU_LISTS", "LRU_UNEVICTABLE")
        }
        lists |= {
            name: vector.number(name)
            for name in ("anon_cost", "file_cost", "nonresident_age")
            if vector.has(name)
        }
        found[str(node.number("node_id"))] = lists
    return found
