"""Fault injection as a detector: what becomes of callers who do not check whether they got memory.

Linux: lib/fault-inject.c, mm/failslab.c, mm/fail_page_alloc.c.  Seed 2.13.3 (F078).
"""

from dataclasses import dataclass
from typing import Final

from linuxmm.model.debug.placement import class_of, pages_of
from linuxmm.spec.debug.fault_injection import (
    UNLIMITED,
    Draw,
    FaultAttr,
    page_request_is_eligible,
    should_fail,
    slab_request_is_eligible,
)
from linuxmm.spec.debug.history import Alloc, History, Kind, Report, named
from linuxmm.spec.registry import verb

NULL: Final = "BUG: kernel NULL pointer dereference"


@dataclass(frozen=True, slots=True)
class Faults:
    """What a tester sets: the attributes of failslab and fail_page_alloc, and their filters."""

    slab: FaultAttr
    pages: FaultAttr
    min_order: int = 1
    ignore_gfp_wait: bool = True


ALWAYS: Final = FaultAttr(probability=100, times=UNLIMITED)
DEFAULT_FILTERS: Final = Faults(ALWAYS, ALWAYS)
NO_FILTERS: Final = Faults(ALWAYS, ALWAYS, min_order=0, ignore_gfp_wait=False)


@verb("F078", source="mm/failslab.c, mm/fail_page_alloc.c")
def refusals(history: History, faults: Faults) -> tuple[int, ...]:
    """The requests of a history that are refused, as indices of events.

    Source    should_failslab, should_fail_alloc_page; 6.12
    """
    refused: list[int] = []
    slab, pages = faults.slab, faults.pages
    for index, event in enumerate(history):
        if not isinstance(event, Alloc) or event.kind not in (Kind.SLAB, Kind.PAGES):
            continue
        fails = False
        if event.kind is Kind.SLAB and class_of(event.size):
            if slab_request_is_eligible(
                boot_cache=False,
                nofail=False,
                direct_reclaim=event.blocking,
                marked=False,
                ignore_gfp_wait=faults.ignore_gfp_wait,
            ):
                slab, fails = should_fail(slab, class_of(event.size), Draw())
        elif page_request_is_eligible(
            pages_of(event.size).bit_length() - 1,
            faults.min_order,
            nofail=False,
            highmem=False,
            direct_reclaim=event.blocking,
            ignore_gfp_wait=faults.ignore_gfp_wait,
        ):
            pages, fails = should_fail(pages, pages_of(event.size), Draw())
        if fails:
            refused.append(index)
    return tuple(refused)


@verb("F078", source="lib/fault-inject.c:should_fail")
def refusal_reports(history: History, faults: Faults) -> tuple[Report, ...]:
    """What injected refusals bring to light: the first use of a null pointer by who did not check."""
    refused = refusals(history, faults)
    careless = {
        event.name
        for index, event in enumerate(history)
        if index in refused and isinstance(event, Alloc) and not event.checked
    }
    for index, event in enumerate(history):
        for name in () if isinstance(event, Alloc) else named(event):
            if name in careless:
                return (Report(index, NULL, name),)
    return ()
