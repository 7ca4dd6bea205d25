"""Boot a kernel, run a workload in it, and write the folder of evidence (docs/formats/capture.md)."""

import gzip
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from linuxmm.lab import probes
from linuxmm.lab.boot import Outcome, boot
from linuxmm.lab.dump.allocator import allocator_state
from linuxmm.lab.dump.areas import DUMPS
from linuxmm.lab.dump.lru import lru_state
from linuxmm.lab.initramfs import build
from linuxmm.lab.introduce import FolderSink, introduce
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.memory import KernelMemory
from linuxmm.lab.ram import GuestRam
from linuxmm.lab.workload import Workload
from linuxmm.oracle.formats.agreement import disagreements
from linuxmm.oracle.formats.areas import area_file, packed
from linuxmm.oracle.formats.capture import (
    FORMAT,
    Buffers,
    Capture,
    Description,
    KernelInfo,
    TraceInfo,
    Writer,
    write_capture,
)
from linuxmm.oracle.formats.capture import Machine as MachineInfo
from linuxmm.oracle.formats.state import MachineState, findings
from linuxmm.spec.errors import LinuxmmError

MARK_FILES: Final = (
    "buddyinfo", "pagetypeinfo", "zoneinfo", "vmstat", "meminfo", "vmallocinfo", "swaps", "pressure/memory",
    "sys/vm/lowmem_reserve_ratio",
)  # fmt: skip
_READ_LAST: Final = "/proc/slabinfo"
"""Opening a file takes objects, so that this one is out of date when another is opened after it."""
LRU: Final = "lru"
_SYNC: Final = re.compile(r"tracing_mark_write: SYNC (\S+) (begin|end)$")
_OF_TASK: Final = re.compile(r"^/proc/\d+/")
_EMULATOR: Final = "qemu-system, TCG"


@dataclass(frozen=True, slots=True)
class Captured:
    """A capture that was taken.

    boot_seconds  until the guest's first process ran
    freezes       seconds that each mark stopped the guest
    warnings      what makes the evidence incomplete, or was left out
    """

    capture: Capture
    boot_seconds: float
    seconds: float
    freezes: Mapping[str, float]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class _Reader:
    """Reads the stopped guest at each mark."""

    kernel: KernelImage
    workload: Workload
    states: dict[str, MachineState] = field(default_factory=dict)
    more: dict[str, bytes] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __call__(self, mark: str, folder: Path) -> None:
        """Take the state of the page allocator and of whatever else the workload wants."""
        ram = GuestRam(self.workload.machine.segments(folder))
        try:
            memory = KernelMemory(ram, self.kernel.btf, self.kernel.symbols)
            with self._noted(mark, "the state"):
                document = allocator_state(memory)
                if LRU in self.workload.dumps:
                    _add_lru(document, lru_state(memory))
                self.states[mark] = msgspec.convert(document, MachineState)
            for name in self.workload.dumps:
                if name != LRU:
                    with self._noted(mark, name):
                        self.more[area_file(mark, name)] = packed(DUMPS[name].read(memory))
        finally:
            ram.close()

    @contextmanager
    def _noted(self, mark: str, what: str) -> Iterator[None]:
        try:
            yield
        except (LinuxmmError, msgspec.ValidationError, KeyError) as error:
            self.warnings.append(f"mark {mark}: {what} could not be read: {error}")


def _add_lru(document: dict[str, Any], lists: dict[str, Any]) -> None:
    for node in document["nodes"]:
        found = lists.get(str(node["nid"]))
        if found is not None:
            node["lru"] = found


