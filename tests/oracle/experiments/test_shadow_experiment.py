"""The experiment about shadows says what its record says."""

from pathlib import Path

from linuxmm.oracle.experiments.record import drift, read
from linuxmm.oracle.experiments.shadows import shadows
from linuxmm.spec.experiment import Scale, Standing

RECORD = Path(__file__).parents[3] / "docs" / "experiments" / "H06.json"


def test_the_record_is_what_the_experiment_finds() -> None:
    fresh = shadows(Scale.FULL)
    assert drift(read(RECORD).outcome, fresh) == ()
    assert fresh.standing is Standing.CONFIRMED
    values = {figure.key: figure.value for figure in fresh.figures}
    ratios = {
        name: values[(name, "16 MiB covered", "")] / (16 << 20)
        for name in ("kmemcheck", "KASAN, generic", "KASAN, software tags", "KASAN, hardware tags")
    }
    assert list(ratios.values()) == [1, 1 / 8, 1 / 16, 1 / 32]
