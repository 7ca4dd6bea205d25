"""Which form of evidence a path holds, by its content."""

from pathlib import Path
from typing import TypeAlias

from linuxmm.oracle.formats import archive, trace_dat
from linuxmm.oracle.formats.capture import DESCRIPTION, Capture, open_capture
from linuxmm.oracle.formats.ftrace_raw import RawTrace
from linuxmm.oracle.formats.ftrace_text import TextTrace
from linuxmm.oracle.formats.jsonl import Operations, open_operations
from linuxmm.oracle.formats.streams import GZIP, ZSTD, Cut, chunks, head
from linuxmm.spec.errors import BadEvidence

Evidence: TypeAlias = Capture | TextTrace | RawTrace | trace_dat.DatTrace | archive.Archive | Operations

_KNOWN = (
    "a capture folder (capture.json), a folder of raw pages (per_cpu/cpuN/trace_pipe_raw and events/), "
    "trace.dat, a Parquet archive, ftrace text, or JSON lines of operations"
)


def open_evidence(path: Path | str) -> Evidence:
    """Open whatever evidence `path` holds.

    Errors    BadEvidence when it is none that linuxmm reads, or its head is not as its form demands
    """
    place = Path(path)
    if not place.exists():
        raise BadEvidence(str(place), "expected a file or folder, found nothing there")
    if place.is_dir():
        if (place / DESCRIPTION).exists():
            return open_capture(place)
        if any(place.glob("per_cpu/cpu*/trace_pipe_raw*")):
            return RawTrace(place)
        raise BadEvidence(str(place), f"expected {_KNOWN}")
    if not place.is_file():
        raise BadEvidence(str(place), "expected a regular file or a folder")
    start = head(place, 16)
    if start.startswith(trace_dat.MAGIC):
        return trace_dat.DatTrace(place)
    if start.startswith(archive.MAGIC):
        return archive.open_archive(place)
    if start.startswith((GZIP, ZSTD)):
        start = _first(place)
    else:
        start = head(place, 4096)
    if start.lstrip().startswith(b"{"):
        return open_operations(place)
    if _is_trace(start):
        return TextTrace(place)
    raise BadEvidence(str(place), f"expected {_KNOWN}")


def _first(place: Path) -> bytes:
    try:
        return next(chunks(place, 4096), b"")
    except Cut:
        return b""


def _is_trace(start: bytes) -> bool:
    """Whether text starts as a trace does: a tracer's header, a loss, or a line of 16 columns and '-'."""
    if start.startswith((b"# tracer:", b"CPU:", b"#\n", b"##### CPU")):
        return True
    line = start.split(b"\n", 1)[0]
    return len(line) > 30 and line[16:17] == b"-" and line[17:18].isdigit() and b"[" in line
