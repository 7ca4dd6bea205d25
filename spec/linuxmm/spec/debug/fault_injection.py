"""Fault injection: requests that are refused on purpose, by attributes that a tester sets.

An attribute set is asked before anything else happens; a request that it refuses leaves memory as it is.
The throw of the dice is an argument.

Linux: lib/fault-inject.c, mm/failslab.c, mm/fail_page_alloc.c.  Seed 2.13.3 (F078).  Since 2.6.20.
"""

from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

UNLIMITED: Final = -1


class FaultAttr(NamedTuple):
    """What the files of failslab/ or fail_page_alloc/ hold, with the counter that they do not show.

    probability  of a hundred
    interval     every how many-th eligible request is refused
    times        how many more may be refused; -1 for any number
    space        bytes (failslab) or pages (fail_page_alloc) that are granted first
    seen         eligible requests so far, counted while interval > 1
    task_filter  whether only tasks with make-it-fail are concerned
    """

    probability: int = 0
    interval: int = 1
    times: int = 1
    space: int = 0
    seen: int = 0
    task_filter: bool = False


class Draw(NamedTuple):
    """What a decision depends on besides the attributes.

    dice          0 to 99
    make_it_fail  whether the task is marked, outside interrupts
    on_stack      whether the call chain passes the stack filter
    """

    dice: int = 0
    make_it_fail: bool = False
    on_stack: bool = True


@behaviour(
    "should_fail",
    since="3.5",
    features=("F078",),
    source="lib/fault-inject.c:should_fail, should_fail_ex; 3.6, 3.14, 4.9, 4.14 to 6.12 (3.5 unconfirmed)",
)
def should_fail(attr: FaultAttr, size: int, draw: Draw) -> tuple[FaultAttr, bool]:
    """The attributes after a request, and whether it is refused: nothing advances while probability is 0.

    size      pages (fail_page_alloc) or bytes of an object (failslab)
    Requires  interval >= 1; the task counts no requests by itself (fail-nth)
    Ensures   times falls by one exactly when a request is refused, and never below 0; -1 stays
    Source    lib/fault-inject.c:should_fail_ex; 3.6 to 6.12 (should_fail before 6.1)
    """
    if attr.probability == 0:
        return attr, False
    return _after_filters(attr, size, draw)


@behaviour(
    "should_fail",
    since="2.6.20",
    until="3.4",
    features=("F078",),
    source="lib/fault-inject.c:should_fail; 2.6.20, 2.6.32, 3.4",
)
def should_fail_always_counting(attr: FaultAttr, size: int, draw: Draw) -> tuple[FaultAttr, bool]:
    """The attributes after a request, and whether it is refused: they advance even when probability is 0.

    Source    lib/fault-inject.c:should_fail; 2.6.20, 2.6.32, 3.4
    """
    return _after_filters(attr, size, draw)


def _after_filters(attr: FaultAttr, size: int, draw: Draw) -> tuple[FaultAttr, bool]:
    if attr.task_filter and not draw.make_it_fail:
        return attr, False
    if attr.times == 0:
        return attr, False
    if attr.space > size:
        return _advanced(attr, attr.times, attr.space - size, attr.seen), False
    count = attr.seen + 1 if attr.interval > 1 else attr.seen
    if attr.interval > 1 and count % attr.interval != 0:
        return _advanced(attr, attr.times, attr.space, count), False
    if attr.probability <= draw.dice or not draw.on_stack:
        return _advanced(attr, attr.times, attr.space, count), False
    return _advanced(attr, spent(attr.times), attr.space, count), True


def _advanced(attr: FaultAttr, times: int, space: int, count: int) -> FaultAttr:
    return FaultAttr(attr.probability, attr.interval, times, space, count, attr.task_filter)


@formula("F078", source="lib/fault-inject.c:should_fail_ex")
def spent(times: int) -> int:
    """How many more requests may be refused after one was: one less, but -1 and 0 stay.

    Source    the end of should_fail_ex (atomic_dec_not_zero)
    """
    return times - 1 if times > 0 else times


@formula("F078", source="lib/fault-inject.c:should_fail_ex")
def fail_nth(left: int) -> tuple[int, bool]:
    """A task's own countdown after a request, and whether the request is refused; other attributes rest.

    Requires  left > 0, as written to /proc/self/fail-nth
    Source    should_fail_ex; 4.14 to 6.12
    """
    return left - 1, left == 1


@formula("F078", source="mm/fail_page_alloc.c:should_fail_alloc_page")
def page_request_is_eligible(
    order: int,
    min_order: int,
    *,
    nofail: bool,
    highmem: bool,
    direct_reclaim: bool,
    ignore_gfp_highmem: bool = True,
    ignore_gfp_wait: bool = True,
) -> bool:
    """Whether fail_page_alloc asks its attributes about a request at all.

    Source    should_fail_alloc_page; 6.12 (mm/page_alloc.c in older kernels); min-order is 1 at first
    """
    return (
        order >= min_order
        and not nofail
        and not (ignore_gfp_highmem and highmem)
        and not (ignore_gfp_wait and direct_reclaim)
    )


@formula("F078", source="mm/failslab.c:should_failslab")
def slab_request_is_eligible(
    *,
    boot_cache: bool,
    nofail: bool,
    direct_reclaim: bool,
    marked: bool,
    ignore_gfp_wait: bool = True,
    cache_filter: bool = False,
) -> bool:
    """Whether failslab asks its attributes about a request at all.

    boot_cache  the cache of caches
    marked      the cache has SLAB_FAILSLAB (slub_debug=A, or its failslab file)
    Source    should_failslab; 6.12
    """
    return (
        not boot_cache
        and not nofail
        and not (ignore_gfp_wait and direct_reclaim)
        and (marked or not cache_filter)
    )


def parse_boot_parameter(text: str) -> FaultAttr:
    """Read fail_page_alloc= or failslab=: "<interval>,<probability>,<space>,<times>".

    Errors    BadEvidence
    Source    lib/fault-inject.c:setup_fault_attr; 2.6.20 to 6.12
    """
    fields = text.split(",")
    if len(fields) != 4 or not all(field.strip().lstrip("-").isdecimal() for field in fields):
        raise BadEvidence("boot parameter", f"expected interval,probability,space,times, found {text!r}")
    interval, probability, space, times = (int(field) for field in fields)
    return FaultAttr(probability, interval, times, space)
