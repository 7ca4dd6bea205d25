"""Poisoned pages: a free page is filled with 0xaa, and checked when it is handed out.

Only a change of what is there is seen, and only then; reads never are.  Unmapping free pages
(DEBUG_PAGEALLOC) instead lets the processor fault at the access itself.

Linux: mm/page_poison.c, mm/page_alloc.c.  Seed 2.13.1 (F075, F076).  Since 2.6.30; 2.5 for unmapping.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from linuxmm.spec.registry import formula

PAGE_POISON: Final = 0xAA
SINGLE_BIT: Final = "pagealloc: single bit error"
CORRUPTION: Final = "pagealloc: memory corruption"
RATE_BURST: Final = 10
RATE_SECONDS: Final = 5
MAX_PAGE_ORDER: Final = 10


class Corrupted(NamedTuple):
    """The bytes that a report dumps: offsets of the first and the last that differ, and the line above."""

    first: int
    last: int
    line: str


@formula("F076", source="mm/page_poison.c:single_bit_flip")
def single_bit_flip(found: int, expected: int) -> bool:
    """Whether two bytes differ in exactly one bit.

    Source    single_bit_flip; 2.6.30 to 6.12
    """
    error = found ^ expected
    return error != 0 and error & (error - 1) == 0


@formula("F076", source="mm/page_poison.c:check_poison_mem")
def check_poison(memory: Sequence[int]) -> Corrupted | None:
    """What a check of a free page reports; None when every byte is still the poison.

    Ensures   reports whenever a byte differs; first and last are such bytes, and none lies outside them
    Source    check_poison_mem; 2.6.30 (mm/debug-pagealloc.c) to 6.12; at most 10 reports in 5 seconds
    """
    first = 0
    while first < len(memory) and memory[first] == PAGE_POISON:
        first += 1
    if first == len(memory):
        return None
    last = len(memory) - 1
    while memory[last] == PAGE_POISON:
        last -= 1
    if first == last and single_bit_flip(memory[first], PAGE_POISON):
        return Corrupted(first, last, SINGLE_BIT)
    return Corrupted(first, last, CORRUPTION)


@formula("F075", source="mm/debug_page_alloc.c:__set_page_guard")
def becomes_guard(order: int, minorder: int) -> bool:
    """Whether the half that a split leaves over becomes a guard instead of going to its free list.

    minorder  debug_guardpage_minorder=, 0 to half of the largest order
    Source    set_page_guard; 3.3 to 6.12
    """
    return order < minorder


@formula("F075", source="mm/debug_page_alloc.c:debug_guardpage_minorder_setup")
def minorder_is_accepted(minorder: int, max_order: int = MAX_PAGE_ORDER) -> bool:
    """Whether the boot parameter debug_guardpage_minorder= is taken.

    Source    debug_guardpage_minorder_setup; 3.3 to 6.12
    """
    return minorder <= max_order // 2
