"""Moving one page: who may be taken, how often it is tried, and what comes of it.

Linux: mm/migrate.c:migrate_pages, unmap_and_move, folio_migrate_mapping; mm/compaction.c:
isolate_migratepages_block.  Seed 2.2.3 (F039).  2.6.35 to 6.12.
"""

from enum import Enum, IntEnum
from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula


class Mode(IntEnum):
    """How much a migration may wait: never; not for writeback; as long as it takes."""

    ASYNC = 0
    SYNC_LIGHT = 1
    SYNC = 2


class Outcome(Enum):
    """What became of one page in one pass."""

    MOVED = "moved"
    AGAIN = "tried again in the next pass"
    FAILED = "given up"
    NO_TARGET = "no free page left: the whole migration ends"


ANON: Final = 1 << 0
DIRTY: Final = 1 << 1
WRITEBACK: Final = 1 << 2
LOCKED: Final = 1 << 3
PINNED: Final = 1 << 4
UNEVICTABLE: Final = 1 << 5
DRIVER: Final = 1 << 6
"""Not on a list: a driver's page that says how it is moved (4.8)."""
OPAQUE: Final = 1 << 7
"""Of a file whose file system has no migrate function."""
SWAPCACHE: Final = 1 << 8
PRIVATE: Final = 1 << 9
"""With buffers or other private data, which hold a reference."""

FORCE_AFTER: Final = 2
"""A pass after this one waits for locks."""


@behaviour(
    "defrag.passes",
    since="2.6.35",
    until="6.2",
    features=("F039",),
    source="mm/migrate.c:migrate_pages; 6.1 read, last from memory",
)
def ten_passes(mode: int) -> int:
    """How often pages that were busy are tried."""
    return 10


@behaviour(
    "defrag.passes",
    since="6.3",
    features=("F039",),
    source="mm/migrate.c:NR_MAX_MIGRATE_PAGES_RETRY, NR_MAX_MIGRATE_ASYNC_RETRY; 6.12; first from memory",
)
def passes_by_mode(mode: int) -> int:
    """How often pages that were busy are tried; less often where nothing may wait."""
    return 3 if mode == Mode.ASYNC else 10


@formula("F039", source="mm/migrate.c:folio_expected_refs; 2.6.35 to 6.12")
def expected_references(in_cache: bool, pages: int, private: bool) -> int:
    """References of a page that is isolated, unmapped and otherwise unused.

    in_cache: in the page cache or the swap cache
    """
    return 1 + (pages + (1 if private else 0) if in_cache else 0)


@formula("F039", source="mm/migrate.c:folio_migrate_mapping; 2.6.35 to 6.12")
def references_right(references: int, in_cache: bool, pages: int, private: bool) -> bool:
    """Whether nobody else holds the page; otherwise it is tried again."""
    return references == expected_references(in_cache, pages, private)


@formula("F039", source="mm/compaction.c:isolate_migratepages_block; 3.6 to 6.12")
def worth_isolating(flags: int, mode: int, may_enter_fs: bool, unevictable_allowed: bool) -> bool:
    """Whether compaction takes a page off its list.

    Not an anonymous page that is pinned, nor a page of a file when file systems may not be called, nor what
    could only be moved by waiting.
    """
    anonymous = flags & ANON != 0 and flags & SWAPCACHE == 0
    if flags & DRIVER:
        return True
    if anonymous and flags & PINNED:
        return False
    if not anonymous and not may_enter_fs:
        return False
    if flags & UNEVICTABLE and not unevictable_allowed:
        return False
    if mode == Mode.SYNC:
        return True
    if flags & WRITEBACK:
        return False
    return not (flags & DIRTY and not anonymous and flags & (OPAQUE | LOCKED))


@formula("F039", source="mm/migrate.c:__unmap_and_move; 3.4 to 6.12")
def waits_for_lock(mode: int, number: int) -> bool:
    """Whether a page that is locked is waited for in pass `number`, from 0; otherwise it is tried again."""
    return mode != Mode.ASYNC and number > FORCE_AFTER


@formula("F039", source="mm/migrate.c:__unmap_and_move; 3.4 to 6.12")
def writeback_outcome(mode: int, number: int) -> int:
    """What a page under writeback meets: 0 it is waited for, 1 it is tried again, 2 it is given up."""
    if mode != Mode.SYNC:
        return 2
    return 0 if number > FORCE_AFTER else 1


@formula("F039", source="mm/migrate.c:fallback_migrate_folio; 3.4 to 6.12")
def written_first(mode: int) -> bool:
    """Whether a dirty page without a migrate function is written and tried again; else it is given up."""
    return mode == Mode.SYNC


@behaviour(
    "large.drops-clean",
    since="3.5",
    until="3.6",
    features=("F036",),
    source="mm/page_alloc.c:__alloc_contig_migrate_range; the limits from memory",
)
def moves_clean_pages(flags: int) -> bool:
    """Whether a page of a range that is being emptied is dropped instead of moved: none is."""
    return False


@behaviour(
    "large.drops-clean",
    since="3.7",
    features=("F036",),
    source="mm/vmscan.c:reclaim_clean_pages_from_list; 6.1, 6.12 read, first from memory",
)
def drops_clean_pages(flags: int) -> bool:
    """Whether a page of a range that is being emptied is dropped instead of moved: a file can give it back.

    Ensures   never an anonymous page, a dirty one, or one that somebody else holds
    """
    return not flags & (ANON | DIRTY | WRITEBACK | LOCKED | PINNED | UNEVICTABLE | DRIVER)
