"""Buddy allocator of one zone: free blocks of 2**order pages, split on demand, merged on free.

A free block stands on the list of its order and migratetype.  Handing out takes the head of the smallest
sufficient list and splits it; a block that comes back merges with its buddy as long as that is free.

Linux: mm/page_alloc.c.  Seed 2.1.1.1 (F012).  All versions; tail placement since 2.6.35.
"""

from linuxmm.model.alloc.freelist import (
    ISOLATE,
    NOTHING,
    Zone,
    account,
    add_free_of_type,
    add_head,
    add_nr_free,
    add_tail,
    has_isolated,
    is_free_block,
    list_head,
    pageblock_type,
    remove,
    set_pageblock_type,
    trace_zone_locked,
)
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.buddy import buddy_of, merged_pfn, types_may_merge, upper_half
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.vocabulary import MIGRATE_PCPTYPES

# ---- merging ---------------------------------------------------------------------------------------------


@behaviour(
    "alloc.may-absorb",
    since="2.4.0",
    until="3.17",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.11 to 3.17",
)
def absorb_any(zone: Zone, order: int, migratetype: int, buddy_type: int) -> bool:
    """Buddies merge whatever the types of their pageblocks."""
    return True


@behaviour(
    "alloc.may-absorb",
    since="3.18",
    until="4.5",
    replaced_in=("4.4.155", "4.5.7"),
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 3.18 to 4.4.0 (4.5.0 unconfirmed)",
)
def absorb_below_isolated(zone: Zone, order: int, migratetype: int, buddy_type: int) -> bool:
    """A block freed into an isolated pageblock does not grow beyond it."""
    return migratetype != ISOLATE


@behaviour(
    "alloc.may-absorb",
    since="4.6",
    until="5.17",
    backports=("4.4.155", "4.5.7"),
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 4.4.155, 4.5.7, 4.6 to 5.17",
)
def absorb_not_across_isolated(zone: Zone, order: int, migratetype: int, buddy_type: int) -> bool:
    """An isolated and another pageblock stay apart."""
    if not has_isolated(zone):
        return True
    return migratetype == buddy_type or (migratetype != ISOLATE and buddy_type != ISOLATE)


@behaviour(
    "alloc.may-absorb",
    since="5.18",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page, migratetype_is_mergeable; 5.18 to 6.12",
)
def absorb_mergeable(zone: Zone, order: int, migratetype: int, buddy_type: int) -> bool:
    """Pageblocks of different types merge only if both have fallbacks."""
    return types_may_merge(migratetype, buddy_type)


@behaviour(
    "alloc.merges-alike",
    since="4.6",
    backports=("4.4.155", "4.5.7"),
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 4.4.155, 4.5.7, 4.6 to 6.12",
)
@behaviour(
    "alloc.merges-alike",
    since="2.4.0",
    until="3.17",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.11 to 3.16",
)
def merges_alike(migratetype: int) -> bool:
    """Whether buddies of at least a pageblock and of the same type merge: always."""
    return True


@behaviour(
    "alloc.merges-alike",
    since="3.18",
    until="4.5",
    replaced_in=("4.4.155", "4.5.7"),
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 3.18.30 to 4.4.0 (4.5.0 unconfirmed)",
)
def merges_alike_unless_isolated(migratetype: int) -> bool:
    """Whether such buddies merge: not those of two isolated pageblocks, which end at a pageblock."""
    return migratetype != ISOLATE


@behaviour(
    "alloc.absorb",
    since="2.4.0",
    until="6.9",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.24 to 6.8",
)
def absorb_keeping_types(rules: Rules, zone: Zone, buddy: int, order: int, migratetype: int) -> Zone:
    """The absorbed pageblocks keep their types, so a list may hold pages of pageblocks of another type."""
    return zone


@behaviour(
    "alloc.absorb",
    since="6.10",
    until="6.12",
    replaced_in=("6.12.117",),
    features=("F012", "F016"),
    source="mm/page_alloc.c:__free_one_page; 6.10, 6.12.0",
)
def absorb_retagging_first(rules: Rules, zone: Zone, buddy: int, order: int, migratetype: int) -> Zone:
    """The buddy's first pageblock takes the type of the freed page; any further one is forgotten."""
    return set_pageblock_type(zone, buddy, migratetype)


@behaviour(
    "alloc.absorb",
    since="6.13",
    backports=("6.12.117",),
    features=("F012", "F016"),
    source="mm/page_alloc.c:__free_one_page; 6.12.117",
)
def absorb_retagging(rules: Rules, zone: Zone, buddy: int, order: int, migratetype: int) -> Zone:
    """The absorbed pageblocks take the type of the freed page: list and pageblock always agree."""
    return retag_range(rules, zone, buddy, order, migratetype)


