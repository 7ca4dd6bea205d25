"""Counters of /proc/vmstat that reclaim adds to; a compiled run knows them by number.

Linux: include/linux/vm_event_item.h, mmzone.h:enum node_stat_item; mm/vmstat.c.  Seed 2.4 (F042 to F047).
"""

from typing import Final

PGSCAN_KSWAPD: Final = 0
PGSCAN_DIRECT: Final = 1
PGSTEAL_KSWAPD: Final = 2
PGSTEAL_DIRECT: Final = 3
PGACTIVATE: Final = 4
PGDEACTIVATE: Final = 5
PGREFILL: Final = 6
PGSKIP: Final = 7
PGROTATED: Final = 8
PGLAZYFREE: Final = 9
PGLAZYFREED: Final = 10
ALLOCSTALL: Final = 11
PAGEOUTRUN: Final = 12
NR_VMSCAN_WRITE: Final = 13
NR_VMSCAN_IMMEDIATE_RECLAIM: Final = 14
UNEVICTABLE_PGS_MLOCKED: Final = 15
UNEVICTABLE_PGS_MUNLOCKED: Final = 16
UNEVICTABLE_PGS_CULLED: Final = 17
UNEVICTABLE_PGS_RESCUED: Final = 18
WORKINGSET_REFAULT: Final = 19
"""Of any page; one more is of anonymous pages, two more of file pages.  The same holds for the next two."""
WORKINGSET_ACTIVATE: Final = 22
WORKINGSET_RESTORE: Final = 25
SLABS_SCANNED: Final = 28

NAMES: Final = (
    "pgscan_kswapd", "pgscan_direct", "pgsteal_kswapd", "pgsteal_direct", "pgactivate", "pgdeactivate",
    "pgrefill", "pgskip", "pgrotated", "pglazyfree", "pglazyfreed", "allocstall", "pageoutrun",
    "nr_vmscan_write", "nr_vmscan_immediate_reclaim", "unevictable_pgs_mlocked",
    "unevictable_pgs_munlocked", "unevictable_pgs_culled", "unevictable_pgs_rescued",
    "workingset_refault", "workingset_refault_anon", "workingset_refault_file",
    "workingset_activate", "workingset_activate_anon", "workingset_activate_file",
    "workingset_restore", "workingset_restore_anon", "workingset_restore_file",
    "slabs_scanned",
)  # fmt: skip
"""As /proc/vmstat prints them."""
