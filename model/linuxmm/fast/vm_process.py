"""A process over flat arrays: system calls by the model's verbs, references compiled, and what both cost.

Seed 2.3.1, 2.3.2, 2.8 (F001, F040, F041, F059).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from linuxmm.fast.arena import Int64s
from linuxmm.fast.translate import FLUSH, pack_tlb, stream
from linuxmm.fast.vm import BY, CELLS, FAULTS, UNTRANSLATABLE, linked
from linuxmm.fast.vm_arena import (
    AREA_WORDS,
    FLUSH_END,
    FLUSH_START,
    FLUSHES,
    START,
    TABLES,
    TOUCHED,
    FastAreas,
    mm_at,
)
from linuxmm.fast.vm_layer import ArrayLayer, Sized
from linuxmm.fast.vm_pack import fresh, pack_areas
from linuxmm.hardware.mmu import BY_SECOND, BY_TABLE, BY_WALK
from linuxmm.hardware.tlb import SKYLAKE, Shape, Tlb
from linuxmm.model.vm.fault import Served
from linuxmm.model.vm.merge import prepare_anon
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.process import CHILD, SPACE, Forked, Process, Result, call, touch
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.state import CONTROL
from linuxmm.model.vm.thread import HOLE
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.step import Step
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.space import AddressSpace, index_from, is_in
from linuxmm.spec.vm.staleness import Flush
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vm.x86_format import X86Format
from linuxmm.spec.vocabulary import PAGE_SHIFT

NO_OBJECTS: Final[Mapping[int, Sized]] = {}

CEILING: Final = 33
"""tlb_single_page_flush_ceiling: from so many pages on, a flush is of the whole address space."""


@dataclass(frozen=True, slots=True)
class VmReport:
    """What references cost.

    references               that were made; those refused included
    first_hits, second_hits  that the first and the second level of TLBs translated
    table_walks, full_walks  walks from a cached pointer to a table, and from the root
    minor, major             faults that were served without and with reading a medium
    cow                      writes to a page that was mapped read-only: copied, or reused
    stack                    stacks that grew
    segv, bus                faults that end in SIGSEGV and SIGBUS
    refused                  references to addresses that the format does not have
    resident, peak           pages of the process in the end, and the most before or after a call
    tables                   frames of tables in the end by generic level, the root last
    tables_peak              the most frames of tables before or after a call
    """

    references: int
    first_hits: int
    second_hits: int
    table_walks: int
    full_walks: int
    minor: int
    major: int
    cow: int
    stack: int
    segv: int
    bus: int
    refused: int
    resident: int
    peak: int
    tables: tuple[int, int, int, int, int]
    tables_peak: int

    @property
    def faults(self) -> int:
        """Page faults, those that end in a signal included."""
        return self.minor + self.major + self.cow + self.segv + self.bus


class FastProcess:
    """A process of a kernel on one CPU: calls on its areas, and references.

    space    its areas in the beginning, without pages
    objects  number of each object that it may map, as `view` gives it -> the object
    frames   page frames of the machine, the zero page's included
    Errors   Unmodelled, ImpossibleProfile
    """

    def __init__(
        self,
        profile: Kernel,
        fmt: X86Format,
        space: AddressSpace,
        frames: int,
        objects: Mapping[int, Sized] = NO_OBJECTS,
        *,
        shape: Shape = SKYLAKE,
        compiled: bool = True,
    ) -> None:
        rules = page_rules(profile)
        self._rules = rules_for(profile)
        self.layer = ArrayLayer(rules, fresh(fmt, frames))
        self.layer.create(SPACE)
        for number, held in objects.items():
            self.layer.with_object(number, held)
        self._process = Process(space, self.layer)  # type: ignore[arg-type]
        self.tlb = pack_tlb(Tlb())
        self.areas = self._packed()
        self.state: Int64s = np.zeros(CELLS, np.int64)
        self._run = linked(rules, fmt, shape, CONTROL, compiled)
        self._references = self._grown = self._peak = self._tables_peak = 0

    @property
    def space(self) -> AddressSpace:
        """The areas, with what first writes gave them."""
        self._sync()
        return self._process.space

    def run(self, words: Int64s) -> None:
        """Make references.

        Errors    Unmodelled when frames run out, with the number of the reference
        """
        at, hole = 0, False
        while at < words.size:
            at += self._run(self.layer.pages, self.tlb, self.areas, words[at:], 0, hole, self.state)
            if at == words.size:
                break
            address = int(words[at]) >> 4
            if is_in(self._process.space, index_from(self._process.space, address), address):
                number = self._references + at
                raise Unmodelled(
                    f"reference {number} to {address:#x} finds no frame: reclaim is not described here"
                )
            hole = not self._grow(address)
        self._references += words.size

    def call(self, what: SystemCall) -> Step[Process, Result]:
        """Make a system call; one that copies bytes makes references to their pages.

        Errors    Unmodelled
        """
        if isinstance(what, calls.Store | calls.Load):
            self._copy_bytes(what)
            return Step(self._process, 0)
        self._note_peak()
        self._sync()
        self.layer.pages.st[FLUSHES] = 0  # the CPU itself has made those that faults called for
        step = call(self._rules, self._process, what)
        self._process = step.state
        if isinstance(step.result, Forked):
            self.layer.drop(CHILD)
        self.areas = self._packed()
        self._flush()
        self._note_peak()
        return step

    @property
    def report(self) -> VmReport:
        """What was counted so far."""
        self._note_peak()
        counted = [int(n) for n in self.state]
        faults = counted[FAULTS : FAULTS + HOLE + 1]
        mm = mm_at(self.layer.pages, SPACE)
        levels = [int(n) for n in mm.counters.tables]
        return VmReport(
            references=self._references,
            first_hits=counted[BY],
            second_hits=counted[BY + BY_SECOND],
            table_walks=counted[BY + BY_TABLE],
            full_walks=counted[BY + BY_WALK],
            minor=faults[Served.MINOR],
            major=faults[Served.MAJOR],
            cow=faults[Served.BROKEN],
            stack=self._grown,
            segv=faults[Served.DENIED] + faults[HOLE],
            bus=faults[Served.BUS],
            refused=counted[UNTRANSLATABLE],
            resident=self._resident(),
            peak=self._peak,
            tables=(levels[0], levels[1], levels[2], levels[3], 1),
            tables_peak=self._tables_peak,
        )

    def _grow(self, address: int) -> bool:
        """Whether a stack grew to an address below it."""
        self._sync()
        grown = touch(self._rules, self._process, address)
        if grown.space is self._process.space:
            return False
        done = is_in(grown.space, index_from(grown.space, address), address)
        self._process = grown
        self._grown += done
        self.areas = self._packed()
        return done

    def _copy_bytes(self, what: calls.Store | calls.Load) -> None:
        length = len(what.data) if isinstance(what, calls.Store) else what.length
        first, last = what.address >> PAGE_SHIFT, (what.address + length - 1) >> PAGE_SHIFT
        pages = np.arange(first, last + 1, dtype=np.int64) << PAGE_SHIFT
        kind = WRITE if isinstance(what, calls.Store) else READ
        if length:
            self.run(stream(np.full(pages.size, kind), pages))

    def _packed(self) -> FastAreas:
        return pack_areas(self._process.space, self.layer.number_of)

    def _sync(self) -> None:
        """Give areas that were written their anon_vma, in the order of the first writes."""
        table = self.areas.table.reshape(-1, AREA_WORDS)
        fresh_ones = np.flatnonzero(table[1:, TOUCHED] > 0) + 1
        for at in fresh_ones[np.argsort(table[fresh_ones, TOUCHED])].tolist():
            space = prepare_anon(self._rules, self._process.space, int(table[at, START]))
            self._process = replace(self._process, space=space)
            table[at, TOUCHED] = -1

    def _flush(self) -> None:
        """Make the flushes that a call asked for."""
        st = self.layer.pages.st
        if st[FLUSHES]:
            start, end = int(st[FLUSH_START]), int(st[FLUSH_END])
            pages = (end - start) >> PAGE_SHIFT
            if pages > CEILING:
                words = stream(np.array([FLUSH + Flush.CONTEXT]), np.array([0]))
            else:
                addresses = start + (np.arange(pages, dtype=np.int64) << PAGE_SHIFT)
                words = stream(np.full(pages, FLUSH + Flush.ADDRESS), addresses)
            self._run(self.layer.pages, self.tlb, self.areas, words, 0, False, self.state)

    def _resident(self) -> int:
        counters = mm_at(self.layer.pages, SPACE).counters
        return int(counters.file + counters.anon + counters.shmem)

    def _note_peak(self) -> None:
        self._peak = max(self._peak, self._resident())
        self._tables_peak = max(self._tables_peak, int(self.layer.pages.st[TABLES]))
