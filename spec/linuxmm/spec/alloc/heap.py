"""What a heap of contiguous ranges must keep, whichever fit it uses: the yardstick for the buddy system.

Seed 2.1 (F011).  Knuth, The Art of Computer Programming 1, 2.5.
"""

from collections.abc import Sequence
from itertools import pairwise

from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula

Extent = tuple[int, int]
"""(start, length) in pages; length is positive."""


@formula("F011", source="Knuth, TAOCP 1, 2.5")
def end_of(extent: Extent) -> int:
    """The first page behind an extent."""
    return extent[0] + extent[1]


@invariant("alloc.heap.partition", features=("F011",), seed="2.1", source="Knuth, TAOCP 1, 2.5")
def heap_partition(size: int, free: Sequence[Extent], used: Sequence[Extent]) -> bool:
    """Free and used extents together cover every page of the heap exactly once."""
    at = 0
    for start, length in sorted([*free, *used]):
        if start != at or length <= 0:
            return False
        at += length
    return at == size


@invariant("alloc.heap.coalesced", features=("F011",), seed="2.1", source="Knuth, TAOCP 1, 2.5")
def heap_coalesced(free: Sequence[Extent]) -> bool:
    """Free extents are in address order, and no two of them touch."""
    return all(end_of(a) < b[0] for a, b in pairwise(free))


@invariant("alloc.heap.first-fit", features=("F011",), seed="2.1", source="Knuth, TAOCP 1, 2.5")
def is_first_fit(free: Sequence[Extent], length: int, chosen: int) -> bool:
    """First fit takes the lowest extent that is long enough."""
    return all(e[1] < length for e in free if e[0] < chosen) and any(
        e[0] == chosen and e[1] >= length for e in free
    )


@invariant("alloc.heap.best-fit", features=("F011",), seed="2.1", source="Knuth, TAOCP 1, 2.5")
def is_best_fit(free: Sequence[Extent], length: int, chosen: int) -> bool:
    """Best fit takes an extent that is long enough, and none that is long enough is shorter."""
    sizes = [e[1] for e in free if e[1] >= length]
    return bool(sizes) and any(e == (chosen, min(sizes)) for e in free)
