"""The page cache of every file that has pages or shadows, and the swap cache.

Linux: mm/filemap.c, mm/swap_state.c, include/linux/fs.h; 6.1 to 6.12.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.lab.dump.containers import marked, xarray
from linuxmm.lab.dump.names import path_of_inode
from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import CachedFile, CacheState, MountedFiles, Run

_DIRTY: Final = 0
_WRITEBACK: Final = 1
_S_DAX: Final = 1 << 13
_DAX_SHIFT: Final = 5
"""A value's own bit, and DAX_LOCKED, DAX_PMD, DAX_ZERO_PAGE, DAX_EMPTY: fs/dax.c."""
_MAX_SWAPFILES: Final = 32


def cache_state(memory: KernelMemory) -> CacheState:
    """Every file system's files; anonymous pages with a place in swap, by swap device."""
    link = memory.btf.offset("super_block", "s_list")
    mounts = []
    for at in memory.linked(memory.symbol("super_blocks")):
        block = memory.struct("super_block", at - link)
        files = sorted(_files(memory, block), key=lambda file: file.inode)
        if files:
            mounts.append(MountedFiles(block.target("s_type").text("name"), block.text("s_id"), tuple(files)))
    return CacheState(tuple(mounts), _swap_cache(memory))


def _files(memory: KernelMemory, block: Struct) -> Iterator[CachedFile]:
    """Files by what their own inode holds: a device's pages belong to the device, not to its node."""
    link = memory.btf.offset("inode", "i_sb_list")
    for at in memory.linked(block.at("s_inodes")):
        inode = memory.struct("inode", at - link)
        mapping = inode.sub("i_data")
        if mapping.number("i_pages.xa_head"):
            yield _file(memory, inode, mapping)


def _file(memory: KernelMemory, inode: Struct, mapping: Struct) -> CachedFile:
    dax = bool(inode.number("i_flags") & _S_DAX)
    runs, shadows = _content(memory, mapping, dax)
    array = mapping.at("i_pages")
    return CachedFile(
        inode.number("i_ino"),
        path_of_inode(memory, inode),
        mapping.number("nrpages"),
        runs,
        shadows,
        marked(memory, array, _DIRTY),
        marked(memory, array, _WRITEBACK),
        dax,
    )


def _content(
    memory: KernelMemory, mapping: Struct, dax: bool = False
) -> tuple[tuple[Run, ...], tuple[tuple[int, int], ...]]:
    """Pages in runs, and values; the values of a DAX file are its pages."""
    runs: list[Run] = []
    shadows: list[tuple[int, int]] = []
    for found in xarray(memory, mapping.at("i_pages")):
        if found.entry & 1 and not dax:
            shadows.append((found.first, found.entry >> 1))
            continue
        pfn = found.entry >> _DAX_SHIFT if dax else memory.pfn(found.entry)
        count = found.last - found.first + 1
        if runs and runs[-1].index + runs[-1].count == found.first and runs[-1].pfn + runs[-1].count == pfn:
            runs[-1] = Run(runs[-1].index, runs[-1].pfn, runs[-1].count + count)
        else:
            runs.append(Run(found.first, pfn, count))
    return tuple(runs), tuple(shadows)


def _swap_cache(memory: KernelMemory) -> dict[str, tuple[Run, ...]]:
    """Pages of the swap cache by offset on their device."""
    if "swapper_spaces" not in memory.symbols:
        return {}
    size, word = memory.btf.size_of(memory.btf.id_of("address_space")), memory.btf.pointer
    found: dict[str, tuple[Run, ...]] = {}
    for device in range(_MAX_SWAPFILES):
        at = memory.symbol("nr_swapper_spaces") + 4 * device
        number = int.from_bytes(memory.read(at, 4), "little")
        base = memory.word(memory.symbol("swapper_spaces") + word * device)
        if not base or number > 1 << 20:
            continue
        runs: list[Run] = []
        for space in range(number):
            runs += _content(memory, memory.struct("address_space", base + space * size))[0]
        found[str(device)] = tuple(runs)
    return found
