"""Theorems about how an address is cut into indices and put together again."""

from typing import Annotated

from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.vm.x86_format import (
    FORMATS,
    X86_64,
    X86Format,
    canonical,
    from_indices,
    index_of,
    is_canonical,
    page_number,
)

Address = Annotated[int, Word(64)]
AnyFormat = Annotated[X86Format, each(FORMATS.values())]


@theorem(
    "vm.address.round-trip",
    "The indices of a canonical address and its offset give the address back.",
    proves=(index_of, from_indices, canonical, is_canonical),
    features=("F001", "F040"),
    bounds="every 64-bit address, the formats of i386, PAE, x86-64 and LA57",
    witness={"fmt": X86_64, "va": 0xFFFF_8A3C_5F1E_2D4B},
    mutants=(
        Mutant(
            index_of,
            "takes the bits of the level above",
            "level_shift(fmt, level)",
            "level_shift(fmt, level + 1)",
        ),
        Mutant(index_of, "drops the highest bit", "(1 << bits) - 1", "(1 << (bits - 1)) - 1"),
        Mutant(canonical, "does not extend the sign", "low | ((1 << 64) - (1 << fmt.va_bits))", "low"),
        Mutant(is_canonical, "looks at one bit too few", "65 - fmt.va_bits", "64 - fmt.va_bits"),
    ),
)
def round_trip(fmt: AnyFormat, va: Address) -> bool:
    assume(is_canonical(fmt, va))
    indices = tuple(index_of(fmt, va, level) for level in range(fmt.top, -1, -1))
    return from_indices(fmt, indices, va & 0xFFF) == va


@theorem(
    "vm.address.canonical",
    "Exactly the addresses that `canonical` gives are canonical, one for each value of the translated bits.",
    proves=(is_canonical, canonical),
    features=("F001", "F040"),
    bounds="every 64-bit address, the formats of i386, PAE, x86-64 and LA57",
    witness={"fmt": X86_64, "va": 0xFFFF_8000_0000_0000},
    mutants=(
        Mutant(is_canonical, "takes the lower half alone", "above == 0 or above == copies", "above == 0"),
        Mutant(is_canonical, "takes every address", "above == 0 or above == copies", "True"),
        Mutant(
            canonical,
            "looks at the wrong bit",
            "(low >> (fmt.va_bits - 1)) & 1",
            "(low >> (fmt.va_bits - 2)) & 1",
        ),
    ),
)
def canonical_exactly(fmt: AnyFormat, va: Address) -> bool:
    low = va & ((1 << fmt.va_bits) - 1)
    return (is_canonical(fmt, canonical(fmt, low)) == True) & (  # noqa: E712
        (canonical(fmt, low) == va) == is_canonical(fmt, va)
    )


@theorem(
    "vm.address.page-number",
    "Two canonical addresses have the same page number at a level exactly when they are in the same page.",
    proves=(page_number, is_canonical),
    features=("F001", "F041"),
    bounds="every pair of 64-bit addresses, levels 0 to 2, the formats of i386, PAE, x86-64 and LA57",
    witness={"fmt": X86_64, "level": 1, "one": 0x20_0000, "other": 0x3F_FFFF},
    mutants=(
        Mutant(page_number, "compares a bit too few", "<< (fmt.va_bits - ", "<< (fmt.va_bits - 1 - "),
        Mutant(page_number, "compares the offset too", "(va >> level_shift(fmt, level)) &", "(va >> 11) &"),
    ),
)
def page_numbers(fmt: AnyFormat, level: Annotated[int, each(range(3))], one: Address, other: Address) -> bool:
    assume(is_canonical(fmt, one))
    assume(is_canonical(fmt, other))
    if level > fmt.top:
        return True
    size = 1 << (12 + fmt.index_bits * level)
    together = one // size == other // size
    same = page_number(fmt, one, level) == page_number(fmt, other, level)
    return implies(together, same) & implies(no(together), no(same))