def capture(
    kernel: KernelImage,
    workload: Workload,
    target: Path,
    *,
    note: Callable[[str], None] = lambda _: None,
    limit: float | None = None,
) -> Captured:
    """Run a workload on a kernel and write what was seen to `target`.

    limit    seconds that the guest may run; the workload's own when None
    Ensures  the folder is whole or not there
    Errors   LinuxmmError
    """
    if target.exists():
        raise LinuxmmError(f"{target}: expected a path where nothing is yet")
    introduce(kernel, note)
    if unknown := [name for name in workload.dumps if name != LRU and name not in DUMPS]:
        raise LinuxmmError(
            f"{workload.name}: nothing to dump is called {unknown[0]!r}; there are {', '.join((LRU, *DUMPS))}"
        )
    missing = [symbol for symbol in workload.needs if symbol not in kernel.symbols]
    if missing:
        raise NotOnThisKernel(f"{workload.name}: {kernel.name} has no {', '.join(missing)}")
    if workload.bits not in (0, kernel.bits):
        raise NotOnThisKernel(f"{workload.name}: for kernels of {workload.bits} bits")
    with tempfile.TemporaryDirectory(prefix="linuxmm-lab-") as name:
        files = Path(name)
        reader = _Reader(kernel, workload)
        outcome = boot(
            kernel,
            workload.machine,
            build(
                kernel,
                workload=workload.script,
                wanted=workload.modules,
                files=_guest_files(kernel, workload),
            ),
            FolderSink(files),
            freeze=reader,
            note=note,
            limit=limit or workload.seconds,
        )
        note("writing")
        return _written(kernel, workload, outcome, reader, files, target)


class NotOnThisKernel(LinuxmmError):
    """A workload that the kernel lacks something for."""


_GENERATIONS: Final = "/sys/kernel/mm/lru_gen/enabled"
"""Says whether the lists of a node are those by generations; absent before 6.1."""


def _guest_files(kernel: KernelImage, workload: Workload) -> dict[str, bytes]:
    files = {f"etc/probes/{name}": _lines(probes.render(kernel, name)) for name in workload.probes}
    files["etc/mark-files"] = _lines(
        [f"/proc/{name}" for name in MARK_FILES]
        + [f"/sys/devices/system/node/node{n}/cpulist" for n in range(workload.machine.nodes)]
        + ([_GENERATIONS] if LRU in workload.dumps else [])
        + sorted(pattern for name in workload.dumps if name != LRU for pattern in DUMPS[name].files)
        + [_READ_LAST]
    )
    clock = "x86-tsc" if workload.machine.cpus > 1 else "mono"
    files["etc/trace_clock"] = f"{clock}\n".encode()
    return files


def _lines(lines: "list[str] | tuple[str, ...]") -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _written(
    kernel: KernelImage,
    workload: Workload,
    outcome: Outcome,
    reader: _Reader,
    files: Path,
    target: Path,
) -> Captured:
    content: dict[str, bytes | Path | Writer] = {"workload.sh": workload.script.encode()}
    content |= reader.more
    for mark, taken in outcome.marks.items():
        content |= {f"marks/{mark}/{name.lstrip('/')}": data for name, data in _of_users(taken)}
    content["logs/console.txt"] = outcome.console.encode()
    others = []
    for path in sorted(file for file in files.rglob("*") if file.is_file()):
        name = str(path.relative_to(files))
        if name.startswith("trace/") and name.endswith(".txt"):
            content[f"{name}.gz"] = _gzip_of(path)
        elif name != "uname":
            content[name] = path
            if not name.startswith("trace/"):
                others.append(name)
    names = sorted(file.stem for file in files.glob("trace/*.txt"))
    uname = (files / "uname").read_text().strip() if (files / "uname").is_file() else ""
    machine = workload.machine
    description = Description(
        format=FORMAT,
        area=workload.area,
        kernel=KernelInfo(uname.split()[2] if len(uname.split()) > 2 else kernel.name, uname),
        machine=MachineInfo(
            "x86_64" if kernel.bits == 64 else "i686",
            machine.memory,
            machine.cpus,
            _EMULATOR,
            tuple(outcome.arguments),
        ),
        cmdline=machine.command_line,
        marks=tuple(outcome.marks),
        traces=tuple(_trace_info(files / "trace", name) for name in names),
        other_files=tuple(others),
        seconds=round(outcome.seconds, 1),
        timed_out=outcome.timed_out,
        command=_command(kernel, workload),
    )
    made = write_capture(target, description, states=reader.states, files=content)
    warnings = [
        *reader.warnings,
        *_inconsistent(reader.states),
        *_disagreeing(made),
        *_while_stopping(files / "trace"),
    ]
    if not outcome.finished:
        warnings.append(f"the guest did not finish: {outcome.console.strip()[-300:]}")
    return Captured(made, outcome.up, outcome.seconds, dict(outcome.freezes), tuple(warnings))


