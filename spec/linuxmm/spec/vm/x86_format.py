"""The four x86 page-table formats as numbers: how an address is cut into indices, and where a leaf may be.

Levels count from the leaf table: 0 is the page table, 1 the page directory, and so on up to `top`.  A linear
address, an entry and a mask are 64-bit words; every formula here gives the same for the word as an unsigned
number and for its two's complement, so the text also runs on signed machine words.

Linux: arch/x86/include/asm/pgtable-2level_types.h, pgtable-3level_types.h, pgtable_64_types.h.
Intel SDM volume 3A, chapter 4.  Seed 2.3.1 (F001, F040).
"""

from typing import Final, NamedTuple

from linuxmm.spec.registry import formula

LARGEST: Final = 2
"""The highest level at which a leaf may stand: 1 GiB pages."""


class X86Format(NamedTuple):
    """One format; every field is a number, so that compiled code sees constants.

    top          level of the root table
    index_bits   address bits that each table below the root resolves
    top_bits     address bits that the root table resolves
    entry_shift  base-2 logarithm of the size of an entry in bytes
    va_bits      bits of a linear address that are translated
    phys_bits    bits of a physical address that the CPU has (MAXPHYADDR)
    leaf_levels  bit n: an entry of level n (above 0) with PS is a leaf
    bare_top     1 if entries of the root carry neither rights nor A (PAE)
    """

    top: int
    index_bits: int
    top_bits: int
    entry_shift: int
    va_bits: int
    phys_bits: int
    leaf_levels: int
    bare_top: int


I386: Final = X86Format(1, 10, 10, 2, 32, 36, 0b010, 0)
PAE: Final = X86Format(2, 9, 2, 3, 32, 36, 0b010, 1)
X86_64: Final = X86Format(3, 9, 9, 3, 48, 46, 0b110, 0)
X86_64_LA57: Final = X86Format(4, 9, 9, 3, 57, 52, 0b110, 0)

FORMATS: Final = {"i386": I386, "pae": PAE, "x86-64": X86_64, "x86-64-la57": X86_64_LA57}
"""The formats by name; `_replace` gives another MAXPHYADDR, or a CPU without 1 GiB pages."""


@formula("F040", source="arch/x86/include/asm/pgtable_64_types.h:PMD_SHIFT, PUD_SHIFT, P4D_SHIFT")
def level_shift(fmt: X86Format, level: int) -> int:
    """Base-2 logarithm of the bytes that one entry of `level` covers."""
    return 12 + fmt.index_bits * level


@formula("F040", source="include/linux/pgtable.h:pte_index, pmd_index, pud_index, pgd_index")
def index_of(fmt: X86Format, va: int, level: int) -> int:
    """Which entry of its table of `level` translates `va`.

    Ensures   below the number of entries of that table
    """
    bits = fmt.top_bits if level == fmt.top else fmt.index_bits
    return (va >> level_shift(fmt, level)) & ((1 << bits) - 1)


@formula("F040", source="include/asm-generic/pgtable-nop4d.h; include/linux/pgtable.h:pgd_offset")
def entry_address(fmt: X86Format, table: int, va: int, level: int) -> int:
    """Physical address of the entry that translates `va` in the table of `level` at `table`."""
    return table + (index_of(fmt, va, level) << fmt.entry_shift)


@formula("F001", "F040", source="arch/x86/include/asm/page.h:__is_canonical_address; Intel SDM 1 3.3.7.1")
def is_canonical(fmt: X86Format, va: int) -> bool:
    """Whether the bits above the translated ones all equal the highest of them (32-bit modes: are 0)."""
    if fmt.va_bits == 32:
        return (va >> 32) & 0xFFFFFFFF == 0
    copies = (1 << (65 - fmt.va_bits)) - 1
    above = (va >> (fmt.va_bits - 1)) & copies
    return above == 0 or above == copies


@formula("F040", source="arch/x86/include/asm/page_32_types.h, page_64_types.h:TASK_SIZE_MAX; 2.6.24 to 6.12")
def user_end(fmt: X86Format) -> int:
    """The end of the addresses that user space can have.

    With 32 bits up to 3 GiB, for the kernel has the rest (CONFIG_VMSPLIT_3G); else the lower half.
    """
    return 0xC000_0000 if fmt.va_bits == 32 else 1 << (fmt.va_bits - 1)


@formula("F001", "F040", source="arch/x86/include/asm/page.h:__canonical_address")
def canonical(fmt: X86Format, low: int) -> int:
    """The canonical address whose translated bits are `low`, as an unsigned word.

    Requires  0 <= low < 2**va_bits
    """
    if fmt.va_bits == 32 or (low >> (fmt.va_bits - 1)) & 1 == 0:
        return low
    return low | ((1 << 64) - (1 << fmt.va_bits))


@formula("F040", source="include/linux/pgtable.h:pgd_index to pte_index, taken together")
def from_indices(fmt: X86Format, indices: tuple[int, ...], offset: int) -> int:
    """The canonical address with these indices, that of the root first, and this offset in the page."""
    low = offset
    level = fmt.top
    for index in indices:
        low = low | (index << level_shift(fmt, level))
        level -= 1
    return canonical(fmt, low)


@formula("F001", "F041", source="arch/x86/include/asm/tlbflush.h:__flush_tlb_one_user")
def page_number(fmt: X86Format, va: int, level: int) -> int:
    """The translated bits of `va` above the offset in a page of `level`: what a TLB compares."""
    return (va >> level_shift(fmt, level)) & ((1 << (fmt.va_bits - level_shift(fmt, level))) - 1)
