"""Bits of mm system calls and of areas, as a 64-bit kernel numbers them.

VM_* bits that moved between versions stand here where 6.1 to 6.18 have them; what a kernel prints is their
two-letter name (`VM_FLAG_LETTERS`).

Linux: include/linux/mm.h, include/uapi/asm-generic/{mman,mman-common}.h.  Seed 2.8 (F059).  2.4 to 6.18.
"""

from typing import Final

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

VM_READ: Final = 0x1
VM_WRITE: Final = 0x2
VM_EXEC: Final = 0x4
VM_SHARED: Final = 0x8
VM_MAYREAD: Final = 0x10
VM_MAYWRITE: Final = 0x20
VM_MAYEXEC: Final = 0x40
VM_MAYSHARE: Final = 0x80
VM_GROWSDOWN: Final = 0x100
VM_UFFD_MISSING: Final = 0x200
VM_PFNMAP: Final = 0x400
VM_MAYBE_GUARD: Final = 0x800
VM_UFFD_WP: Final = 0x1000
VM_LOCKED: Final = 0x2000
VM_IO: Final = 0x4000
VM_SEQ_READ: Final = 0x8000
VM_RAND_READ: Final = 0x10000
VM_DONTCOPY: Final = 0x20000
VM_DONTEXPAND: Final = 0x40000
VM_LOCKONFAULT: Final = 0x80000
VM_ACCOUNT: Final = 0x100000
VM_NORESERVE: Final = 0x200000
VM_HUGETLB: Final = 0x400000
VM_SYNC: Final = 0x800000
VM_ARCH_1: Final = 0x1000000
VM_WIPEONFORK: Final = 0x2000000
VM_DONTDUMP: Final = 0x4000000
VM_SOFTDIRTY: Final = 0x8000000
VM_MIXEDMAP: Final = 0x10000000
VM_HUGEPAGE: Final = 0x20000000
VM_NOHUGEPAGE: Final = 0x40000000
VM_MERGEABLE: Final = 0x80000000
VM_PKEY: Final = 0xF << 32
"""The protection key of an area (4.6 on), in VM_PKEY_BIT0 to 3; smaps shows no letters for it."""
VM_PKEY_EXECUTE: Final = 1 << 32
"""Key 1, which areas get that may only be executed: without pkey_alloc it is the first that is free."""
VM_DROPPABLE: Final = 1 << 40
VM_SEALED: Final = 1 << 42
VM_SPECIAL: Final = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP
VM_LOCKED_MASK: Final = VM_LOCKED | VM_LOCKONFAULT
VM_ACCESS: Final = VM_READ | VM_WRITE | VM_EXEC

VM_FLAG_LETTERS: Final[tuple[tuple[int, str], ...]] = (
    (VM_READ, "rd"),
    (VM_WRITE, "wr"),
    (VM_EXEC, "ex"),
    (VM_SHARED, "sh"),
    (VM_MAYREAD, "mr"),
    (VM_MAYWRITE, "mw"),
    (VM_MAYEXEC, "me"),
    (VM_MAYSHARE, "ms"),
    (VM_GROWSDOWN, "gd"),
    (VM_UFFD_MISSING, "um"),
    (VM_PFNMAP, "pf"),
    (VM_MAYBE_GUARD, "gu"),
    (VM_UFFD_WP, "uw"),
    (VM_LOCKED, "lo"),
    (VM_IO, "io"),
    (VM_SEQ_READ, "sr"),
    (VM_RAND_READ, "rr"),
    (VM_DONTCOPY, "dc"),
    (VM_DONTEXPAND, "de"),
    (VM_LOCKONFAULT, "lf"),
    (VM_ACCOUNT, "ac"),
    (VM_NORESERVE, "nr"),
    (VM_HUGETLB, "ht"),
    (VM_SYNC, "sf"),
    (VM_ARCH_1, "ar"),
    (VM_WIPEONFORK, "wf"),
    (VM_DONTDUMP, "dd"),
    (VM_SOFTDIRTY, "sd"),
    (VM_MIXEDMAP, "mm"),
    (VM_HUGEPAGE, "hg"),
    (VM_NOHUGEPAGE, "nh"),
    (VM_MERGEABLE, "mg"),
    (VM_DROPPABLE, "dp"),
    (VM_SEALED, "sl"),
)

PROT_NONE: Final = 0x0
PROT_READ: Final = 0x1
PROT_WRITE: Final = 0x2
PROT_EXEC: Final = 0x4
PROT_SEM: Final = 0x8
PROT_GROWSDOWN: Final = 0x01000000
PROT_GROWSUP: Final = 0x02000000

MAP_SHARED: Final = 0x01
MAP_PRIVATE: Final = 0x02
MAP_SHARED_VALIDATE: Final = 0x03
MAP_DROPPABLE: Final = 0x08
MAP_TYPE: Final = 0x0F
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
MAP_32BIT: Final = 0x40
MAP_ABOVE4G: Final = 0x80
MAP_GROWSDOWN: Final = 0x0100
MAP_DENYWRITE: Final = 0x0800
MAP_EXECUTABLE: Final = 0x1000
MAP_LOCKED: Final = 0x2000
MAP_NORESERVE: Final = 0x4000
MAP_POPULATE: Final = 0x8000
MAP_NONBLOCK: Final = 0x10000
MAP_STACK: Final = 0x20000
MAP_HUGETLB: Final = 0x40000
MAP_SYNC: Final = 0x80000
MAP_FIXED_NOREPLACE: Final = 0x100000

