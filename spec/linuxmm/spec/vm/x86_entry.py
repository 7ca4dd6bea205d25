"""An x86 page-table entry, bit for bit: what it points at, what it permits, and what a fault reports.

Rights are gathered on the way down: a page is writable and a user's only if every level says so, and not to
be executed if any level says so.  Reserved bits, protection and error codes follow the Intel SDM (volume 3A,
4.3 to 4.8); where AMD differs the format's numbers say it.  Protection keys, shadow stacks and encrypted
memory are not described.

Linux: arch/x86/include/asm/pgtable_types.h, arch/x86/include/asm/trap_pf.h.  Seed 2.3.1 (F001, F040).
"""

from typing import Final, NamedTuple

from linuxmm.spec.registry import formula
from linuxmm.spec.vm.x86_format import LARGEST, X86Format, level_shift

PRESENT: Final = 1 << 0
WRITABLE: Final = 1 << 1
USER: Final = 1 << 2
PWT: Final = 1 << 3
PCD: Final = 1 << 4
ACCESSED: Final = 1 << 5
DIRTY: Final = 1 << 6
LARGE: Final = 1 << 7
PAT: Final = 1 << 7
GLOBAL: Final = 1 << 8
PAT_LARGE: Final = 1 << 12
NX: Final = 1 << 63

PHYSICAL: Final = 0x000FFFFFFFFFF000
"""Bits of an entry that may hold a physical address."""

NOT_EXECUTABLE: Final = 1
RIGHTS: Final = NOT_EXECUTABLE | WRITABLE | USER
"""Rights as gathered: the bits WRITABLE and USER, and bit 0 for not executable."""
ALL_RIGHTS: Final = WRITABLE | USER

READ: Final = 0
WRITE: Final = 1
FETCH: Final = 2

PF_PROT: Final = 1
PF_WRITE: Final = 2
PF_USER: Final = 4
PF_RSVD: Final = 8
PF_INSTR: Final = 16


class Control(NamedTuple):
    """Control bits that decide a translation.

    wp    CR0.WP: supervisor writes obey R/W
    pse   CR4.PSE: 4 MiB pages of the 2-level format (the other formats always have large pages)
    nxe   EFER.NXE: bit 63 forbids execution; 0 makes the bit reserved
    smep  CR4.SMEP: no supervisor fetch from a user's page
    smap  CR4.SMAP: no supervisor data access to a user's page
    ac    EFLAGS.AC: suspends SMAP; False for implicit accesses (to descriptor tables), which it never covers
    pge   CR4.PGE: global translations
    """

    wp: bool = True
    pse: bool = True
    nxe: bool = True
    smep: bool = True
    smap: bool = True
    ac: bool = False
    pge: bool = True


class EntryFields(NamedTuple):
    """What a present leaf entry says.

    base    physical address of the page
    pat     index into the page attribute table: PAT << 2 | PCD << 1 | PWT
    ignored bits left to software, in place: 9 to 11, and 52 to 62 where they are not reserved
    """

    base: int
    writable: bool
    user: bool
    executable: bool
    accessed: bool
    dirty: bool
    global_: bool
    pat: int
    ignored: int


@formula("F040", source="arch/x86/include/asm/pgtable.h:pmd_leaf, pud_leaf; Intel SDM 3A 4.3 to 4.5")
def is_leaf(fmt: X86Format, control: Control, entry: int, level: int) -> bool:
    """Whether a present entry of `level` maps a page instead of pointing at a table."""
    if level == 0:
        return True
    if level > LARGEST or (fmt.leaf_levels >> level) & 1 == 0:
        return False
    return entry & LARGE != 0 and (fmt.entry_shift == 3 or control.pse)


@formula(
    "F040", source="arch/x86/include/asm/pgtable.h:pte_pfn, pmd_pfn, pud_pfn; Intel SDM 3A 4.3, table 4-4"
)
def leaf_base(fmt: X86Format, entry: int, level: int) -> int:
    """Physical address of the page that a leaf of `level` maps (4 MiB: bits 32 to 39 from 13 to 20)."""
    if fmt.entry_shift == 2 and level == 1:
        return (entry & 0xFFC00000) | (((entry >> 13) & 0xFF) << 32)
    return (entry & PHYSICAL) & ~((1 << level_shift(fmt, level)) - 1)


