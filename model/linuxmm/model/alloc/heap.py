"""First fit and best fit: heaps of contiguous ranges, to compare the buddy system with.

A request of any length takes the head of a free extent; a range that comes back joins the free neighbours.

Seed 2.1 (F011).  Knuth, The Art of Computer Programming 1, 2.5.
"""

from collections.abc import Callable
from dataclasses import dataclass

from immutables import Map

from linuxmm.spec.alloc.heap import Extent, end_of
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Step


@dataclass(frozen=True, slots=True)
class Heap:
    """A heap of `size` pages: free extents in address order; used ones by start -> length."""

    size: int
    free: tuple[Extent, ...]
    used: Map[int, int]


Choice = Callable[[tuple[Extent, ...], int], int]
"""Which of the free extents answers a request of a length: its position, or -1."""


def empty_heap(size: int) -> Heap:
    """A heap of which every page is free."""
    if size <= 0:
        raise LinuxmmError(f"a heap of {size} pages")
    return Heap(size, ((0, size),), Map())


@behaviour("alloc.heap-fit-first", since="2.4.0", features=("F011",), source="Knuth, TAOCP 1, 2.5")
def first_fit(free: tuple[Extent, ...], length: int) -> int:
    """The lowest extent that is long enough."""
    return next((at for at, extent in enumerate(free) if extent[1] >= length), -1)


@behaviour("alloc.heap-fit-best", since="2.4.0", features=("F011",), source="Knuth, TAOCP 1, 2.5")
def best_fit(free: tuple[Extent, ...], length: int) -> int:
    """The shortest extent that is long enough, the lowest of equals."""
    fitting = [(extent[1], at) for at, extent in enumerate(free) if extent[1] >= length]
    return min(fitting)[1] if fitting else -1


@verb("F011", source="Knuth, TAOCP 1, 2.5, algorithm A")
def take(heap: Heap, length: int, choose: Choice) -> Step[Heap, int | Err]:
    """Hand out `length` pages from the front of the extent that `choose` names.

    Requires  length > 0
    Ensures   the pages were free and are used; nothing else changed
    Refuses   ENOMEM when no extent is long enough
    """
    at = choose(heap.free, length)
    if at < 0:
        return Step(heap, Err(Errno.ENOMEM))
    start, available = heap.free[at]
    rest = ((start + length, available - length),) if available > length else ()
    free = (*heap.free[:at], *rest, *heap.free[at + 1 :])
    return Step(Heap(heap.size, free, heap.used.set(start, length)), start)


@verb("F011", source="Knuth, TAOCP 1, 2.5, algorithm B")
def give(heap: Heap, start: int) -> Step[Heap, None]:
    """Take the range at `start` back, and join it with free neighbours.

    Errors    LinuxmmError when no range in use starts there
    """
    if start not in heap.used:
        raise LinuxmmError(f"no range in use starts at page {start}")
    back = (start, heap.used[start])
    before = [e for e in heap.free if end_of(e) < start]
    after = [e for e in heap.free if e[0] > end_of(back)]
    touching = [e for e in heap.free if e not in before and e not in after]
    low = min([start, *(e[0] for e in touching)])
    high = max([end_of(back), *(end_of(e) for e in touching)])
    return Step(Heap(heap.size, (*before, (low, high - low), *after), heap.used.delete(start)), None)
