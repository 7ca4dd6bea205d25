"""Physical memory with contents: where memory is, what each frame holds, and what reading it gives.

Memory is sparse: a frame that was never written reads as zeros.  An access that memory cannot serve is an
answer, not an exception: nothing is there, or the frame is poisoned (an uncorrectable error) and the machine
check architecture reports it.

Linux: mm/memory-failure.c, arch/x86/kernel/cpu/mce.  Seed 2 intro, 2.14.2 (F001, F085).
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from immutables import Map

from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

ZEROS: Final = bytes(PAGE_SIZE)
NO_FRAMES: Final[Map[int, bytes]] = Map()


class Fault(IntEnum):
    """Why memory does not serve an access."""

    NONE = 0
    ABSENT = 1
    POISONED = 2
    READ_ONLY = 3


@dataclass(frozen=True, slots=True)
class AccessError:
    """An access that failed: why, and the first physical address that failed."""

    fault: Fault
    address: int


@dataclass(frozen=True, slots=True)
class Range:
    """Physical addresses start to end (exclusive) that hold memory; `writable` is False for ROM."""

    start: int
    end: int
    writable: bool = True


@dataclass(frozen=True, slots=True)
class PhysicalMemory:
    """All memory of the machine.

    ranges    where memory is: disjoint, in ascending order, whole frames
    frames    pfn -> PAGE_SIZE bytes; a frame that is missing holds zeros
    poisoned  pfns whose contents are lost
    """

    ranges: tuple[Range, ...]
    frames: Map[int, bytes] = NO_FRAMES
    poisoned: frozenset[int] = frozenset()


def physical_memory(ranges: tuple[Range, ...]) -> PhysicalMemory:
    """Memory of zeros in `ranges`.

    Errors    ValueError for a range that is empty, not of whole frames, or overlaps the one before
    """
    end = 0
    for part in ranges:
        if part.start % PAGE_SIZE or part.end % PAGE_SIZE or part.end <= part.start:
            raise ValueError(f"range {part.start:#x}-{part.end:#x}: expected one or more whole frames")
        if part.start < end:
            raise ValueError(
                f"range {part.start:#x}-{part.end:#x} starts below {end:#x}, where the last ends"
            )
        end = part.end
    return PhysicalMemory(ranges)


def range_of(memory: PhysicalMemory, address: int) -> Range | None:
    """The range that holds an address."""
    return next((part for part in memory.ranges if part.start <= address < part.end), None)


def _refusal(memory: PhysicalMemory, address: int, size: int, write: bool) -> AccessError | None:
    at = address
    while at < address + size:
        part = range_of(memory, at)
        if part is None:
            return AccessError(Fault.ABSENT, at)
        if at >> PAGE_SHIFT in memory.poisoned and not write:
            return AccessError(Fault.POISONED, at)
        if write and not part.writable:
            return AccessError(Fault.READ_ONLY, at)
        at = (at >> PAGE_SHIFT) + 1 << PAGE_SHIFT
    return None


@verb("F001", "F085", source="arch/x86/kernel/cpu/mce/core.c:do_machine_check")
def read_bytes(memory: PhysicalMemory, address: int, size: int) -> bytes | AccessError:
    """`size` bytes from `address` on.

    Requires  address >= 0, size >= 0
    Ensures   an error names the first address that memory does not serve
    """
    failed = _refusal(memory, address, size, write=False)
    if failed is not None:
        return failed
    parts, at, end = [], address, address + size
    while at < end:
        offset = at % PAGE_SIZE
        taken = min(PAGE_SIZE - offset, end - at)
        parts.append(memory.frames.get(at >> PAGE_SHIFT, ZEROS)[offset : offset + taken])
        at += taken
    return b"".join(parts)


@verb("F001", "F085", source="arch/x86/kernel/cpu/mce/core.c:do_machine_check")
def write_bytes(memory: PhysicalMemory, address: int, data: bytes) -> PhysicalMemory | AccessError:
    """The memory with `data` from `address` on; a failing write changes nothing.

    Ensures   other addresses are as before; a poisoned frame stays poisoned until `cleared` (a partial write
              cannot repair it)
    """
    failed = _refusal(memory, address, len(data), write=True)
    if failed is not None:
        return failed
    frames, at = memory.frames, 0
    while at < len(data):
        pfn, offset = address + at >> PAGE_SHIFT, (address + at) % PAGE_SIZE
        taken = min(PAGE_SIZE - offset, len(data) - at)
        old = frames.get(pfn, ZEROS)
        new = old[:offset] + data[at : at + taken] + old[offset + taken :]
        frames = frames.set(pfn, new) if new != ZEROS else frames.delete(pfn) if pfn in frames else frames
        at += taken
    return replace(memory, frames=frames)


@verb("F001", source="arch/x86/include/asm/pgtable.h:native_set_pte")
def read_word(memory: PhysicalMemory, address: int, size: int = 8) -> int | AccessError:
    """The little-endian word of `size` bytes at `address`."""
    data = read_bytes(memory, address, size)
    return data if isinstance(data, AccessError) else int.from_bytes(data, "little")


@verb("F001", source="arch/x86/include/asm/pgtable.h:native_set_pte")
def write_word(
    memory: PhysicalMemory, address: int, value: int, size: int = 8
) -> PhysicalMemory | AccessError:
    """The memory with the little-endian word `value` of `size` bytes at `address`.

    Errors    OverflowError when the value does not fit
    """
    return write_bytes(memory, address, value.to_bytes(size, "little"))


@verb("F085", source="mm/memory-failure.c:memory_failure")
def poisoned(memory: PhysicalMemory, pfn: int) -> PhysicalMemory:
    """The memory after an uncorrectable error in a frame: its contents are lost.

    Errors    ValueError when no memory is there
    """
    if range_of(memory, pfn << PAGE_SHIFT) is None:
        raise ValueError(f"frame {pfn:#x} holds no memory")
    frames = memory.frames.delete(pfn) if pfn in memory.frames else memory.frames
    return replace(memory, frames=frames, poisoned=memory.poisoned | {pfn})


@verb("F085", source="arch/x86/include/asm/special_insns.h:movdir64b; drivers/nvdimm (clear poison)")
def cleared(memory: PhysicalMemory, pfn: int) -> PhysicalMemory:
    """The memory after a whole poisoned frame was overwritten with zeros, which ends the poison."""
    frames = memory.frames.delete(pfn) if pfn in memory.frames else memory.frames
    return replace(memory, frames=frames, poisoned=memory.poisoned - {pfn})
