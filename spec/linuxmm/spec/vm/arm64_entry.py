"""An arm64 descriptor of the 4 KiB granule with 48-bit addresses, stage 1, bit for bit.

Levels count from the root as Arm does: 0 is the root, 3 the page table; a block stands at level 1 (1 GiB) or
2 (2 MiB).  Described: EL0 and EL1 with their two tables, AP, UXN, PXN, the hierarchical controls, AF and the
dirty state in software or hardware, PAN, WXN, address size.  Not described: stage 2, LPA2, tagged addresses,
permission indirection, memory tags.  The contiguous hint decides what a TLB may hold, not a translation.

Linux: arch/arm64/include/asm/pgtable-hwdef.h, esr.h.  Arm ARM D8.2 to D8.5, D24.2 (ESR_EL1).
Seed 2.3.1 (F001, F040).
"""

from typing import Final, NamedTuple

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.x86_entry import FETCH, WRITE

VALID: Final = 1 << 0
TABLE: Final = 1 << 1
AP_USER: Final = 1 << 6
AP_READ_ONLY: Final = 1 << 7
AF: Final = 1 << 10
NG: Final = 1 << 11
DBM: Final = 1 << 51
CONT: Final = 1 << 52
PXN: Final = 1 << 53
UXN: Final = 1 << 54
TABLE_PXN: Final = 1 << 59
TABLE_UXN: Final = 1 << 60
TABLE_NO_EL0: Final = 1 << 61
TABLE_READ_ONLY: Final = 1 << 62
ADDRESS: Final = 0x0000FFFFFFFFF000
LAST: Final = 3

FSC_ADDRESS_SIZE: Final = 0x00
FSC_TRANSLATION: Final = 0x04
FSC_ACCESS_FLAG: Final = 0x08
FSC_PERMISSION: Final = 0x0C
FSC_WALK_ABORT: Final = 0x14
ESR_WNR: Final = 1 << 6
ESR_IL: Final = 1 << 25
EC_INSTRUCTION_LOWER: Final = 0x20
EC_DATA_LOWER: Final = 0x24


class Arm64Control(NamedTuple):
    """What decides a translation besides the tables.

    pa_bits   bits of a physical address (TCR_EL1.IPS)
    pan       PSTATE.PAN: no EL1 data access to what EL0 may access
    epan      SCTLR_EL1.EPAN: PAN also covers what EL0 may only execute
    wxn       SCTLR_EL1.WXN: what may be written may not be executed
    ha, hd    TCR_EL1.HA, HD: the hardware sets AF, and clears the read-only bit of a DBM descriptor
    epd0, epd1  TCR_EL1.EPD0, EPD1: no walks of that half
    hpd       TCR_EL1.HPD: hierarchical controls are ignored
    """

    pa_bits: int = 48
    pan: bool = True
    epan: bool = False
    wxn: bool = False
    ha: bool = False
    hd: bool = False
    epd0: bool = False
    epd1: bool = False
    hpd: bool = False


class DescriptorFields(NamedTuple):
    """What a valid block or page descriptor says.

    base        output address
    attr        index into MAIR_EL1
    shareable   SH: 0 none, 2 outer, 3 inner
    software    bits 55 to 58, in place
    """

    base: int
    attr: int
    shareable: int
    user: bool
    read_only: bool
    accessed: bool
    not_global: bool
    dirty_modifier: bool
    contiguous: bool
    pxn: bool
    uxn: bool
    software: int


SOFTWARE: Final = 0xF << 55


@formula("F040", source="arch/arm64/include/asm/pgtable-hwdef.h:ARM64_HW_PGTABLE_LEVEL_SHIFT")
def level_shift(level: int) -> int:
    """Base-2 logarithm of the bytes that one descriptor of `level` covers."""
    return 39 - 9 * level


@formula("F040", source="include/linux/pgtable.h:pte_index to pgd_index")
def index_of(va: int, level: int) -> int:
    """Which descriptor of its table of `level` translates `va`."""
    return (va >> level_shift(level)) & 511


@formula("F001", "F040", source="arch/arm64/include/asm/memory.h:VA_BITS; Arm ARM D8.2")
def half_of(va: int) -> int:
    """Which root translates `va`: 0 TTBR0_EL1, 1 TTBR1_EL1, 2 neither (an address in the gap)."""
    above = (va >> 48) & 0xFFFF
    if above == 0:
        return 0
    return 1 if above == 0xFFFF else 2


@formula("F040", source="arch/arm64/include/asm/pgtable.h:pmd_table, pud_table; Arm ARM D8.3.1")
def is_invalid(entry: int, level: int) -> bool:
    """Whether the descriptor gives a translation fault: not valid, or of a kind that `level` has not."""
    if entry & VALID == 0:
        return True
    return entry & TABLE == 0 and (level == 0 or level == LAST)


@formula("F040", source="arch/arm64/include/asm/pgtable.h:pmd_leaf, pud_leaf; Arm ARM D8.3.1")
def is_leaf(entry: int, level: int) -> bool:
    """Whether a valid descriptor of `level` maps a page or a block.

    Requires  not is_invalid(entry, level)
    """
    return level == LAST or entry & TABLE == 0


@formula("F040", source="Arm ARM D8.3.1")
def output_base(entry: int, level: int) -> int:
    """Output address of a page or block descriptor."""
    return (entry & ADDRESS) & ~((1 << level_shift(level)) - 1)


@formula("F040", source="Arm ARM D8.2.5 (address size fault)")
def exceeds(control: Arm64Control, address: int) -> bool:
    """Whether a table or output address is beyond the physical addresses of the CPU."""
    return (address & ADDRESS) >> control.pa_bits != 0


