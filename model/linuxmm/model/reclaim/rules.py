"""The rules of reclaim that differ between kernels, as one record of functions, and what a scan is told.

Linux: struct scan_control (mm/vmscan.c).  Seed 2.4 (F042 to F046).
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.reclaim.state import Lruvec
from linuxmm.spec.reclaim.daemon import ZoneLook
from linuxmm.spec.reclaim.generation_rules import Done, Plan
from linuxmm.spec.reclaim.lists import DEF_PRIORITY
from linuxmm.spec.reclaim.references import Chance, Found, Marked
from linuxmm.spec.reclaim.shares import Pressure, Shares
from linuxmm.spec.reclaim.shrinker import Asked, Quota
from linuxmm.spec.reclaim.workingset import Layout, Resident
from linuxmm.spec.vocabulary import SWAP_CLUSTER_MAX


class Control(NamedTuple):
    """What a pass of reclaim is to do, and what it did.

    priority   12 at first; the lower, the harder
    target     pages wanted
    order      of the request
    kswapd     the daemon, not an allocating task
    writes, unmaps, swaps   may_writepage, may_unmap, may_swap
    io, fs     __GFP_IO, __GFP_FS
    reclaim_idx   highest zone that helps
    swappiness sysctl vm.swappiness
    scanned, reclaimed   pages so far
    ages       the daemon ages before this pass, where it ages by itself (lists by generation, 6.1)
    walks      the pass walks page tables, or may (lists by generation)
    """

    priority: int
    target: int
    order: int = 0
    kswapd: bool = False
    writes: bool = True
    unmaps: bool = True
    swaps: bool = True
    io: bool = True
    fs: bool = True
    reclaim_idx: int = 0
    swappiness: int = 60
    scanned: int = 0
    reclaimed: int = 0
    ages: bool = False
    walks: bool = False


def control_of(order: int, kswapd: bool, reclaim_idx: int, swappiness: int) -> Control:
    """What the first pass of a task or of the daemon is told; it may write, unmap and swap."""
    return Control(
        DEF_PRIORITY,
        0 if kswapd else SWAP_CLUSTER_MAX,
        order,
        kswapd,
        True,
        True,
        True,
        True,
        True,
        reclaim_idx,
        swappiness,
        0,
        0,
        False,
        False,
    )


def _control(
    was: Control, priority: int, target: int, scanned: int, reclaimed: int, ages: bool, walks: bool
) -> Control:
    """The same control but for what a pass changes; spelled out, for compiled code knows no `_replace`."""
    return Control(
        priority,
        target,
        was.order,
        was.kswapd,
        was.writes,
        was.unmaps,
        was.swaps,
        was.io,
        was.fs,
        was.reclaim_idx,
        was.swappiness,
        scanned,
        reclaimed,
        ages,
        walks,
    )


def control_at(was: Control, priority: int, target: int, scanned: int, reclaimed: int) -> Control:
    """The same control, at a priority, with a target and what was done so far."""
    return _control(was, priority, target, scanned, reclaimed, was.ages, was.walks)


def with_ageing(was: Control, ages: bool) -> Control:
    """The same control, for a daemon that ages before its next pass, or does not."""
    return _control(was, was.priority, was.target, was.scanned, was.reclaimed, ages, was.walks)


def with_walk(was: Control, walks: bool) -> Control:
    """The same control, for a pass that walks page tables, or does not."""
    return _control(was, was.priority, was.target, was.scanned, was.reclaimed, was.ages, walks)


def with_done(was: Control, scanned: int, reclaimed: int) -> Control:
    """The same control, with more pages scanned and reclaimed."""
    return control_at(was, was.priority, was.target, was.scanned + scanned, was.reclaimed + reclaimed)


class Progress(NamedTuple):
    """What a run of reclaim came to.

    reclaimed  pages freed; with none, the allocator's answer is the OOM killer
    priority   at which it ended
    """

    reclaimed: int
    priority: int


class Rules(NamedTuple):
    """Everything that reclaim of one kernel does in its own way.

    split            anonymous and file pages have lists of their own (2.6.28)
    nodes            lists belong to nodes, and pages of higher zones are skipped (4.8)
    batch            pages of a CPU's batch; 0 switches batches off
    list_of(active, file, unevictable)   where a page belongs
    starts_active(anon)                  whether it starts on the active list
    mark, check, keeps_active            second chances
    on_writeback(priority)               what becomes of a page under writeback
    dirty_waits(kswapd, priority, marked, many)  a dirty page of a file: -1 write it, else what becomes of it
    tendency, near_oom                   when two lists give up mapped pages
    shares, rounding, whole, least       how far the lists are scanned
    batches                              short scans are saved up for
    anon_low, file_low, ratio            when active pages are taken down
    adjusts                              the rest is cut in proportion once enough was freed (3.11)
    cost                                 what is noted of I/O and of rotation; nothing before 5.8
    shadows                              evicted pages leave shadow entries (3.15)
    layout                               of shadow entries
    eviction_time, workingset_size, shadows_anon
    putback_ages                         pages put back as active move the clock (5.8)
    deactivated_is_workingset            deactivated pages get PG_workingset (4.20)
    mlock_counts                         a page counts the areas that lock it (5.18)
    lazyfree                             MADV_FREE moves pages to the inactive file list (4.12)
    lazyfree_stays                       it leaves them on the anonymous lists (4.5 to 4.11)
    rotates_active                       written pages come to the tail from the active list too (4.12)
    shares_see_refaults                  the shares are chosen knowing of refaults (5.3)
    balanced, too_many_isolated          the daemon and throttling
    quota, goes_on, deferred             shrinkers
    direct, daemon                       who reclaims: a task (order, swappiness, zone), and kswapd
    marks_anon                           anonymous memory starts inactive, and marked (2.4)
    free_pages, refill_amount, cache_scan, mapped_room   32 pages of 2.4, and how far its passes go
    refills_again                        a pass of 2.4 goes on after it walked address spaces (2.4.23)
    aged                                 pages have ages, and clean ones lists of their own (2.4.0 to 2.4.9)
    use                                  what a use does to a page: NO_AGES to USED_ONCE
    ages_settle                          a page's age is asked (to 2.4.7)
    settles, free_short, inactive_short  what `linuxmm.spec.reclaim.ages` says
    moves_down                           one call for more clean pages
    generations                          lists by generation are built in (6.1); the lruvec says if in use
    plan, stops, first_priority, pass_swappiness, daemon_ages, old_enough   passes over them
    hot_forgets, dirty_sorted, counts_every_return, files_without_io, marks_itself, many_neighbours,
    gen_tells                            what `linuxmm.spec.reclaim.generation_eras` says
    """

    split: bool
    nodes: bool
    batch: int
    list_of: Callable[[bool, bool, bool], int]
    starts_active: Callable[[bool], bool]
    mark: Callable[[bool, bool, bool, bool, bool], Marked]
    check: Callable[[Found], Chance]
    keeps_active: Callable[[bool, bool, bool, bool], bool]
    on_writeback: Callable[[], int]
    dirty_waits: Callable[[bool, int, bool, bool], int]
    tendency: Callable[[int, int, int, int, int, int, int], int]
    near_oom: Callable[[int, int], bool]
    shares: Callable[[Pressure], Shares]
    rounding: Callable[[int, int, int], int]
    whole: Callable[[int, bool, int], bool]
    least: Callable[[int, int, bool], int]
    batches: bool
    anon_low: Callable[[int, int, int, bool], bool]
    file_low: Callable[[int, int, bool], bool]
    ratio: Callable[[int, int, int], int]
    adjusts: bool
    cost: Callable[[int, int], int]
    shadows: bool
    layout: Layout
    eviction_time: Callable[[int, int], tuple[int, int]]
    putback_ages: Callable[[], bool]
    workingset_size: Callable[[Resident, bool], int]
    shadows_anon: Callable[[], bool]
    deactivated_is_workingset: bool
    mlock_counts: bool
    lazyfree: bool
    lazyfree_stays: bool
    rotates_active: bool
    shares_see_refaults: bool
    balanced: Callable[[tuple[ZoneLook, ...], int], bool]
    too_many_isolated: Callable[[int, int, bool], bool]
    quota: Callable[[Asked], Quota]
    goes_on: Callable[[int, int, int], bool]
    deferred: Callable[[Quota, int, int, int], int]
    direct: Callable[["Rules", Lruvec, int, int, int | None], tuple[Lruvec, Progress]]
    daemon: Callable[["Rules", Lruvec, int, int | None], tuple[Lruvec, Progress]]
    marks_anon: bool
    free_pages: Callable[["Rules", Lruvec, Control], tuple[Lruvec, Control]]
    refill_amount: Callable[[int, int, int], int]
    cache_scan: Callable[[int, int, int], int]
    mapped_room: Callable[[int, int, int], int]
    refills_again: bool
    aged: bool
    use: int
    ages_settle: bool
    settles: Callable[[int], bool]
    free_short: Callable[[int, int, int, int, int], int]
    inactive_short: Callable[[int, int, int, int, int, bool], int]
    moves_down: Callable[["Rules", Lruvec, bool], tuple[Lruvec, int]]
    generations: bool
    plan: Callable[[bool, bool, int, int, bool], Plan]
    stops: Callable[[Done], tuple[bool, int]]
    first_priority: Callable[[int, int, int], int]
    pass_swappiness: Callable[[bool, int], int]
    daemon_ages: bool
    old_enough: Callable[[int, int, int, int, int], bool]
    hot_forgets: bool
    dirty_sorted: bool
    counts_every_return: bool
    files_without_io: bool
    marks_itself: bool
    many_neighbours: Callable[[int], bool]
    gen_tells: bool
