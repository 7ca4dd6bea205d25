"""Experiments: a claim, what is run to test it, and what came out.

A claim is a figure that the subject's history reports (`linuxmm.spec.claim_table`).  An experiment runs one
workload on the kernels before and after, and answers with typed figures, curves and a verdict; it may well be
that the model does not confirm the claim, and then it says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from linuxmm.spec.claim_table import find_claim
from linuxmm.spec.errors import LinuxmmError


class Standing(Enum):
    """How a claim stands after its experiment."""

    CONFIRMED = "confirmed by the model"
    PARTLY = "confirmed in part"
    NOT_CONFIRMED = "not confirmed by the model"


class Scale(Enum):
    """How much of an experiment is run; QUICK is a part of FULL, with the same numbers."""

    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number.

    name     what was counted
    setting  under which conditions
    version  the kernel, or kernels when they are compared
    timed    a time of the machine it ran on, and not a count
    """

    name: str
    setting: str
    version: str
    value: float
    unit: str = ""
    timed: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells the figures of an experiment apart."""
        return self.name, self.setting, self.version


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot; curves of the same panel share axes.

    Requires  xs and ys are of equal length
    """

    panel: str
    label: str
    x_label: str
    y_label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    log_x: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment found; `why` is the verdict in words."""

    figures: tuple[Figure, ...]
    curves: tuple[Curve, ...]
    standing: Standing
    why: str


@dataclass(frozen=True, slots=True)
class Experiment:
    """A registered experiment.

    reported   the figure that the claim states, in words
    versions   kernels before and after
    workload   what is run
    left_out   what the real thing has and the model run has not
    """

    claim: str
    title: str
    reported: str
    versions: str
    workload: str
    left_out: tuple[str, ...]
    source: str
    run: Callable[[Scale], Outcome]


_EXPERIMENTS: Final[dict[str, Experiment]] = {}


def experiment(
    claim: str,
    *,
    title: str,
    reported: str,
    versions: str,
    workload: str,
    left_out: tuple[str, ...],
    source: str,
) -> Callable[[Callable[[Scale], Outcome]], Callable[[Scale], Outcome]]:
    """Register the decorated function, unchanged, as the experiment of a claim.

    Errors    LinuxmmError when no such claim exists, or when it has an experiment
    """
    find_claim(claim)

    def register(function: Callable[[Scale], Outcome]) -> Callable[[Scale], Outcome]:
        held = _EXPERIMENTS.get(claim)
        if held is not None and held.run.__qualname__ != function.__qualname__:
            raise LinuxmmError(f"claim {claim} already has the experiment {held.run.__qualname__}")
        _EXPERIMENTS[claim] = Experiment(
            claim, title, reported, versions, workload, left_out, source, function
        )
        return function

    return register


def experiments() -> tuple[Experiment, ...]:
    """Every registered experiment, by claim."""
    return tuple(_EXPERIMENTS[claim] for claim in sorted(_EXPERIMENTS))


def find_experiment(claim: str) -> Experiment:
    """The experiment of a claim.

    Errors    LinuxmmError naming those that there are
    """
    found = _EXPERIMENTS.get(find_claim(claim).id)
    if found is None:
        known = ", ".join(sorted(_EXPERIMENTS))
        raise LinuxmmError(f"claim {claim} has no experiment yet; there are: {known}")
    return found
