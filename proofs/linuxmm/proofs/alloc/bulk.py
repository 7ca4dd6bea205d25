"""Theorems about the bulk allocator: it answers with no more than was asked for, and loses no page.

A page that a pop or an ordinary request hands out was the allocator's before and is no more
(theorems alloc.pcp.pop-step, alloc.pcp.refill-step, alloc.buddy.take-step); which pages these are, and when
there are none, is left open.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.alloc import bulk, freelist, machine, pcp, request
from linuxmm.model.alloc.bulk import (
    Bulk,
    alloc_bulk,
    fill_entries,
    fill_from_pcplist,
    fill_one,
    with_entry,
)
from linuxmm.model.alloc.freelist import NOTHING, Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.proofs.alloc.ghost import PFN_BITS, PRIMITIVES, Total, rules_of
from linuxmm.proofs.domain import MapOf, Table, Truth, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.spec.alloc.bulk import (
    at_least_one,
    bulk_never_refused,
    bulk_not_accounted,
    bulk_not_with_page_owner,
    count_returned,
)
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.kernel import Kernel


@dataclass(frozen=True, slots=True)
class Held:
    """Stands for the machine and for each of its zones.

    held    page -> is it the allocator's: free, or on a CPU's list
    noted   page -> is it noted as in use
    finds   n -> does the n-th pop find a page
    gets    n -> the page that the n-th attempt to get one finds
    fast    does an ordinary request succeed above the low mark
    least   does it above the min mark
    local   is there a zone that keeps its mark
    tried   attempts so far
    """

    held: Total
    noted: Total
    finds: Total
    gets: Total
    fast: bool
    least: bool
    local: bool
    tried: int = 0


Entries = Annotated[Total, MapOf((Word(8),), Word(64, below=1 << PFN_BITS), 0)]
Attempts = Annotated[Total, MapOf((Word(8),), Truth())]
PageSet = Annotated[Total, MapOf((Word(64),), Truth())]
Page = Annotated[int, Word(64, below=1 << PFN_BITS)]
Flag = Annotated[bool, Truth()]


def _hand_out(state: Held, found: bool) -> tuple[Held, int]:
    if no(found):
        return replace(state, tried=state.tried + 1), NOTHING
    pfn: int = state.gets[state.tried]
    assume(state.held[pfn])
    return replace(state, tried=state.tried + 1, held=state.held.set(pfn, False)), pfn


def pop_pcplist(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """A page off the CPU's list, after a refill if need be; NOTHING at any time."""
    before = as_state(zone, Held)
    state, pfn = _hand_out(before, before.finds[before.tried])
    return as_state(state, Zone), pfn


def _alloc(whole: Machine, found: bool) -> tuple[Machine, int, int]:
    """A page, noted as in use, or NOTHING."""
    state, pfn = _hand_out(as_state(whole, Held), found)
    if pfn == NOTHING:
        return as_state(state, Machine), NOTHING, NOTHING
    return as_state(replace(state, noted=state.noted.set(pfn, True)), Machine), pfn, 0


def alloc_fast(rules: Rules, whole: Machine, asked: Request) -> tuple[Machine, int, int]:
    return _alloc(whole, as_state(whole, Held).fast)


def alloc_min(rules: Rules, whole: Machine, asked: Request, realtime: bool) -> tuple[Machine, int, int]:
    return _alloc(whole, as_state(whole, Held).least)


def local_zone_for(rules: Rules, whole: Machine, asked: Request, pages: int) -> int:
    return 0 if as_state(whole, Held).local else NOTHING


def zone_at(whole: Machine, index: int) -> Zone:
    return as_state(whole, Zone)


def with_zone(whole: Machine, index: int, zone: Zone) -> Machine:
    return as_state(zone, Machine)


def set_in_use(zone: Zone, pfn: int, order: int, movable: bool) -> Zone:
    state = as_state(zone, Held)
    return as_state(replace(state, noted=state.noted.set(pfn, True)), Zone)


