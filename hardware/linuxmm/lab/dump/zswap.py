"""zswap: its figures, pools, and what it stores of each swap device.

Linux: mm/zswap.c; a red-black tree per device to 6.8, XArrays of parts of a device since.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.lab.dump.containers import rb_in_order, xarray
from linuxmm.lab.memory import KernelMemory
from linuxmm.oracle.formats.areas import ZswapState
from linuxmm.spec.errors import LinuxmmError

_FIGURES: Final = {
    "pool_total_size": 8, "stored_pages": 4, "same_filled_pages": 4, "pool_limit_hit": 8,
    "written_back_pages": 8, "reject_reclaim_fail": 8, "reject_compress_fail": 8, "reject_compress_poor": 8,
    "reject_alloc_fail": 8, "reject_kmemcache_fail": 8, "duplicate_entry": 8, "max_pool_percent": 4,
    "accept_thr_percent": 4, "enabled": 1,
}  # fmt: skip
_MAX_SWAPFILES: Final = 32
_OFFSET: Final = (1 << 58) - 1


def zswap_state(memory: KernelMemory) -> ZswapState:
    """Figures, pools, entries.

    Errors    LinuxmmError when the kernel has no zswap
    """
    if "zswap_trees" not in memory.symbols:
        raise LinuxmmError("the kernel has no zswap")
    stated = {name: memory.variable(f"zswap_{name}", size) for name, size in _FIGURES.items()}
    link = memory.btf.offset("zswap_pool", "list")
    pools = tuple(
        memory.struct("zswap_pool", at - link).text("tfm_name")
        for at in memory.linked(memory.symbol("zswap_pools"))
    )
    figures = {name: value for name, value in stated.items() if value is not None}
    return ZswapState(figures, pools, tuple(sorted(_stored(memory))))


def _stored(memory: KernelMemory) -> Iterator[tuple[int, int, int]]:
    word = memory.btf.pointer
    for device in range(_MAX_SWAPFILES):
        tree = memory.word(memory.symbol("zswap_trees") + word * device)
        if not tree:
            continue
        if "nr_zswap_trees" not in memory.symbols:
            yield from _in_tree(memory, tree, device)
            continue
        number = int.from_bytes(memory.read(memory.symbol("nr_zswap_trees") + 4 * device, 4), "little")
        size = memory.btf.size_of(memory.btf.id_of("xarray"))
        for part in range(number):
            for found in xarray(memory, tree + part * size):
                entry = memory.struct("zswap_entry", found.entry)
                offset = entry.number("swpentry.val") & _OFFSET
                yield device, offset, entry.number("length")


def _in_tree(memory: KernelMemory, tree: int, device: int) -> Iterator[tuple[int, int, int]]:
    link = memory.btf.offset("zswap_entry", "rbnode")
    for at in rb_in_order(memory, memory.struct("zswap_tree", tree).at("rbroot")):
        entry = memory.struct("zswap_entry", at - link)
        offset = entry.number("offset") if entry.has("offset") else entry.number("swpentry.val") & _OFFSET
        yield device, offset, entry.number("length")
