"""Theorems about the x86 walk, over any contents of memory: what it answers, marks and ignores.

A walk is steps of `look`, from level to level until one does not descend.  Each theorem is about a step from
any table with any rights gathered above; for a whole walk it follows by induction on the level.
"""

from typing import Annotated, Final

from linuxmm.hardware.bus import store_entry
from linuxmm.hardware.x86_walk import (
    DESCENDS,
    NOT_CANONICAL,
    PAGE_FAULT,
    TRANSLATED,
    Walk,
    look,
    physical_address,
    walk,
)
from linuxmm.proofs.domain import Truth, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.proofs.vm.memory import SERVED, AllEntries, bus_of, entries_of
from linuxmm.spec.vm.x86_entry import (
    ACCESSED,
    DIRTY,
    FETCH,
    NOT_EXECUTABLE,
    PF_INSTR,
    PF_PROT,
    PF_RSVD,
    PF_USER,
    PF_WRITE,
    PRESENT,
    READ,
    USER,
    WRITABLE,
    WRITE,
    Control,
    denied,
    gathered,
    has_reserved,
    is_leaf,
    leaf_base,
    split_entry,
    table_base,
    table_entry,
)
from linuxmm.spec.vm.x86_format import (
    I386,
    PAE,
    X86_64,
    X86_64_LA57,
    X86Format,
    entry_address,
    index_of,
    is_canonical,
    level_shift,
)

CONTROL: Final = Control()
Address = Annotated[int, Word(64)]
TableAt = Annotated[int, Word(64, below=1 << 52)]
Rights = Annotated[int, Word(64, below=8)]
Kind = Annotated[int, each((READ, WRITE, FETCH))]
User = Annotated[bool, Truth()]
STEPS: Final = tuple((fmt, level) for fmt in (I386, PAE, X86_64) for level in range(fmt.top + 1))
"""Every level of each format; that of LA57 above those of x86-64 is like the one below it."""
Step = Annotated[tuple[X86Format, int], each(STEPS)]
AnyFormat = Annotated[X86Format, each((I386, PAE, X86_64, X86_64_LA57))]
ANY_TABLES: Final = (
    "any contents of memory, any 64-bit address, any table; every level of i386, PAE and x86-64"
)
START: Final = {"at": 0x4000, "above": USER | WRITABLE, "va": 0x5ABC}
LEAF: Final = table({0x4000 + 8 * 5: 0x1234_5007}, 0)


def entry_is_word(fmt: X86Format, entry: int) -> bool:
    """Whether the entry fits its format: entries of i386 are 32 bits."""
    return entry >> 32 == 0 if fmt.entry_shift == 2 else True


