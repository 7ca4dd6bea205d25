"""What an address space may grow to: resource limits, map count, commit.

Linux: mm/mmap.c, mm/mlock.c, mm/util.c.  Seed 2.8 (F059).  2.4 to 6.18.
"""

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vm.flags import (
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_NORESERVE,
    VM_SHARED,
    VM_WRITE,
)
from linuxmm.spec.vm.space import UNLIMITED, AddressSpace
from linuxmm.spec.vocabulary import PAGE_SHIFT

GUESS = 0
ALWAYS = 1
NEVER = 2


@formula("F059", source="mm/internal.h:is_data_mapping, include/linux/mm.h; 4.6 to 6.18")
def is_data(flags: int) -> bool:
    """Whether pages of such an area count as data: private, writable, no stack."""
    return flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN) == VM_WRITE


@formula("F059", source="mm/mmap.c:may_expand_vm; 4.6 to 6.18")
def fits(pages: int, held: int, limit: int) -> bool:
    """Whether `held` + `pages` pages stay within a limit in bytes."""
    return limit == UNLIMITED or held + pages <= limit >> PAGE_SHIFT


@behaviour(
    "vm.data-limit",
    since="2.4.0",
    until="4.5",
    features=("F059",),
    source="mm/mmap.c:may_expand_vm; 2.6.24, 3.5, 4.4",
)
def data_limit_of_the_heap() -> bool:
    """RLIMIT_DATA holds for the heap alone."""
    return False


@behaviour(
    "vm.data-limit",
    since="4.6",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:may_expand_vm; 4.6 to 6.18",
)
def data_limit_of_private_memory() -> bool:
    """RLIMIT_DATA holds for all private writable memory that is no stack."""
    return True


def may_expand(counts_data: bool, space: AddressSpace, flags: int, pages: int) -> bool:
    """Whether `pages` more pages with `flags` stay within RLIMIT_AS and RLIMIT_DATA.

    Source    mm/mmap.c:may_expand_vm; 2.6 to 6.18
    """
    if not fits(pages, space.total, space.limits.address_space):
        return False
    return not (counts_data and is_data(flags)) or fits(pages, space.data, space.limits.data)


def may_lock_more(space: AddressSpace, flags: int, length: int) -> bool:
    """Whether `length` more bytes with `flags` stay within RLIMIT_MEMLOCK.

    Source    mm/mmap.c:mlock_future_ok; 2.4 to 6.18
    """
    if not flags & VM_LOCKED or space.may_lock:
        return True
    pages = (length >> PAGE_SHIFT) + space.locked
    return space.limits.locked == UNLIMITED or pages <= space.limits.locked >> PAGE_SHIFT


@formula("F059", source="mm/mmap.c:accountable_mapping; 2.6 to 6.18")
def is_accountable(flags: int) -> bool:
    """Whether a new area's pages are committed: private and writable, without MAP_NORESERVE."""
    return flags & (VM_NORESERVE | VM_SHARED | VM_WRITE) == VM_WRITE


@behaviour(
    "vm.overcommit-guess",
    since="2.4.0",
    until="5.1",
    features=("F059",),
    source="mm/util.c:__vm_enough_memory; 2.6.24, 4.17, 5.0",
)
def guess_by_free_memory(pages: int, total: int, free: int) -> bool:
    """Mode 0: what is free, could be freed or swapped out must suffice."""
    return pages <= free


@behaviour(
    "vm.overcommit-guess",
    since="5.2",
    until="6.18",
    features=("F059",),
    source="mm/util.c:__vm_enough_memory; 5.2 to 6.18",
)
def guess_by_total_memory(pages: int, total: int, free: int) -> bool:
    """Mode 0: only what RAM and swap together could never hold is refused."""
    return pages <= total


@formula("F059", source="mm/util.c:__vm_enough_memory; 3.8 to 6.18")
def within_commit_limit(
    committed: int, limit: int, admin_reserve: int, user_reserve: int, total_vm: int
) -> bool:
    """Mode 2: what is committed stays below the limit, less the reserves for administrators and this user.

    committed  pages with those asked for; all in pages
    """
    return committed < limit - admin_reserve - min(total_vm // 32, user_reserve)
