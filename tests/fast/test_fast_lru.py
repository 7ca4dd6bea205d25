"""The compiled lists equal the model's after every reference, and refuse what there is not."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from linuxmm.fast.arena import Int64s
from linuxmm.fast.lru import FastLru, Totals, marks_for, words_of
from linuxmm.fast.lru_pack import fresh
from linuxmm.model.reclaim.audit import broken
from linuxmm.model.reclaim.gen_switch import switch
from linuxmm.model.reclaim.outside import PAGE_SYNCED, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.state import Lruvec, ZoneMarks, empty
from linuxmm.model.reclaim.strategies import ERAS
from linuxmm.model.reclaim.workload import (
    ANON,
    DROP,
    FAILED,
    HIT,
    MAPPED,
    READ,
    WRITE,
    clean,
    discard,
    is_dirty,
    reference,
)
from linuxmm.spec.errors import BadEvidence, ImpossibleProfile
from linuxmm.spec.kernel import kernel

PLACES = 260
ANONYMOUS = 40
"""The first places are anonymous memory."""


class _Pure:
    """The model, with the same flusher."""

    def __init__(self, version: str, marks: ZoneMarks, swap: int, generations: bool = False) -> None:
        self.rules = rules_for(kernel(version), generations=generations)
        self.v: Lruvec = empty((marks,), backing=Store(swap, PAGE_SYNCED))
        if generations:
            self.v = switch(self.rules, self.v, True)
        self.dirty: deque[int] = deque()
        self.room = max(marks.managed // 10, 1)
        self.seen: set[int] = set()
        self.counts = [0, 0, 0]

    def step(self, slot: int, how: int) -> None:
        if how == DROP:
            self.v = replace(discard(self.rules, self.v, slot), log=())
            self.seen.discard(slot)
            return
        dirties = how == WRITE and not is_dirty(self.v, slot)
        self.v, answer = reference(self.rules, self.v, slot, how, slot in self.seen, 60)
        self.counts[0] += 1
        self.counts[1] += answer != HIT
        self.counts[2] += answer == FAILED
        if how == ANON and answer != FAILED:
            self.seen.add(slot)
        if dirties and answer != FAILED:
            if len(self.dirty) == self.room:
                self.v = clean(self.rules, self.v, self.dirty.popleft())
            self.dirty.append(slot)
        self.v = replace(self.v, log=())


def stream(seed: int, count: int) -> tuple[list[int], list[int]]:
    """Places and kinds: a hot set, a scan through all files, anonymous memory, a few ends."""
    rng = np.random.default_rng(seed)
    places, kinds = [], []
    for number in range(count):
        which = rng.random()
        if which < 0.25:
            place, how = int(rng.integers(ANONYMOUS)), ANON
        elif which < 0.6:
            place, how = ANONYMOUS + number % (PLACES - ANONYMOUS), READ
        else:
            place = ANONYMOUS + int(rng.integers(60))
            how = int(rng.choice([READ, MAPPED, WRITE, WRITE, DROP], p=[0.3, 0.3, 0.2, 0.15, 0.05]))
        places.append(place)
        kinds.append(how)
    return places, kinds


@pytest.mark.parametrize("version", ERAS)
def test_the_interpreted_kernel_equals_the_model_after_every_reference(version: str) -> None:
    marks = marks_for(120)
    pure = _Pure(version, marks, 12)
    fast = FastLru(kernel(version), 120, PLACES, swap=12, compiled=False)
    places, kinds = stream(7, 700)
    for place, how in zip(places, kinds, strict=True):
        pure.step(place, how)
        fast.run(words_of(np.array([place]), how))
        assert fast.lruvec == pure.v
    assert broken(pure.rules, pure.v) is None
    assert fast.totals == Totals(*pure.counts)
    assert pure.v.counters["pgsteal_kswapd"] > 0
    assert pure.v.counters["pgrefill"] > 0


@pytest.mark.parametrize("version", ["2.4.5", "2.4.9", "2.4.17", "2.4.32", "2.6.24", "3.5", "6.12.117"])
def test_the_compiled_kernel_equals_the_model(version: str) -> None:
    # 2.4.9 looks at no list of fewer than 64, and does nothing while the high mark is met
    pages, high = (150, 8) if version == "2.4.9" else (90, 0)
    marks = ZoneMarks(pages, pages, 0, -1, high)  # without the daemon
    pure = _Pure(version, marks, 30)
    fast = FastLru(kernel(version), pages, PLACES, swap=30, marks=marks)
    plain = FastLru(kernel(version), pages, PLACES, swap=30, marks=marks, compiled=False)
    places, kinds = stream(9, 3000)
    for words, how in zip(
        np.split(words_of(np.array(places), np.array(kinds)), 100),
        np.split(np.array(kinds), 100),
        strict=True,
    ):
        for place, kind in zip((words >> 3).tolist(), how.tolist(), strict=True):
            pure.step(place, kind)
        fast.run(words)
        plain.run(words)
        assert fast.lruvec == pure.v == plain.lruvec
    assert fast.totals == plain.totals == Totals(*pure.counts)
    assert pure.v.counters["pgsteal_direct"] > 0


@pytest.mark.parametrize(("version", "swap"), [("6.1", 100), ("6.1", 0), ("6.12", 100), ("6.12", 0)])
def test_generations_equal_the_model_after_every_reference(version: str, swap: int) -> None:
    pure = _Pure(version, marks_for(120), swap, generations=True)
    fast = FastLru(kernel(version), 120, PLACES, swap=swap, compiled=False, generations=True)
    places, kinds = stream(7, 700)
    for number, (place, how) in enumerate(zip(places, kinds, strict=True)):
        pure.step(place, how)
        fast.run(words_of(np.array([place]), how))
        assert fast.lruvec == pure.v
        if number in (300, 350, 500):  # off and on again, with shadows of the other kind
            fast.switch(not pure.v.gens.enabled)
            pure.v = switch(pure.rules, pure.v, not pure.v.gens.enabled)
            assert fast.lruvec == pure.v
    assert broken(pure.rules, pure.v) is None
    assert pure.v.gens.mixed
    assert pure.v.counters["pgsteal_kswapd"] > 0


def test_compiled_generations_equal_the_model() -> None:
    marks = ZoneMarks(90, 90, 0, -1, 0)  # without the daemon
    pure = _Pure("6.12", marks, 100, generations=True)
    fast = FastLru(kernel("6.12"), 90, PLACES, swap=100, marks=marks, generations=True)
    places, kinds = stream(9, 2000)
    for batch in np.split(words_of(np.array(places), np.array(kinds)), 50):
        for word in batch.tolist():
            pure.step(word >> 3, word & 7)
        fast.run(batch)
        assert fast.lruvec == pure.v
    assert fast.totals == Totals(*pure.counts)
    assert pure.v.gens.max_seq > 4
    assert pure.v.counters["pgsteal_direct"] > 0


def test_a_page_takes_sixteen_bytes_and_a_place_eight() -> None:
    v = fresh(marks_for(1000), 5000, 0)
    assert (v.frames.nbytes, v.keys.nbytes) == (16 * 1000, 8 * 5000)


@pytest.mark.parametrize("compiled", [False, True])
def test_references_outside_the_machine_are_refused(compiled: bool) -> None:
    fast = FastLru(kernel("6.12.117"), 90, 10, compiled=compiled)
    words: Int64s = words_of(np.array([3, 10]), READ)
    with pytest.raises(BadEvidence) as caught:
        fast.run(words)
    expected = "references:1: word: expected a kind below 5 and a place below 10, got 0 and 10"
    assert str(caught.value) == expected
    with pytest.raises(BadEvidence, match="got 5 and 3"):
        fast.run(words_of(np.array([3]), 5))
    assert fast.totals == (0, 0, 0)


def test_there_is_a_page_and_a_place() -> None:
    with pytest.raises(ImpossibleProfile, match="got 0, 5 and 0"):
        fresh(ZoneMarks(0, 0, 0, 0, 0), 5, 0)
    with pytest.raises(ImpossibleProfile, match="got 9, 0 and 0"):
        fresh(marks_for(9), 0, 0)