HANDING_OUT: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    **PRIMITIVES,
    pcp.pop_pcplist: pop_pcplist,
    request.alloc_fast: alloc_fast,
    request.alloc_min: alloc_min,
    bulk.local_zone_for: local_zone_for,
    machine.zone_at: zone_at,
    machine.with_zone: with_zone,
    freelist.set_in_use: set_in_use,
}


@dataclass(frozen=True, slots=True)
class Era:
    """Stands for a kernel: which requests are answered by one ordinary allocation."""

    function: Callable[[bool, bool], bool]

    def behaviour(self, id: str) -> "Era":
        """The one rule that is asked for."""
        return self


def entries_of(entries: Total, filled: tuple[bool, ...]) -> tuple[int, ...]:
    """An array with the entries that are filled."""
    return tuple(entries[at] if full else NOTHING for at, full in enumerate(filled))


def among_new(filled: tuple[bool, ...], array: tuple[int, ...], page: int) -> bool:
    """Whether the page is in an entry that was empty."""
    found = False
    for full, entry in zip(filled, array, strict=True):
        found = found | ((not full) & (entry == page))
    return found


def kept(before: tuple[int, ...], filled: tuple[bool, ...], after: tuple[int, ...]) -> bool:
    """Whether the entries that were filled are what they were."""
    good = True
    for full, old, new in zip(filled, before, after, strict=True):
        good = good & ((not full) | (old == new))
    return good


def nothing_lost(before: Held, done: Bulk, filled: tuple[bool, ...], page: int) -> bool:
    """The pages that left the allocator are those in new entries, and they alone are noted as in use."""
    after = as_state(done.machine, Held)
    new = among_new(filled, done.array, page)
    left: bool = before.held[page] & no(after.held[page])
    noted: bool = after.noted[page] == (before.noted[page] | new)
    return (left == new) & noted


SOME_PAGES: Final = {
    "held": table({5: True, 6: True}),
    "noted": Table(False),
    "finds": table({0: True, 1: True}),
    "gets": table({0: 5, 1: 6}),
    "page": 5,
    "fast": True,
    "least": True,
}
ANY_REQUEST: Final = Request(0, 0, 0, 3, 0, 0, 1, 0)


@theorem(
    "alloc.bulk.step",
    "One turn of the bulk allocator's loop fills the entry if it is empty and a page is found, leaves it "
    "alone if it is filled, and a page leaves the allocator exactly if it is the one in the entry; if none "
    "was popped, one ordinary allocation is tried.",
    proves=(fill_from_pcplist, fill_one),
    clauses=("alloc.bulk.no-leak",),
    features=("F022", "F026", "F028"),
    method="inductive",
    bounds="any memory size (52-bit pfns), any contents of the lists; a longer array is a run of such turns",
    primitives=HANDING_OUT,
    witness={**SOME_PAGES, "entries": Table(0), "filled": False},
    mutants=(
        Mutant(
            fill_from_pcplist,
            "drops the page",
            "            array = with_entry(array, filled, pfn)\n",
            "",
        ),
        Mutant(
            fill_from_pcplist, "fills what is filled", "if entry_at(array, filled) == NOTHING:", "if True:"
        ),
        Mutant(
            fill_from_pcplist,
            "pops two pages for one",
            "zone, pfn = pop_pcplist(rules, zone,",
            "zone, pfn = pop_pcplist(rules, pop_pcplist(rules, zone, 0, 0, 0, 0)[0],",
        ),
        Mutant(fill_one, "drops the page", "with_entry(array, filled, pfn)", "array"),
    ),
)
def bulk_step(
    held: PageSet,
    noted: PageSet,
    finds: Attempts,
    gets: Entries,
    fast: Flag,
    least: Flag,
    entries: Entries,
    page: Page,
    filled: Annotated[bool, each((False, True))],
) -> bool:
    state = Held(held, noted, finds, gets, fast, least, True)
    array = entries_of(entries, (filled,))
    whole = as_state(state, Machine)
    if filled:
        assume(no(held[array[0]]))
        done = Bulk(*fill_from_pcplist(rules_of(4, 9), whole, ANY_REQUEST, (*array, NOTHING), 0, 0))
        return kept(array, (True,), done.array[:1]) & nothing_lost(state, done, (True, False), page)
    done = Bulk(*fill_from_pcplist(rules_of(4, 9), whole, ANY_REQUEST, array, 0, 0))
    got = done.array[0] != NOTHING
    expected: bool = finds[0] | fast | least
    return (
        (len(done.array) == 1)
        & (done.returned == (1 if got else 0))
        & nothing_lost(state, done, (False,), page)
        & (got == expected)
    )


