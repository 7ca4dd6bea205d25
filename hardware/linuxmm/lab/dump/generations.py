"""Lists by generation of each node in list order, with the flags of their pages and the controller's rates.

BTF tells an array of arrays as one array.  With CONFIG_LRU_GEN_STATS the rates shown are those of number 0.

Linux: include/linux/mmzone.h:struct lru_gen_struct, lru_gen_folio; 6.1 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.lab.dump.allocator import nodes
from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import GenerationPage, GenerationsState, NodeGenerations
from linuxmm.spec.errors import LinuxmmError

_GENS: Final = 4
_KINDS: Final = 2
_TIERS: Final = 4
_FLAGS: Final = (
    "PG_referenced", "PG_workingset", "PG_swapbacked", "PG_active", "PG_lru", "PG_unevictable", "PG_dirty",
    "PG_writeback",
)  # fmt: skip
_LOWEST: Final = 20
"""No kernel has fewer flags of its own below the fields of a page's flags."""
_GEN_BITS: Final = 3
_REF_BITS: Final = 2


class _Word(NamedTuple):
    pfn: int
    flags: int
    generation: int
    """The list that the page stands on."""


def generations_state(memory: KernelMemory) -> GenerationsState:
    """Lists of each node's own lruvec (no memory cgroups).

    Errors    LinuxmmError when the kernel has no lists by generation
    """
    found = {str(node.number("node_id")): node.sub("__lruvec") for node in nodes(memory)}
    for vector in found.values():
        if not vector.has("lrugen.max_seq"):
            raise LinuxmmError("the kernel has no lists by generation")
    zones = next(iter(found.values())).count("lrugen.nr_pages") // (_GENS * _KINDS)
    words = {number: _words(memory, vector, zones) for number, vector in found.items()}
    field = _place_of_generation([word for rows in words.values() for row in rows.values() for word in row])
    bits = [memory.btf.enumeration("pageflags")[name] for name in _FLAGS]
    return GenerationsState(
        {number: _node(vector, zones, words[number], field, bits) for number, vector in found.items()}
    )


_Rows = dict[tuple[int, int, int], list[_Word]]


def _words(memory: KernelMemory, vector: Struct, zones: int) -> _Rows:
    name = "lrugen.folios" if vector.has("lrugen.folios") else "lrugen.lists"
    offset = memory.btf.offset("page", "lru")
    return {
        (generation, kind, zone): [
            _Word(pfn, memory.page(pfn).number("flags"), generation)
            for pfn in memory.pages_on(
                vector.at(f"{name}[{(generation * _KINDS + kind) * zones + zone}]"), offset
            )
        ]
        for generation in range(_GENS)
        for kind in range(_KINDS)
        for zone in range(zones)
    }


def _place_of_generation(words: list[_Word]) -> int:
    """Where LRU_GEN_MASK begins: where most pages' fields name the list that they stand on.

    The layout of page->flags follows from the configuration, and BTF does not tell it.
    """
    mask = (1 << _GEN_BITS) - 1

    def agreeing(at: int) -> int:
        return sum((word.flags >> at & mask) == word.generation + 1 for word in words)

    return max(range(_LOWEST, 62), key=agreeing)


def _node(vector: Struct, zones: int, rows: _Rows, field: int, bits: list[int]) -> NodeGenerations:
    def table(name: str, tiers: int) -> tuple[tuple[int, ...], ...]:
        return tuple(
            tuple(vector.number(f"lrugen.{name}[{kind * tiers + tier}]") for tier in range(tiers))
            for kind in range(_KINDS)
        )

    def pages(generation: int, kind: int) -> tuple[int, ...]:
        first = (generation * _KINDS + kind) * zones
        return tuple(vector.number(f"lrugen.nr_pages[{first + zone}]") for zone in range(zones))

    def page(word: _Word) -> GenerationPage:
        generation = (word.flags >> field & ((1 << _GEN_BITS) - 1)) - 1
        refs = word.flags >> field - _REF_BITS & ((1 << _REF_BITS) - 1)
        flags = sum((word.flags >> bit & 1) << number for number, bit in enumerate(bits))
        return GenerationPage(word.pfn, generation, refs, flags)

    return NodeGenerations(
        bool(vector.number("lrugen.enabled")),
        vector.number("lrugen.max_seq"),
        (vector.number("lrugen.min_seq[0]"), vector.number("lrugen.min_seq[1]")),
        vector.numbers("lrugen.timestamps"),
        tuple(tuple(pages(generation, kind) for kind in range(_KINDS)) for generation in range(_GENS)),
        tuple(
            tuple(
                tuple(tuple(map(page, rows[generation, kind, zone])) for zone in range(zones))
                for kind in range(_KINDS)
            )
            for generation in range(_GENS)
        ),
        table("avg_refaulted", _TIERS),
        table("avg_total", _TIERS),
        table("refaulted", _TIERS),
        table("evicted", _TIERS),
        table("protected", _TIERS - 1),
    )
