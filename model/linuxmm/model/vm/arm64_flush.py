"""Flushes of arm64 as lists of TLB maintenance operations, by kernel.

Linux: arch/arm64/include/asm/tlbflush.h:__flush_tlb_range.  Seed 2.3.2 (F041).  4.20 to 6.12.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from linuxmm.spec.kernel import Kernel
from linuxmm.spec.registry import verb
from linuxmm.spec.vm import arm64_flush
from linuxmm.spec.vm.arm64_flush import Flushes, flush_mm, for_both
from linuxmm.spec.vm.arm64_tlbi import VAE1, VALE1, Operation
from linuxmm.spec.vocabulary import PAGE_SIZE

REGISTERED = (arm64_flush,)
_RANGE: Final = 4


class FlushRules(NamedTuple):
    """How one kernel flushes a range.

    ranges       (first page, pages, scale) of the operations for so many pages; a scale of -1: one stride
    range_limit  whether the whole address space is flushed instead
    """

    ranges: Callable[[int, int], tuple[tuple[int, int, int], ...]]
    range_limit: Callable[[int, int, bool], bool]


def flush_rules(kernel: Kernel) -> FlushRules:
    """The rules of a kernel; before 5.9 no CPU has operations on ranges.

    Errors    Unmodelled before 4.20
    """
    ranges: Any = kernel.behaviour("vm.arm64.ranges").function
    limit: Any = kernel.behaviour("vm.arm64.range-limit").function
    return FlushRules(ranges, limit)


@verb("F041", source="arch/arm64/include/asm/tlbflush.h:__flush_tlb_range; 4.20 to 6.12")
def flush_range(
    rules: FlushRules,
    has: Flushes,
    asid: int,
    start: int,
    end: int,
    stride: int = PAGE_SIZE,
    leaves: bool = False,
    level: int = -1,
) -> tuple[Operation, ...]:
    """The operations that flush [start, end) of an address space.

    stride  bytes between leaves: PAGE_SIZE, or the size of huge ones
    leaves  only leaves changed, no table was freed;  level: Arm's level of the leaves, -1 if not known
    Requires  start < end
    Ensures   every leaf of `stride` bytes or more that meets [start, end) is named
    """
    start, end = start - start % stride, end + -end % stride
    pages, step = (end - start) // PAGE_SIZE, stride // PAGE_SIZE
    if rules.range_limit(pages, step, has.ranges):
        return flush_mm(asid, has)
    kind, hint = VALE1 if leaves else VAE1, level if has.levels else -1
    pieces = (
        rules.ranges(pages, step) if has.ranges else tuple((at, step, -1) for at in range(0, pages, step))
    )
    found: list[Operation] = []
    for at, count, scale in pieces:
        first = start + at * PAGE_SIZE
        one = Operation(kind, asid, first, first + PAGE_SIZE, hint)
        many = Operation(kind + _RANGE, asid, first, first + count * PAGE_SIZE, hint)
        found += for_both(one if scale < 0 else many, has)
    return tuple(found)
