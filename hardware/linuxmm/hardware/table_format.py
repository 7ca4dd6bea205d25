"""One interface over the table formats: an access in, a typed outcome out.

    outcome = X86Tables(X86_64, Control(), root=0x1000).translate(bus, Access(va, WRITE, user=True))

Linux: include/linux/pgtable.h.  Seed 2.3.1 (F001, F040).
"""

from dataclasses import dataclass
from typing import Protocol

from linuxmm.hardware import arm64_walk, x86_walk
from linuxmm.hardware.bus import SERVED, Bus, load_entry
from linuxmm.hardware.memory import Fault
from linuxmm.hardware.x86_walk import NOT_CANONICAL, TRANSLATED, UNSERVED
from linuxmm.spec.step import Step
from linuxmm.spec.vm import arm64_entry, x86_entry
from linuxmm.spec.vm.arm64_entry import Arm64Control
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86Format, entry_address, level_shift


@dataclass(frozen=True, slots=True)
class Access:
    """One reference.

    kind  READ, WRITE or FETCH
    user  at CPL 3, or at EL0
    """

    va: int
    kind: int = x86_entry.READ
    user: bool = True


@dataclass(frozen=True, slots=True)
class Translated:
    """The access goes to `address`, in a page of `size` bytes."""

    address: int
    size: int
    writable: bool
    user: bool
    executable: bool
    global_: bool


@dataclass(frozen=True, slots=True)
class PageFault:
    """An exception for software, with the x86 error code or arm64's ESR_EL1."""

    va: int
    code: int


@dataclass(frozen=True, slots=True)
class GeneralProtection:
    """#GP: the address is not canonical (#SS for an access by the stack pointer)."""

    va: int


@dataclass(frozen=True, slots=True)
class TableUnserved:
    """Memory did not serve the table at `table` (a machine check, or arm64's external abort with its ESR)."""

    table: int
    fault: Fault
    code: int = 0


Outcome = Translated | PageFault | GeneralProtection | TableUnserved


class TableFormat(Protocol):
    """An address space in some format, under given control bits."""

    def translate(self, bus: Bus, access: Access) -> Step[Bus, Outcome]:
        """Walk for one access; the bus afterwards has the marks, and every table access in its log."""

    def path(self, bus: Bus, va: int) -> tuple[tuple[int, int], ...]:
        """(level, physical address) of each entry on the way of `va`, without marking, to a leaf or hole."""


@dataclass(frozen=True, slots=True)
class X86Tables:
    """Tables of one of the x86 formats.

    root  physical address of the top table, from CR3
    """

    format: X86Format
    control: Control
    root: int

    def translate(self, bus: Bus, access: Access) -> Step[Bus, Outcome]:
        """Walk for one access."""
        fmt = self.format
        bus, walk = x86_walk.walk(fmt, self.control, bus, self.root, access.va, access.kind, access.user)
        if walk.status == TRANSLATED:
            rights = walk.rights
            outcome: Outcome = Translated(
                x86_walk.physical_address(fmt, access.va, walk.level, walk.entry),
                1 << level_shift(fmt, walk.level),
                writable=rights & x86_entry.WRITABLE != 0,
                user=rights & x86_entry.USER != 0,
                executable=rights & x86_entry.NOT_EXECUTABLE == 0,
                global_=x86_walk.is_global(self.control, walk.entry),
            )
        elif walk.status == NOT_CANONICAL:
            outcome = GeneralProtection(access.va)
        elif walk.status == UNSERVED:
            outcome = TableUnserved(walk.table, Fault(walk.code))
        else:
            outcome = PageFault(access.va, walk.code)
        return Step(bus, outcome)

    def path(self, bus: Bus, va: int) -> tuple[tuple[int, int], ...]:
        """(level, physical address) of each entry on the way of `va`."""
        fmt, table, found = self.format, self.root, []
        for level in range(fmt.top, -1, -1):
            at = entry_address(fmt, table, va, level)
            found.append((level, at))
            _, entry, fault = load_entry(bus, at, 1 << fmt.entry_shift)
            if fault != SERVED or entry & x86_entry.PRESENT == 0:
                break
            if x86_entry.is_leaf(fmt, self.control, entry, level):
                break
            table = x86_entry.table_base(entry)
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Arm64Tables:
    """Tables of arm64: 4 KiB granule, 48-bit addresses, a root for each half of the address space."""

    control: Arm64Control
    ttbr0: int
    ttbr1: int

    def translate(self, bus: Bus, access: Access) -> Step[Bus, Outcome]:
        """Walk for one access."""
        control = self.control
        bus, walk = arm64_walk.walk(control, bus, self.ttbr0, self.ttbr1, access.va, access.kind, access.user)
        if walk.status == TRANSLATED:
            denied, limits, entry = arm64_entry.denied, walk.limits, walk.entry
            outcome: Outcome = Translated(
                arm64_walk.physical_address(access.va, walk.level, entry),
                1 << arm64_entry.level_shift(walk.level),
                writable=arm64_entry.writable_at(control, limits, entry),
                user=entry & arm64_entry.AP_USER != 0 and limits & arm64_entry.TABLE_NO_EL0 == 0,
                executable=not denied(control, x86_entry.FETCH, access.user, limits, entry),
                global_=entry & arm64_entry.NG == 0,
            )
        elif walk.status == UNSERVED:
            at = walk.table + (arm64_entry.index_of(access.va, walk.level) << 3)
            outcome = TableUnserved(walk.table, Fault(load_entry(bus, at, 8)[2]), walk.code)
        else:
            outcome = PageFault(access.va, walk.code)
        return Step(bus, outcome)

    def path(self, bus: Bus, va: int) -> tuple[tuple[int, int], ...]:
        """(level, physical address) of each descriptor on the way of `va`."""
        half = arm64_entry.half_of(va)
        if half == 2:
            return ()
        table, found = self.ttbr1 if half == 1 else self.ttbr0, []
        for level in range(4):
            at = table + (arm64_entry.index_of(va, level) << 3)
            found.append((level, at))
            _, entry, fault = load_entry(bus, at, 8)
            if fault != SERVED or arm64_entry.is_invalid(entry, level) or arm64_entry.is_leaf(entry, level):
                break
            table = entry & arm64_entry.ADDRESS
        return tuple(found)
