"""The experiments: what is recorded is what a fresh run counts, and the environment does what it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from linuxmm.fast import arena
from linuxmm.fast.allocator import ALLOC, FastAllocator, operations
from linuxmm.oracle.experiment_command import load_experiments
from linuxmm.oracle.experiments import fragmentation
from linuxmm.oracle.experiments.bulk import per_page
from linuxmm.oracle.experiments.fragmentation import Case, stream_of
from linuxmm.oracle.experiments.interrupts import Counted, cost_after, cost_before, weighed
from linuxmm.oracle.experiments.kswapd import CLUSTER, Kswapd, Stream
from linuxmm.oracle.experiments.record import drift, read
from linuxmm.oracle.pc import boot_pc
from linuxmm.spec.experiment import Scale, Standing, find_experiment
from linuxmm.spec.kernel import kernel

RECORDS = Path(__file__).parents[3] / "docs" / "experiments"


@pytest.mark.slow
@pytest.mark.parametrize("claim", ["H01", "H02", "H03", "H04", "H05", "H09", "H10", "H11", "H16"])
def test_the_record_is_what_a_fresh_run_counts(claim: str) -> None:
    load_experiments()
    recorded = read(RECORDS / f"{claim}.json")
    fresh = find_experiment(claim).run(Scale.QUICK)
    assert recorded.claim == claim
    assert len(fresh.figures) >= 6
    assert drift(recorded.outcome, fresh) == ()


def test_a_drifted_record_is_noticed() -> None:
    outcome = read(RECORDS / "H03.json").outcome
    first = outcome.figures[0]
    moved = replace(outcome, figures=(replace(first, value=first.value + 1), *outcome.figures[1:]))
    (line,) = drift(moved, outcome)
    assert line.endswith(f"recorded {first.value + 1}, now {first.value}")
    late = replace(outcome, figures=tuple(replace(f, value=0.0) if f.timed else f for f in outcome.figures))
    assert any(f.timed for f in outcome.figures)
    assert drift(late, outcome) == ()


def test_streams_of_h01_are_reproducible_and_mixed() -> None:
    one, two = stream_of(Case(64, 100)), stream_of(Case(64, 100))
    assert (one.words == two.words).all()
    assert (stream_of(Case(64, 100, 2)).words != one.words).any()
    assert len(one.cache) == 64 * 256 * 2
    assert one.slab.size == one.after.size > 0
    assert (np.diff(one.age) >= 0).all()
    assert (np.diff(one.after) >= 0).all()
    held = np.concatenate([one.cache, one.slab, *(np.arange(slot, slot + 512) for slot in one.thp)])
    assert sorted(held.tolist()) == list(range(one.slots))


def _small(version: str, pages: int) -> Kswapd:
    """A machine of 32 MiB and a stream of page cache alone."""
    booted = boot_pc(kernel(version), 32)
    slots = np.arange(pages)
    none = np.zeros(0, np.int64)
    words = operations(ALLOC, 0, 1, 0, slots)
    stream = Stream(words, slots, slots, none, none, none, pages)
    allocator = FastAllocator(booted.rules, booted.machine, pages, counted=True, compiled=False)
    return Kswapd(allocator, stream)


def test_kswapd_frees_the_oldest_pages_up_to_the_high_mark() -> None:
    kswapd = _small("4.20", 9000)
    kswapd.run()
    free = [zone.nr_free for zone in kswapd.allocator.machine.zones]
    marks = [zone.watermark for zone in kswapd.allocator.machine.zones]
    assert kswapd.reclaimed > 9000 - 8000
    assert kswapd.stalls == 0
    assert any(have > mark[0] for have, mark in zip(free, marks, strict=True))
    held = np.flatnonzero(kswapd.allocator.slots >= 0)
    assert held.min() >= kswapd.reclaimed - CLUSTER
    assert held.max() == 8999


def test_a_boost_is_reclaimed_and_forgotten() -> None:
    kswapd = _small("5.2", 4000)
    kswapd.run()
    assert kswapd.reclaimed == 0
    zone = kswapd._counters[1]
    kswapd.allocator.arrays.st[zone + arena.BOOST] = 512
    kswapd.allocator.arrays.st[zone + arena.BOOSTED] = 1
    kswapd._wake(kswapd._low())
    assert kswapd.reclaimed == 512
    assert kswapd.boost_reclaims == 1
    assert [zone.boost for zone in kswapd.allocator.machine.zones] == [0, 0]
    assert not any(zone.boosted_watermark for zone in kswapd.allocator.machine.zones)


def test_h01_says_when_the_claim_is_not_reached() -> None:
    many, few = Case(8192, 200), Case(2048, 100)
    standing, words = fragmentation._judged({many: (200_000, 100_000), few: (100, 110)}, {many: 0.25})
    assert standing is Standing.PARTLY
    assert "0 of 1 cases reach the 94 per cent" in words
    assert "50% to 50% where 4.20 has 100000 events or more" in words
    assert "The boost alone removes 25% to 25% of these" in words
    assert "what is removed there, -10% to -10%, is the boost's" in words
    assert fragmentation._judged({many: (100, 3)})[0] is Standing.CONFIRMED
    assert fragmentation._judged({many: (100, 90)})[0] is Standing.NOT_CONFIRMED


def test_steps_before_and_after_by_hand() -> None:
    c = Counted(pages=100, inside=20, holds=4, moved=60)
    assert cost_before(c) == (100, 4, 0, 160)
    assert cost_after(c) == (24, 24, 80, 160)
    assert weighed(cost_before(c), True) == 264
    assert weighed(cost_after(c), False) == 208


@pytest.mark.slow
def test_one_bulk_request_walks_and_locks_once() -> None:
    single, many = per_page("6.1.192", 0, False), per_page("6.1.192", 6, True)
    assert single.requests == single.list_holds == 1
    assert many.requests == many.list_holds == 1 / 64
    assert (many.zone_holds, many.moves) == (single.zone_holds, single.moves)
