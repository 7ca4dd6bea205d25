"""A request for a large block from end to end: the slow path asks, compaction of the same zones answers.

What the slow path asks besides (reclaim, the OOM killer) is for `others`.

Linux: mm/page_alloc.c:__alloc_pages_slowpath, __alloc_pages_direct_compact.  Seed 2.1.1.3, 2.2 (F017, F039).
2.6.35 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Answer,
    Asks,
    DirectCompaction,
    Failed,
    Path,
    Progress,
    Question,
    Task,
)
from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.request import skips_zone
from linuxmm.model.alloc.slowpath import begin, resume
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import NOTHING, Memory
from linuxmm.model.defrag.zones import Direct, direct_compaction, worked
from linuxmm.spec.alloc.gfp import GFP_FS_BIT, GFP_IO_BIT
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.alloc.retry import Compaction
from linuxmm.spec.registry import verb


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of the slow path and its answer; of a compaction, the pages that it moved, and a capture."""

    question: Question
    answer: Answer
    moved: tuple[tuple[int, int], ...] = ()
    captured: int = NOTHING


@dataclass(frozen=True, slots=True)
class Served:
    """How a request ended, by which turns, and the zones afterwards."""

    machine: Machine
    memories: tuple[Memory, ...]
    turns: tuple[Turn, ...]
    outcome: Allocated | Failed

    @property
    def by(self) -> str:
        """Who served the request: "the free lists", "compaction", "capture", "reclaim"; "" for nobody."""
        if isinstance(self.outcome, Failed):
            return ""
        if not self.turns:
            return "the free lists"
        last = self.turns[-1]
        if last.captured != NOTHING:
            return "capture"
        return "compaction" if isinstance(last.question, DirectCompaction) else "reclaim"


@verb("F017", "F039", source="mm/page_alloc.c:__alloc_pages_slowpath; 2.6.35 to 6.12")
def serve(
    path: Path,
    rules: Rules,
    machine: Machine,
    memories: tuple[Memory, ...],
    asked: Request,
    others: Callable[[Question, Machine], tuple[Answer, Machine]],
    task: Task = Task(),  # noqa: B008
) -> Served:
    """Run a request to its end; compaction runs on the machine's own zones.

    memories  what lives in each zone of the machine, by number; their zones are the machine's
    others    answers what is not about compaction, and says what became of the machine
    Ensures   the zones of machine and memories are the same
    """
    turns: list[Turn] = []
    step = begin(path, machine, asked, task)
    while isinstance(step.result, Asks):
        question, progress = step.result.question, step.result.then
        machine = step.state
        memories = _follow(machine, memories)
        if not isinstance(question, DirectCompaction):
            answer, machine = others(question, machine)
            turns.append(Turn(question, answer))
            step = resume(path, machine, progress, answer)
            continue
        machine, memories, turn, where = compact(rules, machine, memories, progress, question)
        turns.append(turn)
        if turn.captured != NOTHING:
            memories = _noted(memories, where, asked.order)
            return Served(machine, memories, tuple(turns), Allocated(turn.captured, where))
        step = resume(path, machine, progress, turn.answer)
        if isinstance(step.result, Allocated):
            memories = _noted(memories, step.result.zone, asked.order)
    return Served(step.state, _follow(step.state, memories), tuple(turns), step.result)


def compact(
    rules: Rules,
    machine: Machine,
    memories: tuple[Memory, ...],
    progress: Progress,
    question: DirectCompaction,
) -> tuple[Machine, tuple[Memory, ...], Turn, int]:
    """Answer a question about compaction: (machine, memories, the turn, zone of a captured block or NOTHING).

    Source    mm/page_alloc.c:__alloc_pages_direct_compact; 2.6.35 to 6.12
    """
    asked = progress.request
    numbers = [n for n in machine.zonelists[asked.node] if not skips_zone(asked, machine.zones[n], False)]
    direct = Direct(
        question.order,
        asked.migratetype,
        question.priority,
        progress.flags,
        asked.class_index,
        asked.gfp & GFP_FS_BIT != 0,
        asked.gfp & GFP_IO_BIT != 0,
    )
    did = direct_compaction(
        rules, tuple(memories[n] for n in numbers), direct, _reclaimable(progress, numbers)
    )
    after = list(memories)
    for number, memory in zip(numbers, did.zones, strict=True):
        after[number] = memory
    if did.compacted.result is not Compaction.SKIPPED and not rules.drains_within():
        after = [replace(m, zone=drain_pages_zone(rules.alloc, m.zone, asked.cpu)) for m in after]
    machine = replace(machine, zones=tuple(memory.zone for memory in after))
    where = next((n for n in numbers if _holds(after[n], did.captured)), NOTHING)
    return machine, tuple(after), Turn(question, did.compacted, did.moved, did.captured), where


def _reclaimable(progress: Progress, numbers: list[int]) -> tuple[int, ...]:
    known = progress.reclaimable
    return tuple(known[n] if n < len(known) else 0 for n in numbers)


def _holds(memory: Memory, pfn: int) -> bool:
    return memory.zone.start <= pfn < memory.zone.end


def _follow(machine: Machine, memories: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """The memories with the machine's zones; pages that the machine has free hold nothing any more."""
    return tuple(_with_zone(m, z) for m, z in zip(memories, machine.zones, strict=True))


def _with_zone(memory: Memory, zone: Zone) -> Memory:
    pages = memory.pages
    for pfn in pages:
        if zone.in_use.get(pfn) != memory.zone.in_use.get(pfn):
            pages = pages.delete(pfn)
    return replace(memory, zone=zone, pages=pages)


def _noted(memories: tuple[Memory, ...], where: int, order: int) -> tuple[Memory, ...]:
    """A request was served from a zone that had been compacted for it.

    Source    mm/compaction.c:compaction_defer_reset
    """
    after = list(memories)
    after[where] = worked(after[where], order, True)
    return tuple(after)
