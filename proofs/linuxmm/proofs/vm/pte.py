"""Theorems about entries as Linux uses them, and about what generic code does with ranges of them."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.vm.flags import VM_ACCESS, VM_SHARED, VM_WRITE
from linuxmm.spec.vm.folding import PGD, PTE, boundary, entries_of, is_folded, is_table_free
from linuxmm.spec.vm.process_vm import MAX_RW_COUNT, chunk, clipped, within_both
from linuxmm.spec.vm.pte import (
    around,
    forked,
    frame_of,
    is_mapped,
    is_swapped,
    made_writable,
    modified,
    page_entry,
    page_protection,
    swap_entry,
    swap_slot,
    write_protected,
)
from linuxmm.spec.vm.rights import copies_on_write
from linuxmm.spec.vm.x86_entry import ACCESSED, DIRTY, NX, PRESENT, WRITABLE
from linuxmm.spec.vm.x86_format import FORMATS, PAE, X86_64, X86Format, level_shift

Entry = Annotated[int, Word(64)]
Flags = Annotated[int, Word(64, below=1 << 43)]
Frame = Annotated[int, Word(64, below=1 << 40)]
Format = Annotated[X86Format, each(FORMATS.values())]
Wide = Annotated[X86Format, each((PAE, X86_64))]
Address = Annotated[int, Word(64, below=1 << 56)]
Length = Annotated[int, Word(64, below=1 << 62)]
GENERIC: Final = tuple(range(PTE, PGD + 1))


@theorem(
    "vm.pte.private",
    "The entry of a private page is mapped, not writable before it is copied, and hidden from the hardware "
    "exactly if the area has no rights; other rights keep its frame and its marks.",
    proves=(page_protection, page_entry, modified, made_writable, frame_of, is_mapped, is_swapped),
    features=("F040", "F059"),
    bounds="every frame below 2**40, every set of flags, PAE and x86-64",
    witness={"fmt": X86_64, "flags": 0x73, "frame": 0x1234, "other": 0x71},
    mutants=(
        Mutant(
            page_protection, "private pages are writable", "VM_SHARED | VM_WRITE:", "VM_SHARED & VM_WRITE:"
        ),
        Mutant(page_protection, "no rights, and yet present", "return PROTNONE | ACCESSED", "return PRESENT"),
        Mutant(modified, "forgets the frame", "(entry & KEPT)", "(entry & KEPT & 0xFFF)"),
        Mutant(made_writable, "always writable", "if flags & VM_WRITE != 0", "if flags >= 0"),
    ),
)
def private_entries(fmt: Wide, flags: Flags, frame: Frame, other: Flags) -> bool:
    assume(copies_on_write(flags) & copies_on_write(other))
    entry = page_entry(frame, page_protection(fmt, flags))
    changed = modified(entry | DIRTY, page_protection(fmt, other))
    return (
        is_mapped(entry)
        & no(is_swapped(entry))
        & (entry & WRITABLE == 0)
        & ((entry & PRESENT != 0) == (flags & VM_ACCESS != 0))
        & (frame_of(entry) == frame)
        & (frame_of(changed) == frame)
        & (changed & (ACCESSED | DIRTY) == ACCESSED | DIRTY)
        & (changed & (PRESENT | WRITABLE | NX) == page_protection(fmt, other) & (PRESENT | WRITABLE | NX))
        & implies(flags & VM_WRITE == 0, made_writable(entry, flags) == entry)
    )


@theorem(
    "vm.pte.swap",
    "The entry of a page in swap names its slot, and is neither empty nor mapped.",
    proves=(swap_entry, swap_slot, is_swapped, is_mapped),
    features=("F040", "F059"),
    bounds="every slot below 2**40",
    witness={"slot": 5},
    mutants=(
        Mutant(swap_entry, "slot 0 is the empty entry", "(slot + 1) << 12", "slot << 12"),
        Mutant(swap_slot, "names the next slot", "(entry >> 12) - 1", "entry >> 12"),
        Mutant(swap_entry, "looks mapped", "(slot + 1) << 12", "(slot + 1) << 12 | 0x100"),
    ),
)
def swap_entries(slot: Frame) -> bool:
    entry = swap_entry(slot)
    return (swap_slot(entry) == slot) & is_swapped(entry) & no(is_mapped(entry))


@theorem(
    "vm.fork.protects",
    "After fork neither the parent nor the child can write a private page; shared pages stay as they are but "
    "for the child's marks.",
    proves=(forked, write_protected, copies_on_write),
    features=("F059",),
    bounds="every entry, every set of flags",
    witness={"flags": 0x73, "entry": 0x1234_067},
    mutants=(
        Mutant(forked, "leaves the parent writable", "return entry,", "return entry | 2,"),
        Mutant(
            forked,
            "protects shared pages instead",
            "if copies_on_write(flags):",
            "if not copies_on_write(flags):",
        ),
        Mutant(forked, "leaves the child's page dirty", "child & ~DIRTY if", "child if"),
        Mutant(write_protected, "hides the page", "entry & ~WRITABLE", "entry & ~3"),
    ),
)
def fork_protects(flags: Flags, entry: Entry) -> bool:
    parent, child = forked(flags, entry)
    private = copies_on_write(flags)
    return (
        implies(private, (parent & WRITABLE == 0) & (child & WRITABLE == 0))
        & implies(no(private), parent == entry)
        & (parent | WRITABLE == entry | WRITABLE)
        & (child & ACCESSED == 0)
        & (child | ACCESSED | DIRTY == parent | ACCESSED | DIRTY)
        & implies(flags & VM_SHARED != 0, child & DIRTY == 0)
        & implies(flags & VM_SHARED == 0, child & DIRTY == entry & DIRTY)
    )


@theorem(
    "vm.fault.around",
    "A read fault maps pages of its area and of one page table only, no more than it may, its own included.",
    proves=(around,),
    features=("F059",),
    bounds="every area and page below 2**44, 1 or 16 pages, tables of 512 and 1024 entries",
    witness={"page": 0x1234, "first": 0x1230, "last": 0x1300, "count": 16, "entries": 512},
    mutants=(
        Mutant(
            around, "leaves the area at its start", "max(page & ~(count - 1), first)", "page & ~(count - 1)"
        ),
        Mutant(around, "leaves the area at its end", "min(start + count, last)", "start + count"),
        Mutant(around, "leaves the table", ", (page & ~(entries - 1)) + entries", ", start + count"),
    ),
)
def fault_around(
    page: Annotated[int, Word(64, below=1 << 44)],
    first: Annotated[int, Word(64, below=1 << 44)],
    last: Annotated[int, Word(64, below=1 << 44)],
    count: Annotated[int, each((1, 16))],
    entries: Annotated[int, each((512, 1024))],
) -> bool:
    assume((first <= page) & (page < last))
    start, end = around(page, first, last, count, entries)
    table = page & ~(entries - 1)
    return (
        (start <= page)
        & (page < end)
        & (first <= start)
        & (end <= last)
        & (table <= start)
        & (end <= table + entries)
        & (end - start <= count)
    )


@theorem(
    "vm.fold.entries",
    "The entries of all generic levels together cover the address space once, folded levels having one each.",
    proves=(entries_of, is_folded),
    features=("F040",),
    bounds="every format",
    witness={"fmt": PAE},
    mutants=(
        Mutant(is_folded, "folds one level too few", "fmt.top <= level", "fmt.top < level"),
        Mutant(entries_of, "a folded level has two entries", "return 1\n", "return 2\n"),
    ),
)
def folded_entries(fmt: Format) -> bool:
    product = 1
    for level in GENERIC:
        product *= entries_of(fmt, level)
    return product << 12 == 1 << fmt.va_bits


@theorem(
    "vm.fold.boundary",
    "The part of a range under one entry ends behind its start, within the range, and crosses no boundary.",
    proves=(boundary,),
    features=("F040",),
    bounds="every range below 2**56, every format and level",
    witness={"fmt": X86_64, "level": 1, "address": 0x20_0000, "end": 0x40_0000},
    mutants=(
        Mutant(boundary, "stays where it is", "| (size - 1)) + 1", "| (size - 1)) - (size - 1)"),
        Mutant(boundary, "goes beyond the end", "return min((address", "return max((address"),
        Mutant(boundary, "takes two entries", "(size - 1)) + 1", "(size - 1)) + 1 + size"),
    ),
)
def walk_boundaries(
    fmt: Format, level: Annotated[int, each(GENERIC)], address: Address, end: Address
) -> bool:
    assume(address < end)
    stop = boundary(fmt, level, address, end)
    shift = level_shift(fmt, min(level, fmt.top))
    return (address < stop) & (stop <= end) & (address >> shift == (stop - 1) >> shift)


@theorem(
    "vm.table.free",
    "A table is freed only where no address that it serves lies in an area beside the range.",
    proves=(is_table_free,),
    clauses=("vm.mm.tables",),
    features=("F040", "F059"),
    bounds="every address below 2**56, tables of 2 MiB to 256 TiB",
    witness={"start": 0x20_0000, "span": 1 << 21, "floor": 0, "ceiling": 0x40_0000, "address": 0x30_0000},
    mutants=(
        Mutant(is_table_free, "ignores the area before", "start >= floor and ", ""),
        Mutant(
            is_table_free,
            "compares the start with the ceiling",
            "start + span <= ceiling",
            "start <= ceiling",
        ),
    ),
)
def freed_tables(
    start: Address,
    span: Annotated[int, each((1 << 21, 1 << 30, 1 << 39, 1 << 48))],
    floor: Address,
    ceiling: Address,
    address: Address,
) -> bool:
    assume((start <= address) & (address < start + span))
    freed = is_table_free(start, span, floor, ceiling)
    beside = (address < floor) | ((ceiling != 0) & (address >= ceiling))
    return no(bool(freed) & beside) if freed else True


@theorem(
    "vm.process-vm.shorter",
    "Every copy of process_vm_readv and writev keeps what was copied within both lists, makes progress while "
    "both have bytes left, and stays in one page of the target; a call moves at most MAX_RW_COUNT.",
    proves=(chunk, clipped, within_both),
    clauses=("vm.process-vm.shorter",),
    features=("F086",),
    method="inductive",
    bounds="lists of any length below 2**62 bytes, any address below 2**56",
    witness={"copied": 5, "local": 10, "remote": 4096, "address": 0xFFD, "total": 0, "length": 9},
    mutants=(
        Mutant(chunk, "looks at the caller's list alone", "min(local, remote)", "local"),
        Mutant(chunk, "looks at the target's list alone", "min(local, remote)", "remote"),
        Mutant(chunk, "crosses a page", "PAGE_SIZE - (address & (PAGE_SIZE - 1))", "PAGE_SIZE"),
        Mutant(clipped, "clips nothing", "min(length, MAX_RW_COUNT - total)", "length"),
    ),
)
def copies_within_both(
    copied: Length,
    local: Length,
    remote: Length,
    address: Address,
    total: Annotated[int, Word(64, below=MAX_RW_COUNT + 1)],
    length: Length,
) -> bool:
    assume(within_both(copied, local, remote))
    step = chunk(local - copied, remote - copied, address)
    return (
        within_both(copied + step, local, remote)
        & implies(copied < min(local, remote), step >= 1)
        & ((address + max(step, 1) - 1) >> 12 == address >> 12)
        & (total + clipped(total, length) <= MAX_RW_COUNT)
        & (clipped(total, length) <= length)
    )
