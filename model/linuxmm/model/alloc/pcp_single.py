"""Per-CPU lists that hold pages of every type: hot and cold ones up to 2.6.24, one list up to 2.6.31.

Since 2.6.24 a list is searched for a page of the requested type.  A search that fails fetches a batch and
hands out the list's first page, whatever its type: the first of the batch, if there was one.

Linux: mm/page_alloc.c:buffered_rmqueue, free_hot_cold_page.  Seed 2.1.1.4 (F020).  2.6.0 to 2.6.31.
"""

from typing import Final

from linuxmm.model.alloc.freelist import (
    NOTHING,
    PCP_LOCK,
    Zone,
    cached_type,
    clear_in_use,
    count_work,
    pageblock_type,
    pcp_add_head,
    pcp_add_tail,
    pcp_head,
    pcp_remove,
    pcp_tail,
    pcp_vars,
    set_pcp_vars,
)
from linuxmm.model.alloc.pcp import give_back_tail
from linuxmm.model.alloc.pcp_cold import fetch, limit
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.gfp import ALLOC_COLD
from linuxmm.spec.alloc.pcp import PcpVars, with_frees
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.registry import verb

HOT: Final = 0
COLD: Final = 1


# ---- the hot and the cold list -----------------------------------------------------------------------------


def _temperature(flags: int) -> int:
    return COLD if flags & ALLOC_COLD else HOT


def list_vars(v: PcpVars, index: int) -> PcpVars:
    """The numbers of one of the two lists alone: its pages, batch, high; factor: pages at which to refill."""
    if index == COLD:
        return PcpVars(v.free_count, max(v.high_max, 1), v.high_min, 0, 0, 0, 0, 0, v.scale_max)
    return PcpVars(v.pages - v.free_count, v.batch, v.high, 0, 0, v.factor, 0, 0, v.scale_max)


def _count_cold(zone: Zone, cpu: int, index: int, pages: int) -> Zone:
    if index == HOT:
        return zone
    v = pcp_vars(zone, cpu)
    return set_pcp_vars(zone, cpu, with_frees(v, v.free_count + pages, v.flags))


