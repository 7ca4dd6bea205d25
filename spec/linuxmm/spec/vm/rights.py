"""Who may touch an area: the processor on behalf of its thread, another process, a debugger.

Linux: mm/memory.c, mm/gup.c, arch/x86/mm/fault.c.  Seed 2.8 (F001, F059).
"""

from enum import IntEnum

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.flags import (
    VM_ACCESS,
    VM_EXEC,
    VM_MAYREAD,
    VM_MAYWRITE,
    VM_PKEY,
    VM_READ,
    VM_SHARED,
    VM_WRITE,
)
from linuxmm.spec.vm.x86_entry import FETCH, WRITE


class Accessor(IntEnum):
    """On whose behalf an area is touched.

    THREAD  an instruction of the process, or a system call that copies from or to its memory
    REMOTE  process_vm_readv and process_vm_writev
    FORCED  ptrace and /proc/<pid>/mem (FOLL_FORCE)
    """

    THREAD = 0
    REMOTE = 1
    FORCED = 2


@formula("F059", source="include/linux/mm.h:is_cow_mapping")
def copies_on_write(flags: int) -> bool:
    """Whether a write to a page of the area goes to a private copy.

    A shared mapping of a file that is not open for writing lost VM_SHARED and VM_MAYWRITE: nothing is copied.
    """
    return flags & (VM_SHARED | VM_MAYWRITE) == VM_MAYWRITE


@formula("F059", source="arch/x86/include/asm/mmu_context.h:arch_vma_access_permitted; 4.6 to 6.12")
def key_denies(flags: int, kind: int) -> bool:
    """Whether the protection key of an area denies an access: that of PROT_EXEC alone denies all but fetches.

    The processor denies it whether or not the page is there; `thread_may` says it for both.
    """
    return flags & VM_PKEY != 0 and kind != FETCH


@formula("F001", "F059", source="arch/x86/mm/fault.c:access_error; 2.6.11 to 6.12")
def thread_may(flags: int, kind: int) -> bool:
    """Whether a fault of the thread itself is served; x86 cannot forbid reading what may be written.

    kind  READ, WRITE or FETCH
    """
    if key_denies(flags, kind):
        return False
    if kind == WRITE:
        return flags & VM_WRITE != 0
    if kind == FETCH:
        return flags & VM_EXEC != 0
    return flags & VM_ACCESS != 0


@formula("F059", "F086", source="mm/gup.c:check_vma_flags; 2.6.11 to 6.12")
def remote_may(flags: int, kind: int, forced: bool) -> bool:
    """Whether get_user_pages serves an access: by the area's rights, or forced by what they may become."""
    if kind == WRITE:
        return flags & VM_WRITE != 0 or (forced and copies_on_write(flags))
    return flags & VM_READ != 0 or (forced and flags & VM_MAYREAD != 0)


def may(flags: int, kind: int, accessor: int) -> bool:
    """Whether `accessor` may make an access of `kind` to an area with `flags`."""
    if accessor == Accessor.THREAD:
        return thread_may(flags, kind)
    return remote_may(flags, kind, accessor == Accessor.FORCED)
