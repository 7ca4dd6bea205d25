"""Capture folders, format linuxmm-capture/1: one workload on one kernel, with exact states at marks.

Docs: docs/formats/capture.md.
"""

import gzip
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, TypeVar

import msgspec

from linuxmm.oracle.formats.ftrace_text import TextTrace
from linuxmm.oracle.formats.state import Count, MachineState, Name
from linuxmm.oracle.formats.streams import whole
from linuxmm.spec.errors import BadEvidence, LinuxmmError

FORMAT: Final = "linuxmm-capture/1"
DESCRIPTION: Final = "capture.json"
_DESCRIPTION_LIMIT: Final = 1 << 24
_STATE_LIMIT: Final = 1 << 30
_FILE_LIMIT: Final = 1 << 30

MarkName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
RelativePath = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
S = TypeVar("S", bound=msgspec.Struct)


class KernelInfo(msgspec.Struct, frozen=True):
    """What `uname` says."""

    release: Name
    uname: str = ""


class Machine(msgspec.Struct, frozen=True):
    """What the kernel ran on."""

    arch: Name
    memory: str
    cpus: Annotated[int, msgspec.Meta(ge=1, le=32768)]
    emulator: str = ""
    arguments: tuple[str, ...] = ()


class Buffers(msgspec.Struct, frozen=True):
    """One CPU's ring buffer after the run, as its `stats` file counts."""

    entries: Count
    overrun: Count = 0
    commit_overrun: Count = 0
    dropped_events: Count = 0


class TraceInfo(msgspec.Struct, frozen=True):
    """One trace of the capture: its file, the events enabled, the probes defined, what was lost."""

    name: MarkName
    file: RelativePath
    events: RelativePath | None = None
    probes: RelativePath | None = None
    buffers: dict[Name, Buffers] = {}
    probe_misses: dict[Name, Count] = {}


class Description(msgspec.Struct, frozen=True):
    """The content of capture.json; `command` is what made the capture."""

    format: str
    area: Name
    kernel: KernelInfo
    machine: Machine
    cmdline: str = ""
    marks: tuple[MarkName, ...] = ()
    traces: tuple[TraceInfo, ...] = ()
    other_files: tuple[RelativePath, ...] = ()
    seconds: float = 0.0
    timed_out: bool = False
    command: str = ""


@dataclass(frozen=True, slots=True)
class Capture:
    """An opened capture folder; traces and states are read when asked for."""

    path: Path
    description: Description

    @property
    def name(self) -> str:
        """The folder, for messages."""
        return str(self.path)

    @property
    def marks(self) -> tuple[str, ...]:
        """Names of the marks in the order in which they were taken."""
        return self.description.marks

    @property
    def traces(self) -> tuple[str, ...]:
        """Names of the traces."""
        return tuple(trace.name for trace in self.description.traces)

    def trace(self, name: str) -> TextTrace:
        """The trace of that name.

        Errors    BadEvidence when the capture has none; reading it may raise more
        """
        return TextTrace(self.file(self.info(name).file))

    def info(self, name: str) -> TraceInfo:
        """What capture.json says of a trace, its losses among it.

        Errors    BadEvidence when the capture has none of that name
        """
        for info in self.description.traces:
            if info.name == name:
                return info
        raise BadEvidence(str(self.path / DESCRIPTION), f"expected a trace named {name!r}", where="$.traces")

    def state(self, mark: str) -> MachineState:
        """The machine at a mark.

        Errors    BadEvidence naming file and JSON path
        """
        if mark not in self.marks:
            expected = f"expected a mark named {mark!r}"
            raise BadEvidence(str(self.path / DESCRIPTION), expected, where="$.marks")
        return read_state(self._state_file(mark))

    def has_state(self, mark: str) -> bool:
        """Whether the exact state was taken at a mark."""
        return mark in self.marks and self._state_file(mark).is_file()

    def text(self, mark: str, name: str) -> str:
        """A file of /proc or /sys as the guest read it at a mark, such as "proc/buddyinfo".

        Errors    BadEvidence when the capture does not have it
        """
        return whole(self.file(f"marks/{mark}/{name}"), _FILE_LIMIT).decode("utf-8", "replace")

    def file(self, relative: str) -> Path:
        """Where a file of the capture is.

        Errors    BadEvidence when the name leads out of the folder
        """
        pure = PurePosixPath(relative)
        inside = (self.path / pure).resolve().is_relative_to(self.path.resolve())
        if pure.is_absolute() or ".." in pure.parts or "\0" in relative or not inside:
            expected = f"expected a path inside the capture, found {relative!r}"
            raise BadEvidence(str(self.path / DESCRIPTION), expected)
        return self.path / pure

    def _state_file(self, mark: str) -> Path:
        packed = self.file(f"marks/{mark}/state.json.gz")
        return packed if packed.is_file() else self.file(f"marks/{mark}/state.json")


