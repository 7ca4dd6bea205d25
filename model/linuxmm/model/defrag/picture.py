"""Small zones as text, one character a page: to build them, and to see what became of them.

A full stop is a free page, "u" an unmovable one; every other letter is a movable page with its contents:
"a" anonymous, "f" of a file, "d" dirty, "w" under writeback, "l" locked, "p" pinned, "n" unevictable,
"o" dirty without a migrate function, "v" a driver's, "s" in the swap cache.

Linux: none.  Seed 2.2.3 (F039).
"""

from dataclasses import replace
from typing import Final

from immutables import Map

from linuxmm.model.alloc.boot import Area, empty_zone
from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import Zone, pageblock_type, set_in_use, set_pageblock_type
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Memory, Outside, Page, Still
from linuxmm.spec.defrag import migration as m

KINDS: Final = {
    "a": m.ANON,
    "f": 0,
    "d": m.DIRTY,
    "w": m.WRITEBACK,
    "l": m.LOCKED,
    "p": m.ANON | m.PINNED,
    "n": m.UNEVICTABLE,
    "o": m.DIRTY | m.OPAQUE,
    "v": m.DRIVER,
    "s": m.ANON | m.SWAPCACHE,
}
_NAMES: Final = {flags: letter for letter, flags in KINDS.items()}
_TYPES: Final = {"U": 0, "M": 1, "R": 2}


def memory_of(
    rules: Rules,
    pages: str,
    *,
    types: str = "",
    start: int = 0,
    watermark: tuple[int, int, int] = (0, 0, 0),
    outside: Outside | None = None,
) -> Memory:
    """A zone that looks like `pages`; types: a letter U, M or R for each pageblock, M where it is short.

    Requires  start is a multiple of the largest block's pages
    Errors    ValueError for a letter that is not in the table above
    """
    count = len(pages)
    zone = empty_zone(rules.alloc, Area(0, 2, start, start + count, count), 1)
    for at, letter in enumerate(types):
        zone = set_pageblock_type(zone, start + (at << rules.alloc.pageblock_order), _TYPES[letter])
    contents: dict[int, Page] = {}
    for pfn, letter in enumerate(pages, start):
        if letter == ".":
            zone = free_one_page(rules.alloc, zone, pfn, 0, pageblock_type(zone, pfn), False)
        elif letter == "u":
            zone = set_in_use(zone, pfn, 0, False)
        elif letter in KINDS:
            zone = set_in_use(zone, pfn, 0, True)
            contents[pfn] = Page(KINDS[letter], pfn)
        else:
            raise ValueError(f"{letter!r} in {pages!r}: expected one of .u{''.join(KINDS)}")
    zone = _with_marks(zone, watermark)
    return Memory(zone, Map(contents), outside=Still() if outside is None else outside)


def _with_marks(zone: Zone, watermark: tuple[int, int, int]) -> Zone:
    return replace(zone, watermark=watermark, managed=zone.end - zone.start)


def drawn(memory: Memory) -> str:
    """The zone as text; "c" is a page on a CPU's list, "?" one with other flags, "#" a larger block."""
    zone = memory.zone
    row = ["u"] * (zone.end - zone.start)
    for where, letter in ((zone.free, "."), (zone.cached, "c"), (zone.in_use, "#")):
        for pfn, (order, _) in where.items():
            single = letter == "#" and order == 0
            text = "u" if single else letter
            row[pfn - zone.start : pfn - zone.start + (1 << order)] = [text] * (1 << order)
    for pfn, page in memory.pages.items():
        row[pfn - zone.start] = _NAMES.get(page.flags, "?")
    return "".join(row)
