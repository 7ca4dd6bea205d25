"""What page tables mean: a partial function from pages to frames with rights, and what may change it.

This is the account against which tables of any format are judged: mapping, unmapping, protecting or splitting
changes the function at the pages named and nowhere else, whatever tables it takes.

Linux: mm/memory.c, include/linux/pgtable.h.  Seed 2.3.1 (F040, F059).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY, WRITE


@dataclass(frozen=True, slots=True)
class Mapping:
    """What one page of 4 KiB maps to, without accessed and dirty state."""

    frame: int
    writable: bool
    user: bool
    executable: bool
    global_: bool = False


NO_PAGES: Final[Map[int, Mapping]] = Map()


@dataclass(frozen=True, slots=True)
class AddressMap:
    """The meaning of a set of tables: page number -> mapping; a page that is missing faults."""

    pages: Map[int, Mapping] = NO_PAGES


@dataclass(frozen=True, slots=True)
class MapPage:
    """Map `page` as `mapping` says."""

    page: int
    mapping: Mapping


@dataclass(frozen=True, slots=True)
class UnmapPage:
    """Forget what `page` maps to."""

    page: int


@dataclass(frozen=True, slots=True)
class ProtectPage:
    """Give `page` other rights."""

    page: int
    writable: bool
    executable: bool


@dataclass(frozen=True, slots=True)
class SplitPage:
    """Replace the large leaf over `page` by a table of smaller ones."""

    page: int


Operation = MapPage | UnmapPage | ProtectPage | SplitPage

OCCUPIED: Final = clause(
    "vm.map.vacant",
    "A page is mapped only where nothing is mapped.",
    features=("F040", "F059"),
    seed="2.3.1",
    source="mm/memory.c:insert_page_into_pte_locked (EBUSY)",
)
ABSENT: Final = clause(
    "vm.map.present",
    "Only a mapped page is given other rights or split.",
    features=("F040", "F059"),
    seed="2.3.1",
    source="mm/mprotect.c:change_pte_range",
)
EXACT: Final = clause(
    "vm.map.frame",
    "Changing the tables for one page changes no other page's translation.",
    features=("F040",),
    seed="2.3.1",
    source="mm/memory.c; include/linux/pgtable.h",
)


def refusals(state: AddressMap, operation: Operation) -> frozenset[Refusal]:
    """Why the operation may not be done; empty when it may."""
    there = operation.page in state.pages
    if isinstance(operation, MapPage) and there:
        why = f"page {operation.page:#x} is mapped to frame {state.pages[operation.page].frame:#x}"
        return frozenset({Refusal(OCCUPIED.id, why)})
    if isinstance(operation, (ProtectPage, SplitPage)) and not there:
        return frozenset({Refusal(ABSENT.id, f"page {operation.page:#x} is not mapped")})
    return frozenset()


def after(state: AddressMap, operation: Operation) -> AddressMap:
    """What the tables mean after the operation.

    Requires  refusals(state, operation) is empty
    """
    pages = state.pages
    if isinstance(operation, MapPage):
        return AddressMap(pages.set(operation.page, operation.mapping))
    if isinstance(operation, UnmapPage):
        return AddressMap(pages.delete(operation.page)) if operation.page in pages else state
    if isinstance(operation, ProtectPage):
        changed = replace(pages[operation.page], writable=operation.writable, executable=operation.executable)
        return AddressMap(pages.set(operation.page, changed))
    return state


def permits(state: AddressMap, operation: Operation, observed: AddressMap) -> frozenset[Refusal]:
    """What is wrong with `observed` as the meaning after the operation; empty when nothing is."""
    refused = refusals(state, operation)
    if refused:
        return refused
    expected = after(state, operation).pages
    wrong = sorted(
        page for page in {*expected, *observed.pages} if expected.get(page) != observed.pages.get(page)
    )
    return frozenset(
        Refusal(EXACT.id, f"page {page:#x}: expected {expected.get(page)}, found {observed.pages.get(page)}")
        for page in wrong
    )


@invariant("vm.entry.marks", features=("F040", "F059"), seed="2.3.1", source="Intel SDM 3A 4.8")
def marks_permitted(before: int, now: int, kind: int, leaf: bool, translated: bool) -> bool:
    """A walk changes nothing of an entry but A, and D of a leaf; it sets D for a permitted write alone, and
    after a translation every entry used has A.

    before, now  the entry;  kind: of the access
    leaf         whether the entry maps the page
    translated   whether the access was permitted
    """
    marks = now ^ before
    if before & ~now or marks & ~(ACCESSED | DIRTY):
        return False
    if marks & DIRTY and not (leaf and translated and kind == WRITE):
        return False
    complete = ACCESSED | (DIRTY if leaf and kind == WRITE else 0)
    return not translated or now & complete == complete


@invariant(
    "vm.tables.one-owner", features=("F040",), seed="2.3.1", source="mm/memory.c:__pmd_alloc, __pud_alloc"
)
def one_owner(pointers: Iterable[tuple[int, int]]) -> bool:
    """No table is pointed at from two places.

    pointers: (address of the entry, address of the table that it points at)
    """
    tables = [table for _, table in pointers]
    return len(tables) == len(set(tables))
