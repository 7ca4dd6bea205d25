"""Allocators in Python, correct and not, judged by the state machine."""

import itertools

import pytest

from linuxmm.oracle.adapter.allocator import BrokenImplementation, Fault, Setup
from linuxmm.oracle.adapter.judge import Finding, judge, reduce, replay
from linuxmm.oracle.adapter.machine import AllocatorMachine
from linuxmm.oracle.adapter.session import AllocCall, FreeCall
from linuxmm.spec.alloc.gfp import gfp_zone_highest, parse_gfp
from linuxmm.spec.alloc.page_state import Layout, Pages, Span, free_blocks, free_counts
from linuxmm.spec.alloc.pages import Alloc, Done, Failed, Free, Granted, Op, apply, permits
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import MigrateType, ZoneType

SETUP = Setup(Layout((Span(ZoneType.NORMAL, 0, 0, 64),), max_order=4, pageblock_order=3))


class LastFit:
    """Any permitted choice will do: this one takes the highest block, and cannot list its free blocks."""

    state: Pages

    def start(self, setup: Setup) -> None:
        self.state = setup.pages()

    def alloc(self, order: int, migratetype: MigrateType, gfp: str) -> Granted | Failed:
        op = Alloc(order, migratetype, gfp_zone_highest(parse_gfp(gfp)))
        if order > self.state.layout.max_order:
            return Failed(Errno.EINVAL)
        found = free_blocks(self.state, order, op.migratetype, op.highest_zone)
        if not found:
            return Failed(Errno.ENOMEM)
        return self.did(op, Granted(found[-1]))

    def free(self, pfn: int, order: int) -> Done | Failed:
        if permits(self.state, Free(pfn, order), Done()):
            return Failed(Errno.EINVAL)
        self.state = apply(self.state, Free(pfn, order), Done())
        return Done()

    def counts(self) -> tuple[int, ...] | None:
        return tuple(free_counts(self.state, span)[0] for span in self.state.layout.spans)

    def lists(self) -> tuple[tuple[int, int], ...] | None:
        return None

    def close(self) -> None:
        """Nothing is held."""

    def did(self, op: Op, granted: Granted) -> Granted:
        self.state = apply(self.state, op, granted)
        return granted


class Forgetful(LastFit):
    """Forgets the blocks of two pages that it granted."""

    def did(self, op: Op, granted: Granted) -> Granted:
        if isinstance(op, Alloc) and op.order == 1:
            return granted
        return super().did(op, granted)


class Crashing(LastFit):
    """Dies of a release."""

    def free(self, pfn: int, order: int) -> Done | Failed:
        raise BrokenImplementation(Fault.DIED, f"free {pfn}")


class LastFitMachine(AllocatorMachine):
    make = LastFit


TestLastFit = LastFitMachine.TestCase


def test_a_correct_allocator_conforms() -> None:
    assert judge(LastFit, examples=60) is None


def test_a_forgotten_block_is_found_in_one_call() -> None:
    found = judge(Forgetful)
    assert found == Finding(
        "alloc.page.free-count",
        "node 0, zone Normal counts 64 free pages, expected 62",
        SETUP,
        ("alloc(order=1, UNMOVABLE, GFP_KERNEL) -> pfn 62",),
        "alloc.page.free-count: node 0, zone Normal counts 64 free pages, expected 62\n"
        "  zones Normal 0..63\n"
        "  1. alloc(order=1, UNMOVABLE, GFP_KERNEL) -> pfn 62",
    )


def test_a_crash_is_a_finding() -> None:
    found = judge(Crashing)
    assert found is not None
    assert found.clause == "alloc.page.no-answer"
    assert len(found.operations) == 2


def test_the_same_seed_gives_the_same_finding() -> None:
    assert judge(Crashing, random_seed=7) == judge(Crashing, random_seed=7)


def test_replay_leaves_out_what_depends_on_a_call_left_out() -> None:
    calls = (None, FreeCall(0, 0, 0), AllocCall(1, MigrateType.UNMOVABLE, "GFP_KERNEL"))
    diverged = replay(Forgetful, SETUP, calls)
    assert diverged is not None
    assert diverged.calls == (AllocCall(1, MigrateType.UNMOVABLE, "GFP_KERNEL"),)
    assert replay(LastFit, SETUP, calls) is None


def test_an_allocator_that_answers_differently_each_time_is_named() -> None:
    found = replay(Forgetful, SETUP, [AllocCall(1, MigrateType.UNMOVABLE, "GFP_KERNEL")])
    assert found is not None
    with pytest.raises(LinuxmmError, match="the same calls gave another result the second time"):
        reduce(LastFit, found)
    moods = itertools.cycle([Forgetful, LastFit, LastFit])
    with pytest.raises(LinuxmmError, match="the same calls gave another result the second time"):
        judge(lambda: next(moods)())
