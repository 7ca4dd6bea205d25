"""What the judge of system calls may find broken.

Linux: mm/mmap.c, mm/vma.c, mm/mremap.c, mm/madvise.c, mm/mlock.c.  Seed 2.8 (F057, F059).
"""

from typing import Final

from linuxmm.spec.invariant import clause

RESULT: Final = clause(
    "vm.call.result",
    "A system call on areas gives the result, or the error number, that its checks in order lead to.",
    features=("F059", "F057"),
    seed="2.8",
    source="mm/mmap.c, mm/vma.c, mm/mremap.c, mm/madvise.c, mm/mlock.c",
).id
AREAS: Final = clause(
    "vm.call.areas",
    "After a system call the areas are those that it leads to: bounds, rights, offsets, files, names, flags.",
    features=("F059", "F057"),
    seed="2.8",
    source="fs/proc/task_mmu.c:show_map_vma, show_smap_vma_flags",
).id
COUNTS: Final = clause(
    "vm.call.counts",
    "VmSize, VmLck, VmData and VmStk count the pages of the areas that they are about.",
    features=("F059",),
    seed="2.8",
    source="fs/proc/task_mmu.c:task_mem, mm/mmap.c:vm_stat_account",
).id
PAGEMAP: Final = clause(
    "vm.call.pagemap",
    "pagemap shows a private anonymous page as present exactly where mincore finds it, never as a file's.",
    features=("F059", "F040"),
    seed="2.8",
    source="fs/proc/task_mmu.c:pte_to_pagemap_entry",
).id
ANSWERED: Final = clause(
    "vm.call.answered",
    "A process that makes system calls on memory of its own lives on, and every call returns.",
    features=("F059",),
    source="docs/formats/vm-calls.md",
).id
