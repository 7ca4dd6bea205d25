"""The lists of least recently used pages, and what a page on them is known to be.

Before 2.6.28 a zone has two lists, and both classes of pages share them; they are numbered here as the
pair of file lists.  Since 2.6.28 there are five.

Linux: include/linux/mmzone.h:enum lru_list.  Seed 2.4.1 to 2.4.3 (F042, F043, F044).
"""

from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

INACTIVE_ANON: Final = 0
ACTIVE_ANON: Final = 1
INACTIVE_FILE: Final = 2
ACTIVE_FILE: Final = 3
UNEVICTABLE: Final = 4
NR_LISTS: Final = 5
EVICTABLE: Final = (INACTIVE_ANON, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE)

ACTIVE: Final = 1
FILE: Final = 2

DEF_PRIORITY: Final = 12
"""The first pass of a scan looks at a list's length shifted right by this."""

SWAPPINESS: Final = 60
MAX_SWAPPINESS: Final = 200
MAX_RECLAIM_RETRIES: Final = 16


@formula("F043", "F044", source="include/linux/mm_inline.h:page_lru, folio_lru_list; 2.6.28 to 6.12")
def list_of(active: bool, file: bool, unevictable: bool) -> int:
    """The list that a page belongs on.

    Ensures   exactly one of the five; UNEVICTABLE if and only if `unevictable`
    """
    if unevictable:
        return UNEVICTABLE
    return (FILE if file else 0) + (ACTIVE if active else 0)


@formula("F042", source="mm/vmscan.c:shrink_zone; 2.4.16 to 2.6.24")
def list_of_two(active: bool, file: bool, unevictable: bool) -> int:
    """The list that a page belongs on where both classes share two."""
    return ACTIVE_FILE if active else INACTIVE_FILE


@formula("F043", source="include/linux/mm_inline.h:page_is_file_cache, folio_is_file_lru; 2.6.28 to 6.12")
def is_file(swapbacked: bool) -> bool:
    """Whether a page counts as a page of a file: whatever swap does not back.

    An anonymous page that MADV_FREE gave up is not backed by swap, so since 4.12 it is on the file lists.
    """
    return not swapbacked


@behaviour(
    "reclaim.batch",
    since="2.6.0",
    until="4.17",
    features=("F042",),
    source="include/linux/pagevec.h:PAGEVEC_SIZE; 2.6.11 to 4.15 (4.16, 4.17 unconfirmed)",
)
def batch_of_14() -> int:
    """Pages that a CPU collects before it takes the lock of the lists."""
    return 14


@behaviour(
    "reclaim.batch",
    since="4.18",
    until="6.8",
    features=("F042",),
    source="include/linux/pagevec.h:PAGEVEC_SIZE; 4.18 to 6.8",
)
def batch_of_15() -> int:
    """One more fits into the structure."""
    return 15


@behaviour(
    "reclaim.batch",
    since="6.9",
    features=("F042",),
    source="include/linux/pagevec.h:PAGEVEC_SIZE; 6.10, 6.12 (6.9 unconfirmed)",
)
def batch_of_31() -> int:
    """Twice the cache lines."""
    return 31
