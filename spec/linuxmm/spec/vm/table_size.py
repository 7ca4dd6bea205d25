"""What /proc/<pid>/status says of page tables: VmPTE, and for some years VmPMD, in KiB.

Linux: fs/proc/task_mmu.c:task_mem, include/linux/mm.h (mm_inc_nr_ptes and so on).  Seed 2.3.1 (F040).
"""

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import PAGE_SIZE

Tables = tuple[int, int, int, int]
"""Tables below the root, by generic level: pte, pmd, pud, p4d."""
Printed = tuple[tuple[str, int], ...]
KIB = PAGE_SIZE >> 10


@behaviour(
    "vm.table-kib",
    since="2.4.0",
    until="3.19",
    features=("F040",),
    source="fs/proc/task_mmu.c:task_mem; 2.6.12 to 3.19 (before 2.6.12 not printed)",
)
def page_tables_alone(tables: Tables) -> Printed:
    """The lowest tables are counted."""
    return (("VmPTE", tables[0] * KIB),)


@behaviour(
    "vm.table-kib",
    since="4.0",
    until="4.14",
    features=("F040",),
    source="fs/proc/task_mmu.c:task_mem; commit dc6c9a35b66; 4.0 to 4.14",
)
def page_tables_and_directories(tables: Tables) -> Printed:
    """The tables above them are counted apart."""
    return (("VmPTE", tables[0] * KIB), ("VmPMD", tables[1] * KIB))


@behaviour(
    "vm.table-kib",
    since="4.15",
    until="6.18",
    features=("F040",),
    source="include/linux/mm.h:mm_pgtables_bytes; commit af5b0f6a09e; 4.15 to 6.12",
)
def tables_of_three_levels(tables: Tables) -> Printed:
    """Page tables and both levels of directories are one number; p4d tables and the root are not in it."""
    return (("VmPTE", sum(tables[:3]) * KIB),)
