"""What a program's references cost in a table format: TLB misses, walks, faults, memory for pages and tables.

A trace is replayed against empty tables; a page is mapped at its first touch.

Seed 2.3.1, 2.3.2 (F040, F041).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from linuxmm.fast.translate import (
    BY,
    FAULTS,
    FRESH,
    MAPPED,
    REFUSED,
    FastBus,
    FastTranslation,
    Int64s,
    pack_tlb,
)
from linuxmm.hardware.mmu import BY_FIRST, BY_SECOND, BY_TABLE, BY_WALK
from linuxmm.hardware.tlb import SKYLAKE, Shape, Tlb
from linuxmm.spec.vm.x86_entry import PRESENT, USER, WRITABLE, Control
from linuxmm.spec.vm.x86_format import X86Format

ROOT: Final = 0x1000
PAGES: Final = 1 << 30
"""Where the frames of pages begin; tables stay below."""
TABLE_FRAMES: Final = 1 << 14
"""Frames set aside for tables: enough for 28 GiB of pages side by side."""
_LEAF: Final = PRESENT | WRITABLE | USER


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay counted.

    first_hits, second_hits  references that the first and the second level translated
    table_walks, full_walks  walks from a cached pointer to a table, and from the root
    faults                   page faults, those that mapped a page included
    refused                  references that no format can translate (beyond its addresses)
    pages, tables            frames of pages and of tables in the end, that of the root included
    """

    references: int
    first_hits: int
    second_hits: int
    table_walks: int
    full_walks: int
    faults: int
    refused: int
    pages: int
    tables: int

    @property
    def misses(self) -> int:
        """References that neither level translated, each of them a walk."""
        return self.table_walks + self.full_walks

    @property
    def table_bytes(self) -> int:
        """Memory of the tables."""
        return self.tables << 12


class Replay:
    """A CPU with empty tables of a format, to which a trace is fed part by part.

    Errors    MemoryError when TABLE_FRAMES do not suffice
    """

    def __init__(self, fmt: X86Format, shape: Shape = SKYLAKE, control: Control | None = None) -> None:
        self._machine = FastTranslation(
            fmt,
            shape,
            control or Control(),
            FastBus(np.zeros(TABLE_FRAMES << 9, np.int64), ROOT),
            pack_tlb(Tlb()),
            ((ROOT, 0),),
            leaf=_LEAF,
            fresh=ROOT + 4096,
            pages=PAGES,
        )
        self._references = 0

    def feed(self, words: Int64s) -> None:
        """Run the next references."""
        self._machine.run(words)
        self._references += words.size

    @property
    def report(self) -> ReplayReport:
        """What was counted so far."""
        counted = [int(n) for n in self._machine.state]
        return ReplayReport(
            references=self._references,
            first_hits=counted[BY + BY_FIRST],
            second_hits=counted[BY + BY_SECOND],
            table_walks=counted[BY + BY_TABLE],
            full_walks=counted[BY + BY_WALK],
            faults=counted[FAULTS],
            refused=counted[REFUSED],
            pages=counted[MAPPED],
            tables=(counted[FRESH] - ROOT) >> 12,
        )


def replay(
    words: Iterable[Int64s], fmt: X86Format, shape: Shape = SKYLAKE, control: Control | None = None
) -> ReplayReport:
    """Replay a stream, such as `read_lackey` gives.

    Errors    MemoryError when TABLE_FRAMES do not suffice
    """
    machine = Replay(fmt, shape, control)
    for part in words:
        machine.feed(part)
    return machine.report
