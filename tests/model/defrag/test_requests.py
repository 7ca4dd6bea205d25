"""A request for a large block, from the slow path through compaction to its end, on kernels of every age."""

from dataclasses import replace

import pytest

from linuxmm.model.alloc.dialogue import (
    Allocated,
    Answer,
    Compacted,
    DirectCompaction,
    DirectReclaim,
    Failed,
    Killed,
    OomKill,
    Question,
    Reason,
    Reclaimed,
    Rescheduled,
)
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.path import path_of
from linuxmm.model.alloc.request import free_to_zone
from linuxmm.model.defrag.audit import broken
from linuxmm.model.defrag.picture import drawn, memory_of
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.requests import Served, serve
from linuxmm.model.defrag.state import Marks, Memory
from linuxmm.spec.alloc.gfp import GFP_KERNEL, GFP_MOVABLE_BIT
from linuxmm.spec.alloc.request import request
from linuxmm.spec.alloc.retry import ASYNC, SYNC_LIGHT, Compaction
from linuxmm.spec.defrag.defer import Deferral
from linuxmm.spec.kernel import kernel

SCATTERED = "a...a..." * 16
STUCK = "u......." * 16


def without_help(question: Question, machine: Machine) -> tuple[Answer, Machine]:
    """Reclaim frees nothing, nobody can be killed."""
    if isinstance(question, DirectReclaim):
        return Reclaimed(0, (0,)), machine
    return (Killed(False) if isinstance(question, OomKill) else Rescheduled()), machine


def served(version: str, pages: str, order: int = 4, marks: Marks | None = None) -> tuple[Memory, Served]:
    profile = kernel(version, force_max_zoneorder=6)
    rules = rules_for(profile, block_order=4)
    memory = memory_of(rules, pages)
    if marks is not None:
        memory = replace(memory, marks=marks)
    machine = Machine((memory.zone,), ((0,),), 1)
    asked = request(order, GFP_KERNEL | GFP_MOVABLE_BIT)
    found = serve(path_of(profile, rules.alloc), rules, machine, (memory,), asked, without_help)
    moved = tuple(pair for turn in found.turns for pair in turn.moved)
    taken = 1 << order if isinstance(found.outcome, Allocated) else 0
    assert list(broken(rules, memory, found.memories[0], moved, taken)) == []
    assert tuple(each.zone for each in found.memories) == found.machine.zones
    return memory, found


AT_ONCE = [DirectCompaction(4, ASYNC)]
AFTER_RECLAIM = [DirectCompaction(4, ASYNC), DirectReclaim(4), DirectCompaction(4, SYNC_LIGHT)]


@pytest.mark.parametrize(
    ("version", "by", "questions"),
    [
        ("2.6.35", "compaction", AT_ONCE),
        ("3.4", "compaction", AT_ONCE),
        ("3.10", "compaction", AT_ONCE),
        ("3.18", "compaction", AT_ONCE),
        ("4.4", "compaction", AT_ONCE),
        ("4.9", "compaction", AT_ONCE),
        ("5.4", "capture", AFTER_RECLAIM),  # a scan that may not wait looks at every 32nd page: too few here
        ("6.1.192", "capture", AFTER_RECLAIM),
        ("6.12.117", "capture", AFTER_RECLAIM),
    ],
)
def test_scattered_memory_serves_a_request_of_every_age(
    version: str, by: str, questions: list[Question]
) -> None:
    _, found = served(version, SCATTERED)
    assert found.by == by
    assert [turn.question for turn in found.turns] == questions
    assert isinstance(found.outcome, Allocated)
    first = found.outcome.pfn
    assert first % 16 == 0
    assert drawn(found.memories[0])[first : first + 16] == "#" * 16


@pytest.mark.parametrize(
    ("version", "reason", "turns"),
    [
        ("3.4", Reason.EXHAUSTED, 2),
        ("3.10", Reason.EXHAUSTED, 2),
        ("3.18", Reason.EXHAUSTED, 2),
        ("4.4", Reason.EXHAUSTED, 3),
        ("4.9", Reason.COSTLY, 3),
        ("6.1.192", Reason.COSTLY, 3),
        ("6.12.117", Reason.COSTLY, 3),
    ],
)
def test_what_cannot_move_lets_it_fail(version: str, reason: Reason, turns: int) -> None:
    before, found = served(version, STUCK)
    assert (found.outcome, found.by) == (Failed(reason), "")
    assert [turn.question for turn in found.turns] == AFTER_RECLAIM[:turns]
    assert drawn(found.memories[0]) == drawn(before)
    results = [turn.answer.result for turn in found.turns if isinstance(turn.answer, Compacted)]
    assert set(results) == {Compaction.COMPLETE}


def test_a_free_block_needs_nobody() -> None:
    _, found = served("6.1.192", "." * 64)
    assert (found.by, found.turns) == ("the free lists", ())


def test_success_ends_the_putting_off() -> None:
    off = Marks(deferral=Deferral(considered=0, shift=2, order_failed=6))
    _, found = served("6.1.192", SCATTERED, marks=off)
    assert found.by == "capture"
    assert found.memories[0].marks.deferral == Deferral(0, 0, 6)


def test_what_reclaim_freed_is_remembered_by_nobody() -> None:
    """Reclaim frees the pages of a whole block; compaction had failed for want of targets."""
    profile = kernel("6.1.192", force_max_zoneorder=6)
    rules = rules_for(profile, block_order=4)
    memory = memory_of(rules, "a" * 112 + "." * 15 + "u")
    machine = Machine((memory.zone,), ((0,),), 1)

    def reclaims(question: Question, machine: Machine) -> tuple[Answer, Machine]:
        zone = machine.zones[0]
        for pfn in range(16, 32):
            zone = free_to_zone(rules.alloc, zone, 0, pfn, 0)
        return Reclaimed(16, (96,)), replace(machine, zones=(zone,))

    asked = request(4, GFP_KERNEL | GFP_MOVABLE_BIT)
    found = serve(path_of(profile, rules.alloc), rules, machine, (memory,), asked, reclaims)
    assert [type(turn.question) for turn in found.turns] == [DirectCompaction, DirectReclaim]
    assert found.by == "reclaim"
    assert found.outcome == Allocated(16, 0)
    assert set(found.memories[0].pages) == set(range(112)) - set(range(16, 32))
    assert drawn(found.memories[0])[16:32] == "#" * 16


def test_priorities_rise_while_nothing_helps() -> None:
    _, found = served("6.1.192", STUCK, order=3)
    asked = [turn.question for turn in found.turns]
    assert asked[0] == DirectReclaim(3)
    assert DirectCompaction(3, SYNC_LIGHT) in asked
    assert found.outcome == Failed(Reason.EXHAUSTED)
