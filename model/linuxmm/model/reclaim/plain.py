"""Plain policies on the same lists, to hold a kernel's choice against: least recently used, Clock, FIFO.

There is one list, each reference is an access, and a page goes only when another needs its place.

Seed 2.4.1 (F042).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from linuxmm.model.reclaim.counters import PGSCAN_DIRECT, PGSTEAL_DIRECT
from linuxmm.model.reclaim.state import (
    NOTHING,
    REFERENCED,
    Lruvec,
    add_head,
    add_page,
    count,
    flag,
    forget,
    has,
    marks_of,
    remove,
    tail,
)
from linuxmm.model.reclaim.workload import HIT, MISS, free_page, holder
from linuxmm.spec.reclaim.lists import INACTIVE_FILE
from linuxmm.spec.registry import verb


class Policy(NamedTuple):
    """touch: what an access does to a page; spares: whether the oldest page gets another round."""

    touch: Callable[[Lruvec, int], Lruvec]
    spares: Callable[[Lruvec, int], bool]


def to_the_head(v: Lruvec, page: int) -> Lruvec:
    """An access makes a page the youngest."""
    return add_head(remove(v, page, INACTIVE_FILE), page, INACTIVE_FILE)


def marked(v: Lruvec, page: int) -> Lruvec:
    """An access marks a page."""
    return flag(v, page, REFERENCED, True)


def left_alone(v: Lruvec, page: int) -> Lruvec:
    """An access changes nothing."""
    return v


def if_marked(v: Lruvec, page: int) -> bool:
    """A marked page is spared."""
    return has(v, page, REFERENCED)


def never(v: Lruvec, page: int) -> bool:
    """No page is spared."""
    return False


POLICIES: Final = {
    "lru": Policy(to_the_head, never),
    "clock": Policy(marked, if_marked),
    "fifo": Policy(left_alone, never),
}
"""By the name that `linuxmm run --reclaim --kernel` takes."""


@verb("F042", source="the textbook's policies; mm/vmscan.c departs from them")
def reference(policy: Policy, v: Lruvec, slot: int) -> tuple[Lruvec, int]:
    """An access to the content of a place: HIT, or MISS, for which the oldest page that is not spared goes.

    Ensures   a page that is spared loses its mark, so a place is found in at most one round
    """
    page = holder(v, slot)
    if page != NOTHING:
        return policy.touch(v, page), HIT
    while marks_of(v, 0).free == 0:
        oldest = tail(v, INACTIVE_FILE)
        v = count(remove(v, oldest, INACTIVE_FILE), PGSCAN_DIRECT)
        if policy.spares(v, oldest):
            v = add_head(flag(v, oldest, REFERENCED, False), oldest, INACTIVE_FILE)
        else:
            v = count(forget(v, oldest), PGSTEAL_DIRECT)
    page = free_page(v, slot)
    return add_head(add_page(v, page, 0, slot, 0), page, INACTIVE_FILE), MISS


def discard(v: Lruvec, slot: int) -> Lruvec:
    """The content of a place ends, if a page holds it."""
    page = holder(v, slot)
    return v if page == NOTHING else forget(remove(v, page, INACTIVE_FILE), page)