def _of_users(files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of a mark without those of kernel threads, which have no address space."""
    for name, data in files.items():
        seen = _OF_TASK.match(name)
        if seen is None or files.get(f"{seen[0]}maps"):
            yield name, data


def _command(kernel: KernelImage, workload: Workload) -> str:
    """The command that makes such a capture; one's own files are not named by where they are."""
    image = Path(kernel.name).name if "/" in kernel.name else kernel.name
    machine = workload.machine
    words = ["linuxmm lab capture", "--kernel", image, "--workload", Path(workload.name).name, "--mem"]
    words += [machine.memory, "--smp", str(machine.cpus), "--numa", str(machine.nodes), "--out DIR"]
    return " ".join(words)


def _inconsistent(states: Mapping[str, MachineState]) -> list[str]:
    return [f"mark {mark}: {found}" for mark, state in states.items() for found in findings(state)[:3]]


def _disagreeing(capture: Capture) -> list[str]:
    """Where an area's state is not what the kernel's own files say at its mark: the first few of each."""
    found = []
    for mark in capture.marks:
        found += [f"mark {mark}: {where}" for where in islice(disagreements(capture, mark), 5)]
    return found


def _while_stopping(folder: Path) -> list[str]:
    """Marks during which something still happened, so that the state is not that of the marker."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        inside = 0
        with path.open(errors="replace") as lines:
            for line in lines:
                seen = _SYNC.search(line)
                if seen is None:
                    inside += 1
                    continue
                if seen[2] == "end" and inside:
                    found.append(
                        f"mark {seen[1]}: {inside} events of {path.stem} while the machine was stopped"
                    )
                inside = 0
    return found


def _gzip_of(path: Path) -> Writer:
    def write(place: Path) -> None:
        with (
            path.open("rb") as source,
            place.open("wb") as raw,
            gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        ):
            while piece := source.read(1 << 20):
                packed.write(piece)

    return write


def _trace_info(folder: Path, name: str) -> TraceInfo:
    return TraceInfo(
        name=name,
        file=f"trace/{name}.txt.gz",
        events=f"trace/{name}.events" if (folder / f"{name}.events").is_file() else None,
        probes=f"trace/{name}.probes" if (folder / f"{name}.probes").is_file() else None,
        buffers=buffers(_text(folder / f"{name}.stats")),
        probe_misses=probe_misses(_text(folder / f"{name}.profile")),
    )


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def buffers(text: str) -> dict[str, Buffers]:
    """Ring buffers by CPU from their `stats` files, each after a line "cpu cpuN"."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if line.startswith("cpu cpu"):
            current = found.setdefault(line.removeprefix("cpu ").strip(), {})
        elif value.strip().isdecimal() and found:
            current[key.replace(" ", "_")] = int(value)
    return {
        cpu: Buffers(
            values.get("entries", 0),
            values.get("overrun", 0),
            values.get("commit_overrun", 0),
            values.get("dropped_events", 0),
        )
        for cpu, values in found.items()
    }


def probe_misses(text: str) -> dict[str, int]:
    """Probes that missed hits, from `kprobe_profile`: name, hits, misses."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[2].isdecimal() and int(row[2])}
