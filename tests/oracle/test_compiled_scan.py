"""The compiled scan judges as the checker does: same verdict, tallies, divergences, explanations, gaps."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from linuxmm.oracle.check import probes_of
from linuxmm.oracle.checker import trace
from linuxmm.oracle.checker.trace import TraceCheck
from linuxmm.oracle.formats import Capture, Events, Kind, concat, open_evidence
from linuxmm.oracle.formats.events import Lost, empty
from linuxmm.spec.verdict import Judgement

REAL = Path(__file__).parents[1] / "real"
CAPTURES = sorted(path.name for path in REAL.iterdir() if (path / "capture.json").is_file())


def _capture(name: str) -> Capture:
    evidence = open_evidence(REAL / name)
    assert isinstance(evidence, Capture)
    return evidence


def _events(name: str) -> Events:
    capture = _capture(name)
    return concat(capture.trace(next(iter(capture.traces))))


def _judge(name: str, batches: Iterable[Events], states: bool, compiled: bool) -> Judgement:
    capture = _capture(name)
    found = {m: capture.state(m) for m in capture.marks if capture.has_state(m)} if states else {}
    check = TraceCheck(found, probes_of(capture, next(iter(capture.traces))), compiled=compiled)
    judgement = check.run(batches)
    assert (check.scanner is not None) == compiled
    return judgement


def _same(name: str, batches: list[Events], states: bool = True) -> Judgement:
    one, two = (_judge(name, batches, states, compiled) for compiled in (False, True))
    assert one == two
    return two


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "WORTH_COMPILING", 0)


def test_captures_are_found() -> None:
    assert len(CAPTURES) >= 2


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("states", [True, False])
def test_real_captures(name: str, states: bool) -> None:
    whole = _events(name)
    judgement = _same(name, [whole], states)
    assert judgement.events == len(whole)


@pytest.mark.parametrize("seed", range(6))
def test_mutated_captures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = _events(CAPTURES[0])
    changed = {n: getattr(whole, n).copy() for n in ("pfn", "order", "mt", "kind", "a")}
    page = np.flatnonzero((whole.kind == Kind.MM_PAGE_ALLOC) | (whole.kind == Kind.MM_PAGE_FREE))
    for row in rng.choice(page, 40, replace=False):
        fault = int(rng.integers(6))
        if fault == 0:
            changed["pfn"][row] ^= 1 << int(rng.integers(14))
        elif fault == 1:
            changed["order"][row] = int(rng.integers(-1, 13))
        elif fault == 2:
            changed["kind"][row] ^= changed["kind"][page[0]] ^ changed["kind"][row]
        elif fault == 3:
            changed["pfn"][row] = int(rng.choice([-1, 1 << 40, 0, (1 << 20) - 1]))
        elif fault == 4:
            changed["a"][row] = 1
        else:
            changed["pfn"][row] = changed["pfn"][rng.choice(page)]
    judgement = _same(CAPTURES[0], [replace(whole, **changed)])
    assert judgement.divergences


def test_lost_events_make_both_forget() -> None:
    whole = _events(CAPTURES[0])
    lines = [int(whole.line[len(whole) // 3]), int(whole.line[len(whole) // 2]), -1]
    lost = tuple(Lost(0, 5, -1, -1, line, "overrun") for line in lines)
    _same(CAPTURES[0], [replace(whole, lost=lost), whole])


@pytest.mark.parametrize("seed", range(8))
def test_any_events_in_a_small_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [Kind.MM_PAGE_ALLOC, Kind.MM_PAGE_FREE, Kind.MM_PAGE_ALLOC_ZONE_LOCKED, Kind.MM_PAGE_PCPU_DRAIN]
    rare = [Kind.SPLIT, Kind.SETMT, Kind.SETPFB, Kind.TAKEOFF, Kind.BULKALLOC_R, Kind.ISOL_R, Kind.MARK]
    batches = []
    for number in range(2):
        batch = replace(empty(1500), marks=("unfrozen",))
        share = (0.47, 0.47, 0.02, 0.02) if seed % 2 else (0.4, 0.4, 0.05, 0.05)
        chances = [*share, *[(1 - sum(share)) / len(rare)] * len(rare)]
        batch.kind[:] = rng.choice(np.array([*kinds, *rare], np.uint8), 1500, p=chances)
        batch.order[:] = rng.choice([0, 0, 0, 1, 2, 5, 10], 1500)
        batch.pfn[:] = rng.integers(0, 4096, 1500) >> batch.order << batch.order
        batch.mt[:] = rng.integers(-1, 5, 1500)
        batch.a[:] = np.where(batch.kind == Kind.MARK, 0, rng.choice([0, 1, 2, 4], 1500))
        batch.b[:] = np.where(batch.kind == Kind.MARK, rng.integers(0, 2, 1500), 7)
        batch.line[:] = np.arange(number * 1500, (number + 1) * 1500)
        batches.append(batch)
    probes = frozenset({int(Kind.SPLIT), int(Kind.BULKALLOC_R), int(Kind.ISOL_R)} if seed < 4 else ())
    by_row, scanned = (TraceCheck(probes=probes, compiled=one).run(batches) for one in (False, True))
    assert by_row.divergences
    assert by_row == scanned
