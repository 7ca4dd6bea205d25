"""`linuxmm prove`: prove everything again and compare with the ledger."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from linuxmm.proofs import ledger as book
from linuxmm.proofs import runner
from linuxmm.spec.errors import BadEvidence

MISUSE: Final = 2
FAILED: Final = 1

app = typer.Typer(add_completion=False)


@app.command()
def prove(
    area: Annotated[str | None, typer.Option(help="Only this area, such as alloc.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    update: Annotated[bool, typer.Option(help="Write what is found into the ledger.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes to use.")] = 2,
    ledger: Annotated[Path | None, typer.Option(help="The ledger to compare with.")] = None,
) -> None:
    """Prove every theorem again, refute its mutants, and compare with the ledger.

    Exit status 0 when every theorem is proved as the ledger says, 1 when anything differs, 2 for misuse.
    """
    known = runner.areas()
    if area is not None and area not in known:
        typer.echo(f"area {area!r} has no theorems; there are: {', '.join(known)}", err=True)
        raise typer.Exit(MISUSE)
    path = ledger or book.find_ledger()
    try:
        recorded = book.read_ledger(path).theorems
    except BadEvidence as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(MISUSE) from error
    findings = _run(area, recorded, jobs)
    if update:
        recorded = _updated(path, recorded, findings, area)
    compared = [entry for entry in recorded if area is None or book.area_of(entry) == area]
    failures = book.compare(compared, [finding.entry for finding in findings])
    if as_json:
        typer.echo(json.dumps(_as_json(findings, failures), indent=2))
    else:
        _print(findings, failures)
    if failures:
        raise typer.Exit(FAILED)


def _run(area: str | None, recorded: tuple[book.Entry, ...], jobs: int) -> list[runner.Finding]:
    proved, checked = runner.select(area)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("proving", total=len(proved) + len(checked))
        return runner.run(
            proved,
            checked,
            {entry.id: entry for entry in recorded},
            jobs=jobs,
            done=lambda id: progress.advance(task),
        )


def _updated(
    path: Path, recorded: tuple[book.Entry, ...], findings: list[runner.Finding], area: str | None
) -> tuple[book.Entry, ...]:
    """Write the findings; entries of other areas stay.  What does not hold is not written."""
    found = [finding.entry for finding in findings if not book.unsound(finding.entry)]
    kept = [entry for entry in recorded if area is not None and book.area_of(entry) != area]
    book.write_ledger(path, (*kept, *found))
    return book.read_ledger(path).theorems


def _as_json(findings: list[runner.Finding], failures: dict[str, list[str]]) -> dict[str, object]:
    return {
        "theorems": [
            {
                "id": finding.entry.id,
                "property": finding.entry.property,
                "function": ", ".join(finding.entry.functions),
                "clauses": list(finding.entry.clauses),
                "features": list(finding.entry.features),
                "method": finding.entry.method,
                "result": finding.entry.result,
                "bounds": finding.entry.bounds,
                "rlimit": finding.entry.rlimit,
                "vacuity": finding.entry.vacuity,
                "mutants": len(finding.entry.mutants),
                "mutants_refuted": finding.entry.mutants_refuted,
                "seconds": round(finding.seconds, 2),
            }
            for finding in findings
        ],
        "failures": [{"id": id, "reasons": reasons} for id, reasons in failures.items()],
    }


def _print(findings: list[runner.Finding], failures: dict[str, list[str]]) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("theorem", "result", "method", "mutants", "seconds"):
        table.add_column(
            heading, no_wrap=heading != "theorem", justify="right" if heading == "seconds" else "left"
        )
    for finding in findings:
        entry = finding.entry
        mark = "red" if entry.id in failures else "green"
        table.add_row(
            escape(entry.id),
            f"[{mark}]{entry.result}[/]",
            entry.method,
            f"{entry.mutants_refuted}/{len(entry.mutants)}",
            f"{finding.seconds:.1f}",
        )
    console.print(table)
    for finding in findings:
        if finding.entry.id in failures:
            for text in (finding.why, *finding.survivors, finding.pytest):
                if text:
                    console.print(f"{finding.entry.id}: {text}", markup=False, highlight=False)
    for id, reasons in failures.items():
        for reason in reasons:
            console.print(f"FAILED {id}: {reason}", markup=False, highlight=False, soft_wrap=True)
    total = sum(finding.seconds for finding in findings)
    console.print(
        f"{len(findings)} theorems, {len(failures)} failed, {total:.0f} s of proof", highlight=False
    )


def main() -> None:
    """Run the command."""
    app()