@behaviour(
    "alloc.pcp-take",
    since="2.4.0",
    until="2.6.23",
    features=("F020",),
    source="mm/page_alloc.c:buffered_rmqueue; 2.6.11, 2.6.12, 2.6.18, 2.6.20, 2.6.22",
)
def take_by_temperature(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Hand out the head of the hot list, or of the cold one to who asks for it; refill at the low mark."""
    zone = count_work(zone, PCP_LOCK)
    index = _temperature(flags)
    v = list_vars(pcp_vars(zone, cpu), index)
    if v.pages <= v.factor:
        zone, fetched = fetch(rules, zone, cpu, index, v.batch, migratetype, flags, False)
        zone = _count_cold(zone, cpu, index, fetched)
    pfn = pcp_head(zone, cpu, index)
    if pfn == NOTHING:
        return zone, NOTHING
    return _count_cold(pcp_remove(zone, cpu, index, pfn), cpu, index, -1), pfn


def _rotate(zone: Zone, cpu: int, index: int, pages: int) -> Zone:
    """Move that many pages, in turn, from the head of a list to its tail."""
    while pages > 0:
        pfn = pcp_head(zone, cpu, index)
        migratetype = cached_type(zone, pfn)
        zone = pcp_remove(zone, cpu, index, pfn)
        zone = pcp_add_tail(zone, cpu, index, pfn, 0, migratetype)
        pages -= 1
    return zone


def _search(zone: Zone, cpu: int, index: int, pages: int, migratetype: int, last: bool) -> tuple[Zone, int]:
    """The first page of a type on a list of that many pages, or the last; NOTHING if there is none."""
    found = NOTHING
    while pages > 0:
        pfn = pcp_head(zone, cpu, index)
        if cached_type(zone, pfn) == migratetype and (last or found == NOTHING):
            found = pfn
        zone = _rotate(zone, cpu, index, 1)
        pages -= 1
    return zone, found


def _fetch_in_order(
    rules: Rules, zone: Zone, cpu: int, index: int, held: int, batch: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Fetch a batch to the head of a list that holds `held` pages, the first page fetched at the head."""
    zone, fetched = fetch(rules, zone, cpu, index, batch, migratetype, flags, False)
    return _rotate(zone, cpu, index, held), fetched


def _take_of_type(
    rules: Rules, zone: Zone, cpu: int, index: int, migratetype: int, flags: int, reverse: bool, behind: bool
) -> tuple[Zone, int]:
    """Hand out a page of the type, searching from the head, or from the tail (reverse).

    behind: a batch that is fetched for a cold request goes behind the other pages, in reverse order
    """
    zone = count_work(zone, PCP_LOCK)
    v = list_vars(pcp_vars(zone, cpu), index)
    held = v.pages
    pfn = NOTHING
    attempt = 0
    while attempt < 2:
        if held > 0:
            zone, pfn = _search(zone, cpu, index, held, migratetype, reverse)
            if pfn != NOTHING:
                break
            attempt = 1
        if behind:
            zone, fetched = fetch(rules, zone, cpu, index, v.batch, migratetype, flags, True)
            zone = _rotate(zone, cpu, index, fetched)
        else:
            zone, fetched = _fetch_in_order(rules, zone, cpu, index, held, v.batch, migratetype, flags)
        zone = _count_cold(zone, cpu, index, fetched)
        held += fetched
        if held == 0:
            return zone, NOTHING
        if attempt == 1:
            pfn = pcp_head(zone, cpu, index)
        attempt += 1
        if pfn != NOTHING:
            break
    return _count_cold(pcp_remove(zone, cpu, index, pfn), cpu, index, -1), pfn


@behaviour(
    "alloc.pcp-take",
    since="2.6.24",
    until="2.6.24",
    features=("F016", "F020"),
    source="mm/page_alloc.c:buffered_rmqueue; 2.6.24",
)
def take_by_temperature_and_type(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Hand out the first page of the type on the hot list, or on the cold one to who asks for it."""
    return _take_of_type(rules, zone, cpu, _temperature(flags), migratetype, flags, False, False)


@behaviour(
    "alloc.pcp-take",
    since="2.6.25",
    until="2.6.30",
    features=("F016", "F020"),
    source="mm/page_alloc.c:buffered_rmqueue; 2.6.25 to 2.6.30",
)
def take_of_type(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """Hand out the first page of the type, or the last to who asks for a cold one."""
    return _take_of_type(rules, zone, cpu, HOT, migratetype, flags, flags & ALLOC_COLD != 0, False)


@behaviour(
    "alloc.pcp-take",
    since="2.6.31",
    until="2.6.31",
    features=("F016", "F020"),
    source="mm/page_alloc.c:buffered_rmqueue, rmqueue_bulk; 2.6.31",
)
def take_of_type_fetching_cold(
    rules: Rules, zone: Zone, cpu: int, order: int, migratetype: int, flags: int
) -> tuple[Zone, int]:
    """As before; a batch for a cold request goes behind the other pages, in reverse order."""
    cold = flags & ALLOC_COLD != 0
    return _take_of_type(rules, zone, cpu, HOT, migratetype, flags, cold, cold)


# ---- taking back -----------------------------------------------------------------------------------------


def put_by_temperature(rules: Rules, zone: Zone, cpu: int, pfn: int, index: int) -> Zone:
    """Take a page back to the head of the hot or the cold list, and give a batch back at its limit."""
    zone = count_work(zone, PCP_LOCK)
    zone = pcp_add_head(zone, cpu, index, pfn, 0, pageblock_type(zone, pfn))
    zone = _count_cold(zone, cpu, index, 1)
    v = list_vars(pcp_vars(zone, cpu), index)
    pages = min(rules.pcp_commit(v, 0, False, False)[1], v.pages)
    if pages > 0:
        zone = rules.pcp_drain(rules, zone, cpu, pages, index)
    return zone


@behaviour(
    "alloc.pcp-put",
    since="2.4.0",
    until="2.6.24",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page; 2.6.11, 2.6.18, 2.6.24",
)
def put_hot(rules: Rules, zone: Zone, cpu: int, pfn: int, order: int) -> Zone:
    """A page comes back hot."""
    return put_by_temperature(rules, zone, cpu, pfn, HOT)


@behaviour(
    "alloc.pcp-put",
    since="2.6.25",
    until="2.6.31",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page; 2.6.28, 2.6.31",
)
def put_any_type(rules: Rules, zone: Zone, cpu: int, pfn: int, order: int) -> Zone:
    """A page comes back to the head of the list, with the type of its pageblock, even ISOLATE."""
    zone = count_work(zone, PCP_LOCK)
    zone = pcp_add_head(zone, cpu, HOT, pfn, 0, pageblock_type(zone, pfn))
    return limit(rules, zone, cpu, HOT)


# ---- giving back -----------------------------------------------------------------------------------------


@behaviour(
    "alloc.pcp-drain",
    since="2.4.0",
    until="2.6.24",
    features=("F020",),
    source="mm/page_alloc.c:free_pages_bulk, __drain_pages; 2.6.11, 2.6.18, 2.6.24",
)
def drain_by_temperature(rules: Rules, zone: Zone, cpu: int, pages: int, index: int) -> Zone:
    """Give back from the tail of one list, and from the other when that is empty."""
    pages = min(pages, pcp_vars(zone, cpu).pages)
    at = index
    while pages > 0:
        if pcp_tail(zone, cpu, at) == NOTHING:
            at = COLD if at == HOT else HOT
        zone = _count_cold(give_back_tail(rules, zone, cpu, at), cpu, at, -1)
        pages -= 1
    return zone


# ---- frees of cold pages -----------------------------------------------------------------------------------


@behaviour(
    "alloc.free-cold",
    since="2.6.0",
    until="2.6.24",
    features=("F020",),
    source="mm/page_alloc.c:free_cold_page; 2.6.11, 2.6.18, 2.6.24",
)
def free_to_cold_list(rules: Rules, zone: Zone, cpu: int, pfn: int) -> Zone:
    """A page that no cache holds comes back to the cold list."""
    return put_by_temperature(rules, zone, cpu, pfn, COLD)


@behaviour(
    "alloc.free-cold",
    since="2.6.25",
    until="4.14",
    features=("F020",),
    source="mm/page_alloc.c:free_hot_cold_page; 2.6.26 to 4.14",
)
def free_to_tail(rules: Rules, zone: Zone, cpu: int, pfn: int) -> Zone:
    """A page that no cache holds comes back to the tail of its list."""
    before = pcp_vars(zone, cpu).pages
    zone = rules.pcp_put(rules._replace(pcp_commit=_keep_all), zone, cpu, pfn, 0)
    if pcp_vars(zone, cpu).pages == before:
        return zone
    index = next(at for at in range(rules.nr_pcp_lists) if pcp_head(zone, cpu, at) == pfn)
    migratetype = cached_type(zone, pfn)
    zone = pcp_add_tail(pcp_remove(zone, cpu, index, pfn), cpu, index, pfn, 0, migratetype)
    return limit(rules, zone, cpu, index)


def _keep_all(v: PcpVars, order: int, reclaim_active: bool, below_high: bool) -> tuple[PcpVars, int]:
    return v, 0


@verb("F020", source="mm/page_alloc.c:free_cold_page; 2.6.0 to 4.14")
def free_cold_page(kernel: Kernel, rules: Rules, zone: Zone, cpu: int, pfn: int) -> Zone:
    """Give back a single page whose contents no cache holds, as reclaim does.

    Errors    Unmodelled since 4.15, which treats all pages alike, and in 2.4
    """
    freed = kernel.behaviour("alloc.free-cold").function(rules, clear_in_use(zone, pfn), cpu, pfn)
    assert isinstance(freed, Zone)
    return freed
