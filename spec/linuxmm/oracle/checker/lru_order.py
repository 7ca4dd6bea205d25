"""Follow the two lists of files page by page from mark to mark, and hold their order against the next mark.

Pages are added at the head; a scan takes from the end; what it does not free goes back to a head, in the
order in which it was taken: what came from the active list to the inactive one, what a scan of the inactive
list activates to the active one.  Events say which pages are added, activated by references, and dropped; how
many a scan took; how many it activated.  Which pages these were follows from the order, so that the lists at
the next mark are known page by page.

Left out of the comparison are pages whose place is not known: those that a scan put back when it activated
some of them and not all, and dirty ones, which go to the end of the inactive list when they are written.
Pages of zones that a scan must skip go to the head of their list. What is known ends, until the next mark,
with a scan that may have taken a page whose place is not known, and with MADV_FREE, which puts anonymous
pages on the lists of files; nothing is known between marks if pages were migrated meanwhile.

Lists of anonymous memory are not followed: what references they saw stands in page tables.

Linux: mm/swap.c, mm/vmscan.c:shrink_inactive_list, shrink_active_list, move_folios_to_lru.
Seed 2.4.1 (F042, F043).  2.6.28 to 6.12, kernels without memory control groups, one node, lists of two.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Final

from linuxmm.spec.invariant import clause
from linuxmm.spec.verdict import Judgement

_EVENT: Final = re.compile(r"^.{16}-\s*(\d+)\s.*?\d+\.\d+: (\w+): (.*)$")
_PFN: Final = re.compile(r"\bpfn=(?:0x)?([0-9a-f]+)")
_PAIR: Final = re.compile(r"(\w+)=(\w+)")
INACTIVE: Final = "LRU_INACTIVE_FILE"
ACTIVE: Final = "LRU_ACTIVE_FILE"
LISTS: Final = (INACTIVE, ACTIVE)
NUMBERS: Final = {2: INACTIVE, 3: ACTIVE}
_SCANNED: Final = {"inactive_file": INACTIVE, "active_file": ACTIVE, "2": INACTIVE, "3": ACTIVE}
EVENTS: Final = frozenset(
    {
        "mm_lru_insertion", "mm_lru_activate", "mm_filemap_delete_from_page_cache",
        "mm_vmscan_lru_isolate", "mm_vmscan_lru_shrink_inactive", "mm_vmscan_lru_shrink_active",
    }
)  # fmt: skip
"""What a trace must have to be followed."""

ORDER: Final = clause(
    "reclaim.seen.list-order",
    "The lists of files hold, in order, what was added at their heads and put back by scans of their ends.",
    features=("F042", "F043"),
    seed="2.4.1",
    source="mm/vmscan.c:move_folios_to_lru; mm/swap.c:lru_add_fn",
).id
END: Final = clause(
    "reclaim.seen.list-end",
    "A page of a file that a scan frees is one of those at the end of the list that it took.",
    features=("F042", "F043"),
    seed="2.4.1",
    source="mm/vmscan.c:isolate_lru_folios",
).id
UNDECIDED: Final = "where a page that a scan activated, or that was dirty, went was not recorded"
LOST: Final = "the order of the lists is not known behind {}"
_MOVES: Final = {
    "lazyfree": "MADV_FREE",
    "deactivate": "a deactivation",
    "deact": "a deactivation",
    "isolate": "an isolation by someone else",
}
"""Probes of what moves pages and names none by its frame."""
Lists = Mapping[str, tuple[int, ...]]


@dataclass(slots=True)
class _Taken:
    """What a task's scan holds: of which list, and its pages, the one at the very end first."""

    of: str
    pages: list[int]


