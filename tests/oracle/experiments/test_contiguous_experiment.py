"""The experiment about CMA: its figures add up, and what it needs to come back is what the model says."""

from linuxmm.oracle.experiments.contiguous import RANGE, contiguous, figures_of, fill, machine_with
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE
from linuxmm.spec.experiment import Scale, Standing


def test_the_range_serves_and_comes_back() -> None:
    outcome = contiguous(Scale.QUICK)
    assert outcome.standing is Standing.CONFIRMED, outcome.why
    for version in ("6.1.192", "6.12.117"):
        values = {figure.name: figure.value for figure in outcome.figures if figure.version == version}
        assert values["of them in the range"] == values["pages moved for it"] > 0
        assert (
            values["movable pages that find room"] > values["movable pages that find room, range set aside"]
        )


def test_pages_are_handed_out_once_and_figures_are_repeatable() -> None:
    rules, machine = machine_with("6.1.192", True)
    _, held = fill(rules, machine, GFP_HIGHUSER_MOVABLE, 3000)
    assert len(set(held)) == len(held) == 3000
    _, aside = fill(*machine_with("6.1.192", False), GFP_HIGHUSER_MOVABLE, 9000)
    assert not [pfn for pfn in aside if RANGE.base <= pfn < RANGE.base + RANGE.count]
    assert figures_of("5.4") == figures_of("5.4")