def open_capture(path: Path | str) -> Capture:
    """Open a capture folder and check its description.

    Errors    BadEvidence naming file and JSON path
    """
    folder = Path(path)
    file = folder / DESCRIPTION
    raw = whole(file, _DESCRIPTION_LIMIT)
    stated = _decode(file, raw, _Format)
    if stated.format != FORMAT:
        raise BadEvidence(str(file), f"expected {FORMAT!r}, found {stated.format!r}", where="$.format")
    description = _decode(file, raw, Description)
    for what, names in (("marks", description.marks), ("traces", [t.name for t in description.traces])):
        if len(set(names)) != len(names):
            raise BadEvidence(str(file), "expected different names", where=f"$.{what}")
        if {".", ".."} & set(names):
            raise BadEvidence(str(file), "expected a name, found dots", where=f"$.{what}")
    return Capture(folder, description)


class _Format(msgspec.Struct, frozen=True):
    format: str


def read_state(path: Path) -> MachineState:
    """A state file, plain or compressed.

    Errors    BadEvidence naming file and JSON path
    """
    return _decode(path, whole(path, _STATE_LIMIT), MachineState)


def _decode(file: Path, raw: bytes, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadEvidence(str(file), _sentence(what), where=where.strip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvidence(str(file), f"expected JSON: {error}") from None


def _sentence(what: str) -> str:
    return what[:1].lower() + what[1:]


Writer = Callable[[Path], None]


def write_capture(
    path: Path | str,
    description: Description,
    *,
    states: Mapping[str, MachineState],
    files: Mapping[str, bytes | Path | Writer],
) -> Capture:
    """Write a capture folder at once or not at all.

    states  mark -> state;  files  relative path -> content, a file to copy, or a function that writes it
    Requires  `path` does not exist; every mark with a state and every trace file is in `description`
    Ensures   a reader sees the whole folder or none of it
    Errors    LinuxmmError for a description that does not match; OSError from the file system
    """
    target = Path(path)
    if target.exists():
        raise LinuxmmError(f"{target}: expected a path where nothing is yet")
    if description.format != FORMAT:
        raise LinuxmmError(f"capture format {description.format!r}: this writes {FORMAT!r}")
    if unknown := sorted(set(states) - set(description.marks)):
        raise LinuxmmError(f"state {unknown[0]!r} belongs to no mark of the description")
    named = [t.file for t in description.traces] + [t.events for t in description.traces if t.events]
    named += [t.probes for t in description.traces if t.probes] + list(description.other_files)
    if missing := sorted(set(named) - set(files)):
        raise LinuxmmError(f"the description names {missing[0]!r}, which is not among the files")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _fill(Capture(draft, description), states, files)
        draft.chmod(0o755)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return open_capture(target)


def _fill(
    draft: Capture, states: Mapping[str, MachineState], files: Mapping[str, bytes | Path | Writer]
) -> None:
    described = msgspec.json.format(msgspec.json.encode(draft.description), indent=1)
    (draft.path / DESCRIPTION).write_bytes(described + b"\n")
    for mark, state in states.items():
        with _place(draft, f"marks/{mark}/state.json.gz").open("wb") as file:
            file.write(gzip.compress(msgspec.json.encode(state), 6, mtime=0))
    for name, content in files.items():
        place = _place(draft, name)
        if isinstance(content, bytes):
            place.write_bytes(content)
        elif isinstance(content, Path):
            shutil.copyfile(content, place)
        else:
            content(place)


def _place(draft: Capture, name: str) -> Path:
    place = draft.file(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def losses(capture: Capture) -> Iterator[str]:
    """What capture.json itself says was lost, one sentence each: overruns, dropped events, missed probes."""
    for trace in capture.description.traces:
        for cpu, buffers in sorted(trace.buffers.items()):
            for counter in ("overrun", "commit_overrun", "dropped_events"):
                if count := getattr(buffers, counter):
                    yield f"trace {trace.name}: {cpu} {counter} {count}"
        for probe, count in sorted(trace.probe_misses.items()):
            if count:
                yield f"trace {trace.name}: probe {probe} missed {count} hits"
    if capture.description.timed_out:
        yield "the workload was stopped before its end"


def absences(capture: Capture) -> Iterator[str]:
    """What must once have been in the folder and is not, one sentence each; the files of traces apart."""
    description = capture.description
    named = [name for trace in description.traces for name in (trace.events, trace.probes) if name]
    for name in (*named, *description.other_files):
        if not capture.file(name).is_file():
            yield f"{name}: named in {DESCRIPTION}, and not in the capture"
    folders = {mark: capture.file(f"marks/{mark}") for mark in capture.marks}
    states = {mark: {file.name for file in folder.glob("*.json.gz")} for mark, folder in folders.items()}
    for name in sorted(set().union(*states.values())):
        for mark in (mark for mark, found in states.items() if name not in found):
            yield f"mark {mark}: {name} stands at other marks, and not at this one"
