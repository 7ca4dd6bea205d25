"""`linuxmm live vm --kernel K`: the calls are made in a guest of the lab, and its log is judged here."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from linuxmm.lab.boot import boot
from linuxmm.lab.initramfs import build
from linuxmm.lab.introduce import FolderSink
from linuxmm.lab.kernels import KernelImage, find_kernel
from linuxmm.lab.workload import find_workload
from linuxmm.oracle.live.recorded import Section, draw, judge_section, list_text, sections_of
from linuxmm.oracle.live.run import Divergence, Outcome
from linuxmm.oracle.live.start import read_start
from linuxmm.spec.errors import LinuxmmError

WORKLOAD: Final = "vm-areas"
_LIST: Final = "etc/areas.calls"
_OVERCOMMIT: Final = "etc/overcommit"
_LOG: Final = "data/areas.log"


def run_list(
    kernel: KernelImage, text: str, note: Callable[[str], None] = lambda _: None, overcommit: int = 0
) -> bytes:
    """The log of a list of calls that a guest with this kernel made.

    overcommit  vm.overcommit_memory in the guest: 0 guess, 1 always, 2 never
    Errors    LinuxmmError when the guest does not come up or sends no log
    """
    workload = find_workload(WORKLOAD)
    files = {_LIST: text.encode(), _OVERCOMMIT: f"{overcommit}\n".encode()}
    archive = build(kernel, workload=workload.script, files=files)
    with tempfile.TemporaryDirectory(prefix="linuxmm-live-") as name:
        sink = FolderSink(Path(name))
        outcome = boot(kernel, workload.machine, archive, sink, note=note, limit=workload.seconds)
        log = Path(name) / _LOG
        if not log.is_file():
            raise LinuxmmError(f"{kernel.name}: the guest sent no log: {outcome.console.strip()[-300:]}")
        return log.read_bytes()


def live_in_guest(
    name: str,
    operations: int,
    seed: int,
    note: Callable[[str], None] = lambda _: None,
    overcommit: int = 0,
) -> Outcome:
    """Draw calls for a kernel of the lab, have a guest make them, and judge its log.

    name     a kernel's name, or the path of an image
    Errors   LinuxmmError, BadEvidence
    """
    began = time.monotonic()
    kernel = find_kernel(name)
    note("first boot: what a process looks like")
    first = sections_of(run_list(kernel, "new\n", note, overcommit))
    if not first:
        raise LinuxmmError(f"{kernel.name}: the guest said nothing of itself")
    start = read_start(first[0], "first.log")
    seen: Counter[str] = Counter()
    note("drawing calls")
    drawn = draw(start, operations, seed, seen)
    note("second boot: making the calls")
    log = sections_of(run_list(kernel, list_text(drawn), note, overcommit))
    events, found = judge_log(drawn, log)
    return Outcome(start.kernel, events, seen, found, time.monotonic() - began)


def shrink_in_guest(name: str, found: Divergence, seconds: float = 300.0, overcommit: int = 0) -> Divergence:
    """A shorter run that breaks the same clause; each boot tries many at once.

    Errors   LinuxmmError
    """
    kernel, end, best = find_kernel(name), time.monotonic() + seconds, found
    size = max(len(best.calls) // 2, 1)
    while size and time.monotonic() < end:
        last = len(best.calls) - 1
        tries = tuple(best.calls[:at] + best.calls[min(at + size, last) :] for at in range(0, last, size))
        shorter = _first_like(
            best, tries, sections_of(run_list(kernel, list_text(tries), overcommit=overcommit))
        )
        if shorter is not None:
            best = shorter
        elif size == 1:
            break
        if shorter is None or len(best.calls) <= size:
            size = max(min(size, len(best.calls)) // 2, 1)
    return best


def _first_like(found: Divergence, tries: tuple[Section, ...], log: list[list[bytes]]) -> Divergence | None:
    """The shortest of the runs that break the same clause."""
    like: list[Divergence] = []
    for number, (calls, lines) in enumerate(zip(tries, log, strict=False), 1):
        divergence = judge_section(calls, lines, f"process {number}")[1]
        if divergence is not None and divergence.refusal.clause == found.refusal.clause:
            like.append(divergence)
    return min(like, key=lambda each: len(each.calls), default=None)


def judge_log(drawn: tuple[Section, ...], log: list[list[bytes]]) -> tuple[int, tuple[Divergence, ...]]:
    """Judge every section: (calls judged, where they diverge).

    Errors    LinuxmmError when sections are missing
    """
    if len(log) != len(drawn):
        raise LinuxmmError(f"expected the logs of {len(drawn)} processes, got {len(log)}")
    events = 0
    found: list[Divergence] = []
    for number, (calls, lines) in enumerate(zip(drawn, log, strict=True), 1):
        judged, divergence = judge_section(calls, lines, f"process {number}")
        events += judged
        if divergence is not None:
            found.append(divergence)
    return events, tuple(found)
