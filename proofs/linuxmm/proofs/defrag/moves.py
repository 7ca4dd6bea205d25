"""Theorems about moves: contents are kept, blocks in hand lose no page, and the scanners come to an end."""

from typing import Annotated, Any, Final

from linuxmm.model.defrag.migrate import carry, held, lay, lift
from linuxmm.model.defrag.sources import stands_past, stands_there, stands_with
from linuxmm.model.defrag.targets import to_blocks, to_single_pages
from linuxmm.proofs.domain import Integer, MapOf, Table, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.alloc.buddy import block_contains, is_aligned
from linuxmm.spec.defrag.outcome import free_conserved
from linuxmm.spec.defrag.scanners import block_end, halves_left, may_migrate_from
from linuxmm.spec.defrag.suitable import met_at_page, met_in_pageblock

Pfn = Annotated[int, Word(64, below=1 << 52)]
Contents = Annotated[Table, MapOf((Word(64),), Word(64), 0)]
Frame = Annotated[int, Word(52, below=1 << 40)]
Pages = Annotated[int, Integer(0, 1 << 50)]
SIZES: Final = tuple((first, second) for first in range(4) for second in range(4))
NOTHING: Final = 0
"""The content of a page that holds none."""


def _held(contents: Any, pfn: int) -> Any:
    return contents[pfn]


def _lift(contents: Any, pfn: int) -> Any:
    return contents.set(pfn, NOTHING)


def _lay(contents: Any, pfn: int, content: Any, flags: int) -> Any:
    return contents.set(pfn, content)


@theorem(
    "defrag.migration.contents",
    "A migration leaves at the target what the source held, nothing at the source, and every other page as "
    "it was; a content that stood at one page stands at one page.",
    proves=(carry,),
    clauses=("defrag.contents-kept", "defrag.unmovable-stays"),
    features=("F039",),
    method="inductive",
    bounds="any memory size (52-bit pfns), any contents",
    primitives={held: _held, lift: _lift, lay: _lay},
    logic="QF_UFBV",
    witness={"contents": Table(0, (((3,), 7), ((5,), 9))), "source": 3, "target": 8, "page": 5, "other": 8},
    mutants=(
        Mutant(carry, "leaves the source", "lift(pages, source)", "pages"),
        Mutant(carry, "lays it where it was", "target, page", "source, page"),
        Mutant(
            carry,
            "empties the target",
            "lay(lift(pages, source), target, page, flags)",
            "lift(pages, source)",
        ),
    ),
)
def contents_kept(contents: Contents, source: Pfn, target: Pfn, page: Pfn, other: Pfn) -> bool:
    assume(no(contents[source] == NOTHING))
    assume(contents[target] == NOTHING)
    once = implies((contents[source] == contents[page]) & no(source == page), contents[page] == NOTHING)
    assume(
        once
        & implies((contents[source] == contents[other]) & no(source == other), contents[other] == NOTHING)
    )
    assume(implies((contents[page] == contents[other]) & no(page == other), contents[page] == NOTHING))
    after: Any = carry(contents, source, target, 0)  # type: ignore[arg-type]
    moved = (after[target] == contents[source]) & (after[source] == NOTHING)
    rest = implies(no(page == source) & no(page == target), after[page] == contents[page])
    alone = implies((after[page] == after[other]) & no(page == other), after[page] == NOTHING)
    fine: bool = moved & rest & alone
    return fine


