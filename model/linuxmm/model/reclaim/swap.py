"""How often a slot of swap is used: a count that goes on beyond a byte, and the flag of the swap cache.

Linux: mm/swapfile.c.  Seed 2.4 (F004).  2.6.33 to 6.12.
"""

from dataclasses import dataclass, replace

from linuxmm.spec.reclaim.swap import SWAP_CONT_MAX, SWAP_MAP_MAX
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno


@dataclass(frozen=True, slots=True)
class Count:
    """How often a slot is used: in its byte, in the pages that continue it, and by the swap cache.

    low     0 to 62
    digits  one for each page that continues the count, the least first
    shmem   a page of shared memory is there: the slot has that one use (SWAP_MAP_SHMEM)
    """

    low: int = 0
    digits: tuple[int, ...] = ()
    cached: bool = False
    shmem: bool = False


@verb("F004", source="mm/swapfile.c:swap_duplicate, swap_count_continued; 2.6.33 to 6.12")
def duplicate(count: Count) -> Count | Err:
    """One more use of a slot.

    Refuses   ENOMEM where the count has to go on and no page holds the next digit: `continue_count` adds one;
              EINVAL for a slot of shared memory
    """
    if count.shmem:
        return Err(Errno.EINVAL)
    if count.low < SWAP_MAP_MAX:
        return replace(count, low=count.low + 1)
    digits = list(count.digits)
    for place, digit in enumerate(digits):
        if digit < SWAP_CONT_MAX:
            digits[place] = digit + 1
            return replace(count, low=0, digits=tuple(digits))
        digits[place] = 0
    return Err(Errno.ENOMEM)


@verb("F004", source="mm/swapfile.c:add_swap_count_continuation")
def continue_count(count: Count) -> Count:
    """Give the count a page for one more digit."""
    return replace(count, digits=(*count.digits, 0))


@verb("F004", source="mm/swapfile.c:swap_entry_free, swap_count_continued; 2.6.33 to 6.12")
def drop(count: Count) -> Count:
    """One use less.

    Requires  there is one
    """
    if count.shmem:
        return replace(count, shmem=False)
    if count.low > 0:
        return replace(count, low=count.low - 1)
    digits = list(count.digits)
    for place, digit in enumerate(digits):
        if digit > 0:
            digits[place] = digit - 1
            return replace(count, low=SWAP_MAP_MAX, digits=tuple(digits))
        digits[place] = SWAP_CONT_MAX
    raise ValueError("a slot that nobody uses loses a use")


def referenced(count: Count) -> bool:
    """Whether anything but the swap cache uses a slot."""
    return count.low > 0 or any(count.digits) or count.shmem


def unused(count: Count) -> bool:
    """Whether a slot may be handed out again."""
    return not referenced(count) and not count.cached
