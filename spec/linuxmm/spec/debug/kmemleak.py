"""kmemleak: which allocated blocks no pointer leads to any more, found by mark and sweep.

A block is white until as many pointers to it were found as it needs (`min_count`); then it is grey and is
scanned itself.  A black block is left out.  What is white at the end, is old enough and has not changed
since the last scan is reported, once.

Linux: mm/kmemleak.c.  Seed 2.13.4 (F080).  Since 2.6.31.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from linuxmm.spec.invariant import clause
from linuxmm.spec.registry import formula

GREY: Final = 0
BLACK: Final = -1
MIN_AGE_SECONDS: Final = 5
FIRST_SCAN_SECONDS: Final = 60
SCAN_PERIOD_SECONDS: Final = 600
POINTER: Final = 8
NONE: Final = -1


class Tracked(NamedTuple):
    """A block that kmemleak knows.

    min_count   pointers that it needs: 1 for kmalloc, 2 for vmalloc, 0 never a leak, -1 ignored
    found       pointers found in this scan
    excess_ref  address of the block to which pointers beyond `min_count` are passed on; 0 for none
    created     when it was allocated, in seconds
    scanned     whether its own memory is read (not after kmemleak_no_scan)
    """

    pointer: int
    size: int
    min_count: int = 1
    found: int = 0
    excess_ref: int = 0
    created: int = 0
    scanned: bool = True
    reported: bool = False
    checksum: int = 0


@formula("F080", source="mm/kmemleak.c:color_white")
def is_white(count: int, min_count: int) -> bool:
    """Whether too few pointers were found.

    Source    color_white; 2.6.31 to 6.12
    """
    return count != BLACK and count < min_count


@formula("F080", source="mm/kmemleak.c:color_gray")
def is_grey(count: int, min_count: int) -> bool:
    """Whether enough pointers were found, or none is needed.

    Source    color_gray; 2.6.31 to 6.12
    """
    return min_count != BLACK and count >= min_count


@formula("F080", source="mm/kmemleak.c:lookup_object")
def lookup(blocks: Sequence[Tracked], pointer: int) -> int:
    """Index of the block into which a pointer points, to its start or inside; NONE for none.

    Requires  blocks are disjoint
    Source    lookup_object with alias; 2.6.31 to 6.12
    """
    for index, block in enumerate(blocks):
        if block.pointer <= pointer and pointer < block.pointer + block.size:
            return index
    return NONE


def refer(blocks: list[Tracked], grey: list[int], word: int, holder: int) -> None:
    """Count one word that was found in memory; a block that becomes grey goes to the end of the list.

    holder    index of the block that holds the word, NONE for a root; a block does not keep itself alive
    Source    pointer_update_refs, update_refs; 4.14 to 6.12
    """
    index = lookup(blocks, word)
    if index == NONE or index == holder:
        return
    block = blocks[index]
    if not is_grey(block.found, block.min_count):
        _count(blocks, grey, index)
        return
    if block.excess_ref == 0:
        return
    for other, candidate in enumerate(blocks):
        if candidate.pointer == block.excess_ref and other != holder:
            _count(blocks, grey, other)


def _count(blocks: list[Tracked], grey: list[int], index: int) -> None:
    block = blocks[index]
    if not is_white(block.found, block.min_count):
        return
    blocks[index] = _counted(block, block.found + 1)
    if is_grey(block.found + 1, block.min_count):
        grey.append(index)


def _counted(block: Tracked, count: int) -> Tracked:
    return Tracked(
        block.pointer,
        block.size,
        block.min_count,
        count,
        block.excess_ref,
        block.created,
        block.scanned,
        block.reported,
        block.checksum,
    )


def mark(
    blocks: Sequence[Tracked], roots: Sequence[int], words: Sequence[Sequence[int]], changed: Sequence[bool]
) -> tuple[Tracked, ...]:
    """The blocks with the pointers found in one scan.

    roots     words of data sections, per-CPU areas and stacks
    words     words of each block, in order of address
    changed   whether each block's checksum differs from the last scan's; a white one is then kept grey
    Ensures   a block that stays white is not led to from the roots, from blocks that need no pointer, or
              from changed blocks, through scanned blocks
    Source    kmemleak_scan, scan_gray_list; 2.6.32 to 6.12
    """
    marked = [_counted(block, 0) for block in blocks]
    grey = [index for index, block in enumerate(marked) if is_grey(block.found, block.min_count)]
    for word in roots:
        refer(marked, grey, word, NONE)
    done = _scan_grey(marked, grey, words, 0)
    for index, block in enumerate(marked):
        if is_white(block.found, block.min_count) and changed[index]:
            marked[index] = _counted(block, block.min_count)
            grey.append(index)
    _scan_grey(marked, grey, words, done)
    return tuple(marked)


def _scan_grey(marked: list[Tracked], grey: list[int], words: Sequence[Sequence[int]], done: int) -> int:
    while done < len(grey):
        index = grey[done]
        if marked[index].scanned:
            for word in words[index]:
                refer(marked, grey, word, index)
        done += 1
    return done


@formula("F080", source="mm/kmemleak.c:unreferenced_object")
def is_leak(block: Tracked, scan_began: int) -> bool:
    """Whether a scan reports the block: white, at least 5 seconds old when it began, not reported before.

    Source    unreferenced_object, the end of kmemleak_scan; 2.6.31 to 6.12
    """
    return (
        is_white(block.found, block.min_count)
        and not block.reported
        and block.created + MIN_AGE_SECONDS <= scan_began
    )


DUMP_BYTES: Final = 32
"""Bytes of an object that the list shows at most: two rows of sixteen."""


@formula("F080", source="mm/kmemleak.c:hex_dump_object; 2.6.31 to 6.12")
def dumped_bytes(size: int) -> int:
    """Bytes of an object of `size` that the list shows."""
    return min(size, DUMP_BYTES)


LISTED: Final = clause(
    "debug.kmemleak.apart",
    "Objects of the list are blocks that do not overlap, each listed once.",
    features=("F080",),
    source="mm/kmemleak.c:__link_object, print_unreferenced",
    seed="2.13.4",
)
DUMPED: Final = clause(
    "debug.kmemleak.dumped",
    "The list shows the first 32 bytes of an object, or all, and the same as text; where it shows all, their "
    "checksum is the one that it names.",
    features=("F080",),
    source="mm/kmemleak.c:hex_dump_object, update_checksum",
    seed="2.13.4",
)
FOUND: Final = clause(
    "debug.kmemleak.found",
    "As many objects are listed as scans announced, and every object that is known to be lost is among them.",
    features=("F080",),
    source="mm/kmemleak.c:kmemleak_scan",
    seed="2.13.4",
)