@formula("F040", source="arch/x86/include/asm/pgtable.h:pmd_page_vaddr; Intel SDM 3A 4.3 to 4.5")
def table_base(entry: int) -> int:
    """Physical address of the table that an entry points at."""
    return entry & PHYSICAL


@formula("F040", source="Intel SDM 3A 4.3, 4.4.2, 4.5.4 (reserved bits); AMD APM 2 5.3")
def reserved_mask(fmt: X86Format, level: int, leaf: bool) -> int:
    """Bits below bit 63 that must be 0 in a present entry of `level`."""
    if fmt.entry_shift == 2:
        if level == 1 and leaf:
            return (1 << 22) - (1 << (fmt.phys_bits - 32 + 13))
        return 0
    last = 63 if fmt.va_bits == 32 else 52
    mask = (1 << last) - (1 << fmt.phys_bits)
    if fmt.bare_top == 1 and level == fmt.top:
        mask |= 0x1E6
    elif level > 0 and leaf:
        mask |= (1 << level_shift(fmt, level)) - (1 << 13)
    elif level > 0:
        mask |= LARGE
    return mask


@formula("F040", source="Intel SDM 3A 4.7; arch/x86/include/asm/trap_pf.h:X86_PF_RSVD")
def has_reserved(fmt: X86Format, control: Control, entry: int, level: int) -> bool:
    """Whether a present entry of `level` has a reserved bit set."""
    if entry & reserved_mask(fmt, level, is_leaf(fmt, control, entry, level)) != 0:
        return True
    if fmt.entry_shift == 2:
        return False
    barred = fmt.bare_top == 1 and level == fmt.top
    return (entry >> 63) & 1 == 1 and (barred or not control.nxe)


@formula("F040", source="Intel SDM 3A 4.6.1")
def gathered(fmt: X86Format, rights: int, entry: int, level: int) -> int:
    """Rights after an entry of `level`, given those of the levels above it."""
    if fmt.bare_top == 1 and level == fmt.top:
        return rights
    return (rights & entry & ALL_RIGHTS) | ((rights | (entry >> 63)) & NOT_EXECUTABLE)


@formula("F001", "F040", "F059", source="Intel SDM 3A 4.6.1; arch/x86/mm/fault.c:access_error")
def denied(control: Control, kind: int, user: bool, rights: int) -> bool:
    """Whether an access to a page with these rights faults.

    kind  READ, WRITE or FETCH
    """
    if user:
        if rights & USER == 0:
            return True
        if kind == WRITE:
            return rights & WRITABLE == 0
        return kind == FETCH and rights & NOT_EXECUTABLE != 0
    if kind == FETCH:
        return rights & NOT_EXECUTABLE != 0 or (control.smep and rights & USER != 0)
    if control.smap and not control.ac and rights & USER != 0:
        return True
    return kind == WRITE and control.wp and rights & WRITABLE == 0


@formula("F059", source="arch/x86/include/asm/trap_pf.h; Intel SDM 3A 4.7")
def error_code(fmt: X86Format, control: Control, kind: int, user: bool, present: bool, reserved: bool) -> int:
    """Error code of a page fault.

    present   the fault is not for want of a present entry
    reserved  a reserved bit caused it
    """
    code = PF_PROT if present else 0
    if kind == WRITE:
        code |= PF_WRITE
    if user:
        code |= PF_USER
    if reserved:
        code |= PF_RSVD
    if kind == FETCH and (control.smep or (control.nxe and fmt.entry_shift == 3)):
        code |= PF_INSTR
    return code


@formula("F040", source="Intel SDM 3A 4.8; arch/x86/include/asm/pgtable_types.h:_PAGE_ACCESSED")
def passed(fmt: X86Format, entry: int, level: int) -> int:
    """An entry after a walk has gone through it to a lower table."""
    return entry if fmt.bare_top == 1 and level == fmt.top else entry | ACCESSED


@formula("F040", "F059", source="Intel SDM 3A 4.8; arch/x86/include/asm/pgtable_types.h:_PAGE_DIRTY")
def touched(entry: int, kind: int) -> int:
    """A leaf after a permitted access: accessed, and dirty when it was a write."""
    return entry | ACCESSED | (DIRTY if kind == WRITE else 0)