PATTERNS: Final = tuple(
    tuple(bool(bits >> at & 1) for at in range(length)) for length in range(4) for bits in range(1 << length)
)


@theorem(
    "alloc.bulk.returns-and-leaks-nothing",
    "A bulk request fills no more than the entries that were empty and leaves the others alone; its answer "
    "counts entries filled from the front, those that were filled before included, so it is at most the "
    "number asked for; a page leaves the allocator exactly if it is in a new entry, and is noted as in use; "
    "and something is got if an ordinary request would get something.",
    proves=(
        alloc_bulk,
        fill_entries,
        fill_from_pcplist,
        fill_one,
        with_entry,
        count_returned,
        at_least_one,
    ),
    clauses=(
        "alloc.bulk.at-least-one",
        "alloc.bulk.count",
        "alloc.bulk.no-leak",
    ),
    features=("F022", "F026", "F028"),
    method="bounded",
    bounds="any memory size (52-bit pfns), any contents of the lists, arrays of 0 to 3 entries with any of "
    "them filled, 5.13 to 6.12",
    primitives=HANDING_OUT,
    witness={
        **SOME_PAGES,
        "entries": table({1: 9}),
        "filled": (False, True, False),
        "local": True,
        "accounted": False,
        "page_owner": False,
        "era": 2,
    },
    mutants=(
        Mutant(
            fill_from_pcplist,
            "forgets what was popped",
            "    machine = with_zone(machine, index, zone)\n",
            "",
        ),
        Mutant(fill_from_pcplist, "gives up with nothing", "if taken == 0:", "if False:"),
        Mutant(with_entry, "adds an entry", "(*array[:at], pfn, *array[at + 1 :])", "(*array, pfn)"),
        Mutant(
            fill_entries, "overlooks entries that are filled", "entry_at(array, filled) != NOTHING", "False"
        ),
        Mutant(
            fill_entries,
            "counts one too many",
            "return machine, array, filled, False",
            "return machine, array, filled + 1, False",
        ),
    ),
)
def returns_and_leaks_nothing(
    held: PageSet,
    noted: PageSet,
    finds: Attempts,
    gets: Entries,
    fast: Flag,
    least: Flag,
    entries: Entries,
    page: Page,
    filled: Annotated[tuple[bool, ...], each(PATTERNS)],
    local: Flag,
    accounted: Flag,
    page_owner: Flag,
    era: Annotated[int, each(range(3))],
) -> bool:
    state = Held(held, noted, finds, gets, fast, least, local)
    array = entries_of(entries, filled)
    for full, entry in zip(filled, array, strict=True):
        if full:
            assume(no(held[entry]))
    kernel = Era((bulk_never_refused, bulk_not_with_page_owner, bulk_not_accounted)[era])
    done = alloc_bulk(
        as_state(kernel, Kernel),
        rules_of(4, 9),
        as_state(state, Machine),
        ANY_REQUEST,
        array,
        accounted=accounted,
        page_owner=page_owner,
    )
    if len(done.array) != len(array):
        return False
    full_after = tuple(bool(entry != NOTHING) for entry in done.array)
    got = sum(full_after) - sum(filled)
    return (
        count_returned(filled, full_after, done.returned)
        & at_least_one(len(array), len(array) - sum(filled), got, bool(fast | least))
        & kept(array, filled, done.array)
        & nothing_lost(state, done, filled, page)
    )