@theorem(
    "defrag.targets.halves",
    "Of a block whose first page is a target, every other page is in exactly one of the halves that stay in "
    "hand, and they hold one page less than the block: with the page that the move frees, as many are free "
    "afterwards as before.",
    proves=(halves_left, free_conserved),
    clauses=("defrag.free-conserved",),
    features=("F039",),
    bounds="any 52-bit pfn, orders 0 to 10, any number of free pages",
    witness={"pfn": 8, "page": 11, "order": 3, "free": 100},
    mutants=(
        Mutant(halves_left, "forgets the largest half", "in range(order)", "in range(order - 1)"),
        Mutant(halves_left, "hands out the first page again", "pfn + (1 << at), at)", "pfn, at)"),
        Mutant(
            free_conserved, "forgets the captured block", "before == after + captured", "before == after + 1"
        ),
    ),
)
def halves(pfn: Pfn, page: Pfn, order: Annotated[int, each(range(11))], free: Pages) -> bool:
    assume(is_aligned(pfn, order) & (free >= 1 << order))
    left = halves_left(pfn, order)
    inside = block_contains(pfn, order, page) & no(page == pfn)
    kept = free_conserved(free, free - (1 << order) + 1 + sum(1 << half for _, half in left), 0)
    return covered_once(left, page, inside) & kept


def covered_once(blocks: tuple[tuple[int, int], ...], page: int, inside: bool) -> bool:
    """Whether aligned blocks hold a page exactly once if it is inside, and not at all otherwise."""
    seen: bool = no(inside) & inside
    fine: bool = no(seen)
    for head, order in blocks:
        here = block_contains(head, order, page)
        fine = fine & is_aligned(head, order) & no(seen & here)
        seen = seen | here
    return fine & (seen ^ no(inside))


@theorem(
    "defrag.targets.single-pages",
    "Blocks become single pages, each of them once, or stay as they are: no page is lost in hand.",
    proves=(to_single_pages, to_blocks),
    clauses=("defrag.free-conserved",),
    features=("F039",),
    bounds="two blocks of orders 0 to 3 anywhere, in any order of sizes",
    witness={"pfn": 8, "other": 16, "page": 11, "orders": (3, 1)},
    mutants=(
        Mutant(to_single_pages, "drops the first page", "-1, -1)", "0, -1)"),
        Mutant(to_single_pages, "hands one out too many", "range((1 << order) - 1", "range((1 << order)"),
        Mutant(
            to_blocks, "drops the largest", "tuple(sorted(blocks, key=lambda block: block[1]))", "blocks[:-1]"
        ),
    ),
)
def single_pages(pfn: Pfn, other: Pfn, page: Pfn, orders: Annotated[tuple[int, int], each(SIZES)]) -> bool:
    first, second = orders
    assume(is_aligned(pfn, first) & is_aligned(other, second))
    assume((pfn + (1 << first) <= other) | (other + (1 << second) <= pfn))
    blocks = ((pfn, first), (other, second))
    inside = block_contains(pfn, first, page) | block_contains(other, second, page)
    return covered_once(to_single_pages(blocks), page, inside) & covered_once(to_blocks(blocks), page, inside)


@theorem(
    "defrag.scanners.end",
    "In every era, a migration scanner that may not go on has met the free scanner: compaction ends.",
    proves=(stands_past, stands_with, stands_there, met_at_page, met_in_pageblock, may_migrate_from),
    clauses=("defrag.scanners.one-way",),
    features=("F039",),
    bounds="any pages of 52-bit frames, pageblocks of 1, 8, 512 and 1024 pages",
    witness={"migrate": 0x1010, "free": 0x1100, "block": 9},
    mutants=(
        Mutant(stands_past, "stays where it was", "max(migrate_pfn, end)", "migrate_pfn"),
        Mutant(stands_with, "stays where it was", "return free_pfn", "return migrate_pfn"),
        Mutant(met_in_pageblock, "forgets the same pageblock", "<= migrate_pfn", "< migrate_pfn"),
    ),
)
def ends(migrate: Frame, free: Frame, block: Annotated[int, each((0, 3, 9, 10))]) -> bool:
    end = block_end(migrate, block)
    assume(no(may_migrate_from(end, free)))
    old = met_at_page(stands_past(migrate, end, free), free, block)
    middle = met_at_page(stands_with(migrate, end, free), free, block)
    return old & middle & met_in_pageblock(stands_there(migrate, end, free), free, block)
