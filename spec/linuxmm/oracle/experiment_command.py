"""`linuxmm experiment`: run the experiment behind a claim, and print its figures beside the claim's."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from linuxmm.oracle.experiments.plot import save
from linuxmm.oracle.experiments.record import dump
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.experiment import Experiment, Outcome, Scale, experiments, find_experiment
from linuxmm.spec.registry import load


def load_experiments() -> None:
    """Import every experiment, so that it is registered."""
    load("linuxmm.oracle.experiments")


def experiment_command(
    claim: Annotated[str | None, typer.Argument(help="The claim, such as H01; without it, a list.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only a part, in under a minute.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Write a plot: .svg, .png or .pdf.")] = None,
) -> None:
    """Run the experiment behind a headline claim; without a claim, list the experiments."""
    load_experiments()
    if claim is None:
        if plot is not None:
            raise LinuxmmError("--plot needs a claim to plot")
        _list(as_json)
        return
    found = find_experiment(claim)
    outcome = found.run(Scale.QUICK if quick else Scale.FULL)
    if plot is not None:
        save(outcome.curves, f"{found.claim}: {found.title}", plot)
    if as_json:
        typer.echo(dump(found.claim, outcome))
        return
    _print(found, outcome)


def _list(as_json: bool) -> None:
    if as_json:
        rows = [{"claim": e.claim, "title": e.title, "reported": e.reported} for e in experiments()]
        typer.echo(json.dumps({"experiments": rows}, indent=1))
        return
    for e in experiments():
        typer.echo(f"{e.claim}  {e.title}: {e.reported}")


def _print(e: Experiment, outcome: Outcome) -> None:
    typer.echo(f"{e.claim}: {e.title}")
    for name, text in (("reported", e.reported), ("kernels", e.versions), ("workload", e.workload)):
        typer.echo(f"{name}: {text}")
    table = Table()
    for column in ("kernel", "setting", "figure"):
        table.add_column(column)
    table.add_column("value", justify="right")
    for figure in outcome.figures:
        unit = f" {figure.unit}" if figure.unit else ""
        name = f"{figure.name} (measured here)" if figure.timed else figure.name
        table.add_row(figure.version, figure.setting, name, f"{figure.value:g}{unit}")
    Console(soft_wrap=True).print(table)
    typer.echo(f"\n{outcome.standing.value}: {outcome.why}")
    for missing in e.left_out:
        typer.echo(f"left out: {missing}")
