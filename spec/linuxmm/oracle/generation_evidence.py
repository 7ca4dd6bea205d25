"""Judge what a capture shows of lists by generation: frozen lists, counters, events and shadows.

Linux: mm/vmscan.c, mm/workingset.c; 6.1 to 6.12.  Not in seed.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.oracle.checker.generations import (
    Frozen,
    GenerationCheck,
    Listed,
    Rates,
    judge_frozen,
    text_lines,
)
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.areas import GenerationsState, NodeGenerations, area_state, has_area
from linuxmm.oracle.formats.state import MachineState, Node
from linuxmm.oracle.trace_lines import enabled_names, lines_before_loss, text_of
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.reclaim.generation_eras import tells_passes
from linuxmm.spec.reclaim.generations import Window
from linuxmm.spec.reclaim.workingset import Layout
from linuxmm.spec.verdict import Judgement

_TEXT: Final = "sys/kernel/debug/lru_gen"
_PROBES: Final = frozenset({"evict", "refault"})
_SWAPBACKED, _ACTIVE, _LISTED, _UNEVICTABLE = 4, 8, 16, 32


def generation_marks(capture: Capture) -> tuple[str, ...]:
    """The marks at which lists by generation were read."""
    return tuple(m for m in capture.marks if has_area(capture, m, "generations") and capture.has_state(m))


def judge_generations(
    judgement: Judgement, capture: Capture, profile: Kernel, layout: Layout, traces: tuple[str, ...]
) -> None:
    """Hold marks and traces against the clauses; of machines with one node and without memory groups.

    Errors    BadEvidence for a file that is not what its name says
    """
    marks = {}
    for mark in generation_marks(capture):
        frozen = frozen_at(capture, mark)
        if frozen is None:
            judgement.gap(f"mark {mark}: lists by generation of more than one node are not judged")
            continue
        marks[mark] = frozen
        judge_frozen(judgement, mark, frozen)
    tells = profile.behaviour("reclaim.gen-tells").function is tells_passes
    for name in traces:
        lines = lines_before_loss(judgement, capture, name)
        if lines is not None:
            probed = set(enabled_names(capture, name)) >= _PROBES
            GenerationCheck(judgement, profile, marks, layout, probed, tells).run(lines)


def frozen_at(capture: Capture, mark: str) -> Frozen | None:
    """What a mark shows; None when there is more than one node, or the lists are not by generation.

    Errors    BadEvidence
    """
    state = area_state(capture, mark, "generations")
    machine = capture.state(mark)
    if not isinstance(state, GenerationsState) or len(state.nodes) != 1 or len(machine.nodes) != 1:
        return None
    lists = next(iter(state.nodes.values()))
    if not lists.enabled:
        return None
    node = machine.nodes[0]
    window = Window(lists.max_seq, *lists.min_seq)
    told = tuple(
        counter_of(node, f"NR_{which}_{kind}")
        for kind in ("ANON", "FILE")
        for which in ("INACTIVE", "ACTIVE")
    )
    return Frozen(
        window,
        tuple(_listed(lists)),
        lists.nr_pages,
        None if _has_old_lists(node) else told,
        Rates(lists.refaulted, lists.evicted, lists.avg_refaulted, lists.avg_total),
        _text(capture, mark),
        machine.vm_events or {},
        (_both(machine, "WORKINGSET_REFAULT"), _both(machine, "WORKINGSET_ACTIVATE")),
    )


def _listed(lists: NodeGenerations) -> Iterator[Listed]:
    for standing, kinds in enumerate(lists.lists):
        for kind, zones in enumerate(kinds):
            for zone, pages in enumerate(zones):
                for page in pages:
                    plain = page.flags & (_ACTIVE | _UNEVICTABLE | _LISTED) == _LISTED
                    own_kind = int(not page.flags & _SWAPBACKED)
                    yield Listed(page.pfn, standing, kind, zone, page.generation, own_kind, plain)


def _has_old_lists(node: Node) -> bool:
    return any(value for name, value in (node.lru or {}).items() if name.startswith("LRU_"))


def _text(capture: Capture, mark: str) -> tuple[tuple[int, int, int], ...] | None:
    file = capture.file(f"marks/{mark}/{_TEXT}")
    if not file.is_file():
        return None
    try:
        return tuple(text_lines(text_of(file)))
    except ValueError as error:
        raise BadEvidence(str(file), f"expected lines of four numbers: {error}") from error


def counter_of(node: Node, name: str) -> int:
    """A counter of a node, with what CPUs hold of it."""
    return node.vm_stat.get(name, 0) + sum(diff.get(name, 0) for diff in node.vm_stat_diff.values())


def _both(machine: MachineState, name: str) -> int:
    return sum(counter_of(machine.nodes[0], f"{name}_{kind}") for kind in ("ANON", "FILE"))
