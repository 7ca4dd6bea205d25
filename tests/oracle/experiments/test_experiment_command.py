"""`linuxmm experiment`, its records and its plots."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.cli.application import main
from linuxmm.oracle.experiments.plot import draw
from linuxmm.oracle.experiments.record import FORMAT, dump, read
from linuxmm.spec import experiment
from linuxmm.spec.errors import BadEvidence, LinuxmmError
from linuxmm.spec.experiment import Curve, Experiment, Figure, Outcome, Scale, Standing

CURVES = (
    Curve("counted", "6.1", "pages", "steps", (1.0, 2.0), (4.0, 3.0), True),
    Curve("counted", "6.12", "pages", "steps", (1.0, 2.0), (4.0, 2.0), True),
)


def tiny(scale: Scale) -> Outcome:
    """An experiment that needs no time."""
    figures = (Figure("steps", scale.value, "6.1", 4), Figure("time", "warm", "6.1", 1.5, "ns", True))
    return Outcome(figures, CURVES, Standing.PARTLY, "Half of it.")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Experiment("H01", "A title", "a figure", "6.1", "a workload", ("time",), "mm/x.c", tiny)
    monkeypatch.setattr(experiment, "_EXPERIMENTS", {"H01": entry})
    monkeypatch.setattr("linuxmm.oracle.experiment_command.load_experiments", lambda: None)


@pytest.mark.usefixtures("registered")
def test_an_experiment_prints_claim_figures_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["experiment", "h01", "--quick"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("H01: A title\nreported: a figure\nkernels: 6.1\nworkload: a workload\n")
    assert "quick" in out
    assert "time (measured here)" in out
    assert out.endswith("\nconfirmed in part: Half of it.\nleft out: time\n")


@pytest.mark.usefixtures("registered")
def test_json_and_plot(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "plot.svg"
    assert main(["experiment", "H01", "--json", "--plot", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["claim"]) == (FORMAT, "H01")
    assert found["outcome"]["standing"] == "confirmed in part"
    assert file.read_bytes() == draw(CURVES, "H01: A title", ".svg")
    assert main(["experiment"]) == 0
    assert capsys.readouterr().out == "H01  A title: a figure\n"
    assert main(["experiment", "--plot", str(file)]) == 2
    assert main(["experiment", "H01", "--plot", str(tmp_path / "x.txt")]) == 2
    assert main(["experiment", "H01", "--plot", str(tmp_path / "absent" / "x.svg")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_records_read_back_and_bad_ones_are_named(tmp_path: Path) -> None:
    file = tmp_path / "H01.json"
    file.write_text(dump("H01", tiny(Scale.FULL)))
    assert read(file).outcome == tiny(Scale.FULL)
    file.write_text('{"format": "other/1", "claim": "H01"}')
    with pytest.raises(BadEvidence, match="missing required field `outcome`"):
        read(file)
    file.write_text(dump("H01", tiny(Scale.FULL)).replace(FORMAT, "other/1"))
    with pytest.raises(BadEvidence, match="expected linuxmm-experiment/1, found 'other/1'"):
        read(file)
    with pytest.raises(BadEvidence, match="cannot be read: No such file"):
        read(tmp_path / "absent.json")


def test_plots_refuse_what_they_cannot_draw() -> None:
    with pytest.raises(LinuxmmError, match="no curves"):
        draw((), "", ".svg")
    with pytest.raises(LinuxmmError, match=r"ending in \.svg, \.png, \.pdf, got '\.gif'"):
        draw(CURVES, "", ".gif")
    picture = draw(CURVES, "A title", ".svg").decode()
    assert "A title" in picture
    assert "6.12" in picture