@theorem(
    "vm.walk.step",
    "A step descends to the table that its entry names, with the rights that all entries so far grant; at a "
    "leaf it gives the page that the entry names if these rights permit the access, else a protection fault.",
    proves=(look, gathered, physical_address, leaf_base),
    features=("F001", "F040", "F059"),
    method="inductive",
    bounds=ANY_TABLES,
    primitives=SERVED,
    witness={"step": (X86_64, 0), "entries": LEAF, **START, "kind": WRITE, "user": True},
    mutants=(
        Mutant(look, "forgets the rights above", "gathered(fmt, rights, entry,", "gathered(fmt, 6, entry,"),
        Mutant(look, "never denies", "if denied(control, kind, user, own):", "if False:"),
        Mutant(look, "stays in its table", "table_base(entry), own, entry", "table, own, entry"),
        Mutant(leaf_base, "keeps offset bits", "& ~((1 << level_shift(fmt, level)) - 1)", "& ~0"),
        Mutant(physical_address, "drops a bit of the offset", "level)) - 1)", "level) - 1) - 1)"),
    ),
)
def walk_step(
    step: Step, entries: AllEntries, at: TableAt, above: Rights, va: Address, kind: Kind, user: User
) -> bool:
    fmt, level = step
    assume((at & 0x1F == 0) & is_canonical(fmt, va))
    entry: int = entries[entry_address(fmt, at, va, level)]
    assume(entry_is_word(fmt, entry) & (entry & PRESENT != 0))
    assume(no(join(has_reserved, fmt, CONTROL, entry, level)))
    _, found = look(fmt, CONTROL, bus_of(entries), va, kind, user, level, at, above)
    bare = fmt.bare_top == 1 and level == fmt.top
    may_user = (above & USER != 0) & (bare | (entry & USER != 0))
    may_write = (above & WRITABLE != 0) & (bare | (entry & WRITABLE != 0))
    may_fetch = (above & NOT_EXECUTABLE == 0) & (bare | (entry >> 63 == 0))
    granted = (
        ((found.rights & WRITABLE != 0) == may_write)
        & ((found.rights & USER != 0) == may_user)
        & ((found.rights & NOT_EXECUTABLE == 0) == may_fetch)
    )
    if found.status == DESCENDS:
        going = (found.level == level - 1) & (found.table == entry & 0x000F_FFFF_FFFF_F000)
        return granted & going & (found.above == found.rights) & no(join(is_leaf, fmt, CONTROL, entry, level))
    permitted = (user & may_user) | (no(user) & no(may_user))
    permitted = permitted & (may_write if kind == WRITE else may_fetch if kind == FETCH else True)
    if found.status == TRANSLATED:
        size = 1 << level_shift(fmt, level)
        base = entry & 0x000F_FFFF_FFFF_F000
        if fmt.entry_shift == 2 and level == 1:
            base = (entry & 0xFFC0_0000) | (((entry >> 13) & 0xFF) << 32)
        place = physical_address(fmt, va, found.level, found.entry)
        return permitted & granted & (found.level == level) & (place == base // size * size + va % size)
    code = PF_PROT | (PF_WRITE if kind == WRITE else 0) | (PF_INSTR if kind == FETCH else 0)
    right = (found.code & ~PF_USER == code) & ((found.code & PF_USER != 0) == user)
    return no(permitted) & (found.status == PAGE_FAULT) & right


@theorem(
    "vm.walk.error-code",
    "A page fault's code tells a missing entry, a reserved bit and a denied access apart, and names the "
    "access.",
    proves=(look, has_reserved),
    features=("F059",),
    method="inductive",
    bounds=ANY_TABLES,
    primitives=SERVED,
    witness={"step": (X86_64, 0), "entries": table({}, 0), **START, "kind": WRITE, "user": True},
    mutants=(
        Mutant(look, "says that a missing entry is present", "user, False, False)", "user, True, False)"),
        Mutant(look, "does not report reserved bits", "user, True, True)", "user, True, False)"),
        Mutant(look, "takes any entry for present", "entry & PRESENT == 0", "entry == 0"),
    ),
)
def fault_codes(
    step: Step, entries: AllEntries, at: TableAt, above: Rights, va: Address, kind: Kind, user: User
) -> bool:
    fmt, level = step
    entry: int = entries[entry_address(fmt, at, va, level)]
    assume(entry_is_word(fmt, entry))
    _, found = look(fmt, CONTROL, bus_of(entries), va, kind, user, level, at, above)
    assume(found.status == PAGE_FAULT)
    present = entry & PRESENT != 0
    bad = present & join(has_reserved, fmt, CONTROL, entry, level)
    return (
        ((found.code & PF_PROT != 0) == present)
        & ((found.code & PF_RSVD != 0) == bad)
        & ((found.code & PF_WRITE != 0) == (kind == WRITE))
        & ((found.code & PF_USER != 0) == user)
        & ((found.code & PF_INSTR != 0) == (kind == FETCH))
    )


@theorem(
    "vm.walk.marks",
    "A step changes no bit of memory but A of the entry that it uses, and D of a leaf that it translates a "
    "write through; both are set when it does.",
    proves=(look,),
    features=("F040", "F059"),
    method="inductive",
    bounds=ANY_TABLES,
    primitives=SERVED,
    witness={"step": (X86_64, 0), "entries": LEAF, **START, "kind": WRITE, "user": True, "other": 0x4028},
    mutants=(
        Mutant(
            look,
            "marks the next entry",
            "bus, at, size, entry, marked",
            "bus, at + size, size, entry, marked",
        ),
        Mutant(look, "does not mark a leaf", "bus = mark_entry(bus, at, size, entry, marked)", "pass"),
        Mutant(look, "marks an upper entry dirty", "passed(fmt, entry, level)", "entry | 0x60"),
    ),
)
def walk_marks(
    step: Step,
    entries: AllEntries,
    at: TableAt,
    above: Rights,
    va: Address,
    kind: Kind,
    user: User,
    other: Address,
) -> bool:
    fmt, level = step
    after, found = look(fmt, CONTROL, bus_of(entries), va, kind, user, level, at, above)
    before: int = entries[other]
    now: int = entries_of(after)[other]
    here = other == entry_address(fmt, at, va, level)
    if found.status == TRANSLATED:
        marks = ACCESSED | (DIRTY if kind == WRITE else 0)
    elif found.status == DESCENDS:
        marks = 0 if fmt.bare_top == 1 and level == fmt.top else ACCESSED
    else:
        marks = 0
    return implies(here, now == before | marks) & implies(no(here), now == before)


@theorem(
    "vm.walk.canonical",
    "An address that is not canonical is never translated and never a page fault, whatever the tables hold.",
    proves=(walk, is_canonical),
    features=("F001", "F040"),
    bounds="any contents of memory, any root below 2**52, every 64-bit address; the four formats",
    primitives=SERVED,
    witness={
        "fmt": X86_64,
        "entries": table({}, 0),
        "root": 0x1000,
        "va": 1 << 47,
        "kind": READ,
        "user": True,
    },
    mutants=(
        Mutant(walk, "walks all the same", "if not is_canonical(fmt, va):", "if False:"),
        Mutant(is_canonical, "takes most addresses", "above == 0 or above == copies", "above < copies"),
    ),
)
def never_uncanonical(
    fmt: AnyFormat, entries: AllEntries, root: TableAt, va: Address, kind: Kind, user: User
) -> bool:
    high = va >> 32 if fmt.va_bits == 32 else va >> (fmt.va_bits - 1)
    negative = False if fmt.va_bits == 32 else high == (1 << (65 - fmt.va_bits)) - 1
    assume(no(high == 0) & no(negative))
    _, found = walk(fmt, CONTROL, bus_of(entries), root, va, kind, user)
    return found.status == NOT_CANONICAL


def same_walk(one: Walk, other: Walk) -> bool:
    """Whether two steps ended alike."""
    same = True
    for a, b in zip(one, other, strict=True):
        same = same & (a == b)
    return same


@theorem(
    "vm.map.frame",
    "Changing one entry changes nothing for an address whose walk does not look at it: each step answers the "
    "same, and leaves memory that differs in that entry alone.",
    proves=(look,),
    features=("F040", "F059"),
    method="inductive",
    bounds=ANY_TABLES,
    primitives=SERVED,
    witness={
        "step": (X86_64, 0),
        "entries": LEAF,
        **START,
        "kind": READ,
        "user": True,
        "place": 0x9000,
        "value": 7,
        "other": 0x4028,
    },
    mutants=(
        Mutant(look, "reads the entry beside", "load_entry(bus, at, size)", "load_entry(bus, at ^ 8, size)"),
        Mutant(
            look, "marks the entry beside", "bus, at, size, entry, marked", "bus, at ^ 8, size, entry, marked"
        ),
    ),
)
def frame_law(
    step: Step,
    entries: AllEntries,
    at: TableAt,
    above: Rights,
    va: Address,
    kind: Kind,
    user: User,
    place: Address,
    value: Address,
    other: Address,
) -> bool:
    fmt, level = step
    assume(no(place == entry_address(fmt, at, va, level)) & no(other == place))
    bus = bus_of(entries)
    one_bus, one = look(fmt, CONTROL, bus, va, kind, user, level, at, above)
    two_bus, two = look(fmt, CONTROL, store_entry(bus, place, 8, value), va, kind, user, level, at, above)
    before: int = entries_of(one_bus)[other]
    now: int = entries_of(two_bus)[other]
    kept: int = entries_of(two_bus)[place]
    return same_walk(one, two) & (before == now) & (kept == value)


@theorem(
    "vm.split.translates",
    "Where a table of the parts stands in place of a large leaf, every address translates as before: the "
    "same place, rights and denials.",
    proves=(look, split_entry, table_entry, denied),
    features=("F040", "F056"),
    method="inductive",
    bounds="any large leaf of i386, PAE and x86-64 without reserved bits (4 MiB pages below 4 GiB), any "
    "address in it, any rights above; the new table is not the table of the leaf",
    primitives=SERVED,
    witness={
        "step": (X86_64, 1),
        "entries": table({0x4000: 0x4020_00E7}, 0),
        **START,
        "kind": WRITE,
        "user": True,
        "fresh": 0x9000,
    },
    mutants=(
        Mutant(split_entry, "makes all parts the first", "(index << level_shift(fmt, level - 1))", "0"),
        Mutant(split_entry, "makes the parts executable", "(((entry >> 63) & 1) << 63)", "0"),
        Mutant(table_entry, "takes the right to write", "table | PRESENT | WRITABLE", "table | PRESENT"),
    ),
)
def split_translates(
    step: Annotated[
        tuple[X86Format, int], each(s for s in STEPS if 0 < s[1] < 3 and s[0].leaf_levels >> s[1] & 1)
    ],
    entries: AllEntries,
    at: TableAt,
    above: Rights,
    va: Address,
    kind: Kind,
    user: User,
    fresh: TableAt,
) -> bool:
    fmt, level = step
    limit = 32 if fmt.entry_shift == 2 else fmt.phys_bits
    assume((at & 0xFFF == 0) & (fresh & 0xFFF == 0) & (fresh >> limit == 0) & no(at == fresh))
    place = entry_address(fmt, at, va, level)
    entry: int = entries[place]
    assume(entry_is_word(fmt, entry) & (entry & PRESENT != 0) & join(is_leaf, fmt, CONTROL, entry, level))
    assume(no(join(has_reserved, fmt, CONTROL, entry, level)) & (leaf_base(fmt, entry, level) >> limit == 0))
    part = split_entry(fmt, entry, level, index_of(fmt, va, level - 1))
    bus = store_entry(bus_of(entries), entry_address(fmt, fresh, va, level - 1), 8, part)
    bus = store_entry(bus, place, 8, table_entry(fmt, level, fresh))
    _, one = look(fmt, CONTROL, bus_of(entries), va, kind, user, level, at, above)
    bus, way = look(fmt, CONTROL, bus, va, kind, user, level, at, above)
    down = (
        (way.status == DESCENDS) & (way.level == level - 1) & (way.table == fresh) & (way.above == above & 7)
    )
    _, two = look(fmt, CONTROL, bus, va, kind, user, level - 1, fresh, above)
    if one.status != TRANSLATED:
        return down & (one.status == two.status) & (one.code == two.code)
    there = physical_address(fmt, va, level, one.entry) == physical_address(fmt, va, level - 1, two.entry)
    return (
        down
        & (two.status == TRANSLATED)
        & (one.rights == two.rights)
        & there
        & (table_base(way.entry) == fresh)
    )
