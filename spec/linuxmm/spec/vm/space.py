"""An address space: its areas in order, its heap and layout, what it counts, and the limits it is held to.

Linux: include/linux/mm_types.h:struct mm_struct.  Seed 2.8 (F059).  2.4 to 6.18.
"""

from dataclasses import dataclass
from typing import Final

from immutables import Map

from linuxmm.spec.vm.area import MappedFile, Vma
from linuxmm.spec.vocabulary import PAGE_SIZE

UNLIMITED: Final = (1 << 64) - 1
NO_FILES: Final[Map[int, MappedFile]] = Map()


@dataclass(frozen=True, slots=True)
class Limits:
    """Resource limits, soft values in bytes; UNLIMITED for none."""

    address_space: int = UNLIMITED
    data: int = UNLIMITED
    stack: int = 8 << 20
    locked: int = 8 << 20


@dataclass(frozen=True, slots=True)
class System:
    """What all address spaces of a machine share.

    overcommit        0 guess, 1 always, 2 never (vm.overcommit_memory)
    commit_pages      CommitLimit without the reserves, in pages
    total_pages       pages of RAM and swap
    committed         pages accounted by all address spaces
    max_map_count     vm.max_map_count
    min_address       vm.mmap_min_addr, bytes; hint_floor is what a hint is raised to, and a stack stays above
    protection_keys   the processor has them, and PROT_EXEC alone takes one; pkey_alloc is not described
    guard_pages       stack_guard_gap of the command line, pages
    free_pages        pages that are free or could be freed (mode 0 of old kernels)
    user_reserve, admin_reserve  pages kept back in mode 2
    """

    overcommit: int = 0
    commit_pages: int = 1 << 40
    total_pages: int = 1 << 40
    committed: int = 0
    max_map_count: int = 65530
    free_pages: int = 1 << 40
    min_address: int = 65536
    hint_floor: int = 65536
    protection_keys: bool = False
    guard_pages: int = 256
    user_reserve: int = 0
    admin_reserve: int = 0


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """One mm.

    areas                 in address order, disjoint
    task_size             first address that no area may reach, bytes
    map_window            end of what is given out unless the hint lies above it, bytes; 0: task_size
    mmap_base             where placement starts: searched downwards from here, or upwards if `bottom_up`
    legacy_base           where the search upwards starts
    start_brk, brk        the heap, bytes; `data_bytes` is end_data - start_data of the program
    start_stack           where the stack of the first thread began
    total, data, stack, executable, locked  pages, as /proc/PID/status counts them
    def_flags             what MCL_FUTURE adds to new areas
    next_anon, next_file  identities not used yet
    files                 opened files by identity
    may_lock              CAP_IPC_LOCK
    """

    areas: tuple[Vma, ...]
    task_size: int
    mmap_base: int
    legacy_base: int
    start_brk: int
    brk: int
    system: System = System()
    limits: Limits = Limits()
    bottom_up: bool = False
    data_bytes: int = 0
    start_stack: int = 0
    total: int = 0
    data: int = 0
    stack: int = 0
    executable: int = 0
    locked: int = 0
    def_flags: int = 0
    next_anon: int = 1
    next_file: int = 1
    files: Map[int, MappedFile] = NO_FILES
    may_lock: bool = False
    map_window: int = 0


def window_of(space: AddressSpace) -> int:
    """The end of the addresses that are given out unasked: with five levels of tables 47 bits, or all.

    Source    arch/x86/include/asm/page_64_types.h:DEFAULT_MAP_WINDOW; 4.14 to 6.18
    """
    return space.map_window or space.task_size


def nr_areas(space: AddressSpace) -> int:
    """How many areas there are."""
    return len(space.areas)


def start_at(space: AddressSpace, number: int) -> int:
    """Where an area starts."""
    return space.areas[number].start


def end_at(space: AddressSpace, number: int) -> int:
    """Where an area ends."""
    return space.areas[number].end


def index_from(space: AddressSpace, address: int) -> int:
    """The number of the first area that ends above `address`; the number of areas when none does.

    Source    mm/mmap.c:find_vma; 2.4 to 6.18
    """
    low, high = 0, nr_areas(space)
    while low < high:
        middle = (low + high) >> 1
        if end_at(space, middle) > address:
            high = middle
        else:
            low = middle + 1
    return low


def is_in(space: AddressSpace, number: int, address: int) -> bool:
    """Whether the area that `index_from` names for `address` holds it; else it lies in the hole below."""
    return number < nr_areas(space) and start_at(space, number) <= address


def area_at(space: AddressSpace, address: int) -> Vma | None:
    """The area that holds `address`."""
    at = index_from(space, address)
    return space.areas[at] if is_in(space, at, address) else None


def overlapping(space: AddressSpace, start: int, end: int) -> tuple[Vma, ...]:
    """The areas with a page in start..end, in order."""
    first = index_from(space, start)
    last = first
    while last < len(space.areas) and space.areas[last].start < end:
        last += 1
    return space.areas[first:last]


def pages_between(start: int, end: int) -> int:
    """Pages of a half open range of bytes."""
    return (end - start) // PAGE_SIZE
