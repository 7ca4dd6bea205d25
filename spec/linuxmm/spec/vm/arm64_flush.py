"""Which TLB maintenance arm64's kernel does for a flush: one operation a page, ranges, or a whole ASID.

Each flush is a DSB that orders the tables before it, operations, and a DSB that waits until all CPUs have
done them.  With user and kernel page tables apart, each operation is done for both ASIDs of an address space.

Linux: arch/arm64/include/asm/tlbflush.h; 4.20 to 6.14 read.
Seed 2.3.2 (F041).
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vm.arm64_tlbi import (
    ASIDE1,
    MOST_PAGES,
    VAALE1,
    VALE1,
    VMALLE1,
    Operation,
    range_pages,
)
from linuxmm.spec.vocabulary import PAGE_SIZE

MOST_OPERATIONS: Final = 512
"""PTRS_PER_PTE: so many operations for a flush, and no more."""
USER_ASID: Final = 1
"""USER_ASID_FLAG: the ASID with which a process runs in user mode when kernel tables are not mapped there."""


class Flushes(NamedTuple):
    """What the CPU and the kernel have.

    ranges   operations on ranges (Armv8.4, 5.9 on)
    levels   hints of levels (Armv8.4, 5.9 on)
    two_asids  kernel and user page tables are apart (KPTI)
    """

    ranges: bool = False
    levels: bool = False
    two_asids: bool = False


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__TLBI_RANGE_NUM; 5.9 to 6.8")
def units_low(pages: int, scale: int) -> int:
    """How often a scale goes into `pages`, by the bits that stand for it: 0 to 31."""
    return (pages >> (5 * scale + 1)) & 31


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:__TLBI_RANGE_NUM; 6.6.80, 6.9 to 6.12")
def units_high(pages: int, scale: int) -> int:
    """How often a scale goes into `pages`, as far as one operation of it reaches: 0 to 32."""
    return min(pages, range_pages(31, scale)) >> (5 * scale + 1)


def by_scales(
    at: int, pages: int, scales: Iterable[int], units: Callable[[int, int], int]
) -> tuple[tuple[tuple[int, int, int], ...], int, int]:
    """The ranges of these scales for `pages` from page `at` on, where they end, and the pages left over."""
    found = []
    for scale in scales:
        times = units(pages, scale)
        if times > 0:
            covered = range_pages(times - 1, scale)
            found.append((at, covered, scale))
            at, pages = at + covered, pages - covered
    return tuple(found), at, pages


@behaviour(
    "vm.arm64.ranges",
    since="4.20",
    until="5.8",
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range; 4.20 to 5.8",
)
def strides(pages: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """One operation for each stride.

    Requires  stride in pages divides `pages`
    """
    return tuple((at, stride, -1) for at in range(0, pages, stride))


@behaviour(
    "vm.arm64.ranges",
    since="5.9",
    until="6.7",
    replaced_in=("6.6.80",),
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range, __flush_tlb_range_op; 5.9 to 6.7",
)
def rising_scales(pages: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """An odd page alone, then ranges from the smallest scale up: (first page, pages, scale; -1: one stride).

    Requires  0 < pages < MOST_PAGES; stride in pages divides `pages`
    Ensures   they follow each other and cover all pages
    """
    alone = stride if pages & 1 else 0
    found, _, _ = by_scales(alone, pages - alone, range(4), units_low)
    return (((0, stride, -1),) if alone else ()) + found


@behaviour(
    "vm.arm64.ranges",
    since="6.8",
    backports=("6.6.80",),
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range_op; 6.6.80, 6.8 to 6.12",
)
def falling_scales(pages: int, stride: int) -> tuple[tuple[int, int, int], ...]:
    """Ranges from the largest scale down, then the last page alone: starts stay as aligned as they were.

    6.8 counts units as before; that differs only for MOST_PAGES, which it flushes otherwise.

    Requires  0 < pages <= MOST_PAGES; stride in pages divides `pages`
    Ensures   they follow each other and cover all pages
    """
    found, at, left = by_scales(0, pages, range(3, -1, -1), units_high)
    return found + (((at, stride, -1),) if left else ())


@behaviour(
    "vm.arm64.range-limit",
    since="4.20",
    until="4.20",
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range; 4.20",
)
def limit_beyond_1024(pages: int, stride: int, ranges: bool) -> bool:
    """Whether a flush is of the whole address space: more than 1024 operations."""
    return pages > 1024 * stride


@behaviour(
    "vm.arm64.range-limit",
    since="5.0",
    until="6.9",
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range; 5.0 to 6.9",
)
def limit_below(pages: int, stride: int, ranges: bool) -> bool:
    """Whether a flush is of the whole address space: as many operations as the limit, or a full range."""
    return (not ranges and pages >= MOST_OPERATIONS * stride) or pages >= MOST_PAGES


@behaviour(
    "vm.arm64.range-limit",
    since="6.10",
    features=("F041",),
    source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range_nosync; 6.10 to 6.12",
)
def limit_at(pages: int, stride: int, ranges: bool) -> bool:
    """Whether a flush is of the whole address space: as many operations as the limit, or beyond a range."""
    return (not ranges and pages >= MOST_OPERATIONS * stride) or pages > MOST_PAGES


def for_both(operation: Operation, has: Flushes) -> tuple[Operation, ...]:
    """An operation, and with KPTI the same for the user's ASID."""
    if not has.two_asids:
        return (operation,)
    return operation, operation._replace(asid=operation.asid | USER_ASID)


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:flush_tlb_mm; 4.20 to 6.12")
def flush_mm(asid: int, has: Flushes) -> tuple[Operation, ...]:
    """All of an address space."""
    return for_both(Operation(ASIDE1, asid), has)


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:flush_tlb_page_nosync; 4.20 to 6.12")
def flush_page(asid: int, address: int, has: Flushes) -> tuple[Operation, ...]:
    """One page whose leaf changed; tables did not."""
    start = address - address % PAGE_SIZE
    return for_both(Operation(VALE1, asid, start, start + PAGE_SIZE), has)


@formula("F041", source="arch/arm64/include/asm/tlbflush.h:flush_tlb_kernel_range; 5.0 to 6.12")
def flush_kernel_range(start: int, end: int) -> tuple[Operation, ...]:
    """Pages of the kernel: in every ASID, or everything if there are too many."""
    if end - start > MOST_OPERATIONS * PAGE_SIZE:
        return (Operation(VMALLE1),)
    first = start - start % PAGE_SIZE
    return tuple(Operation(VAALE1, 0, at, at + PAGE_SIZE) for at in range(first, end, PAGE_SIZE))
