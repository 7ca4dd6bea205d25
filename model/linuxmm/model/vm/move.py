"""mremap: entries move to another address, page by page or a whole table at a time.

Linux: mm/mremap.c:move_page_tables.  Seed 2.8 (F059).  2.6.11 to 6.12.
"""

from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import NOTHING, Pages, entry, flushing, with_entry
from linuxmm.model.vm.table import find, leaves, provide
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.vm.folding import PMD, PUD, hardware_level, is_folded
from linuxmm.spec.vm.x86_entry import LARGE, PRESENT
from linuxmm.spec.vm.x86_format import level_shift


@behaviour(
    "vm.move-levels",
    since="2.4.0",
    until="4.20",
    features=("F059",),
    source="mm/mremap.c:move_page_tables; 2.6.11 to 4.20",
)
def moves_entries() -> tuple[int, ...]:
    """Every entry is moved by itself."""
    return ()


@behaviour(
    "vm.move-levels",
    since="5.0",
    until="5.10",
    features=("F059",),
    source="mm/mremap.c:move_normal_pmd; commit 2c91bd4a4e2 (5.0); x86",
)
def moves_page_tables() -> tuple[int, ...]:
    """A whole page table moves where both addresses are aligned."""
    return (PMD,)


@behaviour(
    "vm.move-levels",
    since="5.11",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:move_normal_pud; commit c49dd340180 (5.11); 6.1, 6.12; x86-64",
)
def moves_page_directories() -> tuple[int, ...]:
    """Page directories too."""
    return (PUD, PMD)


@verb("F059", source="mm/mremap.c:move_page_tables, move_ptes; 2.6.11 to 6.12")
def move(rules: PageRules, pages: Pages, space: int, old: int, new: int, length: int) -> tuple[Pages, bool]:
    """Move what is mapped; False when no frame is left for a table.

    Requires  nothing is mapped in the new range; the two do not overlap
    Ensures   the new range translates as the old one did, which translates no more; flushed before the end
    """
    done = 0
    while done < length:
        pages, taken = _move_table(rules, pages, space, old + done, new + done, length - done)
        if taken:
            done += taken
            continue
        pages, taken = _move_entries(pages, space, old + done, new + done, length - done)
        if not taken:
            return flushing(pages, space, old, old + length), False
        done += taken
    return flushing(pages, space, old, old + length), True


def _move_table(
    rules: PageRules, pages: Pages, space: int, old: int, new: int, length: int
) -> tuple[Pages, int]:
    """Move the largest whole table that there is at both addresses; (pages, bytes moved or 0)."""
    fmt = pages.format
    for level in rules.move_levels():
        if is_folded(fmt, level - 1) or is_folded(fmt, level):
            continue
        span = 1 << level_shift(fmt, hardware_level(fmt, level))
        if (old | new) & (span - 1) or length < span:
            continue
        at = find(pages, space, old, level)
        value = entry(pages, at) if at != NOTHING else 0
        if value & PRESENT == 0 or value & LARGE:
            continue
        pages, there = provide(pages, space, new, level)
        if there == NOTHING or entry(pages, there):
            continue
        return with_entry(with_entry(pages, at, 0), there, value), span
    return pages, 0


def _move_entries(pages: Pages, space: int, old: int, new: int, length: int) -> tuple[Pages, int]:
    """Move the entries up to the next boundary of a page table; (pages, bytes moved; 0 without frames)."""
    span = 1 << level_shift(pages.format, 1)
    taken = min(length, span - (old & (span - 1)), span - (new & (span - 1)))
    for address, at, value in list(leaves(pages, space, old, old + taken)):
        pages, there = provide(pages, space, address - old + new)
        if there == NOTHING:
            return pages, 0
        pages = with_entry(with_entry(pages, at, 0), there, value)
    return pages, taken
