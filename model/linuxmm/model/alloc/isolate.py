"""Free blocks that leave the allocator without a request: isolation for compaction, offlining and CMA.

Linux: mm/page_alloc.c:__isolate_free_page, split_free_page, move_freepages_block_isolate;
mm/page_isolation.c.  Seed 2.2.3, 2.10, 2.1.3.2 (F016, F036, F039, F063).  2.6.24 to 6.12.
"""

from linuxmm.model.alloc.buddy import free_one_page
from linuxmm.model.alloc.freelist import (
    ISOLATE,
    NOTHING,
    Zone,
    account,
    add_head,
    add_isolated,
    free_order,
    is_free_block,
    pageblock_type,
    remove,
    set_pageblock_type,
    spans,
)
from linuxmm.model.alloc.movement import MOVABLE, claim_block, move_freepages, whole_block_in_zone
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.buddy import buddy_of, migratetype_is_mergeable
from linuxmm.spec.arith import floor_log2, lowest_bit
from linuxmm.spec.kernel import behaviour


@behaviour(
    "alloc.make-movable",
    since="2.6.24",
    until="6.9",
    features=("F016", "F039"),
    source="mm/page_alloc.c:__isolate_free_page; 3.9 to 6.1",
)
def make_movable_tag(rules: Rules, zone: Zone, pfn: int) -> Zone:
    """A pageblock of which compaction took half becomes MOVABLE; its other free pages stay where they are."""
    return set_pageblock_type(zone, pfn, MOVABLE)


@behaviour(
    "alloc.make-movable",
    since="6.10",
    features=("F016", "F039"),
    source="mm/page_alloc.c:__isolate_free_page; 6.12",
)
def make_movable_claim(rules: Rules, zone: Zone, pfn: int) -> Zone:
    """A pageblock of which compaction took half becomes MOVABLE, with its free pages."""
    return claim_block(rules, zone, pfn, MOVABLE) if whole_block_in_zone(rules, zone, pfn) else zone


