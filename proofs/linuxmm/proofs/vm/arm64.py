"""Theorems about arm64's TLB maintenance: ranges cover what they are to cover, and drop it."""

from typing import Annotated

from linuxmm.proofs.domain import Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, theorem
from linuxmm.spec.vm.arm64_flush import by_scales, falling_scales, rising_scales, units_high, units_low
from linuxmm.spec.vm.arm64_tlbi import (
    MOST_PAGES,
    Tlbi,
    address_operand,
    leaves_only,
    must_drop,
    must_drop_table,
    operation_of,
    range_operand,
    range_pages,
)

Pages = Annotated[int, Word(64, below=MOST_PAGES)]
Asid = Annotated[int, Word(72, below=1 << 16)]
Page = Annotated[int, Word(72, below=1 << 36)]


@theorem(
    "vm.arm64.ranges",
    "For any number of pages below 8 GiB's, the ranges that a kernel flushes follow each other without a gap "
    "and end with the last page: from the smallest scale up (5.9) and from the largest down (6.12).",
    proves=(rising_scales, falling_scales, by_scales, units_low, units_high, range_pages),
    features=("F041",),
    witness={"pages": 0x12345, "falls": True},
    mutants=(
        Mutant(rising_scales, "starts one page late", "((0, stride, -1),)", "((1, stride, -1),)"),
        Mutant(units_high, "takes one too many", "(5 * scale + 1)", "(5 * scale)"),
        Mutant(range_pages, "counts from none", "(number + 1)", "number"),
    ),
)
def ranges_cover(pages: Pages, falls: Annotated[bool, each((False, True))]) -> bool:
    assume(pages > 0)
    at, good = 0, True
    for first, count, _ in falling_scales(pages, 1) if falls else rising_scales(pages, 1):
        good = good & (first == at)
        at = at + count
    return good & (at == pages)


@theorem(
    "vm.arm64.operand",
    "What an operand of TLBI is read as is what it was made of: ASID, pages and hint, of addresses in either "
    "half and of ranges.",
    proves=(address_operand, range_operand, operation_of),
    features=("F041",),
    witness={"page": 0x555, "high": True, "asid": 7, "level": 3, "scale": 1, "number": 4},
    mutants=(
        Mutant(address_operand, "puts the hint elsewhere", "(hint << 44)", "(hint << 43)"),
        Mutant(range_operand, "mixes scale and number", "(scale << 44)", "(scale << 43)"),
        Mutant(operation_of, "loses the upper half", "page | (0xFF << 44)", "page"),
    ),
)
def operands_are_inverse(
    page: Page,
    high: Annotated[bool, Truth()],
    asid: Asid,
    level: Annotated[int, each((-1, 1, 2, 3))],
    scale: Annotated[int, each(range(4))],
    number: Annotated[int, Word(72, below=32)],
) -> bool:
    start = (page << 12) | (0xFFFF << 48 if high else 0)
    one = operation_of(Tlbi.VAE1, address_operand(start, asid, level))
    end = start + (range_pages(number, scale) << 12)
    many = operation_of(Tlbi.RVAE1, range_operand(start, asid, scale, number, level))
    same = (one.asid == asid) & (one.start == start) & (one.end == start + 4096) & (one.level == level)
    return same & (many.asid == asid) & (many.start == start) & (many.end == end) & (many.level == level)


@theorem(
    "vm.arm64.reach",
    "An operation on a leaf's address in its ASID drops the leaf unless a hint names another level, a global "
    "leaf goes with any ASID, and only what names a last level leaves pointers to tables.",
    proves=(must_drop, must_drop_table, leaves_only),
    features=("F041",),
    witness={"kind": 2, "asid": 1, "hint": -1, "level": 3, "of": 1, "shared": False},
    mutants=(
        Mutant(must_drop, "spares globals", "(is_global | any_asid", "(False | any_asid"),
        Mutant(must_drop, "heeds no hint", "(hint == -1) | (hint == level)", "hint == -1"),
        Mutant(must_drop_table, "drops pointers of a last level", "if leaves_only(kind):", "if False:"),
    ),
)
def reach(
    kind: Annotated[int, each(range(2, 10))],
    asid: Asid,
    hint: Annotated[int, each((-1, 1, 2, 3))],
    level: Annotated[int, each((1, 2, 3))],
    of: Asid,
    shared: Annotated[bool, Truth()],
) -> bool:
    right = (hint == -1) | (hint == level)
    drops = must_drop(kind, asid, hint, True, level, of, shared)
    table = must_drop_table(kind, asid, hint, True, level, of)
    mine = (of == asid) | shared
    return (
        implies(right & mine, drops)
        & implies(drops, right)
        & implies(table, kind % 2 == 0)
        & implies((kind % 2 == 0) & (hint == -1) & (of == asid), table)
    )
