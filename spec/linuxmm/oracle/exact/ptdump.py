"""Hold the kernel's dump of its page tables against the tables, read from the memory of the stopped machine.

Linux: arch/x86/mm/dump_pagetables.c, mm/ptdump.c.  Seed 2.13.6 (F083).  5.6 to 6.12.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from immutables import Map

from linuxmm.hardware.memory import PhysicalMemory, Range
from linuxmm.model.vm.ptdump import Walked, lines_x86
from linuxmm.oracle.formats.areas import TablesState
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Divergence, Judgement
from linuxmm.spec.vm.ptdump import DUMPED, PARTITION, SKIPPED, Marker, gaps, read_x86, x86_text
from linuxmm.spec.vm.x86_entry import PRESENT, Control, table_base
from linuxmm.spec.vm.x86_format import FORMATS, X86Format, entry_address, level_shift
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

_WHY: Final = "the dump of page tables"
_TABLES: Final = "tables.json"
_PRINTED: Final = "page_tables/kernel"
_CONTROL: Final = Control()
_GUARD_ENTRIES: Final = 16
"""Entries of the root that the hole for a hypervisor takes at the start of the upper half."""


def format_named(name: str, file: str) -> X86Format:
    """The format that a document names.

    Errors    BadEvidence
    """
    if name not in FORMATS:
        raise BadEvidence(
            file, f"expected a format of {', '.join(FORMATS)}; found {name!r}", where="$.format"
        )
    return FORMATS[name]


def memory_of(state: TablesState, fmt: X86Format) -> PhysicalMemory:
    """Memory that holds the tables of a document and nothing else.

    Requires  the entries of `state.tables` stand behind those that lead to them
    Errors    BadEvidence for an entry of a table that nothing leads to
    """
    tables = {(fmt.top, 0): state.root}
    frames = {state.root: bytearray(PAGE_SIZE)}
    size, mask = 1 << fmt.entry_shift, (1 << fmt.va_bits) - 1

    def put(va: int, level: int, entry: int) -> None:
        above = 0 if level == fmt.top else (va & mask) >> level_shift(fmt, level + 1)
        if (level, above) not in tables:
            raise BadEvidence(_TABLES, f"an entry of level {level} for {va:#x} whose table is not there")
        at = entry_address(fmt, 0, va, level)
        frames[tables[level, above]][at : at + size] = entry.to_bytes(size, "little")

    for one in state.tables:
        put(one.va, one.level, one.entry)
        frame = table_base(one.entry) >> PAGE_SHIFT
        tables[one.level - 1, (one.va & mask) >> level_shift(fmt, one.level)] = frame
        frames.setdefault(frame, bytearray(PAGE_SIZE))
    for run in state.leaves:
        step = 1 << level_shift(fmt, run.level)
        for number in range(run.count):
            put(run.va + step * number, run.level, run.entry + (step * number if run.entry & PRESENT else 0))
    ranges = tuple(Range(pfn << PAGE_SHIFT, (pfn + 1) << PAGE_SHIFT) for pfn in sorted(frames))
    return PhysicalMemory(ranges, Map({pfn: bytes(frame) for pfn, frame in frames.items()}))


def walked(fmt: X86Format) -> Walked:
    """What the kernel's dump walks since 5.6: on 64 bits not the hole at the start of the upper half."""
    if fmt.va_bits == 32:
        return ((0, 1 << 32),)
    half = 1 << (fmt.va_bits - 1)
    return (0, half), (half + _GUARD_ENTRIES * (1 << level_shift(fmt, fmt.top)), 1 << fmt.va_bits)


def judge_ptdump(judgement: Judgement, state: TablesState, printed: Sequence[str], file: str) -> None:
    """Hold the text of a dump against the tables, line for line.

    file      of the tables, for errors
    Errors    BadEvidence
    """
    fmt = format_named(state.format, file)
    markers = tuple(sorted(Marker(one.start, one.name, one.lines) for one in state.markers))
    memory = memory_of(state, fmt)
    items = lines_x86(fmt, _CONTROL, memory, state.root << 12, markers, walked(fmt))
    mine = tuple(x86_text(items, 8 if fmt.va_bits == 32 else 16))
    for number, (seen, said) in enumerate(zip_longest(printed, mine, fillvalue="no line"), 1):
        judgement.events += 1
        judgement.require(DUMPED.id, seen == said, repr(seen), repr(said), _WHY, line=number)
    lines = [row for row in printed if not SKIPPED.fullmatch(row)]
    judgement.checked(PARTITION.id, len(lines))
    for refusal in gaps(read_x86(lines, _PRINTED), 0) if len(lines) == len(printed) else ():
        judgement.broken(Divergence(PARTITION.id, -1, -1, refusal.why, "ranges in a row", _WHY))
