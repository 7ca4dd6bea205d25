"""Judge what a capture shows of compaction: its events, and what zones remember of it at each mark.

Linux: include/trace/events/compaction.h.  Seed 2.2.3 (F039).
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.oracle.checker.defrag import SeenMarks, judge_compaction, judge_marks
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.state import MachineState
from linuxmm.oracle.trace_lines import enabled_names, lines_before_loss
from linuxmm.spec.verdict import Judgement

_EVENTS: Final = frozenset({"compaction"})
_SINGLE: Final = frozenset({"mm_compaction_begin", "mm_compaction_end"})


def _traces(capture: Capture) -> Iterator[str]:
    for name in capture.traces:
        names = set(enabled_names(capture, name))
        if names >= _SINGLE or names >= _EVENTS:
            yield name


def has_defrag(capture: Capture) -> bool:
    """Whether a trace of a capture records compaction."""
    return any(_traces(capture))


def marks_of(state: MachineState) -> Iterator[tuple[str, SeenMarks]]:
    """What each zone of a state remembers of compaction."""
    for node, zone in state.zones():
        yield (
            f"node {node.nid} zone {zone.name}",
            SeenMarks(
                zone.start_pfn,
                zone.end_pfn,
                zone.compact_cached_migrate_pfn,
                zone.compact_cached_free_pfn,
                zone.compact_considered,
                zone.compact_defer_shift,
            ),
        )


def judge_defrag(judgement: Judgement, capture: Capture, version: str) -> None:
    """Hold everything against the clauses.

    Errors    BadEvidence for a file that is not what its name says
    """
    order = 9
    for mark in capture.marks:
        if capture.has_state(mark):
            state = capture.state(mark)
            order = state.pageblock_order
            judge_marks(judgement, tuple(marks_of(state)))
    for name in _traces(capture):
        lines = lines_before_loss(judgement, capture, name)
        if lines is not None:
            judge_compaction(judgement, lines, order)
