"""Other ways to do what a benchmark measures, where a library that is installed anyway offers one.

For ftrace text: Python's `re`, line by line, and pyarrow's `extract_regex` over all lines.  Both only split a
line into task, CPU, time, event and arguments, which is less than our parser does.  For the allocator no
package exists; its peer is the C twin.
"""

import re
import statistics
import time
from collections.abc import Callable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_LINE: Final = (
    r"^(?P<task>.{16})-(?P<pid>\d+) +\[(?P<cpu>\d+)\] (?P<context>.{5}) +"
    r"(?P<time>[\d.]+): (?P<event>\w+): (?P<rest>.*)$"
)
LINES: Final = 20_000


def split_by_re(lines: list[str]) -> int:
    """Lines that match."""
    match = re.compile(_LINE).match
    return sum(match(line) is not None for line in lines)


def split_by_pyarrow(lines: pa.Array) -> int:
    """Lines that match."""
    found = pc.extract_regex(lines, pattern=_LINE.replace("(?P<context>", "(?P<flags>"))
    return int(len(found) - found.null_count)


def ns_per_line(text: bytes, rounds: int) -> dict[str, float]:
    """Median ns a line of each peer.

    Errors    RuntimeError when the peers do not agree on the number of events
    """
    lines = text.decode("utf-8", "replace").splitlines()[:LINES]
    column = pa.array(lines)
    peers: dict[str, Callable[[], int]] = {
        "python re": lambda: split_by_re(lines),
        "pyarrow extract_regex": lambda: split_by_pyarrow(column),
    }
    if len({split() for split in peers.values()}) != 1:
        raise RuntimeError("the peers disagree on the number of events")
    return {name: _median(split, rounds) / len(lines) * 1e9 for name, split in peers.items()}


def _median(split: Callable[[], int], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        split()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
