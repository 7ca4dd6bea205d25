"""DAX: where a file's pages are memory of the device, what a fault answers, what MAP_SYNC promises.

A page of the file is a block of the device, mapped where it lies; a hole is the zero page.  A write to a
mapping that must be durable (MAP_SYNC) is answered twice: first that the file system has to be told, and when
it has been, the page is entered writable.

Linux: fs/dax.c.  Seed 2.12.2 (F074).  6.1 to 6.12.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SHIFT

_FEATURES: Final = ("F074",)
PER_PMD: Final = 512
"""Pages of a huge page that a page directory maps, with pages of 4 KiB."""

ANSWERS: Final = frozenset(
    major + answer
    for major in ("", "MAJOR|")
    for answer in (
        "NOPAGE",
        "NEEDDSYNC",
        "LOCKED",
        "DONE_COW",
        "RETRY",
        "OOM",
        "SIGBUS",
        "HWPOISON",
        "FALLBACK",
    )
) | {"", "MAJOR"}
"""What a fault in a DAX file may answer, in the words of the trace; DONE_COW: a private copy is ready."""


Spans = tuple[tuple[int, int], ...]
"""First frame and number of frames of each range."""


@dataclass(frozen=True, slots=True)
class Extent:
    """`count` pages of a file in a row: indices and frames rise together."""

    index: int
    pfn: int
    count: int


class Mapping(NamedTuple):
    """The part of an address space that maps a file; addresses of bytes, `pgoff` in pages."""

    start: int
    end: int
    pgoff: int
    shared: bool


@formula("F074", source="mm/rmap.c:vma_address; include/linux/pagemap.h:linear_page_index")
def index_at(mapping: Mapping, address: int) -> int:
    """Index in the file of the page at an address.

    Requires  mapping.start <= address < mapping.end
    """
    return mapping.pgoff + ((address - mapping.start) >> PAGE_SHIFT)


@formula("F074", source="fs/dax.c:dax_fault_check_fallback")
def may_be_huge(mapping: Mapping, address: int, size: int, write: bool) -> bool:
    """Whether a fault may be answered with a huge page.

    size     of the file in pages
    Ensures  the whole huge page lies in the mapping and in the file, index and address have one colour, and
             no private copy is asked for
    """
    index = index_at(mapping, address)
    length = PER_PMD << PAGE_SHIFT
    base = address & ~(length - 1)
    if index & (PER_PMD - 1) != (address >> PAGE_SHIFT) & (PER_PMD - 1):
        return False
    if write and not mapping.shared:
        return False
    inside = mapping.start <= base and base + length <= mapping.end
    return inside and index | (PER_PMD - 1) < size


@invariant("pmem.dax.device", features=_FEATURES, seed="2.12.2", source="fs/dax.c:dax_iomap_pfn")
def in_device(
    extent: Extent, device: tuple[tuple[int, int], ...], zeros: tuple[tuple[int, int], ...]
) -> bool:
    """A page of a DAX file is memory of the device, or the zero page of a hole."""
    return any(
        first <= extent.pfn and extent.pfn + extent.count <= first + count
        for first, count in (*device, *zeros)
    )


@invariant("pmem.dax.one-place", features=_FEATURES, seed="2.12.2", source="fs/dax.c:dax_associate_entry")
def disjoint(extents: tuple[Extent, ...]) -> bool:
    """A page of the device belongs to one page of one file (of a file system that does not share blocks)."""
    ordered = sorted((extent.pfn, extent.count) for extent in extents)
    return all(pfn + count <= after for (pfn, count), (after, _) in pairwise(ordered))


MAPPED: Final = clause(
    "pmem.dax.mapped",
    "A mapping of a DAX file shows the page of the device that the file's entry names at that index; a "
    "private mapping may show an own copy, which is not of the device.",
    features=_FEATURES,
    seed="2.12.2",
    source="fs/dax.c:dax_fault_iter, dax_iomap_pmd_fault",
).id
COUNTED: Final = clause(
    "pmem.dax.counted",
    "The entries of a DAX file are as many as its pages that were entered.",
    features=_FEATURES,
    source="fs/dax.c:dax_insert_entry, __dax_invalidate_entry",
).id
NOT_FREE: Final = clause(
    "pmem.dax.not-free",
    "Memory of the device is on no free list and no CPU's list, and its zone manages no page.",
    features=_FEATURES,
    seed="2.12.2",
    source="mm/memremap.c:pagemap_range; mm/mm_init.c:memmap_init_zone_device",
).id
ANSWERED: Final = clause(
    "pmem.dax.answered",
    "Each fault in a DAX file is answered once, at the same page, before its task's next one, in words "
    "that a fault may answer; a private copy only to a write to a private mapping.",
    features=_FEATURES,
    source="fs/dax.c:dax_iomap_pte_fault, dax_iomap_pmd_fault",
).id
LINEAR: Final = clause(
    "pmem.dax.linear",
    "Address and index of faults in one mapping rise together.",
    features=_FEATURES,
    source="fs/dax.c:dax_iomap_pte_fault, dax_iomap_pmd_fault",
).id
HUGE: Final = clause(
    "pmem.dax.huge",
    "A huge page is mapped only where all of it lies in the mapping and in the file, at the same place of "
    "both, and not for a private write; elsewhere the fault falls back, and behind the file it fails.",
    features=_FEATURES,
    source="fs/dax.c:dax_fault_check_fallback, dax_iomap_pmd_fault",
    function=may_be_huge,
).id
SYNC: Final = clause(
    "pmem.dax.sync",
    "Only a write to a shared mapping is answered that the file has to be made durable first.",
    features=_FEATURES,
    source="fs/dax.c:dax_fault_is_synchronous",
).id
DURABLE: Final = clause(
    "pmem.dax.durable",
    "A page is entered writable after its own task was told to make the file durable, at that page; and "
    "where the file has pages that were written and not written back, a range with that page is written back "
    "between.",
    features=_FEATURES,
    seed="2.12.2",
    source="fs/dax.c:dax_finish_sync_fault, dax_insert_pfn_mkwrite",
).id
WRITEBACK: Final = clause(
    "pmem.dax.writeback",
    "Pages are written back inside a range that is written back, and not again before they are written "
    "again.",
    features=_FEATURES,
    source="fs/dax.c:dax_writeback_mapping_range, dax_writeback_one",
).id
