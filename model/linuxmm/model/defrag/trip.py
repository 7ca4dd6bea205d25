"""Pages on their way to other frames, whoever sends them: what a migration needs to know.

Compaction takes targets from its free scanner (`defrag.taken`), whoever empties a range takes them from the
page allocator (`defrag.evacuate`); both move pages by `defrag.migrate`.

Linux: struct migration_target_control, new_folio_t, free_folio_t (mm/migrate.c).  Seed 2.2.3 (F039).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from immutables import Map

from linuxmm.model.defrag.state import Outside, Page
from linuxmm.spec.defrag.migration import Mode

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Trip(Generic[S]):
    """A migration under way.

    place    what knows the free pages
    pages    what pages hold, by pfn;  outside  what others do meanwhile
    waiting  pages that are isolated, the next one first
    moved    (from, to) of each page that moved, in order
    """

    place: S
    pages: Map[int, Page]
    outside: Outside
    mode: Mode
    waiting: tuple[int, ...]
    moved: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Ways(Generic[S]):
    """How a place serves a migration.

    target  (place, source) -> the place, and a page in use to move to, or NOTHING
    unused  the place after a target was given back
    left    (place, source, target) -> the place after a page moved: its old frame is free
    passes  how often pages that were busy are tried
    """

    target: Callable[[S, int], tuple[S, int]]
    unused: Callable[[S, int], S]
    left: Callable[[S, int, int], S]
    passes: Callable[[int], int]


Migrate = Callable[[Ways[S], Trip[S]], tuple[Trip[S], bool]]
"""Moves what waits: the trip, in which those wait that stayed, and whether targets ran out."""
