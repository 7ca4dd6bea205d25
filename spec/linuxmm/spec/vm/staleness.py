"""Which translations a CPU may use: the current ones, and stale ones that no flush has reached yet.

A CPU may cache any translation that it could have made, at any time and without being asked (a speculative
fill), and may forget any at any time.  So software knows only an upper bound: what was current at some moment
since the last flush that covers it.  `CpuView` is that bound; a TLB is right if all it holds lies within.

Intel SDM 3A 4.10; AMD APM 2 5.5.  Linux: arch/x86/mm/tlb.c.  Seed 2.3.2 (F041).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.registry import formula
from linuxmm.spec.step import Refusal


class Flush(IntEnum):
    """What invalidates translations, by reach.

    ADDRESS          INVLPG: one address in the current PCID and among the globals; all cached tables of the
                     PCID
    ONE              INVPCID type 0, and a page fault: one address in one PCID, not the globals
    CONTEXT          INVPCID type 1, MOV to CR3 without bit 63: one PCID, not the globals
    ALL              INVPCID type 2, a change of CR4.PGE, clearing CR4.PCIDE or CR0.PG: everything
    ALL_BUT_GLOBAL   INVPCID type 3: every PCID, not the globals
    NOTHING          MOV to CR3 with bit 63 set
    """

    ADDRESS = 0
    ONE = 1
    CONTEXT = 2
    ALL = 3
    ALL_BUT_GLOBAL = 4
    NOTHING = 5


ADDRESS: Final = 0
ONE: Final = 1
CONTEXT: Final = 2
ALL: Final = 3
ALL_BUT_GLOBAL: Final = 4


@formula("F041", source="Intel SDM 3A 4.10.4.1; arch/x86/include/asm/invpcid.h:__invpcid")
def drops(flush: int, target: int, covers: bool, pcid: int, is_global: bool) -> bool:
    """Whether a flush must drop a cached leaf.

    target  the PCID that the flush names (the current one for ADDRESS)
    covers  whether the leaf's page holds the address that the flush names
    pcid, is_global  of the leaf
    """
    if flush == ADDRESS:
        return covers & (is_global | (pcid == target))
    if flush == ONE:
        return covers & (pcid == target) & (is_global ^ True)
    if flush == CONTEXT:
        return (pcid == target) & (is_global ^ True)
    if flush == ALL_BUT_GLOBAL:
        return is_global ^ True
    return flush == ALL


@formula("F041", source="Intel SDM 3A 4.10.4.1 (paging-structure caches)")
def drops_table(flush: int, target: int, covers: bool, pcid: int) -> bool:
    """Whether a flush must drop a cached pointer to a table; such a pointer is never global."""
    if flush == ADDRESS or flush == CONTEXT:
        return pcid == target
    if flush == ONE:
        return covers & (pcid == target)
    return flush == ALL or flush == ALL_BUT_GLOBAL


@formula("F041", source="Intel SDM 3A 4.10.2.4; arch/x86/include/asm/pgtable_types.h:_PAGE_GLOBAL")
def answers(page: int, pcid: int, is_global: bool, wanted_page: int, wanted_pcid: int) -> bool:
    """Whether a cached leaf is used for an address of page `wanted_page` under `wanted_pcid`."""
    return page == wanted_page and (is_global or pcid == wanted_pcid)


@dataclass(frozen=True, slots=True, order=True)
class Cached:
    """Something that a CPU may remember of the tables.

    pcid, is_global  whose it is; on arm64 the ASID
    level, page      what it covers: the address bits above level_shift(level)
    table            a pointer to the table of `level`, used for the addresses of one of its parent's entries,
                     instead of a leaf
    data             base address with rights and the dirty state
    """

    pcid: int
    is_global: bool
    level: int
    page: int
    table: bool
    data: int


Covers = Callable[[Cached, int], bool]
"""Whether what is remembered is used for an address; the table format says."""


@dataclass(frozen=True, slots=True)
class CpuView:
    """What one CPU may use: what is current, and what was and has not been flushed since."""

    current: frozenset[Cached] = frozenset()
    stale: frozenset[Cached] = frozenset()


def may_use(view: CpuView) -> frozenset[Cached]:
    """Everything that a CPU may have cached, and so may use, now."""
    return view.current | view.stale


def changed(view: CpuView, current: Iterable[Cached]) -> CpuView:
    """The tables, or the table in use, change: what was current may remain cached."""
    now = frozenset(current)
    return CpuView(now, may_use(view) - now)


def flushed(view: CpuView, flush: Flush, target: int, va: int, covers: Covers) -> CpuView:
    """A flush has completed on this CPU: nothing that it reaches is used unless it is made again.

    Ensures  what remains stale is not covered; what is current may be cached again at once
    """
    return without(view, lambda item: _dropped(item, flush, target, covers(item, va)))


def without(view: CpuView, dropped: Callable[[Cached], bool]) -> CpuView:
    """The view after a flush that drops what `dropped` says."""
    return CpuView(view.current, frozenset(item for item in view.stale if not dropped(item)))


def _dropped(item: Cached, flush: Flush, target: int, covers: bool) -> bool:
    if item.table:
        return drops_table(flush, target, covers, item.pcid)
    return drops(flush, target, covers, item.pcid, item.is_global)


@invariant("vm.tlb.within", features=("F041",), seed="2.3.2", source="Intel SDM 3A 4.10.2.3, 4.10.4")
def within(view: CpuView, cached: Iterable[Cached]) -> bool:
    """All that a TLB holds is current, or was current and has not been flushed since."""
    return set(cached) <= may_use(view)


STALE_USE: Final = clause(
    "vm.tlb.stale-use",
    "No translation is used after a flush that covers it has completed, unless the tables give it again.",
    features=("F041",),
    seed="2.3.2",
    source="arch/x86/mm/tlb.c:flush_tlb_func; Intel SDM 3A 4.10.4",
)


def refusals_of_use(view: CpuView, used: Cached) -> frozenset[Refusal]:
    """Why a CPU may not use a translation; empty when it may."""
    if used in may_use(view):
        return frozenset()
    return frozenset(
        {
            Refusal(
                STALE_USE.id,
                f"{'table' if used.table else 'page'} {used.page:#x}, level {used.level}, PCID {used.pcid} "
                f"gives {used.data:#x}, which is neither current nor left by a flush",
            )
        }
    )
