"""The memory of a stopped guest, by physical and by kernel virtual address.

Linux: x86 page tables of four or five levels, and PAE's three on 32-bit machines.
"""

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from linuxmm.spec.errors import LinuxmmError

_FRAME: Final = 0x000F_FFFF_FFFF_F000
_PRESENT: Final = 1
_LARGE: Final = 1 << 7
_TEXT_64: Final = 0xFFFF_FFFF_8000_0000
_LOWMEM_32: Final = 0xC000_0000
_PAGE: Final = 4096


class Unmapped(LinuxmmError):
    """A virtual address that the kernel's page tables do not map, or a frame that the guest does not have."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file that backs guest memory from physical address `base` on."""

    base: int
    size: int
    path: Path


class Physical(Protocol):
    """Physical memory of a machine."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a physical address."""


class GuestRam:
    """Physical memory of a guest whose memory backends are files.

    Requires  the guest is stopped while it is read
    """

    def __init__(self, segments: tuple[Segment, ...]) -> None:
        self._maps: list[tuple[int, int, mmap.mmap]] = []
        for segment in segments:
            with segment.path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), segment.size, prot=mmap.PROT_READ)
            self._maps.append((segment.base, segment.base + segment.size, mapped))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a physical address, inside one segment.

        Errors    Unmapped when the guest has no such memory
        """
        for base, end, mapped in self._maps:
            if base <= address and address + size <= end:
                return mapped[address - base : address - base + size]
        raise Unmapped(f"physical address {address:#x}: not memory of this guest")

    def close(self) -> None:
        """Give the mappings back."""
        for _, _, mapped in self._maps:
            mapped.close()


class Tables(Protocol):
    """How virtual addresses become physical ones."""

    def walk(self, address: int) -> int:
        """The physical address behind a kernel virtual address; Unmapped when there is none."""


class Radix:
    """Page tables of 64-bit entries: `shifts` from the root's down to 12."""

    def __init__(self, memory: Physical, root: int, shifts: tuple[int, ...]) -> None:
        self._memory = memory
        self._root = root
        self._shifts = shifts

    def walk(self, address: int) -> int:
        """The physical address behind a virtual address.

        Errors    Unmapped when an entry on the way is not present
        """
        table = self._root
        for shift in self._shifts:
            index = address >> shift & 511
            entry = int.from_bytes(self._memory.read(table + 8 * index, 8), "little")
            if not entry & _PRESENT:
                raise Unmapped(f"virtual address {address:#x}: not mapped")
            if shift == 12 or (entry & _LARGE and shift <= 30 and shift != self._shifts[0]):
                inside = (1 << shift) - 1
                return (entry & _FRAME & ~inside) | (address & inside)
            table = entry & _FRAME
        raise AssertionError("the last level is a page")


def kernel_tables(memory: Physical, symbols: Mapping[str, int], pointer: int) -> Radix:
    """The kernel's own page tables.

    Requires  the guest was booted with nokaslr
    Errors    LinuxmmError when the kernel is not one whose tables are known here
    """
    if pointer == 4:
        root = _symbol(symbols, "swapper_pg_dir") - _LOWMEM_32
        return Radix(memory, root, (30, 21, 12))
    root = _symbol(symbols, "init_top_pgt") - _TEXT_64
    five = symbols.get("__pgtable_l5_enabled")
    if five is not None and int.from_bytes(memory.read(five - _TEXT_64, 4), "little"):
        return Radix(memory, root, (48, 39, 30, 21, 12))
    return Radix(memory, root, (39, 30, 21, 12))


def _symbol(symbols: Mapping[str, int], name: str) -> int:
    if name not in symbols:
        raise LinuxmmError(
            f"the kernel has no symbol {name}: expected an x86 kernel with CONFIG_KALLSYMS_ALL"
        )
    return symbols[name]


class Virtual:
    """Kernel virtual memory of a guest; translations are kept, so take a new one after the guest ran."""

    def __init__(self, memory: Physical, tables: Tables) -> None:
        self._memory = memory
        self._tables = tables
        self._known: dict[int, int] = {}

    def physical(self, address: int) -> int:
        """The physical address behind a virtual one."""
        page = address >> 12
        frame = self._known.get(page)
        if frame is None:
            frame = self._known[page] = self._tables.walk(address) & ~(_PAGE - 1)
        return frame | (address & (_PAGE - 1))

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a virtual address, across pages.

        Errors    Unmapped
        """
        inside = address & (_PAGE - 1)
        if inside + size <= _PAGE:
            return self._memory.read(self.physical(address), size)
        parts = []
        while size:
            piece = min(size, _PAGE - (address & (_PAGE - 1)))
            parts.append(self._memory.read(self.physical(address), piece))
            address += piece
            size -= piece
        return b"".join(parts)
