"""Pools of huge pages: counts by node, free pages in the order in which they are handed out.

Linux: mm/hugetlb.c, include/linux/hugetlb.h; 5.14 to 6.12.
"""

from typing import Final

from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import HugePool, HugetlbState
from linuxmm.spec.errors import LinuxmmError

_COUNTS: Final = (
    "nr_huge_pages", "free_huge_pages", "resv_huge_pages", "surplus_huge_pages", "nr_overcommit_huge_pages",
    "max_huge_pages",
)  # fmt: skip


def hugetlb_state(memory: KernelMemory) -> HugetlbState:
    """Every pool by its name.

    Errors    LinuxmmError when the kernel has none
    """
    if "hstates" not in memory.symbols:
        raise LinuxmmError("the kernel has no pools of huge pages")
    size = memory.btf.size_of(memory.btf.id_of("hstate"))
    pools: dict[str, HugePool] = {}
    for number in range(memory.variable("hugetlb_max_hstate", 4) or 0):
        pool = memory.struct("hstate", memory.symbol("hstates") + number * size)
        pools[pool.text("name")] = _pool(memory, pool)
    return HugetlbState(pools)


def _pool(memory: KernelMemory, pool: Struct) -> HugePool:
    link = memory.btf.offset("page", "lru")
    nodes = range(memory.variable("nr_node_ids", 4) or 1)
    per_node = ("nr_huge_pages_node", "free_huge_pages_node", "surplus_huge_pages_node")
    return HugePool(
        order=pool.number("order"),
        free={str(n): memory.pages_on(pool.at(f"hugepage_freelists[{n}]"), link) for n in nodes},
        in_use=memory.pages_on(pool.at("hugepage_activelist"), link),
        node={str(n): _three(pool, per_node, n) for n in nodes},
        **{name: pool.number(name) for name in _COUNTS},
    )


def _three(pool: Struct, names: tuple[str, str, str], node: int) -> tuple[int, int, int]:
    nr, free, surplus = (pool.number(f"{name}[{node}]") for name in names)
    return nr, free, surplus
