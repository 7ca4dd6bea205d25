"""The lines of a text trace, and the names of what a trace records, for judges that read words.

Linux: Documentation/trace/ftrace.rst.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.streams import Cut, chunks, whole
from linuxmm.spec.verdict import Judgement

_LONGEST: Final = 1 << 16
_FILE: Final = 1 << 26


def enabled_names(capture: Capture, trace: str) -> Iterator[str]:
    """Names of the events and of the probed functions of a trace."""
    info = capture.info(trace)
    for listing in (info.events, info.probes):
        if listing is not None and capture.file(listing).is_file():
            for line in whole(capture.file(listing), _FILE).decode("utf-8", "replace").splitlines():
                yield from re.split(r"[:/\s+]+", line.strip())


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
