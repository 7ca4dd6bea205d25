"""Faults of lists by generation: a machine that stands still, and what happens between marks."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from linuxmm.oracle.faults_areas_reclaim import INACTIVE, ISOLATE, event, traced
from linuxmm.oracle.faults_plant import (
    AreaFault,
    Document,
    Edit,
    added,
    document,
    dropped,
    fault,
    first_of,
    line,
    put,
    raised,
    removal,
)

_FILE: Final = "marks/[B-Z]*/generations.json.gz"
"""Of a mark behind the first, so that what is wrong shows between marks too."""
_NODE: Final = ("nodes", "0")
_FLAGS: Final = 3
_SWAPBACKED: Final = 4
_ACTIVE: Final = 8

Page = list[int]
Pages = list[Page]


def _lists(state: Document) -> Iterator[Pages]:
    """The lists that have pages."""
    for kinds in state["nodes"]["0"]["lists"]:
        for zones in kinds:
            yield from (pages for pages in zones if pages)


def _first_page(edit: Callable[[Page], None]) -> Edit:
    return Edit(_FILE, document(lambda state: edit(first_of(_lists(state))[0])))


def _state(edit: Callable[[Document], Any]) -> Edit:
    return Edit(_FILE, document(edit))


def _twice(state: Document) -> None:
    pages = first_of(_lists(state))
    pages.append(pages[0])


def _lost(state: Document) -> None:
    first_of(_lists(state)).pop()


def _no_generation(page: Page) -> None:
    page[1] = -1


def _other_kind(page: Page) -> None:
    page[_FLAGS] ^= _SWAPBACKED


def _active(page: Page) -> None:
    page[_FLAGS] |= _ACTIVE


_FROZEN: Final = (
    fault(
        "generations-few",
        "the oldest generation is younger than the youngest",
        "reclaim.seen.gen-window",
        Edit(_FILE, added(9, *_NODE, "min_seq", 0)),
    ),
    fault(
        "generations-fall",
        "the number of the youngest generation fell",
        "reclaim.seen.gen-window",
        Edit(_FILE, put(0, *_NODE, "max_seq")),
        Edit(_FILE, put([0, 0], *_NODE, "min_seq")),
    ),
    fault("page-twice", "a page is twice on a list", "reclaim.seen.gen-lists", _state(_twice)),
    fault("page-active", "a page on a list is active", "reclaim.seen.gen-lists", _first_page(_active)),
    fault(
        "page-of-no-generation",
        "a page on a list has no generation",
        "reclaim.seen.gen-lists",
        _first_page(_no_generation),
    ),
    fault(
        "page-of-other-kind",
        "a list of one kind has a page of the other",
        "reclaim.seen.gen-lists",
        _first_page(_other_kind),
    ),
    fault("page-lost", "a page left its list uncounted", "reclaim.seen.gen-sizes", _state(_lost)),
    fault(
        "size-off",
        "a generation counts a page too many",
        "reclaim.seen.gen-sizes",
        Edit(_FILE, added(1, *_NODE, "nr_pages", 0, 0, 0)),
    ),
    fault(
        "told-off",
        "NR_ACTIVE_FILE is one too high",
        "reclaim.seen.gen-sizes",
        Edit("marks/[B-Z]*/state.json.gz", added(1, "nodes", 0, "vm_stat", "NR_ACTIVE_FILE")),
    ),
    fault(
        "more-back-than-left",
        "of a tier more pages came back than were evicted",
        "reclaim.seen.gen-rates",
        Edit(_FILE, put(9**9, *_NODE, "refaulted", 0, 0)),
    ),
    fault(
        "average-beyond",
        "on average more pages came back than were evicted",
        "reclaim.seen.gen-rates",
        Edit(_FILE, put(9**9, *_NODE, "avg_refaulted", 1, 1)),
    ),
    fault(
        "text-off",
        "debugfs tells another size",
        "reclaim.seen.gen-text",
        Edit(
            "marks/[B-Z]*/sys/kernel/debug/lru_gen",
            line(r"^ +\d+ +\d+ +\d+ +\d+", r"^( +\d+ +\d+ +)\d+", r"\g<1>77777"),
        ),
    ),
)
_BETWEEN: Final = (
    fault(
        "shadow-of-the-future",
        "a shadow names a generation that is still to come",
        "reclaim.seen.gen-shadow",
        traced(line(event("refault"), r"shadow=0x\w+", "shadow=0xfffff0000001", 300)),
    ),
    fault(
        "uses-unmarked",
        "a shadow tells of uses, and not that there were any",
        "reclaim.seen.gen-shadow",
        traced(line(event("refault"), r"shadow=0x\w+", "shadow=0xd0000001", 300)),
    ),
    fault(
        "refault-uncounted",
        "more recent refaults are counted than came back",
        "reclaim.seen.gen-refaults",
        Edit(
            "marks/[B-Z]*/state.json.gz",
            added(1 << 20, "nodes", 0, "vm_stat", "WORKINGSET_REFAULT_ANON"),
        ),
    ),
    fault(
        "refault-unseen",
        "a refault is counted that did not happen",
        "reclaim.seen.gen-refaults",
        traced(dropped(event("refault"), 300)),
        where="reclaim.seen.isolated",
    ),
    fault(
        "scanned-by-nobody",
        "pages were scanned by kind, and by nobody",
        "reclaim.seen.gen-counted",
        Edit("marks/[B-Z]*/state.json.gz", added(1, "vm_events", "PGSCAN_ANON")),
    ),
    fault(
        "freed-by-nobody",
        "pages were freed by kind, and by nobody",
        "reclaim.seen.gen-counted",
        Edit("marks/[B-Z]*/state.json.gz", added(1, "vm_events", "PGSTEAL_FILE")),
    ),
    fault(
        "generation-taken-uncounted",
        "a pass took a page that no counter has",
        "reclaim.seen.gen-counted",
        traced(raised(ISOLATE, "nr_taken=", 1, 300)),
    ),
    fault(
        "generation-of-other-kind",
        "the counters say that a pass was over the other kind",
        "reclaim.seen.gen-counted",
        traced(line(f"{ISOLATE}.*inactive_anon", "inactive_anon", "inactive_file", 300)),
    ),
    fault(
        "generation-freed-uncounted",
        "a pass freed a page that no counter has",
        "reclaim.seen.gen-counted",
        traced(raised(INACTIVE, "nr_reclaimed=", 1, 300)),
    ),
)

GENERATION_FAULTS: Final[tuple[AreaFault, ...]] = (
    *_FROZEN,
    *_BETWEEN,
    removal(
        "generations-removed",
        "debugfs was read at a mark, and its generations are not in the folder",
        "reclaim.seen.gen-lists",
        Edit(_FILE, None),
    ),
)
