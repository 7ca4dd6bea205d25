"""What reclaim asks of others: the reverse map, and whoever keeps the contents of pages.

Both are values: a question that changes something answers with what there is afterwards.  The twins here are
small and complete; an address space, a file system or a swap area stands behind the same protocols.

Linux: mm/rmap.c:folio_referenced, try_to_unmap; mm/vmscan.c:pageout; mm/swap_state.c:add_to_swap.
Seed 2.4.1 (F004, F042).
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol, Self

from immutables import Map


class References(NamedTuple):
    """What the reverse map found: entries with an accessed bit, executable ones among them, a locked area."""

    ptes: int
    executable: bool
    locked: bool


UNMAPPED: Final = 0
UNMAP_FAILED: Final = 1
"""An entry could not go: the page is active again."""
UNMAP_AGAIN: Final = 2
"""A lock was taken: the page goes round (until 4.11)."""

UNMAP_LOCKED: Final = 3
"""An entry is of a locked area: the page is unevictable (2.6.28 to 5.17)."""

PAGE_KEEP: Final = 0
PAGE_ACTIVATE: Final = 1
PAGE_WRITTEN: Final = 2
"""Writing began; the page is clean, and under writeback."""
PAGE_SYNCED: Final = 3
"""Written out already, as to a RAM disk."""


class ReverseMap(Protocol):
    """Which page-table entries map a page."""

    def mapped(self, page: int) -> int:
        """The number of entries that map a page."""

    def test_and_clear(self, page: int) -> tuple[Self, References]:
        """Clear the accessed bits of a page's entries, and say what was found."""

    def unmap(self, page: int) -> tuple[Self, int, bool]:
        """Remove every entry: the map afterwards, how it went, and whether one of them was dirty."""


class Backing(Protocol):
    """Where contents go."""

    def swap_free(self) -> int:
        """Free slots of swap."""

    def take_slot(self, page: int) -> tuple[Self, bool]:
        """A slot of swap for a page, if there is one."""

    def give_slot(self, page: int) -> Self:
        """The slot is free again."""

    def pageout(self, page: int) -> tuple[Self, int]:
        """Write a page out: PAGE_KEEP to PAGE_SYNCED."""


class Entry(NamedTuple):
    """A page-table entry, as reclaim sees it; `stuck` entries cannot be removed.

    address  the page of an address space that it maps; the spaces follow each other
    """

    young: bool = False
    executable: bool = False
    locked: bool = False
    dirty: bool = False
    stuck: bool = False
    address: int = 0


@dataclass(frozen=True, slots=True)
class Mappings:
    """A reverse map as a table: page -> its entries."""

    entries: Map[int, tuple[Entry, ...]] = field(default_factory=Map)

    def mapped(self, page: int) -> int:
        """The number of entries that map a page."""
        return len(self.entries.get(page, ()))

    def test_and_clear(self, page: int) -> "tuple[Mappings, References]":
        """Clear the accessed bits of a page's entries, and say what was found."""
        own = self.entries.get(page, ())
        young = [entry for entry in own if entry.young]
        found = References(
            len(young), any(entry.executable for entry in young), any(entry.locked for entry in own)
        )
        if not young:
            return self, found
        return self.map(page, *(entry._replace(young=False) for entry in own)), found

    def unmap(self, page: int) -> "tuple[Mappings, int, bool]":
        """Remove every entry that is neither stuck nor locked."""
        own = self.entries.get(page, ())
        left = tuple(entry for entry in own if entry.stuck or entry.locked)
        dirty = any(entry.dirty for entry in own if entry not in left)
        if any(entry.locked for entry in left):
            return self.map(page, *left), UNMAP_LOCKED, dirty
        return self.map(page, *left), UNMAP_FAILED if left else UNMAPPED, dirty

    def entry_from(self, start: int, end: int) -> int:
        """The lowest address of [start, end) that an entry maps, or -1."""
        found = (entry.address for own in self.entries.values() for entry in own)
        return min((address for address in found if start <= address < end), default=-1)

    def page_at(self, address: int) -> int:
        """The page that is mapped at an address.

        Errors    KeyError when there is none
        """
        for page, own in self.entries.items():
            if any(entry.address == address for entry in own):
                return page
        raise KeyError(f"no entry maps address {address}")

    def used_at(self, address: int) -> "tuple[Mappings, bool]":
        """Clear the accessed bit of the entry at an address: whether it was set, or the area is locked."""
        own = self.entries[self.page_at(address)]
        entry = next(entry for entry in own if entry.address == address)
        cleared = (e._replace(young=False) if e is entry else e for e in own)
        return self.map(self.page_at(address), *cleared), entry.young or entry.locked

    def unmap_at(self, address: int) -> "tuple[Mappings, bool]":
        """Remove the entry at an address: whether it was dirty."""
        page = self.page_at(address)
        own = self.entries[page]
        dirty = any(entry.dirty for entry in own if entry.address == address)
        return self.map(page, *(entry for entry in own if entry.address != address)), dirty

    def map(self, page: int, *entries: Entry) -> "Mappings":
        """The map in which these entries map a page."""
        if entries:
            return Mappings(self.entries.set(page, entries))
        return Mappings(self.entries.delete(page)) if page in self.entries else self

    def touch(self, page: int, write: bool = False) -> "Mappings":
        """An access through the first entry of a page: the hardware sets its bits."""
        first, *rest = self.entries[page]
        return self.map(page, first._replace(young=True, dirty=first.dirty or write), *rest)


@dataclass(frozen=True, slots=True)
class Store:
    """Backing that always answers the same: so many slots of swap, and one way for every write to go."""

    slots: int = 0
    write: int = PAGE_WRITTEN

    def swap_free(self) -> int:
        """Free slots of swap."""
        return self.slots

    def take_slot(self, page: int) -> "tuple[Store, bool]":
        """A slot of swap for a page, if there is one."""
        return (replace(self, slots=self.slots - 1), True) if self.slots else (self, False)

    def give_slot(self, page: int) -> "Store":
        """The slot is free again."""
        return replace(self, slots=self.slots + 1)

    def pageout(self, page: int) -> "tuple[Store, int]":
        """Every write goes the same way."""
        return self, self.write