def isolate_free_page(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """Take a free block off the lists for a migration target.

    Requires  is_free_block(zone, pfn, order); the min watermark holds without the block
    Source    mm/page_alloc.c:__isolate_free_page; 2.6.35 to 6.12
    """
    zone = account(zone, -(1 << order), pageblock_type(zone, pfn))
    zone = remove(zone, pfn, order)
    if order >= rules.pageblock_order - 1:
        at = pfn
        while at < pfn + (1 << order) - 1:
            if migratetype_is_mergeable(pageblock_type(zone, at)):
                zone = rules.make_movable(rules, zone, at)
            at += 1 << rules.pageblock_order
    return zone


def putback_isolated_page(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """Return a block that was isolated but not used.

    Source    mm/page_alloc.c:__putback_isolated_page; 5.7 to 6.12 (before, the block was freed)
    """
    return free_one_page(rules, zone, pfn, order, migratetype, rules.putback_to_tail())


@behaviour(
    "alloc.putback",
    since="2.4.0",
    until="5.9",
    features=("F016",),
    source="mm/page_alloc.c:__putback_isolated_page; 5.9.1; __free_pages before 5.7",
)
def putback_as_freed() -> bool:
    """A block that comes back is placed as any freed block."""
    return False


@behaviour(
    "alloc.putback",
    since="5.10",
    features=("F016",),
    source="mm/page_alloc.c:__putback_isolated_page; 5.10 to 6.12",
)
def putback_to_tail() -> bool:
    """A block that comes back goes to the tail of its list."""
    return True


def split_free_page(rules: Rules, zone: Zone, pfn: int, order: int, offset: int) -> Zone:
    """Cut a free block at `offset` pages, where two pageblocks of different types meet.

    Requires  is_free_block(zone, pfn, order); 0 < offset < 2**order
    Source    mm/page_alloc.c:split_free_page; 5.18 to 6.9
    """
    end = pfn + (1 << order)
    zone = account(zone, -(1 << order), pageblock_type(zone, pfn))
    zone = remove(zone, pfn, order)
    at = pfn
    while at < end:
        piece = min(lowest_bit(at) if at else order, floor_log2(offset))
        zone = free_one_page(rules, zone, at, piece, pageblock_type(zone, at), False)
        at += 1 << piece
        offset -= 1 << piece
        if offset == 0:
            offset = end - at
    return zone


def capture_block(rules: Rules, zone: Zone, pfn: int, order: int) -> Zone:
    """Take a block that has just become free for the task that compacts memory for it.

    The kernel takes it before it merges any further; a buddy that it has merged with here goes to the head of
    its list again.
    Requires  pfn is aligned to the order and lies in a free block of at least that order
    Source    mm/page_alloc.c:compaction_capture; 5.1 to 6.12
    """
    head, size = large_buddy(rules, zone, pfn)
    migratetype = pageblock_type(zone, head)
    zone = remove(account(zone, -(1 << order), migratetype), head, size)
    while size > order:
        size -= 1
        half = head + (1 << size)
        if pfn < half:
            zone = add_head(zone, half, size, migratetype)
        else:
            zone = add_head(zone, head, size, migratetype)
            head = half
    return zone


@behaviour(
    "alloc.account-isolated",
    since="2.4.0",
    until="6.9",
    features=("F016",),
    source="mm/page_isolation.c:set_migratetype_isolate; 3.9 to 6.1",
)
def account_isolated_after(zone: Zone, pages: int, migratetype: int) -> Zone:
    """The counters follow after the free pages changed lists."""
    return account(zone, pages, migratetype)


@behaviour(
    "alloc.account-isolated",
    since="6.10",
    features=("F016",),
    source="mm/page_alloc.c:move_to_free_list; 6.12",
)
def account_isolated_while_moving(zone: Zone, pages: int, migratetype: int) -> Zone:
    """Each free block that changed lists is already counted."""
    return zone


def isolate_pageblock(rules: Rules, zone: Zone, pfn: int) -> Zone:
    """Make a pageblock ISOLATE: its free pages leave the counters and are not handed out any more.

    Requires  the pageblock is not ISOLATE
    Ensures   NR_FREE_PAGES shrinks by the free pages moved; nothing changes where the kernel says EBUSY
    Source    mm/page_isolation.c:set_migratetype_isolate; 2.6.24 to 6.12
    """
    was = pageblock_type(zone, pfn)
    zone, moved = rules.retag_isolated(rules, zone, pfn, ISOLATE)
    zone = rules.account_isolated(zone, -moved, was)
    return add_isolated(zone, 1) if pageblock_type(zone, pfn) == ISOLATE else zone


def unisolate_pageblock(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> Zone:
    """Undo `isolate_pageblock`: the pageblock gets a type again, and its free pages count again.

    Requires  the pageblock is ISOLATE
    Source    mm/page_isolation.c:unset_migratetype_isolate; 2.6.24 to 6.12
    """
    return add_isolated(
        rules.unisolate(rules, zone, pfn & ~((1 << rules.pageblock_order) - 1), migratetype), -1
    )


@behaviour(
    "alloc.unisolate",
    since="2.4.0",
    until="3.17",
    features=("F016",),
    source="mm/page_isolation.c:unset_migratetype_isolate; 2.6.24 to 3.16",
)
def unisolate_moving(rules: Rules, zone: Zone, start: int, migratetype: int) -> Zone:
    """The free pages of the pageblock go to the lists of its new type, unmerged."""
    zone, moved = rules.retag_isolated(rules, zone, start, migratetype)
    return rules.account_isolated(zone, moved, migratetype)


@behaviour(
    "alloc.unisolate",
    since="3.18",
    until="5.17",
    features=("F016",),
    source="mm/page_isolation.c:unset_migratetype_isolate; 3.18.30, 4.1, 4.9, 5.4, 5.9 to 5.11",
)
def unisolate_freeing(rules: Rules, zone: Zone, start: int, migratetype: int) -> Zone:
    """As before; a free pageblock is freed again, and may merge, unless its buddy is isolated.

    The buddy need not be free.
    """
    order = free_order(zone, start)
    if order >= rules.pageblock_order and order < rules.max_order:
        buddy = buddy_of(start, order)
        if spans(zone, buddy) and pageblock_type(zone, buddy) != ISOLATE:
            zone = set_pageblock_type(remove(zone, start, order), start, migratetype)
            return putback_isolated_page(rules, zone, start, order, migratetype)
    return unisolate_moving(rules, zone, start, migratetype)


@behaviour(
    "alloc.unisolate",
    since="5.18",
    features=("F016",),
    source="mm/page_isolation.c:unset_migratetype_isolate; 5.19, 6.1, 6.12",
)
def unisolate_merging(rules: Rules, zone: Zone, start: int, migratetype: int) -> Zone:
    """As before, if the buddy is free and not isolated."""
    order = free_order(zone, start)
    if order >= rules.pageblock_order and order < rules.max_order:
        buddy = buddy_of(start, order)
        if is_free_block(zone, buddy, order) and pageblock_type(zone, buddy) != ISOLATE:
            zone = set_pageblock_type(remove(zone, start, order), start, migratetype)
            return putback_isolated_page(rules, zone, start, order, migratetype)
    return unisolate_moving(rules, zone, start, migratetype)


@behaviour(
    "alloc.retag-isolated",
    since="2.4.0",
    until="6.9",
    features=("F016",),
    source="mm/page_alloc.c:move_freepages_block; 2.6.24 to 6.1",
)
def retag_moving(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> tuple[Zone, int]:
    block = 1 << rules.pageblock_order
    start = pfn & ~(block - 1)
    zone = set_pageblock_type(zone, pfn, migratetype)
    moved = 0
    at = start
    while at < start + block:
        order = free_order(zone, at) if spans(zone, at) else NOTHING
        if order == NOTHING:
            at += 1
        else:
            zone, pages = move_freepages(rules, zone, at, at + 1, migratetype)
            moved += pages
            at += pages
    return zone, moved


@behaviour(
    "alloc.retag-isolated",
    since="6.10",
    features=("F016",),
    source="mm/page_alloc.c:move_freepages_block_isolate; 6.10 to 6.12",
)
def retag_splitting(rules: Rules, zone: Zone, pfn: int, migratetype: int) -> tuple[Zone, int]:
    """As before; a free block larger than the pageblock is split, and only this pageblock changes lists.

    Ensures   nothing changes for a pageblock that is cut by an end of the zone
    """
    if not whole_block_in_zone(rules, zone, pfn):
        return zone, 0
    start = pfn & ~((1 << rules.pageblock_order) - 1)
    head, order = large_buddy(rules, zone, start)
    if order <= rules.pageblock_order:
        return retag_moving(rules, zone, pfn, migratetype)
    zone = account(zone, -(1 << order), pageblock_type(zone, head))
    zone = set_pageblock_type(remove(zone, head, order), start, migratetype)
    return rules.free_large(rules, zone, head, order), 0


def large_buddy(rules: Rules, zone: Zone, pfn: int) -> tuple[int, int]:
    """(head, order) of the free block that holds pfn; (pfn, NOTHING) when pfn is not free.

    Source    mm/page_alloc.c:find_large_buddy; 6.10 to 6.12
    """
    order = 0
    while order <= rules.max_order:
        head = pfn >> order << order
        if spans(zone, head):
            free = free_order(zone, head)
            if free != NOTHING and head + (1 << free) > pfn:
                return head, free
        order += 1
    return pfn, NOTHING
