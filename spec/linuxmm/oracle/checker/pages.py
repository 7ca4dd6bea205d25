"""Follow who has which page through a trace, and judge every grant and every release.

Knowledge is partial: what the evidence does not show stays unknown and is never held against the kernel.
Some takers of free pages leave no mm_page_alloc event (the bulk allocator, compaction, memory failure); where
one of them may have acted since a page was seen free, its release is no double free but a gap.

Linux: include/trace/events/kmem.h.  Seed 2.1.1.1 (F012, F016, F026).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Numbering, Row, numbering
from linuxmm.spec.alloc import pages as rules
from linuxmm.spec.alloc.gfp import gfp_zone_highest
from linuxmm.spec.alloc.migratetype import fallback_type
from linuxmm.spec.alloc.page_state import UNKNOWN, Layout, Pages, Span, holder_of, learn_free
from linuxmm.spec.alloc.pages import Alloc, Free
from linuxmm.spec.invariant import clause, find_clause
from linuxmm.spec.step import Refusal
from linuxmm.spec.verdict import Divergence, Judgement, Observed
from linuxmm.spec.vocabulary import MigrateType, ZoneType

_KMEM: Final = "include/trace/events/kmem.h"

LISTED_WHILE_OWNED: Final = clause(
    "alloc.list.owned-page",
    "A page that somebody owns never moves between free lists.",
    features=("F012", "F020"),
    source=f"{_KMEM}:mm_page_alloc_zone_locked, mm_page_pcpu_drain",
    seed="2.1.1.1",
).id
ISOLATED_LEAVES: Final = clause(
    "alloc.list.isolated",
    "A block never leaves a free list of ISOLATE to be handed out.",
    features=("F016",),
    source=f"{_KMEM}:mm_page_alloc_zone_locked",
    seed="2.1.1.2",
).id
FALLBACK_ORDER: Final = clause(
    "alloc.fallback.type",
    "A request takes memory only of the types that its own type falls back to.",
    features=("F016",),
    source="mm/page_alloc.c:fallbacks",
    seed="2.1.1.2",
    since="2.6.24",
).id
FALLBACK_SIZE: Final = clause(
    "alloc.fallback.order",
    "The block that a fallback takes from is at least as large as the request.",
    features=("F016",),
    source=f"{_KMEM}:mm_page_alloc_extfrag",
    seed="2.1.1.2",
    since="2.6.24",
).id

GRANT: Final = (
    rules.DOUBLE_ALLOCATION,
    rules.MISALIGNED,
    rules.OUTSIDE,
    rules.CROSSES,
    rules.UNMANAGED,
    rules.FORBIDDEN_ZONE,
    rules.SET_ASIDE,
    rules.ORDER_RANGE,
)
RELEASE: Final = (rules.DOUBLE_FREE, rules.WRONG_ORDER, rules.NOT_A_HEAD, rules.FOREIGN_FREE)

FREE_BLOCK: Final = "any block that is free, aligned, and in a zone that the request permits"

UNSEEN_TAKERS: Final = "pages can be taken without an event: no probe of {}"
TAKEN_UNSEEN: Final = "a page last seen free was released: the bulk allocator or compaction took it"
KEPT_BY_COMPACTION: Final = (
    "a page was released twice: first to compaction, which kept it, then by compaction"
)
SPLIT_UNSEEN: Final = "a part of a larger block was released: the owner split the block without an event"

_TAKERS: Final = {
    Kind.BULKALLOC_R: "__alloc_pages_bulk",
    Kind.ISOL_R: "__isolate_free_page",
}


@dataclass(slots=True)
class PageChecker:
    """A judgement of page ownership in progress.

    probes      kinds of events that the evidence would contain if they happened
    pages       who has which page
    names       the kernel's numbers of migratetypes
    established the last grant or release of a block, by its head
    kept        pages that compaction took back for itself: since 6.9 their mm_page_free releases nothing
    """

    judgement: Judgement
    pages: Pages
    probes: frozenset[int] = frozenset()
    names: Numbering = field(default_factory=numbering)
    established: dict[int, Row] = field(default_factory=dict)
    last_taker: int = -1
    kept: Counter[int] = field(default_factory=Counter)

    def forget(self) -> None:
        """Nothing is known any more: events were lost."""
        self.pages = Pages(self.pages.layout)
        self.established.clear()
        self.kept.clear()

    def learn(self, free: Iterable[tuple[int, int]], layout: Layout, retags: dict[int, int]) -> None:
        """Know what a frozen state shows: its free blocks and the pageblocks set aside."""
        self.forget()
        self.pages = learn_free(Pages(layout), free)._replace(types=self.pages.types.update(retags))

    def see(self, row: Row) -> None:
        """Judge one observation and learn from it."""
        kind = row.kind
        if kind == Kind.MM_PAGE_ALLOC:
            self._granted(row)
        elif kind == Kind.MM_PAGE_FREE:
            self._released(row)
        elif kind in (Kind.MM_PAGE_ALLOC_ZONE_LOCKED, Kind.MM_PAGE_PCPU_DRAIN):
            self._listed(row)
        elif kind == Kind.MM_PAGE_ALLOC_EXTFRAG:
            self._fell_back(row)
        elif kind in (Kind.SETPFB, Kind.SETMT):
            self._retagged(row)
        elif kind == Kind.SPLIT:
            self._split(row)
        elif (kind in _TAKERS and row.a > 0) or kind == Kind.TAKEOFF:
            self.last_taker = row.number
        elif kind == Kind.COMPACTFREE:
            self.kept[row.pfn] += 1

    # ---- grants and releases -----------------------------------------------------------------------------

    def _granted(self, row: Row) -> None:
        if row.pfn < 0:
            return
        request = Alloc(row.order, max(row.mt, 0), gfp_zone_highest(row.a))
        for broken in GRANT:
            self.judgement.checked(broken)
        for refusal in rules.permits_grant(self.pages, request, row.pfn):
            self._diverges(
                row, refusal, "any block that is free, aligned, and in a zone that the request permits"
            )
        self.pages = rules.apply_grant(self.pages, request, row.pfn)
        self.established[row.pfn] = row

    def _released(self, row: Row) -> None:
        for broken in RELEASE:
            self.judgement.checked(broken)
        refusals = rules.permits_free(self.pages, row.pfn, row.order)
        if refusals:
            self._explain_release(row, refusals)
        self.pages = rules.apply_free(self.pages, row.pfn, row.order)
        self.established[row.pfn] = row

    def _explain_release(self, row: Row, refusals: tuple[Refusal, ...]) -> None:
        refusal = refusals[0]
        if refusal.clause == rules.DOUBLE_FREE:
            if missing := [name for kind, name in _TAKERS.items() if kind not in self.probes]:
                self.judgement.gap(UNSEEN_TAKERS.format(" and ".join(missing)))
                return
            seen = self.established.get(row.pfn)
            if self.kept[row.pfn] > 0:
                self.kept[row.pfn] -= 1
                self.judgement.explain(KEPT_BY_COMPACTION)
                return
            if self.last_taker > (seen.number if seen else -1):
                self.judgement.explain(TAKEN_UNSEEN)
                return
        split = rules.split_witness(self.pages, Free(row.pfn, row.order))
        if split is not None and Kind.SPLIT not in self.probes:
            self.pages = rules.apply(self.pages, split, rules.Done())
            self.judgement.explain(SPLIT_UNSEEN)
            return
        if split is not None:
            self.pages = rules.apply(self.pages, split, rules.Done())
            if not rules.permits_free(self.pages, row.pfn, row.order):
                return
        for broken in refusals:
            self._diverges(row, broken, "the release of a block that somebody owns, at its own order")

    def _split(self, row: Row) -> None:
        if holder_of(self.pages, row.pfn) is not None:
            self.pages = rules.apply(self.pages, rules.Split(row.pfn, 0), rules.Done())

    # ---- lists -------------------------------------------------------------------------------------------

    def _listed(self, row: Row) -> None:
        self.judgement.checked(LISTED_WHILE_OWNED)
        layout = self.pages.layout
        mask = ((1 << (1 << row.order)) - 1) << (row.pfn & ((1 << layout.max_order) - 1))
        if self.pages.chunks.get(row.pfn >> layout.max_order, UNKNOWN).owned & mask:
            self._diverges(
                row, Refusal(LISTED_WHILE_OWNED, f"page {row.pfn} is owned"), "a block of free pages only"
            )
        if row.kind == Kind.MM_PAGE_ALLOC_ZONE_LOCKED:
            self.judgement.checked(ISOLATED_LEAVES)
            if row.mt == MigrateType.ISOLATE:
                why = f"pfn {row.pfn}, order {row.order} left a list of ISOLATE"
                self._diverges(row, Refusal(ISOLATED_LEAVES, why), "a block of any other list")

    def _fell_back(self, row: Row) -> None:
        self.judgement.checked(FALLBACK_ORDER)
        self.judgement.checked(FALLBACK_SIZE)
        permitted = [fallback_type(row.mt, attempt) for attempt in (0, 1)]
        if row.mt == MigrateType.MOVABLE:
            permitted.append(int(MigrateType.CMA))
        taken = self.names.ours[row.b] if row.b < len(self.names.ours) else -1
        if taken not in permitted:
            names = ", ".join(MigrateType(t).name for t in permitted if t >= 0)
            why = f"{_type_name(row.mt)} took from {_type_name(taken)}"
            self._diverges(row, Refusal(FALLBACK_ORDER, why), f"memory of {names}")
        if row.a < row.order:
            why = f"a request of order {row.order} took from a block of order {row.a}"
            self._diverges(row, Refusal(FALLBACK_SIZE, why), f"a block of order {row.order} or more")

    def _retagged(self, row: Row) -> None:
        to = row.mt
        if row.kind == Kind.SETPFB:
            if not row.b & 7:
                return
            to = self.names.ours[row.a & 7] if row.a & 7 < len(self.names.ours) else -1
        aside = MigrateType(to) if to in (MigrateType.ISOLATE, MigrateType.CMA) else None
        self.pages = rules.apply(self.pages, rules.Retag(row.pfn, aside), rules.Done())

    # ---- findings ----------------------------------------------------------------------------------------

    def _diverges(self, row: Row, refusal: Refusal, permitted: str) -> None:
        before = self.established.get(row.pfn) or self._holder_line(row.pfn)
        self.judgement.broken(
            Divergence(
                clause=refusal.clause,
                event=row.number,
                line=row.line,
                observed=_text(row),
                permitted=permitted,
                why=refusal.why,
                around=around(self.pages, row.pfn),
                nearest=f"before {since}" if (since := find_clause(refusal.clause).since) else "",
                witness=tuple(Observed(r.line, _text(r)) for r in (before, row) if r is not None),
            )
        )

    def _holder_line(self, pfn: int) -> Row | None:
        holder = holder_of(self.pages, pfn)
        return None if holder is None else self.established.get(holder[0])


def around(pages: Pages, pfn: int, reach: int = 8) -> str:
    """The pages near pfn, one letter each: F free, O owned, - not managed, ? unknown; [ ] around pfn."""
    size = 1 << pages.layout.max_order
    letters = []
    for page in range(max(pfn - reach, 0), pfn + reach + 1):
        chunk = pages.chunks.get(page >> pages.layout.max_order, UNKNOWN)
        bit = 1 << (page & (size - 1))
        letter = "O" if chunk.owned & bit else "F" if chunk.free & bit else "-" if chunk.absent & bit else "?"
        letters.append(f"[{letter}]" if page == pfn else letter)
    span = pages.layout.span_of(pfn)
    return f"pfn {max(pfn - reach, 0)}..{pfn + reach} {''.join(letters)} ({span or 'no zone'})"


def anywhere(max_order: int = 10) -> Layout:
    """The layout that forbids nothing, for traces without a state: one zone that every request permits."""
    return Layout((Span(ZoneType.DMA, 0, 0, 1 << 52),), max_order)


def _type_name(number: int) -> str:
    return MigrateType(number).name if 0 <= number < len(MigrateType) else f"type {number}"


def _text(row: Row) -> str:
    name = Kind(row.kind).name.lower()
    text = f"{name} pfn={row.pfn:#x} order={row.order}"
    if row.mt >= 0:
        text += f" migratetype={_type_name(row.mt)}"
    return f"{text} cpu={row.cpu} pid={row.pid}"
