"""`linuxmm translate`: what a program's memory references cost in each table format."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import Progress
from rich.table import Table

from linuxmm.fast.lackey import BLOCK, read_lackey
from linuxmm.fast.replay import Replay, ReplayReport
from linuxmm.fast.translate import Int64s
from linuxmm.oracle.cli.console import make_console
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vm.x86_format import FORMATS

ROWS: Final[tuple[tuple[str, Callable[[ReplayReport], int]], ...]] = (
    ("references", lambda r: r.references),
    ("first-level TLB hits", lambda r: r.first_hits),
    ("second-level TLB hits", lambda r: r.second_hits),
    ("walks from a cached table", lambda r: r.table_walks),
    ("walks from the root", lambda r: r.full_walks),
    ("page faults", lambda r: r.faults),
    ("refused references", lambda r: r.refused),
    ("resident set, KiB", lambda r: r.pages << 2),
    ("page tables, KiB", lambda r: r.tables << 2),
)


def translate_command(
    trace: Annotated[
        Path, typer.Argument(help="A trace by `valgrind --tool=lackey --trace-mem=yes --log-file=FILE`.")
    ],
    formats: Annotated[
        list[str] | None, typer.Option("--format", help=f"{', '.join(FORMATS)}; all unless given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay a program's memory references: TLB misses, walks, faults, memory for pages and tables.

    Every page is mapped at its first touch.  References beyond the addresses of a format are refused by it.
    """
    names = formats or list(FORMATS)
    for name in names:
        if name not in FORMATS:
            raise LinuxmmError(f"no table format is called {name!r}: expected one of {', '.join(FORMATS)}")
    machines = {name: Replay(FORMATS[name]) for name in names}
    for part in _shown(trace):
        for machine in machines.values():
            machine.feed(part)
    found = {name: machine.report for name, machine in machines.items()}
    if as_json:
        typer.echo(
            json.dumps({"trace": trace.name, "formats": {n: asdict(r) for n, r in found.items()}}, indent=1)
        )
    else:
        make_console().print(_table(trace, found))


def _shown(trace: Path) -> Iterator[Int64s]:
    size = trace.stat().st_size if trace.is_file() else None
    with Progress(console=make_console(), transient=True, disable=not make_console().is_terminal) as progress:
        task = progress.add_task(trace.name, total=size)
        for part in read_lackey(trace):
            yield part
            progress.advance(task, BLOCK)


def _table(trace: Path, found: dict[str, ReplayReport]) -> Table:
    table = Table(title=trace.name, box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    for heading, value in ROWS:
        table.add_row(heading, *(f"{value(report):,}" for report in found.values()))
    return table
