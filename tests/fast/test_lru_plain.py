"""Plain policies: the compiled ones equal the model's, and the model's the textbook's."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import bench_policies

from linuxmm.fast.lru import marks_for, words_of
from linuxmm.fast.lru_plain import FastPlain
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Store
from linuxmm.model.reclaim.plain import POLICIES, discard, reference
from linuxmm.model.reclaim.state import REFERENCED, Lruvec, empty
from linuxmm.model.reclaim.workload import DROP, MISS, READ
from linuxmm.oracle.reclaim_run import run_trace
from linuxmm.spec.errors import ImpossibleProfile

PAGES = 50
PLACES = 120


def stream(count: int) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(5)
    places = np.where(rng.random(count) < 0.6, rng.integers(0, 30, count), rng.integers(0, PLACES, count))
    return places.tolist(), rng.choice([READ, DROP], count, p=[0.97, 0.03]).tolist()


def model(name: str, places: list[int], kinds: list[int]) -> tuple[Lruvec, int]:
    v, misses = empty((marks_for(PAGES),), backing=Store(0, PAGE_SYNCED)), 0
    for place, how in zip(places, kinds, strict=True):
        if how == DROP:
            v = discard(v, place)
            continue
        v, answer = reference(POLICIES[name], v, place)
        misses += answer == MISS
    return replace(v, log=()), misses


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_compiled_policy_equals_the_model(name: str, compiled: bool) -> None:
    places, kinds = stream(1500)
    fast = FastPlain(name, PAGES, PLACES, compiled=compiled)
    fast.run(words_of(np.array(places), np.array(kinds)))
    v, misses = model(name, places, kinds)
    assert fast.lruvec == v
    assert fast.totals == (kinds.count(READ), misses, 0)
    assert v.counters["pgsteal_direct"] > 0


def lru(places: list[int]) -> int:
    held: OrderedDict[int, None] = OrderedDict()
    misses = 0
    for place in places:
        misses += place not in held
        held[place] = None
        held.move_to_end(place)
        if len(held) > PAGES:
            held.popitem(last=False)
    return misses


def clock(places: list[int]) -> int:
    ring: list[int] = []
    marked: dict[int, bool] = {}
    hand = misses = 0
    for place in places:
        if place in marked:
            marked[place] = True
            continue
        misses += 1
        if len(ring) < PAGES:
            ring.append(place)
        else:
            while marked[ring[hand]]:
                marked[ring[hand]] = False
                hand = (hand + 1) % PAGES
            del marked[ring[hand]]
            ring[hand] = place
            hand = (hand + 1) % PAGES
        marked[place] = False
    return misses


def fifo(places: list[int]) -> int:
    held: list[int] = []
    misses = 0
    for place in places:
        if place not in held:
            misses += 1
            held = [*held[-PAGES + 1 :], place]
    return misses


@pytest.mark.parametrize(("name", "book"), [("lru", lru), ("clock", clock), ("fifo", fifo)])
def test_the_model_equals_the_textbook(name: str, book: Callable[[list[int]], int]) -> None:
    places, _ = stream(2500)
    _, misses = model(name, places, [READ] * len(places))
    assert misses == book(places)


def test_what_differs() -> None:
    """Of three pages the oldest was used again: LRU and Clock take another, FIFO takes it."""
    order = [*range(PAGES), 0, PAGES]
    left = {name: set(model(name, order, [READ] * len(order))[0].pages) for name in POLICIES}
    assert [0 in left[name] for name in ("lru", "clock", "fifo")] == [True, True, False]
    v, _ = model("clock", order, [READ] * len(order))
    assert v.pages[0].flags & REFERENCED == 0


def test_a_policy_stands_beside_kernels(tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    rows = "".join(f"{at},{at % 70},1,get\n" for at in range(300))
    trace.write_text("time,key,size,op\n" + rows)
    runs = run_trace(trace, ["lru", "fifo", "6.12.117"], 64, 0)
    assert [run.kernel for run in runs] == ["lru", "fifo", "6.12.117"]
    assert (runs[0].misses, runs[0].figures["reclaimed"]) == (300, 236)


def test_a_policy_that_there_is_not() -> None:
    with pytest.raises(ImpossibleProfile, match=r"^expected a policy of lru, clock, fifo, got 'arc'$"):
        FastPlain("arc", 10, 10)


def test_the_benchmark_runs_without_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_policies, "peer", lambda: None)
    found = bench_policies.run(rounds=1, count=3000, places=500)
    assert sorted(found["lru, a tenth of the pages"]) == [
        "miss_ratio",
        "ns_per_reference",
        "ns_per_reference_from_file",
        "rounds",
    ]
    ratios = [found[f"{name}, a tenth of the pages"]["miss_ratio"] for name in ("lru", "fifo")]
    assert 0 < ratios[0] < ratios[1] < 1
