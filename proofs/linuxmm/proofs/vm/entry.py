"""Theorems about entries: encoding and decoding, rights, error codes, and large leaves that are split."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.vm.arm64_entry import SOFTWARE, DescriptorFields, is_invalid, output_base
from linuxmm.spec.vm.arm64_entry import is_leaf as is_arm64_leaf
from linuxmm.spec.vm.arm64_entry import leaf_entry as arm64_leaf_entry
from linuxmm.spec.vm.arm64_entry import leaf_fields as arm64_leaf_fields
from linuxmm.spec.vm.arm64_entry import level_shift as arm64_level_shift
from linuxmm.spec.vm.x86_entry import (
    FETCH,
    NOT_EXECUTABLE,
    PRESENT,
    READ,
    RIGHTS,
    USER,
    WRITABLE,
    WRITE,
    Control,
    EntryFields,
    denied,
    gathered,
    has_reserved,
    ignored_mask,
    is_leaf,
    leaf_base,
    leaf_entry,
    leaf_fields,
    split_entry,
)
from linuxmm.spec.vm.x86_format import I386, PAE, X86_64, X86_64_LA57, X86Format, level_shift

LEAVES: Final = tuple(
    (fmt, level)
    for fmt in (I386, PAE, X86_64)
    for level in range(3)
    if level == 0 or fmt.leaf_levels >> level & 1
)
Encoded = Annotated[tuple[X86Format, int], each(((I386, 1), (PAE, 0), (X86_64, 1), (X86_64, 2)))]
Entry = Annotated[int, Word(64)]
Flag = Annotated[bool, Truth()]
Flags = Annotated[int, Word(64, below=64)]
Kind = Annotated[int, each((READ, WRITE, FETCH))]
Rights = Annotated[int, Word(64, below=8)]


@theorem(
    "vm.entry.decode",
    "Decoding an x86 leaf gives the fields that were encoded, no reserved bit is set, and it is a leaf.",
    proves=(leaf_entry, leaf_fields, leaf_base, has_reserved, is_leaf),
    features=("F001", "F040"),
    bounds="every address, type and flag; pages of 4 MiB (i386), 4 KiB (PAE), 2 MiB and 1 GiB (x86-64)",
    witness={"leaf": (X86_64, 1), "base": 0x4020_0000, "flags": 0b101011, "pat": 7, "ignored": 0x200},
    mutants=(
        Mutant(leaf_entry, "puts PAT in the bit of small pages", "PAT if level == 0 else PAT_LARGE", "PAT"),
        Mutant(leaf_entry, "forgets the upper address", "((fields.base >> 32) << 13)", "0"),
        Mutant(
            leaf_fields, "confuses A and D", "accessed=entry & ACCESSED != 0", "accessed=entry & DIRTY != 0"
        ),
        Mutant(leaf_base, "keeps the attribute bit", "& ~((1 << level_shift(fmt, level)) - 1)", "& ~0"),
    ),
)
def decodes(leaf: Encoded, base: Entry, flags: Flags, pat: Rights, ignored: Entry) -> bool:
    fmt, level = leaf
    limit = 32 if fmt.entry_shift == 2 and level == 0 else fmt.phys_bits
    assume((base >> limit == 0) & (base & ((1 << level_shift(fmt, level)) - 1) == 0))
    assume(ignored & (((1 << 64) - 1) ^ ignored_mask(fmt)) == 0)
    bits = [flags & (1 << n) != 0 for n in range(6)]
    assume(bits[2] | (fmt.entry_shift == 3))
    fields = EntryFields(base, bits[0], bits[1], bits[2], bits[3], bits[4], bits[5], pat, ignored)
    entry = leaf_entry(fmt, level, fields)
    back = leaf_fields(fmt, level, entry)
    same = (back.base == base) & (back.pat == pat) & (back.ignored == ignored)
    for field, bit in zip(back[1:7], bits, strict=True):
        same = same & (field == bit)
    return (
        same
        & no(join(has_reserved, fmt, Control(), entry, level))
        & join(is_leaf, fmt, Control(), entry, level)
    )


@theorem(
    "vm.entry.decode-arm64",
    "Decoding an arm64 page or block descriptor gives the fields that were encoded, and it is a valid leaf.",
    proves=(arm64_leaf_entry, arm64_leaf_fields, output_base),
    features=("F001", "F040"),
    bounds="every output address of 48 bits, pages and blocks of 1 GiB, every attribute",
    witness={"level": 1, "base": 0x4000_0000, "flags": 0b1010_1011, "attr": 5, "software": 1 << 55},
    mutants=(
        Mutant(arm64_leaf_entry, "makes every leaf a page", "TABLE if level == LAST else 0", "TABLE"),
        Mutant(
            arm64_leaf_entry,
            "confuses PXN and UXN",
            "(PXN if fields.pxn else 0)",
            "(UXN if fields.pxn else 0)",
        ),
        Mutant(
            arm64_leaf_fields,
            "drops a bit of the attribute",
            "(entry >> 2) & 7",
            "(entry >> 2) & 3",
        ),
    ),
)
def decodes_arm64(
    level: Annotated[int, each((1, 3))],
    base: Entry,
    flags: Annotated[int, Word(64, below=256)],
    attr: Rights,
    software: Entry,
) -> bool:
    assume((base >> 48 == 0) & (base & ((1 << arm64_level_shift(level)) - 1) == 0))
    assume(software & (((1 << 64) - 1) ^ SOFTWARE) == 0)
    bits = [flags & (1 << n) != 0 for n in range(8)]
    fields = DescriptorFields._make((base, attr, attr & 3, *bits, software))
    entry = arm64_leaf_entry(level, fields)
    back = arm64_leaf_fields(level, entry)
    same = (back.base == base) & (back.attr == attr) & (back.shareable == attr & 3)
    for field, bit in zip(back[3:11], bits, strict=True):
        same = same & (field == bit)
    valid = no(is_invalid(entry, level)) & is_arm64_leaf(entry, level)
    return same & (back.software == software) & valid


@theorem(
    "vm.split.preserves",
    "Each part of a split large leaf maps its addresses as the leaf did, with the same rights, marks, memory "
    "type and ignored bits, and has no reserved bit.",
    proves=(split_entry, leaf_base, leaf_fields, gathered, has_reserved),
    features=("F040", "F056"),
    bounds="every large leaf of i386, PAE and x86-64 without reserved bits (4 MiB pages below 4 GiB)",
    witness={"leaf": (X86_64, 1), "entry": 0x4020_11E7, "index": 5, "above": USER | WRITABLE},
    mutants=(
        Mutant(split_entry, "loses PAT", "flags |= PAT if pat else 0", "pass"),
        Mutant(split_entry, "makes all parts the first", "(index << level_shift(fmt, level - 1))", "0"),
        Mutant(split_entry, "makes all parts executable", "(((entry >> 63) & 1) << 63)", "0"),
        Mutant(split_entry, "keeps PS in a small page", "entry & (0xFFF ^ LARGE)", "entry & 0xFFF"),
    ),
)
def split_preserves(
    leaf: Annotated[tuple[X86Format, int], each(case for case in LEAVES if case[1] > 0)],
    entry: Entry,
    index: Annotated[int, Word(64)],
    above: Rights,
) -> bool:
    fmt, level = leaf
    assume((index < 1 << fmt.index_bits) & (entry & PRESENT != 0))
    assume(is_leaf(fmt, Control(), entry, level))
    assume(no(has_reserved(fmt, Control(), entry, level)))
    if fmt.entry_shift == 2:
        assume((entry >> 32 == 0) & (leaf_base(fmt, entry, level) < 1 << 32))
    part = split_entry(fmt, entry, level, index)
    one, other = leaf_fields(fmt, level, entry), leaf_fields(fmt, level - 1, part)
    same = other.base == one.base + (index << level_shift(fmt, level - 1))
    for field, kept in zip(other[1:], one[1:], strict=True):
        same = same & (field == kept)
    rights = gathered(fmt, gathered(fmt, above, 0x67, level), part, level - 1)
    return (
        same
        & (rights == gathered(fmt, above, entry, level))
        & no(join(has_reserved, fmt, Control(), part, level - 1))
        & join(is_leaf, fmt, Control(), part, level - 1)
    )


@theorem(
    "vm.rights.monotone",
    "Taking a right away never permits a denied access, where the supervisor's USER is left as it is.",
    proves=(denied,),
    features=("F040", "F059"),
    bounds="every combination of control bits, access and rights",
    witness={
        "wp": True,
        "smep": True,
        "smap": True,
        "ac": False,
        "kind": WRITE,
        "user": True,
        "rights": 6,
        "fewer": 4,
    },
    mutants=(
        Mutant(
            denied,
            "lets users write read-only pages",
            "return rights & WRITABLE == 0",
            "return rights & WRITABLE != 0",
        ),
        Mutant(
            denied,
            "executes what is not executable",
            "kind == FETCH and rights & NOT_EXECUTABLE != 0",
            "kind == FETCH and rights & NOT_EXECUTABLE == 0",
        ),
    ),
)
def rights_monotone(
    wp: Flag, smep: Flag, smap: Flag, ac: Flag, kind: Kind, user: Flag, rights: Rights, fewer: Rights
) -> bool:
    control = Control(wp=wp, smep=smep, smap=smap, ac=ac)
    less_write = implies(fewer & WRITABLE != 0, rights & WRITABLE != 0)
    less_fetch = implies(rights & NOT_EXECUTABLE != 0, fewer & NOT_EXECUTABLE != 0)
    less_user = implies(fewer & USER != 0, rights & USER != 0)
    assume(less_write & less_fetch & less_user & (user | (fewer & USER == rights & USER)))
    return implies(join(denied, control, kind, user, rights), join(denied, control, kind, user, fewer))


@theorem(
    "vm.rights.gathered",
    "A page is writable and a user's only if every level says so, and executable unless a level forbids it.",
    proves=(gathered,),
    features=("F040",),
    bounds="every pair of entries of the formats with three or more levels",
    witness={"fmt": X86_64, "one": 0x7, "other": 0x5},
    mutants=(
        Mutant(gathered, "forgets the levels above", "rights & entry & ALL_RIGHTS", "entry & ALL_RIGHTS"),
        Mutant(gathered, "forgets that execution was forbidden", "(rights | (entry >> 63))", "(entry >> 63)"),
    ),
)
def rights_gathered(
    fmt: Annotated[X86Format, each((PAE, X86_64, X86_64_LA57))], one: Entry, other: Entry
) -> bool:
    rights = gathered(fmt, gathered(fmt, USER | WRITABLE, one, 1), other, 0)
    return (
        ((rights & USER != 0) == ((one & USER != 0) & (other & USER != 0)))
        & ((rights & WRITABLE != 0) == ((one & WRITABLE != 0) & (other & WRITABLE != 0)))
        & ((rights & NOT_EXECUTABLE != 0) == ((one >> 63 == 1) | (other >> 63 == 1)))
        & (rights & RIGHTS == rights)
    )
