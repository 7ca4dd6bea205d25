"""A program's references on the address spaces of any kernel: areas from a snapshot or from calls.

A workload is a file of JSON lines (docs/formats/vm-workload.md); a snapshot is a /proc/PID/maps.

Seed 2.8, 2.3.1, 2.3.2 (F040, F041, F059).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

import msgspec
import numpy as np
from immutables import Map

from linuxmm.fast.arena import Int64s
from linuxmm.fast.translate import stream
from linuxmm.fast.vm_process import FastProcess
from linuxmm.model.vm.state import Backing
from linuxmm.oracle.live.wire import FIRST_FILE, decode
from linuxmm.spec.errors import BadEvidence, LinuxmmError
from linuxmm.spec.kernel import Arch, Kernel, Version, kernel
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.maps import MapsLine, read_maps
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vm.x86_entry import FETCH, READ, WRITE
from linuxmm.spec.vm.x86_format import FORMATS, X86_64_LA57
from linuxmm.spec.vocabulary import PAGE_SHIFT

ARCHES: Final = {"i386": Arch.I386, "pae": Arch.I386_PAE}
TASK_SIZE: Final = {Arch.I386: 0xC0000000, Arch.I386_PAE: 0xC0000000, Arch.X86_64: 0x7FFFFFFFF000}
FIVE_LEVELS: Final = Version(4, 14)
LARGEST_FILE: Final = 1 << 40
_KINDS: Final = {"read": READ, "write": WRITE, "fetch": FETCH}
_ALL: Final = vm.VM_READ | vm.VM_WRITE | vm.VM_EXEC | vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC


class FileLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that can be mapped: its size in bytes; shared memory is never read from a medium."""

    size: int
    shared_memory: bool = False


class TouchLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """References to so many pages from an address on."""

    address: int
    pages: int = 1
    kind: Literal["read", "write", "fetch"] = "read"


class WorkloadLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: exactly one of these."""

    file: FileLine | None = None
    call: str | None = None
    references: int | None = None
    touch: TouchLine | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Files, and what is done in order: a call, a touch, or so many references of the trace."""

    files: tuple[FileLine, ...]
    steps: tuple[SystemCall | TouchLine | int, ...]


NO_WORKLOAD: Final = Workload((), ())


def read_workload(path: Path) -> Workload:
    """A workload.

    Errors    BadEvidence naming the line
    """
    files: list[FileLine] = []
    steps: list[SystemCall | TouchLine | int] = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise BadEvidence(str(path), f"expected a readable file: {error.strerror}") from error
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=WorkloadLine)
        except msgspec.MsgspecError as error:
            raise BadEvidence(str(path), f"expected a step as JSON: {error}", line=number) from error
        given = [each for each in (line.file, line.call, line.references, line.touch) if each is not None]
        if len(given) != 1:
            raise BadEvidence(str(path), "expected one of file, call, references, touch", line=number)
        _check(line, path, number)
        if line.file is not None:
            files.append(line.file)
        elif line.call is not None:
            steps.append(decode(line.call, number, str(path)))
        else:
            steps.append(line.touch if line.touch is not None else line.references or 0)
    return Workload(tuple(files), tuple(steps))


def _check(line: WorkloadLine, path: Path, number: int) -> None:
    """Refuse numbers out of range."""
    if line.file is not None and not 0 <= line.file.size <= LARGEST_FILE:
        raise BadEvidence(str(path), "expected a size of 0 to 2**40 bytes", line=number, where="size")
    if line.references is not None and line.references < 0:
        raise BadEvidence(str(path), "expected a number of references", line=number, where="references")
    touch = line.touch
    if touch is not None and not (0 <= touch.address < 1 << 59 and 1 <= touch.pages <= 1 << 28):
        raise BadEvidence(
            str(path), "expected an address below 2**59 and 1 to 2**28 pages", line=number, where="touch"
        )


# ---- address spaces --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Beginning:
    """An address space before the first reference, and the objects that its areas map."""

    space: AddressSpace
    objects: dict[int, Backing]


