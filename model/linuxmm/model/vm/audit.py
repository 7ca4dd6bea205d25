"""The ownership invariants, asked of a state of the model.

Linux: mm/rmap.c, mm/debug_vm_pgtable.c.  Seed 2.8 (F040, F059).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import NOTHING, FrameStack, Pages
from linuxmm.model.vm.table import leaves, next_level, said
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.folding import PGD, PTE, hardware_level
from linuxmm.spec.vm.ownership import (
    COUNTERS,
    FRAMES,
    TABLES,
    Use,
    exclusive_means_sole,
    mapcount_is_entries,
    nobody_looks_on,
    pinned_means_sole,
    refcount_is_references,
    writable_means_exclusive,
    writable_means_sole,
)
from linuxmm.spec.vm.page_layer import Area
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_swapped
from linuxmm.spec.vm.rights import copies_on_write
from linuxmm.spec.vm.x86_entry import LARGE, PRESENT, WRITABLE, table_base
from linuxmm.spec.vm.x86_format import user_end
from linuxmm.spec.vocabulary import PAGE_SIZE

ALWAYS: Final[dict[str, Callable[[Use], bool]]] = {
    "vm.page.mapcount": mapcount_is_entries,
    "vm.page.refcount": refcount_is_references,
    "vm.cow.sole-writer": writable_means_sole,
    "vm.cow.exclusive": exclusive_means_sole,
}
GUARDED: Final[dict[str, Callable[[Use], bool]]] = {
    "vm.cow.marked": writable_means_exclusive,
    "vm.cow.onlooker": nobody_looks_on,
    "vm.pin.sole": pinned_means_sole,
}
"""What holds since 5.19, and did not always before."""

Spaces = Mapping[int, tuple[Area, ...]]


def uses(rules: PageRules, pages: Pages, spaces: Spaces) -> dict[int, Use]:
    """Frame -> what refers to it.

    spaces  the areas of every address space
    """
    entries: Counter[int] = Counter()
    private: Counter[int] = Counter()
    writers: dict[int, list[int]] = {}
    for space, areas in spaces.items():
        for area in areas:
            if space not in pages.mms:
                continue
            for _, _, value in leaves(pages, space, area.start, area.end):
                if is_swapped(value) or value & SPECIAL:
                    continue
                frame = frame_of(value)
                entries[frame] += 1
                if copies_on_write(area.flags):
                    private[frame] += 1
                    if value & WRITABLE:
                        writers.setdefault(frame, []).append(space)
    cached = Counter(pages.cache.values())
    found: dict[int, Use] = {}
    for frame, page in pages.pages.items():
        holds = [hold for hold in pages.holds.values() if hold.frame == frame]
        own = writers.get(frame, [])
        found[frame] = Use(
            refs=page.refs,
            maps=page.maps,
            exclusive=page.exclusive,
            anon=page.anon,
            cached=cached[frame],
            held=sum(rules.pin_refs(hold.pin) for hold in holds),
            entries=entries[frame],
            private=private[frame],
            writable=len(own),
            onlookers=sum(hold.space not in own for hold in holds),
            pins=sum(hold.pin and hold.write for hold in holds),
        )
    return found


def tables_of(pages: Pages, space: int) -> Iterator[tuple[int, int]]:
    """(generic level, frame) of every table that can be reached, the root last."""
    yield from _tables_below(pages, pages.mms[space].root, PGD)
    yield PGD, pages.mms[space].root // PAGE_SIZE


def _tables_below(pages: Pages, table: int, level: int) -> Iterator[tuple[int, int]]:
    fmt = pages.format
    below = next_level(fmt, level)
    count = 1 << (fmt.top_bits if hardware_level(fmt, level) == fmt.top else fmt.index_bits)
    for _, value in said(pages, table, count):
        if value & PRESENT and not value & LARGE:
            if below > PTE:
                yield from _tables_below(pages, table_base(value), below)
            yield below, table_base(value) // PAGE_SIZE


def broken(
    rules: PageRules, pages: Pages, spaces: Spaces, questions: Iterable[str] = (*ALWAYS, *GUARDED)
) -> list[Refusal]:
    """Every invariant of ownership that a state breaks."""
    known = ALWAYS | GUARDED
    found = [
        Refusal(name, f"frame {frame:#x}: {use}")
        for frame, use in sorted(uses(rules, pages, spaces).items())
        for name in questions
        if not known[name](use)
    ]
    return found + _miscounted(pages) + _misplaced(pages)


def _miscounted(pages: Pages) -> list[Refusal]:
    found = []
    for space, mm in sorted(pages.mms.items()):
        seen: Counter[str] = Counter()
        for _, _, value in leaves(pages, space, 0, user_end(pages.format)):
            if is_swapped(value):
                seen["swap"] += 1
            elif not value & SPECIAL:
                page = pages.pages[frame_of(value)]
                shmem = page.place is not None and pages.objects[page.place[0]].swaps
                seen["anon" if page.anon else "shmem" if shmem else "file"] += 1
        for name in ("file", "anon", "swap", "shmem"):
            if getattr(mm.counters, name) != seen[name]:
                why = f"address space {space} counts {mm.counters}, its entries are {dict(seen)}"
                found.append(Refusal(COUNTERS.id, why))
                break
        levels = Counter(level for level, _ in tables_of(pages, space))
        if tuple(levels[level] for level in range(PGD)) != mm.counters.tables:
            why = f"address space {space} counts tables {mm.counters.tables}, it has {dict(levels)}"
            found.append(Refusal(TABLES.id, why))
    return found


def _misplaced(pages: Pages) -> list[Refusal]:
    tables = [frame for space in pages.mms for _, frame in tables_of(pages, space)]
    free = pages.frames.free if isinstance(pages.frames, FrameStack) else ()
    placed = Counter([*tables, *free, *pages.pages, pages.zero])
    found = [
        Refusal(FRAMES.id, f"frame {frame:#x} is in {times} places at once")
        for frame, times in sorted(placed.items())
        if times > 1 or frame == NOTHING
    ]
    if pages.tables != len(tables):
        found.append(Refusal(TABLES.id, f"{pages.tables} tables are counted, {len(tables)} can be reached"))
    return found
