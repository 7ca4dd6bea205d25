"""Theorems about areas: splits and merges leave every page its attributes, and areas in order and apart.

Three neighbours with room between them stand for any address space: a step touches an area and its two
neighbours, and puts what comes of them in their place.  Which anon_vmas let areas join is left open.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from linuxmm.model.vm import merge
from linuxmm.model.vm.areas import above, below, splice, split, try_split
from linuxmm.model.vm.merge import _joins_lower, _joins_upper, _merge_part, add, alike, joined, modify
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.rules import Rules
from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm import space as spec_space
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.flags import VM_SOFTDIRTY
from linuxmm.spec.vm.limits import within_commit_limit
from linuxmm.spec.vm.space import AddressSpace, System
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

NEW: Final = rules_for(kernel("6.12.117"))
PageNumber = Annotated[int, Integer(least=0)]
Offset = Annotated[int, Integer(least=0)]
Flags = Annotated[int, Word(32)]
Sticky = Annotated[int, each((0, VM_SOFTDIRTY))]
Count = Annotated[int, Integer(least=0)]
Flag = Annotated[bool, Truth()]
Files = Annotated[
    tuple[int | None, int | None, int | None], each(((None, None, None), (1, 1, 1), (1, None, 2)))
]
SAME: Final = (None, None, None)


def index_from(space: AddressSpace, address: int) -> int:
    """Stands for the search by halves."""
    number = 0
    for area in space.areas:
        if area.end > address:
            return number
        number += 1
    return number


def anons_differ(lower: Vma, upper: Vma) -> bool:
    """Stands for the comparison of anon_vmas: any answer, which the areas carry as their name."""
    return lower.special != upper.special


PRIMITIVES: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    spec_space.index_from: index_from,
    merge.anons_differ: anons_differ,
}


def area_of(pages: tuple[int, int], flags: int, pgoff: int, file: int | None, chain: int) -> Vma:
    """An area of pages first to last, half open."""
    return Vma(pages[0] << PAGE_SHIFT, pages[1] << PAGE_SHIFT, flags, pgoff, file, None, chain)


def space_of(areas: tuple[Vma, ...], limit: int) -> AddressSpace:
    """An address space with these areas and a limit on their number."""
    return AddressSpace(areas, 1 << 56, 1 << 55, 1 << 40, 0, 0, System(max_map_count=limit))


def rules_with(left: bool, right: bool, both: bool, sticky: int) -> Rules:
    """Rules under which anon_vmas let an area join the lower neighbour, the upper one, or both."""
    return NEW._replace(
        anon_joins=lambda anon, chain, other, other_chain: left if chain == 1 else right,
        new_joins_both=lambda lower, upper: both,
        sticky=lambda: sticky,
    )


def found(areas: tuple[Vma, ...], address: int) -> Vma | None:
    """The area that holds an address."""
    for area in areas:
        if area.start <= address < area.end:
            return area
    return None


def same(one: Vma | None, other: Vma | None, address: int, sticky: int) -> bool:
    """Whether an address has the same attributes in both, sticky flags and anon_vmas aside."""
    if one is None or other is None:
        return one is other
    return (
        ((one.flags ^ other.flags) & ~sticky == 0)
        & (one.pgoff_at(address) == other.pgoff_at(address))
        & (one.file == other.file)
        & (one.name == other.name)
    )


def in_order(areas: tuple[Vma, ...]) -> bool:
    """Whether areas are in order, apart, whole pages, and not empty."""
    kept = True
    for number, area in enumerate(areas):
        kept = kept & (area.start < area.end)
        kept = kept & (area.start & (PAGE_SIZE - 1) == 0) & (area.end & (PAGE_SIZE - 1) == 0)
        if number:
            kept = kept & (areas[number - 1].end <= area.start)
    return kept


WITNESS: Final[dict[str, Any]] = {
    "l0": 1, "l1": 2, "a0": 2, "a1": 5, "u0": 5, "u1": 6,
    "lf": 3, "af": 3, "uf": 3, "lo": 1, "ao": 2, "uo": 5, "files": SAME,
    "left": True, "right": True, "both": True, "apart": False, "sticky": 0, "x": 2,
}  # fmt: skip


@theorem(
    "vm.areas.add",
    "A new area where nothing is, whether it joins the lower neighbour, the upper one, both or none: its "
    "pages have its attributes, every other address has those it had, and areas stay in order and apart.",
    proves=(add, alike, _joins_lower, _joins_upper, joined, splice),
    clauses=("vm.areas.disjoint", "vm.areas.whole-pages"),
    features=("F059",),
    method="inductive",

    primitives=PRIMITIVES,
    witness=WITNESS,
    mutants=(
        Mutant(_joins_lower, "joins across a gap", "lower.end == new.start\n        and ", ""),
        Mutant(_joins_lower, "joins whatever the offset", "and lower.pgoff + lower.pages == new.pgoff", ""),
        Mutant(_joins_upper, "joins whatever the offset", "and new.pgoff + new.pages == upper.pgoff", ""),
        Mutant(alike, "joins whatever the flags", "return same and area.file", "return area.file"),
        Mutant(alike, "joins whatever the file", "area.file == other.file and ", ""),
        Mutant(add, "keeps the offset of the upper one", "replace(upper, start=new.start, pgoff=new.pgoff)",
               "replace(upper, start=new.start)"),
    ),
)  # fmt: skip
def adding(
    l0: PageNumber, l1: PageNumber, a0: PageNumber, a1: PageNumber, u0: PageNumber, u1: PageNumber,
    lf: Flags, af: Flags, uf: Flags, lo: Offset, ao: Offset, uo: Offset, files: Files,
    left: Flag, right: Flag, both: Flag, apart: Annotated[bool, each((False, True))], sticky: Sticky,
    x: PageNumber,
) -> bool:  # fmt: skip
    x = x << PAGE_SHIFT
    assume((l0 < l1) & (l1 <= a0) & (a0 < a1) & (a1 <= u0) & (u0 < u1))
    lower = area_of((l0, l1), lf, lo, files[0], 1)
    upper = area_of((u0, u1), uf, uo, files[2], 2)
    if apart:
        upper = Vma(upper.start, upper.end, uf, uo, files[2], None, 2, None, "another anon_vma")
    new = area_of((a0, a1), af, ao, files[1], 0)
    rules = rules_with(left, right, both, sticky)
    after = add(rules, space_of((lower, upper), 100), new).state.areas
    before = new if new.start <= x < new.end else found((lower, upper), x)
    return in_order(after) & same(before, found(after, x), x, sticky)


@theorem(
    "vm.areas.modify",
    "Other flags for a part of an area, whether the part joins a neighbour or is split off: its pages have "
    "the flags, every other address keeps its attributes, and areas stay in order and apart.  If there are "
    "too many areas for a split, no page changes.",
    proves=(modify, _merge_part, alike, _joins_lower, _joins_upper, joined, splice, split, try_split, above,
            below),
    clauses=("vm.areas.disjoint", "vm.areas.whole-pages"),
    features=("F059", "F057"),
    method="inductive",
    bounds="any neighbours, any pages and offsets, flags of 32 bits, VM_SOFTDIRTY sticky or none; files "
    "alike, apart or none; a limit on areas that is reached, or far",
    primitives=PRIMITIVES,
    witness={**WITNESS, "p0": 3, "p1": 5, "limit": 100, "flags": 7},
    mutants=(
        Mutant(above, "keeps the offset of the whole", "start=at, pgoff=area.pgoff_at(at)", "start=at"),
        Mutant(_merge_part, "loses the rest above", "() if at_end else (above(area, new.end),)", "()"),
        Mutant(_merge_part, "loses the rest below", "() if at_start else (below(area, new.start),)", "()"),
        Mutant(modify, "splits only at the start", "for at in (start, end):", "for at in (start,):"),
        Mutant(alike, "joins whatever the flags", "return same and area.file", "return area.file"),
    ),
)  # fmt: skip
def modifying(
    l0: PageNumber, l1: PageNumber, a0: PageNumber, a1: PageNumber, u0: PageNumber, u1: PageNumber,
    p0: PageNumber, p1: PageNumber, lf: Flags, af: Flags, uf: Flags, flags: Flags, lo: Offset, ao: Offset,
    uo: Offset, files: Files, left: Flag, right: Flag, both: Flag,
    apart: Annotated[bool, each((False, True))], sticky: Sticky, x: PageNumber,
    limit: Annotated[int, each((3, 100))],
) -> bool:  # fmt: skip
    x = x << PAGE_SHIFT
    assume((l0 < l1) & (l1 <= a0) & (a0 < a1) & (a1 <= u0) & (u0 < u1))
    assume((a0 <= p0) & (p0 < p1) & (p1 <= a1))
    lower = area_of((l0, l1), lf, lo, files[0], 1)
    area = area_of((a0, a1), af, ao, files[1], 0)
    upper = area_of((u0, u1), uf, uo, files[2], 2)
    if apart:
        upper = Vma(upper.start, upper.end, uf, uo, files[2], None, 2, None, "another anon_vma")
    rules = rules_with(left, right, both, sticky)
    start, end = p0 << PAGE_SHIFT, p1 << PAGE_SHIFT
    step = modify(rules, space_of((lower, area, upper), limit), 1, start, end, flags, None)
    after = step.state.areas
    before = found((lower, area, upper), x)
    if isinstance(step.result, Denied):
        return in_order(after) & same(before, found(after, x), x, sticky)
    if start <= x < end:
        part = Vma(start, end, flags, area.pgoff_at(start), area.file)
        return in_order(after) & same(part, found(after, x), x, sticky)
    return in_order(after) & same(before, found(after, x), x, sticky)


@theorem(
    "vm.areas.commit-limit",
    "In overcommit mode 2 what is allowed never exceeds the limit less the reserves that apply, and more "
    "committed memory is never easier to get.",
    proves=(within_commit_limit,),
    clauses=("vm.areas.commit-limit",),
    features=("F059",),
    method="formula",
    bounds="any numbers of pages",
    witness={"wanted": 10, "more": 5, "limit": 100, "admin": 3, "user": 4, "total": 64},
    mutants=(
        Mutant(within_commit_limit, "lets the limit be passed", "return committed <", "return committed >"),
        Mutant(within_commit_limit, "adds the reserve", "- admin_reserve", "+ admin_reserve"),
    ),
)
def limited(
    wanted: Count, more: Count, limit: Count,
    admin: Count, user: Count, total: Count,
) -> bool:  # fmt: skip
    allowed = within_commit_limit(wanted, limit, admin, user, total)
    if not allowed:
        return no(within_commit_limit(wanted + more, limit, admin, user, total))
    return wanted + admin <= limit