def empty_space(arch: Arch, heap: int) -> AddressSpace:
    """An address space without areas, its heap at `heap`; laid out from the top down."""
    size = TASK_SIZE[arch]
    space = AddressSpace((), size, size - (128 << 20), size // 3 & -4096, heap, heap)
    return replace(space, next_file=1 << 32, start_stack=size - 4096)


def from_files(arch: Arch, files: tuple[FileLine, ...]) -> Beginning:
    """An address space without areas that may map these files, numbered as calls name them."""
    kept: Map[int, MappedFile] = Map()
    for number, held in enumerate(files, FIRST_FILE):
        kind = FileKind.SHMEM if held.shared_memory else FileKind.REGULAR
        kept = kept.set(number, MappedFile(number, f"file{number - FIRST_FILE}", size=held.size, kind=kind))
    objects = {n: Backing(held.size, held.shared_memory) for n, held in enumerate(files, FIRST_FILE)}
    return Beginning(replace(empty_space(arch, 0x10000000), files=kept), objects)


def anonymous_everywhere(arch: Arch) -> Beginning:
    """Anonymous memory with all rights at every address but those of the first 64 KiB."""
    space = empty_space(arch, 0x10000)
    area = Vma(0x10000, space.task_size, _ALL, 0x10)
    return Beginning(replace(space, areas=(area,), total=area.pages), {})


def from_maps(arch: Arch, path: Path) -> Beginning:
    """The areas of a /proc/PID/maps, none of their pages mapped; those beyond the addresses are left out.

    Files are as long as the last mapping of them; memory without an inode is anonymous.
    Errors    BadEvidence naming the line
    """
    try:
        lines = read_maps(path.read_bytes(), str(path))
    except OSError as error:
        raise BadEvidence(str(path), f"expected a readable file: {error.strerror}") from error
    heap = next((line for line in lines if line.name == "[heap]"), None)
    space = empty_space(arch, heap.start if heap else 0x10000000)
    if heap:
        space = replace(space, brk=heap.end)
    numbers: dict[tuple[tuple[int, int], int], int] = {}
    sizes: dict[int, int] = {}
    areas: list[Vma] = []
    for at, line in enumerate(lines, 1):
        if line.start >= line.end or (areas and line.start < areas[-1].end):
            raise BadEvidence(str(path), "expected areas in order, apart, and not empty", line=at)
        if line.end > space.task_size:
            continue
        number: int | None = None
        if line.inode:
            number = numbers.setdefault((line.device, line.inode), FIRST_FILE + len(numbers))
            sizes[number] = max(sizes.get(number, 0), line.offset + line.end - line.start)
            if sizes[number] > LARGEST_FILE:
                raise BadEvidence(str(path), "expected files of up to 2**40 bytes", line=at, where="offset")
        areas.append(_area(line, number))
    if not areas:
        raise BadEvidence(str(path), "expected areas; there are none")
    files = {n: MappedFile(n, f"file{n - FIRST_FILE}", size=size) for n, size in sizes.items()}
    total = sum(area.pages for area in areas)
    stack = sum(area.pages for area in areas if area.flags & vm.VM_GROWSDOWN)
    space = replace(space, areas=tuple(areas), files=Map(files), total=total, stack=stack)
    return Beginning(space, {number: Backing(size) for number, size in sizes.items()})


def _area(line: MapsLine, number: int | None) -> Vma:
    flags = vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC
    for letter, flag in zip(line.rights, (vm.VM_READ, vm.VM_WRITE, vm.VM_EXEC), strict=False):
        flags |= flag if letter != "-" else 0
    if line.rights[3] == "s":
        flags |= vm.VM_SHARED | vm.VM_MAYSHARE
    elif flags & vm.VM_WRITE:
        flags |= vm.VM_ACCOUNT
    if line.name == "[stack]":
        flags |= vm.VM_GROWSDOWN
    offset = line.start if number is None else line.offset
    return Vma(line.start, line.end, flags, offset >> PAGE_SHIFT, number)


# ---- runs ------------------------------------------------------------------------------------------------


class References:
    """The references of a trace, so many at a time."""

    def __init__(self, blocks: Iterator[Int64s]) -> None:
        self._blocks = blocks
        self._rest: Int64s = np.zeros(0, np.int64)

    def take(self, count: int | None) -> Iterator[Int64s]:
        """The next `count`, in parts; all that are left for None."""
        while count is None or count > 0:
            if not self._rest.size:
                self._rest = next(self._blocks, self._rest)
                if not self._rest.size:
                    return
            part = self._rest if count is None else self._rest[:count]
            self._rest = self._rest[part.size :]
            count = None if count is None else count - part.size
            yield part


@dataclass(slots=True)
class Machine:
    """A process of one kernel in one table format, and the calls that were refused."""

    version: str
    format: str
    process: FastProcess
    refused_calls: int = 0

    def call(self, what: SystemCall) -> None:
        """Make a call; a refusal is counted."""
        self.refused_calls += isinstance(self.process.call(what).result, Denied)

    @property
    def report(self) -> dict[str, object]:
        """What was counted."""
        found = asdict(self.process.report)
        return {**found, "faults": self.process.report.faults, "refused_calls": self.refused_calls}


def process_on(
    version: str, format_name: str, megabytes: int, maps: Path | None, workload: Workload | None
) -> Machine:
    """A process that has made no reference yet.

    Errors    LinuxmmError for five levels before 4.14; BadEvidence; Unmodelled
    """
    arch = ARCHES.get(format_name, Arch.X86_64)
    profile: Kernel = kernel(version, arch)
    if FORMATS[format_name] is X86_64_LA57 and profile.version < FIVE_LEVELS:
        raise LinuxmmError(f"{version} has no tables of five levels: expected 4.14 or later")
    if maps is not None:
        begin = from_maps(arch, maps)
    elif workload is not None:
        begin = from_files(arch, workload.files)
    else:
        begin = anonymous_everywhere(arch)
    frames = (megabytes << 20) >> PAGE_SHIFT
    process = FastProcess(profile, FORMATS[format_name], begin.space, frames, begin.objects)
    return Machine(version, format_name, process)


def run(machines: tuple[Machine, ...], workload: Workload, references: References) -> None:
    """Do a workload on every machine, then the references that are left."""
    for step in workload.steps:
        if isinstance(step, int):
            _make(machines, references.take(step))
        elif isinstance(step, TouchLine):
            pages = step.address + (np.arange(step.pages, dtype=np.int64) << PAGE_SHIFT)
            _make(machines, iter([stream(np.full(step.pages, _KINDS[step.kind]), pages)]))
        else:
            for each in machines:
                each.call(step)
    _make(machines, references.take(None))


def _make(machines: tuple[Machine, ...], parts: Iterator[Int64s]) -> None:
    for words in parts:
        for each in machines:
            each.process.run(words)
