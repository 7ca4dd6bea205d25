"""`linuxmm check EVIDENCE`: the judgement for people and for programs."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from linuxmm.oracle.check import Report, check, divergence_lines


def check_command(
    evidence: Annotated[str, typer.Argument(help="Capture folder, trace, archive or JSON lines.")],
    exact: Annotated[
        bool, typer.Option("--exact", help="Also predict every choice from the exact state.")
    ] = False,
    nearest: Annotated[
        bool,
        typer.Option("--nearest", help="Where a prediction fails, search the nearest version that fits."),
    ] = False,
    kernel: Annotated[str | None, typer.Option(help="Judge as this version, such as 6.1.192.")] = None,
    only: Annotated[str | None, typer.Option(metavar="AREA", help="Judge this area alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Divergences to keep.")] = 100,
) -> None:
    """Judge evidence of a real kernel.

    Exit status 0 conforms, 1 diverges, 3 unspecified, 4 incomplete evidence, 2 misuse.
    """
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("judging", total=None)
        report = check(
            evidence,
            exact=exact or nearest,
            nearest=nearest,
            version=kernel,
            only=only,
            limit=limit,
            progress=lambda events: bar.advance(task, events),
        )
    if as_json:
        sys.stdout.write(json.dumps(as_document(report), indent=2, sort_keys=True) + "\n")
    else:
        show(report, Console())
    raise typer.Exit(report.verdict.exit_status)


def as_document(report: Report) -> dict[str, Any]:
    """The report by the keys that others rely on."""
    judgement = report.judgement
    document: dict[str, Any] = {
        "format": "linuxmm-report/1",
        "evidence": report.evidence,
        "verdict": report.verdict.value,
        "events": judgement.events,
        "kernel": report.kernel,
        "areas": list(report.areas),
        "clauses": {
            id: {"checked": tally.checked, "broken": tally.broken}
            for id, tally in sorted(judgement.clauses.items())
        },
        "divergences": [
            {
                "clause": d.clause,
                "event": d.event,
                "line": d.line,
                "observed": d.observed,
                "permitted": d.permitted,
                "why": d.why,
                "around": d.around,
                "nearest_version": d.nearest or None,
                "witness": [{"line": seen.line, "text": seen.text} for seen in d.witness],
            }
            for d in judgement.divergences
        ],
        "gaps": [{"what": what, "count": count} for what, count in sorted(judgement.gaps.items())],
        "explained": [{"what": what, "count": n} for what, n in sorted(judgement.explained.items())],
    }
    if report.exact:
        document["exact"] = {
            "predicted": sum(r.predicted for r in report.exact),
            "equal": all(not r.unexplained for r in report.exact),
            "explained": sum(sum(r.explained.values()) for r in report.exact),
            "unexplained": sum(r.unexplained for r in report.exact),
            "state_equal": all(r.state_equal for r in report.exact),
            "nearest_version": report.nearest or None,
            "windows": [
                {
                    "window": r.window,
                    "operations": r.operations,
                    "predicted": r.predicted,
                    "steps": r.steps,
                    "explained": r.explained,
                    "unexplained": r.unexplained,
                    "state_equal": r.state_equal,
                    "differences": list(r.differences),
                }
                for r in report.exact
            ],
        }
    return document


def show(report: Report, console: Console) -> None:
    """The report for a reader."""
    judgement = report.judgement
    colour = {"conforms": "green", "diverges": "red"}.get(report.verdict.value, "yellow")
    console.print(
        f"[bold {colour}]{report.verdict.value}[/]  kernel {report.kernel}, {judgement.events} events",
        highlight=False,
    )
    table = Table("clause", "checked", "broken", box=None, pad_edge=False)
    for id, tally in sorted(judgement.clauses.items()):
        table.add_row(id, str(tally.checked), f"[red]{tally.broken}[/]" if tally.broken else "0")
    if judgement.clauses:
        console.print(table)
    for divergence in judgement.divergences:
        console.print()
        for line in divergence_lines(divergence):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    for title, counts in (("gap", judgement.gaps), ("explained", judgement.explained)):
        for what, count in sorted(counts.items()):
            console.print(f"{title}: {what} ({count})", highlight=False, markup=False, soft_wrap=True)
    for result in report.exact:
        after = "equal" if result.state_equal else "differs"
        console.print(
            f"prediction {result.window}: {result.operations} operations, {result.predicted} grants "
            f"predicted, {result.steps} list events matched, {sum(result.explained.values())} explained, "
            f"{result.unexplained} unexplained; after-state {after}",
            highlight=False,
            soft_wrap=True,
        )
        for why, count in result.explained.items():
            console.print(f"  explained: {why} ({count})", highlight=False, markup=False, soft_wrap=True)
        for difference in result.differences:
            console.print(f"  {difference}", highlight=False, markup=False, soft_wrap=True)
    if report.nearest is not None:
        found = f"nearest version that predicts it: {report.nearest}"
        console.print(
            found if report.nearest else "no version near predicts it", highlight=False, soft_wrap=True
        )
