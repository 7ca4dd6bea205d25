"""Texts of a capture for judges that read words: files, lines of traces, names of what a trace records.

Linux: Documentation/trace/ftrace.rst.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.streams import Cut, chunks, whole
from linuxmm.spec.verdict import Judgement

_LOST: Final = re.compile(r"^CPU:\d+ \[LOST (?:\d+ )?EVENTS\]")
_LONGEST: Final = 1 << 16
_FILE: Final = 1 << 26


def text_of(file: Path) -> str:
    """A small text.

    Errors    BadEvidence when it cannot be read or is too long
    """
    return whole(file, _FILE).decode("utf-8", "replace")


def enabled_names(capture: Capture, trace: str) -> Iterator[str]:
    """Names of the events and of the probed functions of a trace."""
    info = capture.info(trace)
    for listing in (info.events, info.probes):
        if listing is not None and capture.file(listing).is_file():
            for line in text_of(capture.file(listing)).splitlines():
                yield from re.split(r"[:/\s+]+", line.strip())


def trace_lines(judgement: Judgement, capture: Capture, trace: str) -> Iterator[str] | None:
    """The lines of a trace; None, and a gap, when its file is not there."""
    file = capture.file(capture.info(trace).file)
    if file.is_file():
        return text_lines(judgement, file)
    judgement.gap(f"trace {trace}: its file is not in the capture")
    return None


def lines_before_loss(judgement: Judgement, capture: Capture, trace: str) -> Iterator[str] | None:
    """The lines of a trace up to the first that says that events were lost, which is a gap.

    For judges that add up what a trace tells: behind a loss nothing adds up.  None as of `trace_lines`.
    """
    lines = trace_lines(judgement, capture, trace)
    return None if lines is None else _before_loss(judgement, lines, trace)


def _before_loss(judgement: Judgement, lines: Iterator[str], trace: str) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if line.startswith("CPU:") and _LOST.match(line):
            judgement.gap(f"trace {trace}: events were lost at line {number}; what follows is not judged")
            return
        yield line


def text_lines(judgement: Judgement, file: Path) -> Iterator[str]:
    """The whole lines of a text; a last one that is torn is a gap.

    Errors    BadEvidence when it cannot be read
    """
    rest = b""
    why = "the last line has no end"
    try:
        for piece in chunks(file):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
            if len(rest) > _LONGEST:
                why = f"a line has more than {_LONGEST} bytes"
                break
    except Cut as cut:
        why = str(cut)
        rest = rest or b"?"
    if rest:
        judgement.gap(f"the text is torn: {why}")