@dataclass(slots=True)
class ListOrder:
    """Follows the lines of one trace.

    states    mark -> the lists at it, from the head on
    migrated  marks, in order -> pages migrated since the boot
    zone_of   number of a page's zone in its node

    A page that is on one of two lists stands on both, and in `_floating`; one that goes to the end of the
    inactive list at some time, in `_written` too.
    """

    judgement: Judgement
    states: Mapping[str, Lists]
    migrated: Mapping[str, int]
    zone_of: Callable[[int], int]
    _lists: dict[str, OrderedDict[int, None]] | None = None
    _taken: dict[int, _Taken] = field(default_factory=dict)
    _floating: set[int] = field(default_factory=set)
    _written: set[int] = field(default_factory=set)
    _from: str = ""
    _number: int = 0

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines, each judged as it passes."""
        for number, line in enumerate(lines, 1):
            self._number = number
            seen = _EVENT.match(line)
            if seen is not None:
                self._see(int(seen[1]), seen[2], seen[3])
            elif self._lists is not None and "LOST" in line and "EVENTS" in line:
                self._lose("lost events")
            yield line

    def _see(self, task: int, name: str, rest: str) -> None:
        if name == "tracing_mark_write":
            self._mark(rest.split())
        if self._lists is None:
            return
        if name in _MOVES:
            self._lose(_MOVES[name])
        if self._lists is None or name not in EVENTS:
            return
        pairs = dict(_PAIR.findall(rest))
        match name:
            case "mm_lru_insertion":
                self._drop(task, self._pfn(rest))
                if int(pairs["lru"]) in NUMBERS:
                    self._add(self._pfn(rest), NUMBERS[int(pairs["lru"])])
            case "mm_lru_activate":
                pfn = self._pfn(rest)
                if pfn in self._lists[INACTIVE] or pfn in self._floating:
                    self._drop(task, pfn)
                    self._add(pfn, ACTIVE)
            case "mm_filemap_delete_from_page_cache":
                self._delete(task, self._pfn(rest))
            case "mm_vmscan_lru_isolate":
                self._take(task, pairs)
            case _:
                self._put_back(task, name, pairs)

    def _lose(self, why: str) -> None:
        """Nothing is known until the next mark."""
        self.judgement.explain(LOST.format(why))
        self._lists = None

    @staticmethod
    def _pfn(rest: str) -> int:
        found = _PFN.search(rest)
        return int(found[1], 16) if found else -1

    def _mark(self, words: list[str]) -> None:
        if words[:1] != ["SYNC"] or len(words) < 3:
            return
        mark, side = words[1], words[2]
        if side == "begin" and self._lists is not None and mark in self.states:
            self._compare(mark)
        if side == "end":
            known = self.states.get(mark)
            self._from, self._taken, self._floating, self._written = mark, {}, set(), set()
            self._lists = None if known is None else _followed(known)
            after = dict(pairwise(self.migrated)).get(mark, mark)
            if self._lists is not None and self.migrated.get(after) != self.migrated.get(mark):
                self._lose("a migration")

    def _compare(self, mark: str) -> None:
        assert self._lists is not None
        floating = self._floating
        for name in LISTS:
            mine = tuple(pfn for pfn in reversed(self._lists[name]) if pfn not in floating)
            real = tuple(pfn for pfn in self.states[mark].get(name, ()) if pfn not in floating)
            at = _first_difference(mine, real)
            self.judgement.events += len(real)
            self.judgement.require(
                ORDER,
                mine == real,
                f"{name} at {mark}: {len(real)} pages, {_page(real, at)} at {at}",
                f"{len(mine)} pages, {_page(mine, at)} at {at}",
                f"followed from {self._from}",
                line=self._number,
            )
        for _ in floating:
            self.judgement.explain(UNDECIDED)

    def _add(self, pfn: int, name: str) -> None:
        assert self._lists is not None
        self._lists[name][pfn] = None

    def _drop(self, task: int, pfn: int) -> None:
        """A page leaves wherever it stands."""
        assert self._lists is not None
        for name in LISTS:
            self._lists[name].pop(pfn, None)
        self._floating.discard(pfn)
        self._written.discard(pfn)
        if task in self._taken and pfn in self._taken[task].pages:
            self._taken[task].pages.remove(pfn)

    def _delete(self, task: int, pfn: int) -> None:
        """A page of a file is dropped: by the scan that took it, or because the file is cut."""
        assert self._lists is not None
        taken = self._taken.get(task)
        if taken is not None:
            listed = any(pfn in self._lists[name] for name in LISTS) and pfn not in self._floating
            self.judgement.require(
                END,
                pfn in taken.pages or not listed,
                f"pfn {pfn:#x} freed",
                f"one of {len(taken.pages)} pages from the end of {taken.of}",
                "a scan",
                line=self._number,
            )
        self._drop(task, pfn)

    def _take(self, task: int, pairs: dict[str, str]) -> None:
        """A scan takes pages from the end; with a page whose place is not known nothing is known any more."""
        assert self._lists is not None
        name = _SCANNED.get(pairs["lru"])
        self._taken.pop(task, None)
        if name is None:
            return
        counts = [int(pairs[key]) for key in ("nr_scanned", "nr_skipped", "nr_taken")]
        highest = int(pairs["classzone"])
        looked = list(islice(self._lists[name], counts[0]))
        pages = [pfn for pfn in looked if self.zone_of(pfn) <= highest]
        skipped = [pfn for pfn in looked if self.zone_of(pfn) > highest]
        unsure = not self._floating.isdisjoint(looked) or (self._written and name == INACTIVE)
        if counts != [len(looked), len(skipped), len(pages)] or unsure:
            self._lose("a scan that passed pages over, or may have taken one whose place is not known")
            return
        for pfn in looked:
            del self._lists[name][pfn]
        for pfn in sorted(skipped, key=self.zone_of):
            self._lists[name][pfn] = None
        self._taken[task] = _Taken(name, pages)

    def _put_back(self, task: int, name: str, pairs: dict[str, str]) -> None:
        """What a scan did not free goes back, the page that was taken first before the others."""
        taken = self._taken.pop(task, None)
        if taken is None:
            return
        left = len(taken.pages)
        if name == "mm_vmscan_lru_shrink_active":
            kept = int(pairs["nr_active"])
            target = INACTIVE if kept == 0 else ACTIVE
        else:
            kept = int(pairs.get("nr_activate_file", pairs.get("nr_activate", "0")))
            target = ACTIVE if kept else INACTIVE
        dirty = pairs.get("nr_dirty", "0") != "0"
        decided = kept in (0, left) and not dirty
        for pfn in taken.pages:
            for name in (target,) if decided else LISTS:
                self._add(pfn, name)
        if not decided:
            self._floating.update(taken.pages)
        if dirty:
            self._written.update(taken.pages)


def _followed(lists: Lists) -> dict[str, OrderedDict[int, None]]:
    """The lists with their ends first."""
    return {name: OrderedDict.fromkeys(reversed(lists.get(name, ()))) for name in LISTS}


def _first_difference(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Where two lists begin to differ; the length of the shorter when it is all of the other's start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (mine, real) in pairs if mine != real), min(len(one), len(other)))


def _page(pages: tuple[int, ...], at: int) -> str:
    return f"pfn {pages[at]:#x}" if at < len(pages) else "none"
