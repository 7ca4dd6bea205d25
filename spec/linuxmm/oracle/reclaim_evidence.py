"""Judge what a capture shows of reclaim: events of vmscan, the clock of refaults, swap, and who was killed.

Linux: include/trace/events/vmscan.h, mm/swapfile.c, mm/oom_kill.c.  Seed 2.4 (F008, F042, F043, F046).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

from linuxmm.oracle.checker import lru_order
from linuxmm.oracle.checker.oom import Report, judge_oom, read_reports
from linuxmm.oracle.checker.reclaim import Counters, ReclaimCheck
from linuxmm.oracle.checker.swap import judge_swap
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.state import MachineState
from linuxmm.oracle.generation_evidence import counter_of, generation_marks, judge_generations
from linuxmm.oracle.trace_lines import enabled_names, lines_before_loss, text_of
from linuxmm.spec.errors import BadEvidence, Unmodelled
from linuxmm.spec.kernel import Kernel, Version, kernel
from linuxmm.spec.reclaim.workingset import Layout
from linuxmm.spec.verdict import Judgement

_SHADOWS: Final = Version(3, 15)
_PASSES: Final = frozenset({"mm_vmscan_lru_isolate", "mm_vmscan_lru_shrink_inactive"})
_PROBES: Final = frozenset({"evict", "refault"})
_ACTIVATION: Final = frozenset({"activate", "wact"})
"""Names of the probe of workingset_activation: the lab's, and that of older captures."""
NODES_SHIFT: Final = 10
MEM_CGROUP_ID_SHIFT: Final = 16
ZONES_SHIFT: Final = 3
"""Widths of an owner's numbers on x86-64 as distributions configure it."""


def has_reclaim(capture: Capture) -> bool:
    """Whether a capture shows passes of reclaim, devices to swap to, or reports of the OOM killer."""
    return any(reclaim_traces(capture)) or any(swap_marks(capture)) or any(_oom_reports(capture))


def swap_marks(capture: Capture) -> Iterator[str]:
    """The marks at which there is a device to swap to."""
    for mark in capture.marks:
        swaps, meminfo = (capture.file(f"marks/{mark}/proc/{name}") for name in ("swaps", "meminfo"))
        if swaps.is_file() and meminfo.is_file() and len(swaps.read_text().splitlines()) > 1:
            yield mark


def _oom_reports(capture: Capture) -> tuple[Report, ...]:
    log = capture.file("logs/dmesg.txt")
    if not log.is_file():
        return ()
    return read_reports(text_of(log).splitlines(), str(log))


def reclaim_traces(capture: Capture) -> Iterator[str]:
    """The traces in which every pass over a list is an event."""
    for name in capture.traces:
        if set(enabled_names(capture, name)) >= _PASSES and not capture.info(name).file.endswith(".raw"):
            yield name


def judge_reclaim(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says; Unmodelled for the kernel
    """
    profile = kernel(version)
    judge_oom(judgement, _oom_reports(capture), profile)
    for mark in swap_marks(capture):
        swaps, meminfo = (capture.file(f"marks/{mark}/proc/{name}") for name in ("swaps", "meminfo"))
        judge_swap(judgement, text_of(swaps), text_of(meminfo), mark)
    traces = tuple(reclaim_traces(capture))
    if not traces:
        return
    states = {mark: counters_of(capture.state(mark)) for mark in capture.marks if capture.has_state(mark)}
    migrated = {mark: each.events.get("PGMIGRATE_SUCCESS", 0) for mark, each in states.items()}
    layout = shadow_layout(profile) if capture.description.machine.arch == "x86_64" else None
    if layout is None and profile.version >= _SHADOWS:
        judgement.explain("how shadows are laid out on this architecture is not described")
    alone = capture.description.machine.cpus == 1
    whole_node = "cgroup_disable=memory" in capture.description.cmdline
    generations = has_generations(capture, profile)
    if generations and generation_marks(capture) and layout is not None:
        judge_generations(judgement, capture, profile, layout, traces)
    for name in traces:
        lines = lines_before_loss(judgement, capture, name)
        if lines is None:
            continue
        names = set(enabled_names(capture, name))
        clocked = whole_node and names >= _PROBES and bool(names & _ACTIVATION) and not generations
        check = ReclaimCheck(judgement, profile, states, layout, clocked, alone, generations)
        if whole_node and not generations and names >= lru_order.EVENTS:
            lines = lru_order.ListOrder(judgement, lists_of(capture), migrated, zones_of(capture)).watch(
                lines
            )
        check.run(lines)


def lists_of(capture: Capture) -> dict[str, lru_order.Lists]:
    """The lists at each mark of a machine with one node, where they were taken."""
    found: dict[str, lru_order.Lists] = {}
    for mark in capture.marks:
        nodes = capture.state(mark).nodes if capture.has_state(mark) else ()
        if len(nodes) == 1 and nodes[0].lru is not None:
            found[mark] = {name: pages for name, pages in nodes[0].lru.items() if isinstance(pages, tuple)}
    return found


def zones_of(capture: Capture) -> Callable[[int], int]:
    """The number of a page's zone in its node, by the zones' spans at the first mark."""
    mark = next((mark for mark in capture.marks if capture.has_state(mark)), None)
    zones = capture.state(mark).nodes[0].zones if mark is not None else ()
    starts = sorted((zone.start_pfn, number) for number, zone in enumerate(zones) if zone.managed)

    def zone_of(pfn: int) -> int:
        at = bisect_right(starts, (pfn, len(zones))) - 1
        return starts[at][1] if at >= 0 else 0

    return zone_of


def has_generations(capture: Capture, profile: Kernel) -> bool:
    """Whether the lists may be those by generations: as the kernel said, or else since they exist."""
    for mark in capture.marks:
        file = capture.file(f"marks/{mark}/sys/kernel/mm/lru_gen/enabled")
        if file.is_file():
            text = text_of(file).strip() or "0"
            try:
                return int(text, 16) & 1 != 0
            except ValueError as error:
                raise BadEvidence(str(file), f"expected a hexadecimal number: {text[:40]!r}") from error
    return profile.version >= Version(6, 1)


def shadow_layout(profile: Kernel) -> Layout | None:
    """How shadow entries are laid out; None before there were any."""
    try:
        rule = profile.behaviour("reclaim.shadow-layout").function
    except Unmodelled:
        return None
    layout = rule(64, NODES_SHIFT, ZONES_SHIFT, MEM_CGROUP_ID_SHIFT)
    assert isinstance(layout, Layout)
    return layout


def counters_of(state: MachineState) -> Counters:
    """What the checks need of an exact state; the clock only of a machine with one node."""
    activated = sum(
        counter_of(node, f"WORKINGSET_ACTIVATE_{kind}") for node in state.nodes for kind in ("ANON", "FILE")
    )
    lru = state.nodes[0].lru if len(state.nodes) == 1 else None
    clock = None if lru is None else lru.get("nonresident_age")
    return Counters(state.vm_events or {}, clock if isinstance(clock, int) else None, activated)
