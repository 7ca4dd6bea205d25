"""Many single pages at once: what the bulk allocator may answer.

Linux: mm/page_alloc.c:__alloc_pages_bulk.  Seed 2.1.1.4 (F022, F026, F028).  5.13 to 6.12.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour

BULK_SINGLE: Final = "alloc.bulk-single"
"""The rule whether a request is answered by one ordinary allocation; kernels before 5.13 have none."""


@behaviour(
    "alloc.bulk-single",
    since="5.13",
    until="5.13",
    features=("F026", "F028"),
    source="mm/page_alloc.c:__alloc_pages_bulk; in the patch of July 2021 that brought the next",
)
def bulk_never_refused(accounted: bool, page_owner: bool) -> bool:
    """Whether a request is answered by one ordinary allocation: not for what it asks."""
    return False


@behaviour(
    "alloc.bulk-single",
    since="5.14",
    until="5.15",
    features=("F026", "F028"),
    source="mm/page_alloc.c:__alloc_pages_bulk; 5.14",
)
def bulk_not_with_page_owner(accounted: bool, page_owner: bool) -> bool:
    """Whether a request is answered by one ordinary allocation: when page_owner would recurse."""
    return page_owner


@behaviour(
    "alloc.bulk-single",
    since="5.16",
    features=("F026", "F028"),
    source="mm/page_alloc.c:__alloc_pages_bulk; 5.17, 6.1, 6.12",
)
def bulk_not_accounted(accounted: bool, page_owner: bool) -> bool:
    """Whether a request is answered by one ordinary allocation: with page_owner, or charged to a memcg."""
    return accounted or page_owner


@invariant(
    "alloc.bulk.count",
    features=("F022", "F026", "F028"),
    seed="2.1.1.4",
    source="mm/page_alloc.c:__alloc_pages_bulk",
    since="5.13",
)
def count_returned(before: tuple[bool, ...], after: tuple[bool, ...], returned: int) -> bool:
    """The answer counts entries filled from the front, and no filled entry is emptied.

    before, after  which entries hold a page
    """
    head = next((at for at, filled in enumerate(after) if not filled), len(after))
    return all(a or not b for b, a in zip(before, after, strict=True)) and returned <= head <= len(after)


@invariant(
    "alloc.bulk.no-leak",
    features=("F022", "F026", "F028"),
    seed="2.1.1.4",
    source="mm/page_alloc.c:__alloc_pages_bulk",
    since="5.13",
)
def nothing_leaked(in_use_before: int, in_use_after: int, filled: int) -> bool:
    """As many pages leave the allocator as entries were filled."""
    return in_use_after - in_use_before == filled


@invariant(
    "alloc.bulk.at-least-one",
    features=("F022", "F026", "F028"),
    seed="2.1.1.4",
    source="mm/page_alloc.c:__alloc_pages_bulk",
    since="5.13",
)
def at_least_one(asked: int, missing: int, filled: int, single_would_succeed: bool) -> bool:
    """At least one page is handed out if any is missing and an ordinary request would get one."""
    return filled >= 1 if asked > 0 and missing > 0 and single_would_succeed else True