@formula("F001", "F040", source="arch/x86/include/asm/pgtable_types.h; Intel SDM 3A, tables 4-3 to 4-20")
def leaf_entry(fmt: X86Format, level: int, fields: EntryFields) -> int:
    """The present leaf of `level` that says `fields`.

    Requires  base is aligned to the page and fits phys_bits, ignored holds ignored bits only, pat < 8;
              executable in the 2-level format, which has no bit to forbid it
    """
    entry = PRESENT | fields.ignored
    entry |= (fields.base & 0xFFFFFFFF) | ((fields.base >> 32) << 13) if _spread(fmt, level) else fields.base
    entry |= (WRITABLE if fields.writable else 0) | (USER if fields.user else 0)
    entry |= (ACCESSED if fields.accessed else 0) | (DIRTY if fields.dirty else 0)
    entry |= (GLOBAL if fields.global_ else 0) | (0 if fields.executable else NX)
    entry |= (fields.pat & 3) << 3
    entry |= (PAT if level == 0 else PAT_LARGE) if fields.pat & 4 != 0 else 0
    return entry | LARGE if level > 0 else entry


@formula("F001", "F040", source="arch/x86/include/asm/pgtable_types.h; Intel SDM 3A, tables 4-3 to 4-20")
def leaf_fields(fmt: X86Format, level: int, entry: int) -> EntryFields:
    """What a present leaf of `level` says; the inverse of `leaf_entry`."""
    high = entry & (PAT if level == 0 else PAT_LARGE) != 0
    return EntryFields(
        base=leaf_base(fmt, entry, level),
        writable=entry & WRITABLE != 0,
        user=entry & USER != 0,
        executable=(entry >> 63) & 1 == 0,
        accessed=entry & ACCESSED != 0,
        dirty=entry & DIRTY != 0,
        global_=entry & GLOBAL != 0,
        pat=((entry >> 3) & 3) | (4 if high else 0),
        ignored=entry & ignored_mask(fmt),
    )


@formula(
    "F040", source="Intel SDM 3A, tables 4-5 to 4-20; arch/x86/include/asm/pgtable_types.h:_PAGE_BIT_SOFTW1"
)
def ignored_mask(fmt: X86Format) -> int:
    """Bits of a leaf that the hardware ignores; bits 59 to 62 are protection keys when CR4.PKE is set."""
    return 0xE00 if fmt.va_bits == 32 else 0xE00 | (0x7FF << 52)


def _spread(fmt: X86Format, level: int) -> bool:
    """Whether the leaf is a 4 MiB page, whose address is in two pieces."""
    return fmt.entry_shift == 2 and level == 1


@formula("F040", source="arch/x86/include/asm/pgtable_types.h:_KERNPG_TABLE, _PAGE_TABLE")
def table_entry(fmt: X86Format, level: int, table: int) -> int:
    """The entry of `level` with which Linux points at a table of a user's address space."""
    if fmt.bare_top == 1 and level == fmt.top:
        return table | PRESENT
    return table | PRESENT | WRITABLE | USER | ACCESSED | DIRTY


@formula(
    "F040",
    "F056",
    source="mm/huge_memory.c:__split_huge_pmd_locked; arch/x86/mm/pat/set_memory.c:__split_large_page",
)
def split_entry(fmt: X86Format, entry: int, level: int, index: int) -> int:
    """Entry `index` of the table that replaces a leaf of `level` above 0, with the same attributes.

    Requires  `entry` is a present leaf of `level` without reserved bits, 0 <= index < 2**index_bits
    Ensures   every address translates as before, with the same rights, memory type, A, D and G
    """
    base = leaf_base(fmt, entry, level) + (index << level_shift(fmt, level - 1))
    pat = entry & PAT_LARGE != 0
    flags = entry & (0xFFF ^ LARGE)
    if level > 1:
        flags |= LARGE | (PAT_LARGE if pat else 0)
    else:
        flags |= PAT if pat else 0
    return base | flags | (entry & (ignored_mask(fmt) & ~0xFFF)) | (((entry >> 63) & 1) << 63)
