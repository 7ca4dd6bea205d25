"""Areas of vmalloc space: in use, and freed but not yet unmapped on every CPU.

Linux: mm/vmalloc.c; one list of areas to 6.8, one per vmap node since 6.9.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.lab.dump.names import Places
from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import VmallocState, VmapArea

_VM_ALLOC: Final = 2
_UNINITIALIZED: Final = 0x20


def vmalloc_state(memory: KernelMemory) -> VmallocState:
    """Areas by address.

    Errors    LinuxmmError when the kernel keeps them as no version that is known here
    """
    places = Places(memory.symbols)
    link = memory.btf.offset("vmap_area", "list")
    busy = [
        _area(memory, memory.struct("vmap_area", at - link), places)
        for head in _heads(memory, "vmap_area_list", "busy.head")
        for at in memory.linked(head)
    ]
    lazy = []
    for head in _heads(memory, "purge_vmap_area_list", "lazy.head"):
        for at in memory.linked(head):
            area = memory.struct("vmap_area", at - link)
            lazy.append((area.number("va_start"), area.number("va_end")))
    return VmallocState(tuple(sorted(busy, key=lambda area: area.start)), tuple(sorted(lazy)))


def _heads(memory: KernelMemory, one: str, of_node: str) -> Iterator[int]:
    """The list heads: a variable of its own, or a field of each vmap node."""
    if "vmap_nodes" not in memory.symbols:
        yield memory.symbol(one)
        return
    base = memory.word(memory.symbol("vmap_nodes"))
    size = memory.btf.size_of(memory.btf.id_of("vmap_node"))
    for number in range(memory.variable("nr_vmap_nodes", 4) or 1):
        yield memory.struct("vmap_node", base + number * size).at(of_node)


def _area(memory: KernelMemory, area: Struct, places: Places) -> VmapArea:
    start, end = area.number("va_start"), area.number("va_end")
    if not area.number("vm"):
        return VmapArea(start, end)
    vm = area.target("vm")
    pages = vm.number("nr_pages")
    listed = vm.number("pages")
    owned = vm.number("flags") & (_VM_ALLOC | _UNINITIALIZED) == _VM_ALLOC
    frames = _frames(memory, listed, pages) if listed and owned else ()
    return VmapArea(
        start,
        end,
        vm.number("size"),
        vm.number("flags"),
        pages,
        vm.number("phys_addr"),
        places.name(vm.number("caller")),
        frames,
    )


def _frames(memory: KernelMemory, listed: int, pages: int) -> tuple[int, ...]:
    word = memory.btf.pointer
    raw = memory.read(listed, word * pages)
    found = (int.from_bytes(raw[at : at + word], "little") for at in range(0, len(raw), word))
    return tuple(memory.pfn(page) for page in found if page)
