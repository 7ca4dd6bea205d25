"""A CPU's address translation as its instructions see it: CR3, INVLPG, INVPCID, CR4.PGE, and references.

What an instruction may be refused is an answer (#GP), and leaves the CPU as it was.

Intel SDM 2 (INVLPG, INVPCID, MOV to control registers), 3A 4.10.4.
Linux: arch/x86/include/asm/tlbflush.h, invpcid.h.  Seed 2.3.2 (F041).
"""

from dataclasses import dataclass, replace
from typing import Final

from linuxmm.hardware import mmu
from linuxmm.hardware.bus import Bus
from linuxmm.hardware.table_format import Access
from linuxmm.hardware.tlb import Shape, Tlb, held_by, invalidate
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vm.staleness import Cached, Flush
from linuxmm.spec.vm.x86_entry import PHYSICAL, Control
from linuxmm.spec.vm.x86_format import X86Format, is_canonical, page_number

NOFLUSH: Final = 1 << 63
PCID_MASK: Final = 0xFFF
DEFAULT: Final = Control()
COLD: Final = Tlb()


@dataclass(frozen=True, slots=True)
class Flushed(Event):
    """The CPU has dropped what a flush reaches."""

    flush: Flush
    pcid: int
    va: int = 0


@dataclass(frozen=True, slots=True)
class GeneralProtection:
    """The instruction was refused; why, in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Processor:
    """What decides a CPU's translations.

    cr3    physical address of the root; with pcide, the PCID in its low 12 bits
    pcide  CR4.PCIDE
    """

    format: X86Format
    shape: Shape
    control: Control = DEFAULT
    cr3: int = 0
    pcide: bool = False
    tlb: Tlb = COLD


Answer = Step[Processor, GeneralProtection | None]


def pcid_of(cpu: Processor) -> int:
    """The current PCID; 0 without CR4.PCIDE."""
    return cpu.cr3 & PCID_MASK if cpu.pcide else 0


def root_of(cpu: Processor) -> int:
    """Physical address of the top table; that of PAE is aligned to 32 bytes only."""
    return cpu.cr3 & 0xFFFFFFE0 if cpu.format.bare_top else cpu.cr3 & PHYSICAL


@verb("F041", source="Intel SDM 3A 4.10.4.1")
def flush(cpu: Processor, reach: Flush, pcid: int, va: int = 0) -> Answer:
    """Drop what a flush reaches."""
    tlb = invalidate(cpu.format, cpu.shape, cpu.tlb, int(reach), pcid, va)
    return Step(replace(cpu, tlb=tlb), None, (Flushed(reach, pcid, va),))


def _refused(cpu: Processor, why: str) -> Answer:
    return Step(cpu, GeneralProtection(why))


@verb("F040", "F041", "F059", source="Intel SDM 3A 4.10.2; arch/x86/mm/fault.c:exc_page_fault")
def refer(cpu: Processor, bus: Bus, access: Access, choice: int) -> Step[tuple[Processor, Bus], mmu.Use]:
    """One access; `choice` is the rank to give up in a full set."""
    where = root_of(cpu), pcid_of(cpu), access.va, access.kind, access.user, choice
    tlb, bus, use = mmu.reference(cpu.format, cpu.shape, cpu.control, cpu.tlb, bus, *where)
    return Step((replace(cpu, tlb=tlb), bus), use)


@verb("F041", source="Intel SDM 3A 4.10.2.3")
def speculate(cpu: Processor, bus: Bus, va: int, unit: int, choice: int) -> tuple[Processor, Bus]:
    """A fill that no access asked for."""
    where = root_of(cpu), pcid_of(cpu), va, unit, choice
    tlb, bus = mmu.speculate(cpu.format, cpu.shape, cpu.control, cpu.tlb, bus, *where)
    return replace(cpu, tlb=tlb), bus


@verb("F041", source="arch/x86/mm/tlb.c:load_new_mm_cr3; Intel SDM 2 MOV to CR3")
def move_to_cr3(cpu: Processor, value: int) -> Answer:
    """Load CR3: flushes the new PCID but for globals, unless bit 63 says not to (which needs CR4.PCIDE)."""
    if value & NOFLUSH and not cpu.pcide:
        return _refused(cpu, "bit 63 of CR3 without CR4.PCIDE")
    if (value & ~NOFLUSH) >> cpu.format.phys_bits:
        return _refused(cpu, "CR3 beyond the physical addresses")
    loaded = replace(cpu, cr3=value & ~NOFLUSH)
    return flush(loaded, Flush.NOTHING if value & NOFLUSH else Flush.CONTEXT, pcid_of(loaded))


@verb("F041", source="arch/x86/include/asm/tlbflush.h:__flush_tlb_one_user; Intel SDM 2 INVLPG")
def invlpg(cpu: Processor, va: int) -> Answer:
    """Flush one address; an address that is not canonical does nothing."""
    if not is_canonical(cpu.format, va):
        return Step(cpu, None)
    return flush(cpu, Flush.ADDRESS, pcid_of(cpu), va)


_INVPCID: Final = (Flush.ONE, Flush.CONTEXT, Flush.ALL, Flush.ALL_BUT_GLOBAL)


@verb("F041", source="arch/x86/include/asm/invpcid.h:__invpcid; Intel SDM 2 INVPCID")
def invpcid(cpu: Processor, kind: int, pcid: int, va: int = 0) -> Answer:
    """INVPCID of type 0 to 3 with its descriptor."""
    if not 0 <= kind < len(_INVPCID):
        return _refused(cpu, f"INVPCID type {kind}: expected 0 to 3")
    if pcid > PCID_MASK:
        return _refused(cpu, f"PCID {pcid:#x} has bits above the 12 of a PCID")
    if kind < 2 and pcid and not cpu.pcide:
        return _refused(cpu, f"PCID {pcid:#x} without CR4.PCIDE")
    if kind == 0 and not is_canonical(cpu.format, va):
        return _refused(cpu, f"address {va:#x} is not canonical")
    return flush(cpu, _INVPCID[kind], pcid, va)


@verb("F041", source="arch/x86/include/asm/tlbflush.h:__native_tlb_flush_global; Intel SDM 3A 4.10.4.1")
def move_to_cr4(cpu: Processor, *, pge: bool, pcide: bool, smep: bool) -> Answer:
    """Change CR4's bits: PGE either way or PCIDE cleared flushes all, SMEP set flushes the current PCID."""
    if pcide and not cpu.pcide and (cpu.cr3 & PCID_MASK or cpu.format.va_bits == 32):
        return _refused(cpu, "CR4.PCIDE set outside 64-bit mode, or with a PCID in CR3")
    old = cpu.control
    changed = replace(cpu, control=old._replace(pge=pge, smep=smep), pcide=pcide)
    if pge != old.pge or (cpu.pcide and not pcide):
        return flush(changed, Flush.ALL, pcid_of(changed))
    if smep and not old.smep:
        return flush(changed, Flush.CONTEXT, pcid_of(changed))
    return Step(changed, None)


def covers(fmt: X86Format, item: Cached, va: int) -> bool:
    """Whether what is cached is used for an address."""
    return item.page == page_number(fmt, va, item.level + 1 if item.table else item.level)


def contents(cpu: Processor) -> frozenset[Cached]:
    """All that the TLBs hold, as the specification describes it."""
    return held_by(cpu.tlb)
