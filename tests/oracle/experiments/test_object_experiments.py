"""The experiments about object allocators: the streams are repeatable and the bytes add up."""

import pytest

from linuxmm.oracle.experiments.objects import CACHES, MIXES, PLACES, Mix, footprints, queues, uses_of
from linuxmm.spec.experiment import Scale, Standing


def test_streams_are_repeatable_and_give_half_back() -> None:
    for mix in MIXES:
        uses = uses_of(mix, 400)
        assert uses == uses_of(mix, 400)
        back = [use for use in uses if use.back]
        assert 150 < len(back) < 250
        assert all(mix.least <= use.size <= mix.most for use in uses)
        assert {use._replace(back=False) for use in back} <= set(uses)


@pytest.mark.parametrize("name", PLACES)
def test_bytes_add_up(name: str) -> None:
    uses = uses_of(Mix("a few", 8, 5000), 60)
    live = {use.number: use.size for use in uses if not use.back}
    for use in uses:
        if use.back:
            del live[use.number]
    found = PLACES[name](uses)
    assert found.asked == sum(live.values())
    assert found.pages == found.asked + found.inside + found.beside
    assert min(found) >= 0


def test_slab_grows_with_the_square_of_the_nodes() -> None:
    outcome = queues(Scale.QUICK)
    values = {(f.name, f.setting): f.value for f in outcome.figures}
    assert outcome.standing is Standing.CONFIRMED
    assert values["SLAB, arrays for other nodes", "1024 nodes"] == 1024 * 1023
    assert 14 * 2**30 < CACHES * values["SLAB, one cache", "1024 nodes"] < 24 * 2**30


def test_slob_needs_least_but_where_alignment_tears_holes() -> None:
    outcome = footprints(Scale.QUICK)
    overhead = {curve.label: curve.ys for curve in outcome.curves}
    assert outcome.standing is Standing.PARTLY
    assert all(overhead["SLOB"][n] < min(overhead["SLAB"][n], overhead["SLUB"][n]) for n in range(3))
    assert overhead["SLOB"][3] > overhead["SLAB"][3]
