"""The registry of experiments."""

from pathlib import Path

import pytest

from linuxmm.oracle.experiment_command import load_experiments
from linuxmm.spec.claim_table import CLAIMS
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.experiment import Figure, Outcome, Scale, experiment, experiments, find_experiment

RECORDED = sorted(file.stem for file in (Path(__file__).parents[2] / "docs" / "experiments").glob("*.json"))


def test_experiments_belong_to_claims_and_are_found_in_either_case() -> None:
    load_experiments()
    assert {e.claim for e in experiments()} <= {c.id for c in CLAIMS}
    assert [e.claim for e in experiments()] == RECORDED
    assert find_experiment("h02").title == "Lists per CPU outside interrupts"


def test_a_claim_without_an_experiment_names_those_that_have_one() -> None:
    load_experiments()
    names = ", ".join(RECORDED)
    with pytest.raises(LinuxmmError, match=f"claim H18 has no experiment yet; there are: {names}"):
        find_experiment("H18")
    with pytest.raises(LinuxmmError, match="no claim is called 'H99'"):
        find_experiment("H99")


def test_a_claim_has_one_experiment() -> None:
    load_experiments()

    def another(scale: Scale) -> Outcome:
        raise AssertionError(scale)

    register = experiment(
        "H01", title="", reported="", versions="", workload="", left_out=(), source="mm/page_alloc.c"
    )
    with pytest.raises(LinuxmmError, match="claim H01 already has the experiment fragmentation"):
        register(another)
    with pytest.raises(LinuxmmError, match="no claim is called 'H00'"):
        experiment("H00", title="", reported="", versions="", workload="", left_out=(), source="")


def test_figures_are_told_apart_by_name_setting_and_version() -> None:
    assert Figure("events", "4096 MiB", "5.2", 3).key == ("events", "4096 MiB", "5.2")