MREMAP_MAYMOVE: Final = 1
MREMAP_FIXED: Final = 2
MREMAP_DONTUNMAP: Final = 4

MS_ASYNC: Final = 1
MS_INVALIDATE: Final = 2
MS_SYNC: Final = 4

MCL_CURRENT: Final = 1
MCL_FUTURE: Final = 2
MCL_ONFAULT: Final = 4
MLOCK_ONFAULT: Final = 1

MADV_NORMAL: Final = 0
MADV_RANDOM: Final = 1
MADV_SEQUENTIAL: Final = 2
MADV_WILLNEED: Final = 3
MADV_DONTNEED: Final = 4
MADV_FREE: Final = 8
MADV_REMOVE: Final = 9
MADV_DONTFORK: Final = 10
MADV_DOFORK: Final = 11
MADV_MERGEABLE: Final = 12
MADV_UNMERGEABLE: Final = 13
MADV_HUGEPAGE: Final = 14
MADV_NOHUGEPAGE: Final = 15
MADV_DONTDUMP: Final = 16
MADV_DODUMP: Final = 17
MADV_WIPEONFORK: Final = 18
MADV_KEEPONFORK: Final = 19
MADV_COLD: Final = 20
MADV_PAGEOUT: Final = 21
MADV_POPULATE_READ: Final = 22
MADV_POPULATE_WRITE: Final = 23
MADV_DONTNEED_LOCKED: Final = 24
MADV_COLLAPSE: Final = 25
MADV_HWPOISON: Final = 100
MADV_SOFT_OFFLINE: Final = 101
MADV_GUARD_INSTALL: Final = 102
MADV_GUARD_REMOVE: Final = 103


@formula("F059", source="include/linux/mman.h:calc_vm_prot_bits; 2.6 to 6.18")
def vm_prot_bits(prot: int) -> int:
    """The VM_* rights that PROT_* bits ask for; they have the same numbers."""
    return prot & VM_ACCESS


@formula("F059", source="mm/mmap.c:do_mmap (execute_only_pkey); arch/x86/mm/pkeys.c; 4.6 to 6.18")
def key_of_new(prot: int, keys: bool) -> int:
    """The protection key, in place, of an area with these rights.

    keys  the processor has them
    """
    return VM_PKEY_EXECUTE if keys and prot == PROT_EXEC else 0


@formula("F059", source="arch/x86/mm/pkeys.c:__arch_override_mprotect_pkey; 4.6 to 6.18")
def key_after(flags: int, prot: int, keys: bool) -> int:
    """The protection key, in place, of an area with `flags` whose rights become `prot`.

    An area that only could be executed loses its key with that.
    """
    if keys and prot == PROT_EXEC:
        return VM_PKEY_EXECUTE
    only = flags & VM_ACCESS == VM_EXEC and flags & VM_PKEY == VM_PKEY_EXECUTE
    return 0 if only else flags & VM_PKEY


@formula("F059", source="include/linux/mman.h:calc_vm_flag_bits; 2.6 to 6.18")
def vm_flag_bits(flags: int) -> int:
    """The VM_* bits that MAP_* flags ask for.

    MAP_DENYWRITE, MAP_EXECUTABLE and MAP_STACK ask for none of these.
    """
    bits = 0
    if flags & MAP_GROWSDOWN:
        bits |= VM_GROWSDOWN
    if flags & MAP_LOCKED:
        bits |= VM_LOCKED
    if flags & MAP_SYNC:
        bits |= VM_SYNC
    return bits


@behaviour(
    "vm.flags-without-letters",
    since="2.4.0",
    until="6.1",
    features=("F059",),
    source="fs/proc/task_mmu.c:show_smap_vma_flags; 6.1.158; observed on 6.1.192",
)
def lock_on_fault_unnamed() -> int:
    """VM_LOCKONFAULT has no letters."""
    return VM_LOCKONFAULT


@behaviour(
    "vm.flags-without-letters",
    since="6.2",
    until="6.18",
    features=("F059",),
    source="fs/proc/task_mmu.c:show_smap_vma_flags; 6.2; observed on 6.12.117, 6.18.44",
)
def all_named() -> int:
    """Every flag has letters."""
    return 0


@formula("F059", source="fs/proc/task_mmu.c:show_smap_vma_flags; 3.8 to 6.18")
def flag_letters(flags: int, unnamed: int = 0) -> tuple[str, ...]:
    """The two-letter names of the bits, by number, as smaps prints them; ?? for bits in `unnamed`."""
    return tuple("??" if bit & unnamed else name for bit, name in VM_FLAG_LETTERS if flags & bit)


def flags_of_letters(letters: str) -> int:
    """The bits that a VmFlags line names; letters that are unknown count for nothing."""
    named = set(letters.split())
    return sum(bit for bit, name in VM_FLAG_LETTERS if name in named)