@formula(
    "F040",
    source="arch/arm64/include/asm/pgtable-hwdef.h:PUD_TABLE_PXN; Arm ARM D8.4.2.1",
)
def limited(control: Arm64Control, limits: int, entry: int) -> int:
    """Limits after a table descriptor, in its bits 59 to 62, given those of the levels above it."""
    if control.hpd:
        return limits
    return limits | (entry & (TABLE_PXN | TABLE_UXN | TABLE_NO_EL0 | TABLE_READ_ONLY))


@formula("F040", source="Arm ARM D8.5.4 (hardware management of dirty state)")
def writable_at(control: Arm64Control, limits: int, entry: int) -> bool:
    """Whether the descriptor, under the limits of the levels above, may be written through."""
    if limits & TABLE_READ_ONLY != 0:
        return False
    return entry & AP_READ_ONLY == 0 or (control.ha and control.hd and entry & DBM != 0)


@formula(
    "F001", "F040", "F059", source="Arm ARM D8.4 (tables of permissions); arch/arm64/mm/fault.c:do_page_fault"
)
def denied(control: Arm64Control, kind: int, user: bool, limits: int, entry: int) -> bool:
    """Whether an access through this page or block descriptor gives a permission fault.

    kind  READ, WRITE or FETCH;  user: at EL0, or an unprivileged load or store
    """
    el0 = entry & AP_USER != 0 and limits & TABLE_NO_EL0 == 0
    writable = writable_at(control, limits, entry)
    uxn = entry & UXN != 0 or limits & TABLE_UXN != 0
    if kind == FETCH:
        if user:
            return uxn or (control.wxn and el0 and writable)
        pxn = entry & PXN != 0 or limits & TABLE_PXN != 0
        return pxn or (el0 and writable) or (control.wxn and writable)
    if user:
        return not el0 or (kind == WRITE and not writable)
    if control.pan and (el0 or (control.epan and not uxn)):
        return True
    return kind == WRITE and not writable


@formula(
    "F040", "F059", source="Arm ARM D8.5 (AF, dirty state); arch/arm64/include/asm/pgtable.h:pte_mkdirty"
)
def touched(control: Arm64Control, entry: int, kind: int) -> int:
    """A descriptor after a permitted access: AF set; a hardware dirty write clears the read-only bit."""
    after = entry | (AF if control.ha else 0)
    if kind == WRITE and control.ha and control.hd and entry & DBM != 0:
        after = after & ~AP_READ_ONLY
    return after


@formula("F059", source="arch/arm64/include/asm/esr.h:ESR_ELx_FSC; Arm ARM D24.2.40")
def syndrome(kind: int, user: bool, status: int, level: int) -> int:
    """ESR_EL1 of an abort: class, IL, write bit, and the fault status `status` at `level`.

    user  the exception comes from EL0
    """
    base = EC_INSTRUCTION_LOWER if kind == FETCH else EC_DATA_LOWER
    code = ((base if user else base + 1) << 26) | ESR_IL | status | level
    return code | ESR_WNR if kind == WRITE else code


@formula("F001", "F040", source="arch/arm64/include/asm/pgtable-hwdef.h; Arm ARM D8.3.1.2")
def leaf_entry(level: int, fields: DescriptorFields) -> int:
    """The valid page or block descriptor of `level` (1 to 3) that says `fields`.

    Requires  base is aligned to what level covers and below 2**48; attr < 8, shareable < 4
    """
    entry = VALID | (TABLE if level == LAST else 0) | fields.base | fields.software
    entry |= (fields.attr << 2) | (fields.shareable << 8)
    entry |= (AP_USER if fields.user else 0) | (AP_READ_ONLY if fields.read_only else 0)
    entry |= (AF if fields.accessed else 0) | (NG if fields.not_global else 0)
    entry |= (DBM if fields.dirty_modifier else 0) | (CONT if fields.contiguous else 0)
    return entry | (PXN if fields.pxn else 0) | (UXN if fields.uxn else 0)


@formula("F001", "F040", source="arch/arm64/include/asm/pgtable-hwdef.h; Arm ARM D8.3.1.2")
def leaf_fields(level: int, entry: int) -> DescriptorFields:
    """What a valid page or block descriptor says; the inverse of `leaf_entry`."""
    return DescriptorFields(
        base=output_base(entry, level),
        attr=(entry >> 2) & 7,
        shareable=(entry >> 8) & 3,
        user=entry & AP_USER != 0,
        read_only=entry & AP_READ_ONLY != 0,
        accessed=entry & AF != 0,
        not_global=entry & NG != 0,
        dirty_modifier=entry & DBM != 0,
        contiguous=entry & CONT != 0,
        pxn=entry & PXN != 0,
        uxn=entry & UXN != 0,
        software=entry & SOFTWARE,
    )


@formula("F040", source="arch/arm64/include/asm/pgtable-hwdef.h:PMD_TYPE_TABLE")
def table_entry(table: int) -> int:
    """The descriptor that points at a table and limits nothing."""
    return table | TABLE | VALID


@formula(
    "F040", "F056", source="arch/arm64/mm/mmu.c:alloc_init_pte; mm/huge_memory.c:__split_huge_pmd_locked"
)
def split_entry(entry: int, level: int, index: int) -> int:
    """Descriptor `index` of the table that replaces a block of `level` 1 or 2, with the same attributes.

    Requires  `entry` is a valid block descriptor, index < 512
    """
    kept = entry & ~(ADDRESS | CONT)
    below = output_base(entry, level) + (index << level_shift(level + 1))
    return below | kept | (TABLE if level + 1 == LAST else 0)
