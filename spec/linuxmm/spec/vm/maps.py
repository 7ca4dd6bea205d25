"""/proc/PID/maps, and the VmFlags of smaps, printed and read as the kernel prints them.

Linux: fs/proc/task_mmu.c:show_map_vma, show_smap.  Seed 2.8 (F059, F057).  2.4 to 6.18.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vm.area import FileKind, Vma
from linuxmm.spec.vm.flags import VM_EXEC, VM_MAYSHARE, VM_READ, VM_WRITE
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vocabulary import PAGE_SHIFT

_NAME_AT: Final = {32: 49, 64: 73}
"""The column of the name."""
_LINE: Final = re.compile(
    rb"([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *([^\n]*)"
)


@dataclass(frozen=True, slots=True)
class MapsLine:
    """One line of maps: bytes, rights as four letters, offset in bytes, device, inode, name."""

    start: int
    end: int
    rights: str
    offset: int
    device: tuple[int, int]
    inode: int
    name: str


@formula("F059", source="fs/proc/task_mmu.c:show_map_vma; 2.4 to 6.18")
def rights_letters(flags: int) -> str:
    """The four letters: r or -, w or -, x or -, s or p."""
    return (
        ("r" if flags & VM_READ else "-")
        + ("w" if flags & VM_WRITE else "-")
        + ("x" if flags & VM_EXEC else "-")
        + ("s" if flags & VM_MAYSHARE else "p")
    )


@behaviour(
    "vm.heap-printed",
    since="2.4.0",
    until="6.6",
    features=("F059",),
    source="fs/proc/task_mmu.c:show_map_vma, include/linux/mm.h:vma_is_initial_heap; 6.1 to 6.6.87",
)
def heap_or_beside_it(start: int, end: int, start_brk: int, brk: int) -> bool:
    """The areas that hold or touch the heap are called [heap]."""
    return start <= brk and end >= start_brk


@behaviour(
    "vm.heap-printed",
    since="6.7",
    until="6.18",
    features=("F059",),
    source="include/linux/mm.h:vma_is_initial_heap; 6.7 to 6.18",
)
def heap_itself(start: int, end: int, start_brk: int, brk: int) -> bool:
    """The areas that hold some of the heap are called [heap]."""
    return start < brk and end > start_brk


IsHeap = Callable[[int, int, int, int], bool]


def name_of(space: AddressSpace, area: Vma, is_heap: IsHeap = heap_itself) -> str:
    """The last column: the file, what the kernel or the process calls the memory, or nothing.

    Source  fs/proc/task_mmu.c:get_vma_name; 5.17 to 6.18
    """
    file = None if area.file is None else space.files[area.file]
    if file is not None:
        if area.name is not None and file.kind is FileKind.SHARED_ANONYMOUS:
            return f"[anon_shmem:{area.name}]"
        return file.path
    if area.special:
        return area.special
    if is_heap(area.start, area.end, space.start_brk, space.brk):
        return "[heap]"
    if area.start <= space.start_stack <= area.end:
        return "[stack]"
    return "" if area.name is None else f"[anon:{area.name}]"


def maps_line(space: AddressSpace, area: Vma, is_heap: IsHeap = heap_itself, bits: int = 64) -> str:
    """The line of an area in /proc/PID/maps, without the newline."""
    file = None if area.file is None else space.files[area.file]
    offset = area.pgoff << PAGE_SHIFT if file is not None else 0
    device = (file.major, file.minor) if file is not None else (0, 0)
    inode = file.inode if file is not None else 0
    text = (
        f"{area.start:08x}-{area.end:08x} {rights_letters(area.flags)} {offset:08x} "
        f"{device[0]:02x}:{device[1]:02x} {inode} "
    )
    name = name_of(space, area, is_heap)
    return text.ljust(_NAME_AT[bits]) + name if name else text


def maps_text(space: AddressSpace, is_heap: IsHeap = heap_itself) -> str:
    """/proc/PID/maps."""
    return "".join(maps_line(space, area, is_heap) + "\n" for area in space.areas)


def read_maps(text: bytes, file: str = "maps") -> tuple[MapsLine, ...]:
    """The lines of a maps file.

    Errors    BadEvidence
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadEvidence(file, "expected START-END RIGHTS OFFSET DEVICE INODE [NAME]", line=number)
        found.append(
            MapsLine(
                int(match[1], 16),
                int(match[2], 16),
                match[3].decode(),
                int(match[4], 16),
                (int(match[5], 16), int(match[6], 16)),
                int(match[7]),
                match[8].decode("utf-8", "backslashreplace"),
            )
        )
    return tuple(found)