def retag_range(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """Give every pageblock of the block (pfn, order) another type.

    Requires  order >= pageblock_order
    Source    mm/page_alloc.c:change_pageblock_range
    """
    end = pfn + (1 << order)
    while pfn < end:
        zone = set_pageblock_type(zone, pfn, migratetype)
        pfn += 1 << rules.pageblock_order
    return zone


def merge_once(
    rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int
) -> tuple[Zone, int, int, bool]:
    """Merge the block in hand with its buddy, if that is free and may be absorbed.

    Ensures   (zone, head, order, merged); when merged the block in hand doubled and the buddy left its list,
              otherwise nothing changed; pages free or in hand are the same
    Source    mm/page_alloc.c:__free_one_page
    """
    if order >= rules.max_order:
        return zone, pfn, order, False
    buddy = buddy_of(pfn, order)
    if not is_free_block(zone, buddy, order):
        return zone, pfn, order, False
    if order >= rules.pageblock_order:
        buddy_type = pageblock_type(zone, buddy)
        if buddy_type != migratetype:
            if not rules.may_absorb(zone, order, migratetype, buddy_type):
                return zone, pfn, order, False
            zone = remove(zone, buddy, order)
            zone = rules.absorb(rules, zone, buddy, order, migratetype)
            return zone, merged_pfn(pfn, order), order + 1, True
        if not rules.merges_alike(migratetype):
            return zone, pfn, order, False
    zone = remove(zone, buddy, order)
    return zone, merged_pfn(pfn, order), order + 1, True


@behaviour(
    "alloc.wants-tail",
    since="2.4.0",
    until="2.6.34",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.11 to 2.6.34",
)
def never_to_tail(rules: Rules, zone: Zone, pfn: int, order: int) -> bool:
    """A freed block goes to the head of its list."""
    return False


@behaviour(
    "alloc.wants-tail",
    since="2.6.35",
    until="2.6.35",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.35",
)
def to_tail_if_merge_likely_any_order(rules: Rules, zone: Zone, pfn: int, order: int) -> bool:
    """As since 2.6.36; the block of the largest order beside counts as a free buddy too."""
    if order >= rules.max_order:
        return False
    return is_free_block(zone, buddy_of(merged_pfn(pfn, order), order + 1), order + 1)


@behaviour(
    "alloc.wants-tail",
    since="2.6.38",
    until="3.5",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.38 to 3.5",
)
def to_tail_if_merge_likely_lower_half(rules: Rules, zone: Zone, pfn: int, order: int) -> bool:
    """As in 2.6.36; the address of the buddy comes out wrong for upper halves, which stay at the head."""
    if order >= rules.max_order - 1 or merged_pfn(pfn, order) != pfn:
        return False
    return is_free_block(zone, buddy_of(pfn, order + 1), order + 1)


@behaviour(
    "alloc.wants-tail",
    since="3.6",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page, buddy_merge_likely; 3.6 to 6.12",
)
@behaviour(
    "alloc.wants-tail",
    since="2.6.36",
    until="2.6.37",
    features=("F012",),
    source="mm/page_alloc.c:__free_one_page; 2.6.36, 2.6.37",
)
def to_tail_if_merge_likely(rules: Rules, zone: Zone, pfn: int, order: int) -> bool:
    """A block goes to the tail if the block that it would form with its buddy has a free buddy."""
    if order >= rules.max_order - 1:
        return False
    return is_free_block(zone, buddy_of(merged_pfn(pfn, order), order + 1), order + 1)


def free_one_page(rules: Rules, zone: Zone, pfn: int, order: int, migratetype: int, to_tail: bool) -> Zone:
    """Give a block back to the free lists, merging it with its buddies.

    to_tail: FPI_TO_TAIL, for memory that should be used late
    Requires  pfn is aligned to order, the block lies in the zone, none of its pages is free or cached
    Ensures   its pages are free; no other page changed; no unmerged buddies
    Source    mm/page_alloc.c:__free_one_page (__free_pages_bulk up to 2.6.18)
    """
    zone = account(zone, 1 << order, migratetype)
    merged = True
    while merged:
        zone, pfn, order, merged = merge_once(rules, zone, pfn, order, migratetype)
    if to_tail or rules.wants_tail(rules, zone, pfn, order):
        return add_tail(zone, pfn, order, migratetype)
    return add_head(zone, pfn, order, migratetype)


# ---- splitting -------------------------------------------------------------------------------------------


def split_once(zone: Zone, pfn: int, order: int, migratetype: int) -> Zone:
    """Give back the upper half of the block in hand, which has order + 1; the lower half stays in hand.

    Source    mm/page_alloc.c:expand
    """
    return add_head(zone, upper_half(pfn, order), order, migratetype)


def expand(zone: Zone, pfn: int, low: int, high: int, migratetype: int) -> Zone:
    """Split the block in hand from order `high` down to `low`; the upper halves go to the heads of lists.

    Source    mm/page_alloc.c:expand; all versions
    """
    while high > low:
        high -= 1
        zone = split_once(zone, pfn, high, migratetype)
    return zone


def rmqueue_smallest(rules: Rules, zone: Zone, order: int, migratetype: int) -> tuple[Zone, int]:
    """Hand out the head of the smallest sufficient block of a type, split down to `order`.

    Requires  0 <= order <= max_order
    Ensures   the block was free, is aligned to `order`, and is free no more; other pages unchanged
    Permits   any sufficient block (spec); Linux takes the head of the smallest order
    Refuses   NOTHING when no list of the type at or above `order` holds a block
    Source    mm/page_alloc.c:__rmqueue_smallest; 2.6.24 to 6.12 (__rmqueue before)
    """
    at = order
    while at <= rules.max_order:
        pfn = list_head(zone, at, migratetype)
        if pfn != NOTHING:
            zone = take_block(rules, zone, pfn, at, order, migratetype)
            refill = migratetype < MIGRATE_PCPTYPES and rules.pcp_allowed(order, rules.pageblock_order)
            return trace_zone_locked(zone, pfn, order, migratetype, refill), pfn
        at += 1
    return zone, NOTHING


def take_block(rules: Rules, zone: Zone, pfn: int, high: int, low: int, migratetype: int) -> Zone:
    """Take a free block off its list and split it; the leftovers go to lists of `migratetype`.

    Source    mm/page_alloc.c:page_del_and_expand; 6.10 to 6.12 (the same two steps before)
    """
    zone = remove(zone, pfn, high)
    zone = expand(zone, pfn, low, high, migratetype)
    return rules.account_removed(zone, 1 << low, migratetype)


# ---- when the counters follow ----------------------------------------------------------------------------


@behaviour(
    "alloc.account-removed",
    since="2.4.0",
    until="6.9",
    features=("F012", "F017"),
    source="mm/page_alloc.c:rmqueue_buddy, rmqueue_bulk; 2.6.24 to 6.1",
)
def account_removed_later(zone: Zone, pages: int, migratetype: int) -> Zone:
    """Taking a block off a list leaves the counters to the caller."""
    return zone


@behaviour(
    "alloc.account-removed",
    since="6.10",
    features=("F012", "F017"),
    source="mm/page_alloc.c:account_freepages; 6.12",
)
def account_removed_at_once(zone: Zone, pages: int, migratetype: int) -> Zone:
    """Taking a block off a list counts it at once."""
    return account(zone, -pages, migratetype)


@behaviour(
    "alloc.account-taken",
    since="2.4.0",
    until="6.9",
    features=("F017",),
    source="mm/page_alloc.c:rmqueue_bulk, __mod_zone_freepage_state; 3.5 to 6.1",
)
def account_taken_cma(zone: Zone, pages: int, migratetype: int) -> Zone:
    """A block taken from a CMA list is counted when it is taken, its share of NR_FREE_PAGES later."""
    return add_free_of_type(zone, migratetype, -pages)


@behaviour(
    "alloc.account-taken", since="6.10", features=("F017",), source="mm/page_alloc.c:rmqueue_bulk; 6.12"
)
def account_taken_done(zone: Zone, pages: int, migratetype: int) -> Zone:
    """Nothing is left to count."""
    return zone


@behaviour(
    "alloc.account-done",
    since="2.4.0",
    until="6.9",
    features=("F017",),
    source="mm/page_alloc.c:rmqueue_bulk, rmqueue_buddy; 2.6.24 to 6.1",
)
def account_done_total(zone: Zone, pages: int) -> Zone:
    """NR_FREE_PAGES follows once, after the last block of a batch."""
    return add_nr_free(zone, -pages)


@behaviour(
    "alloc.account-done", since="6.10", features=("F017",), source="mm/page_alloc.c:rmqueue_bulk; 6.12"
)
def account_done_already(zone: Zone, pages: int) -> Zone:
    """Nothing is left to count."""
    return zone
