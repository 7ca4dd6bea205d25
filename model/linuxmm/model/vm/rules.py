"""The rules of address spaces that differ between kernels, as one record of functions.

A kernel profile resolves them once (`linuxmm.model.vm.profile`); the verbs take the record and never ask for
a version.
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.spec.step import Step
from linuxmm.spec.vm.area import FileKind, Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vm.system_calls import Mremap


class Rules(NamedTuple):
    """Everything that the areas of one kernel do in their own way.

    bits               of a long: 32 or 64
    anon_joins(area's anon, its chain, other's anon, other's chain)
                       may an area without pages of its own, or with the same anon_vma, join the other?
    new_joins_both     may a new area join both neighbours if only the upper one has an anon_vma?
    heap_joins_next    does a growing heap join the area above it?
    anonymous_alignment(length, bits)  alignment in bytes of anonymous memory that the kernel places
    guard_gap(area, guard_pages)       first byte below `area` that must stay free
    gap_too_near(clear, ceiling)       where the search for a place goes on below a guard gap
    counts_data        does RLIMIT_DATA hold for every private writable area?
    unaccounts         does mprotect give back the commit of untouched memory that it makes read-only?
    fixed_noreplace, shared_validate   are the flags known?  An unknown flag is ignored.
    droppable          does MAP_DROPPABLE exist?
    stack_without_huge does MAP_STACK keep huge pages away?
    unmaps_before_limits  does mmap unmap what is in the way before it commits memory?
    mremap_flags       the flags that are known
    mremap(rules, space, call)         the order of its checks
    dontunmap_takes(area), dontunmap_resets, dontunmap_clears, dontunmap_counts_locked,
    dontunmap_splits_locked
                       what MREMAP_DONTUNMAP takes, and what it does to the area that stays
    advice             the advice that is known
    removable(flags)   MADV_REMOVE
    guardable(area), guards_mark(rules, space, address)  MADV_GUARD_INSTALL
    sticky             flags in which areas that become one may differ
    populates_apart    does MADV_POPULATE_* stop at the first hole?
    droppable_is_kept  are MADV_KEEPONFORK and MADV_DODUMP refused for MAP_DROPPABLE?
    seal_protects(area)  does a seal keep this area from being discarded?
    seals              does mseal exist?
    sealed_first       are sealed areas looked for before anything is done?
    lock_flags         the flags that mlock2 knows; 0 where it does not exist
    onfault_alone      may mlockall be called with MCL_ONFAULT alone?
    nameable(file kind)  PR_SET_VMA_ANON_NAME: None where it is not known
    unnamed            flags that smaps prints as ??
    is_heap(start, end, start_brk, brk)  is an area called [heap]?
    guess(pages, total, free)  overcommit mode 0
    """

    bits: int
    anon_joins: Callable[[int | None, int, int | None, int], bool]
    new_joins_both: Callable[[int | None, int | None], bool]
    heap_joins_next: Callable[[], bool]
    anonymous_alignment: Callable[[int, int], int]
    guard_gap: Callable[[Vma, int], int]
    gap_too_near: Callable[[int, int], int]
    counts_data: Callable[[], bool]
    unaccounts: Callable[[], bool]
    fixed_noreplace: Callable[[], bool]
    shared_validate: Callable[[], bool]
    droppable: Callable[[], bool]
    stack_without_huge: Callable[[], bool]
    unmaps_before_limits: Callable[[], bool]
    mremap_flags: Callable[[], int]
    mremap: "Callable[[Rules, AddressSpace, Mremap], Step[AddressSpace, int | Denied]]"
    dontunmap_takes: Callable[[Vma], bool]
    dontunmap_resets: Callable[[], bool]
    dontunmap_clears: Callable[[], int]
    dontunmap_counts_locked: Callable[[], bool]
    dontunmap_splits_locked: Callable[[], bool]
    advice: Callable[[], frozenset[int]]
    removable: Callable[[int], bool]
    guardable: Callable[[Vma], bool]
    guards_mark: "Callable[[Rules, AddressSpace, int], AddressSpace]"
    sticky: Callable[[], int]
    populates_apart: Callable[[], bool]
    droppable_is_kept: Callable[[], bool]
    seal_protects: Callable[[Vma], bool]
    seals: Callable[[], bool]
    sealed_first: Callable[[], bool]
    lock_flags: Callable[[], int]
    onfault_alone: Callable[[], bool]
    nameable: Callable[[FileKind | None], bool | None]
    unnamed: Callable[[], int]
    is_heap: Callable[[int, int, int, int], bool]
    guess: Callable[[int, int, int], bool]
