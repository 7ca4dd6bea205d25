"""SLUB: what each slab holds, and the free objects of each CPU's slab and each partial slab, in order.

Linux: mm/slub.c, include/linux/slub_def.h, 5.17 to 6.12 (struct slab).
"""

import struct
from typing import Any, Final

from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.spec.errors import LinuxmmError

Document = dict[str, Any]
_DIRECT_MAP: Final = 0xFFFF_8880_0000_0000
_DIRECT_MAP_5: Final = 0xFF11_0000_0000_0000
_OBJECTS_MASK: Final = 0xFFFF
_ORDER_SHIFT: Final = 16
_FIELDS: Final = (
    "size", "object_size", "offset", "inuse", "align", "red_left_pad", "min_partial", "cpu_partial",
    "cpu_partial_slabs", "refcount", "flags", "useroffset", "usersize",
)  # fmt: skip
_WORD: Final = (1 << 64) - 1


def slab_state(memory: KernelMemory) -> Document:
    """Every cache by name.

    Errors    LinuxmmError on a kernel without SLUB, or a 32-bit one
    """
    if memory.btf.pointer != 8 or not memory.btf.has("slab"):
        raise LinuxmmError("slabs are read on 64-bit kernels with struct slab (5.17 and later)")
    link = memory.btf.offset("kmem_cache", "list")
    found: Document = {}
    for at in memory.linked(memory.symbol("slab_caches")):
        cache = memory.struct("kmem_cache", at - link)
        found[cache.text("name")] = _cache(memory, cache)
    return {"caches": found}


def _cache(memory: KernelMemory, cache: Struct) -> Document:
    made: Document = {name: cache.number(name) for name in _FIELDS if cache.has(name)}
    packed = cache.number("oo.x")
    made["objects_per_slab"], made["order"] = packed & _OBJECTS_MASK, packed >> _ORDER_SHIFT
    made["cpus"] = {str(cpu): _cpu(memory, cache, cpu) for cpu in memory.cpus}
    nodes = memory.variable("nr_node_ids", 4) or 1
    made["nodes"] = {str(n): _node(memory, cache, n) for n in range(nodes) if cache.number(f"node[{n}]")}
    return made


def _cpu(memory: KernelMemory, cache: Struct, cpu: int) -> Document:
    mine = memory.struct("kmem_cache_cpu", memory.per_cpu(cache.number("cpu_slab"), cpu))
    slab = mine.number("slab")
    made: Document = {"slab": None, "free": []}
    if slab:
        made["slab"] = _slab(memory, cache, slab)
        made["free"] = _free_objects(memory, cache, slab, mine.number("freelist"))
    partial = []
    at = mine.number("partial") if mine.has("partial") else 0
    while at:
        partial.append(_slab(memory, cache, at))
        at = memory.struct("slab", at).number("next")
    made["partial"] = partial
    return made


def _node(memory: KernelMemory, cache: Struct, number: int) -> Document:
    node = memory.struct("kmem_cache_node", cache.number(f"node[{number}]"))
    link = memory.btf.offset("slab", "slab_list")
    slabs = [_slab(memory, cache, at - link) for at in memory.linked(node.at("partial"))]
    made: Document = {"nr_partial": node.number("nr_partial"), "partial": slabs}
    made |= {name: node.number(name) for name in ("nr_slabs", "total_objects") if node.has(name)}
    return made


def _slab(memory: KernelMemory, cache: Struct, address: int) -> Document:
    slab = memory.struct("slab", address)
    return {
        "pfn": memory.pfn(address),
        "inuse": slab.number("inuse"),
        "objects": slab.number("objects"),
        "frozen": slab.number("frozen"),
        "free": _free_objects(memory, cache, address, slab.number("freelist")),
    }


def _free_objects(memory: KernelMemory, cache: Struct, slab: int, first: int) -> list[int]:
    """Numbers of the free objects of a slab, the next to be handed out first.

    Source    mm/slub.c:freelist_ptr_decode, CONFIG_SLAB_FREELIST_HARDENED
    """
    base = _direct_map(memory) + (memory.pfn(slab) << 12)
    size, offset = cache.number("size"), cache.number("offset")
    secret = cache.number("random") if cache.has("random") else None
    found: list[int] = []
    at = first
    while at:
        number, inside = divmod(at - base - cache.number("red_left_pad"), size)
        if inside or not 0 <= number <= _OBJECTS_MASK or len(found) > _OBJECTS_MASK:
            raise LinuxmmError(
                f"cache {cache.text('name')}: a free list leads to {at:#x}, which is no object"
            )
        found.append(number)
        word = memory.word(at + offset)
        at = word if secret is None else word ^ secret ^ _swapped(at + offset)
    return found


def _swapped(word: int) -> int:
    (value,) = struct.unpack(">Q", struct.pack("<Q", word & _WORD))
    return int(value)


def _direct_map(memory: KernelMemory) -> int:
    stated = memory.variable("page_offset_base", 8)
    if stated is not None:
        return stated
    return _DIRECT_MAP_5 if memory.variable("__pgtable_l5_enabled", 4) else _DIRECT_MAP
