"""References of a program through TLBs, walks and faults, compiled: the model's own functions over arrays.

A stream is words of (signed address << 4 | code), code READ, WRITE or FETCH, or FLUSH + its reach
(`linuxmm.fast.translate`).  Areas stay as they are while a stream runs.  A touch below a stack stops it: the
model decides whether the stack grows, which happens at most once for each of its pages.

Seed 2.3.1, 2.3.2, 2.8 (F001, F040, F041, F059).
"""

from functools import lru_cache
from typing import Final

from numpy import uintp as U  # noqa: N812

from linuxmm.fast import tlb_wide
from linuxmm.fast.arena import Int64s
from linuxmm.fast.link import Linked
from linuxmm.fast.tlb_wide import AHEAD, MASK, ask_shared_at, permitted, stretch, with_address
from linuxmm.fast.translate import FLUSH
from linuxmm.fast.vm_arena import (
    AREA_WORDS,
    FLAGS,
    PRIMITIVES,
    TOUCHED,
    FastAreas,
)
from linuxmm.hardware.mmu import BY_FIRST
from linuxmm.hardware.tlb import LRU, SKYLAKE, Shape, Tlb, invalidate
from linuxmm.hardware.x86_walk import PAGE_FAULT, TRANSLATED
from linuxmm.model.vm.fault import Served, handle_fault, serve
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.process import SPACE
from linuxmm.model.vm.state import CONTROL as KERNEL_CONTROL
from linuxmm.model.vm.state import Pages
from linuxmm.model.vm.thread import BELOW_STACK, HOLE, attempt
from linuxmm.spec.kernel import kernel
from linuxmm.spec.registry import register_fast
from linuxmm.spec.relink import Function
from linuxmm.spec.vm.flags import VM_SHARED, VM_WRITE
from linuxmm.spec.vm.space import AddressSpace, index_from
from linuxmm.spec.vm.x86_entry import WRITE, Control
from linuxmm.spec.vm.x86_format import X86_64, X86Format

RULES: Final[PageRules] = page_rules(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""
FORMAT: X86Format = X86_64
SHAPE: Shape = SKYLAKE
CONTROL: Control = KERNEL_CONTROL
PERMITTED: Int64s = permitted(CONTROL)

# Cells of the state.
CHECKSUM: Final = 0
BY: Final = 1  # four counts: translations by each way
FAULTS: Final = 5  # counts by how they ended: `Served`, HOLE
UNTRANSLATABLE: Final = 13
WRITTEN: Final = 14  # areas that were written for the first time
LAST: Final = 15  # status, address, level, code of the last reference
CELLS: Final = 19


def run(
    pages: Pages, tlb: Tlb, areas: AddressSpace, words: Int64s, pcid: int, hole: bool, state: Int64s
) -> int:
    """Run a stream; the number of the operation that needs an answer, or of all.

    hole  the first operation's fault is one for which no stack grows
    Gives an operation below a stack, or one for which there is no frame; it was not made
    """
    checksum = state[CHECKSUM]
    hits = 0
    status = address = level = code_of = 0
    at = 0
    near = True  # the reference before was a first-level hit
    while at < words.size:
        if near:
            start = at
            tlb, at, checksum, found = stretch(FORMAT, SHAPE, PERMITTED, tlb, pcid, words, at, checksum)
            if at > start:
                hits += at - start
                status, address, level, code_of = TRANSLATED, found, 0, 0
                if at == words.size:
                    break
        ask_shared_at(FORMAT, SHAPE, tlb, words, at + AHEAD)
        word = words[U(at)]
        code = word & 15
        va = word >> 4
        if code >= FLUSH:
            tlb = invalidate(FORMAT, SHAPE, tlb, code - FLUSH, pcid, va)
            at += 1
            continue
        while True:
            pages, tlb, use, outcome, number = attempt(
                FORMAT,
                SHAPE,
                CONTROL,
                RULES,
                pages,
                tlb,
                areas,
                SPACE,
                pcid,
                va,
                code,
                LRU,
            )
            if outcome < 0:
                break
            if outcome == BELOW_STACK:
                if not hole or at > 0:
                    finish(state, checksum, hits, status, address, level, code_of)
                    return at
                outcome = HOLE
            if outcome == Served.OOM:
                finish(state, checksum, hits, status, address, level, code_of)
                return at
            state[U(FAULTS + outcome)] += 1
            if outcome >= Served.BUS:
                break
            if code == WRITE:
                note_write(areas, number, state)  # type: ignore[arg-type]
        status = use.status
        address = use.address
        level = use.level
        code_of = use.code
        near = status == TRANSLATED and use.by == BY_FIRST
        if status == TRANSLATED:
            if near:
                hits += 1
            else:
                state[U(BY + use.by)] += 1
            checksum = with_address(checksum, address)
        else:
            if status != PAGE_FAULT:
                state[UNTRANSLATABLE] += 1
            checksum = (checksum * 31 + status + code_of + 11) & MASK
        at += 1
    finish(state, checksum, hits, status, address, level, code_of)
    return words.size


def note_write(areas: FastAreas, number: int, state: Int64s) -> None:
    """Number the areas of private memory in the order of their first writes."""
    at = (number + 1) * AREA_WORDS
    if areas.table[U(at + TOUCHED)] == 0 and areas.table[U(at + FLAGS)] & (VM_WRITE | VM_SHARED) == VM_WRITE:
        state[WRITTEN] += 1
        areas.table[U(at + TOUCHED)] = state[WRITTEN]


def finish(state: Int64s, checksum: int, hits: int, status: int, address: int, level: int, code: int) -> None:
    """Keep what a run counted, and its last reference."""
    state[CHECKSUM] = checksum
    state[BY] += hits
    state[LAST] = status
    state[LAST + 1] = address
    state[LAST + 2] = level
    state[LAST + 3] = code


COLD: Final = frozenset({"invalidate", "answer", "stretch"})


@lru_cache(maxsize=32)
def linked(
    rules: PageRules, fmt: X86Format, shape: Shape, control: Control, compiled: bool = True
) -> Function:
    """The kernel of one machine; compiled=False leaves it to the interpreter."""
    constants = {"FORMAT": fmt, "SHAPE": shape, "CONTROL": control, "PERMITTED": permitted(control)}
    wide = tlb_wide.COMPILED | tlb_wide.without_branches(control) if compiled else {}
    return Linked(rules, PRIMITIVES | wide, COLD, compiled=compiled, constants=constants).entry(run)


for _function in (attempt, serve, handle_fault, index_from):
    register_fast(
        _function, "F001", "F040", "F059", source="mm/memory.c; arch/x86/mm/fault.c; 2.6.11 to 6.12"
    )
