"""`linuxmm translate`: what a program's memory references cost in each table format."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.progress import Progress
from rich.table import Table

from linuxmm.fast.lackey import BLOCK, read_lackey
from linuxmm.fast.replay import Replay, ReplayReport
from linuxmm.fast.translate import Int64s
from linuxmm.fast.vm_process import VmReport
from linuxmm.oracle.cli.console import make_console
from linuxmm.oracle.vm_run import (
    FIVE_LEVELS,
    NO_WORKLOAD,
    References,
    process_on,
    read_workload,
    run,
)
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.x86_format import FORMATS, X86_64_LA57

R = TypeVar("R", ReplayReport, VmReport)
NEWEST: Final = "6.12.117"
"""The kernel that serves faults unless one is named."""

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


VM_ROWS: Final[tuple[tuple[str, Callable[[VmReport], int]], ...]] = (
    ("references", lambda r: r.references),
    ("first-level TLB hits", lambda r: r.first_hits),
    ("second-level TLB hits", lambda r: r.second_hits),
    ("walks from a cached table", lambda r: r.table_walks),
    ("walks from the root", lambda r: r.full_walks),
    ("minor faults", lambda r: r.minor),
    ("major faults", lambda r: r.major),
    ("copy-on-write faults", lambda r: r.cow),
    ("stack growths", lambda r: r.stack),
    ("SIGSEGV", lambda r: r.segv),
    ("SIGBUS", lambda r: r.bus),
    ("refused references", lambda r: r.refused),
    ("resident set, KiB", lambda r: r.resident << 2),
    ("its peak, KiB", lambda r: r.peak << 2),
    ("page tables, KiB", lambda r: sum(r.tables) << 2),
    ("their peak, KiB", lambda r: r.tables_peak << 2),
)


def translate_command(
    trace: Annotated[
        Path | None,
        typer.Argument(help="A trace by `valgrind --tool=lackey --trace-mem=yes --log-file=FILE`."),
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help=f"{', '.join(FORMATS)}; all unless given.")
    ] = None,
    kernels: Annotated[
        list[str] | None,
        typer.Option("--kernel", help="Serve faults as this version does; several may be given."),
    ] = None,
    maps: Annotated[
        Path | None, typer.Option("--maps", help="Areas: a /proc/PID/maps of the program.")
    ] = None,
    calls: Annotated[
        Path | None, typer.Option("--calls", help="Areas: a workload of system calls, JSON lines.")
    ] = None,
    memory: Annotated[int, typer.Option("--memory", min=1, help="Memory of the machine in MiB.")] = 1024,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay a program's memory references: TLB misses, walks, faults, memory for pages and tables.

    Without a kernel every page is mapped at its first touch.  With --kernel, --maps or --calls faults are
    served as that kernel serves them in the areas given; without areas, all addresses are anonymous memory.
    References beyond the addresses of a format are refused by it.
    """
    names = formats or list(FORMATS)
    for name in names:
        if name not in FORMATS:
            raise LinuxmmError(f"no table format is called {name!r}: expected one of {', '.join(FORMATS)}")
    if maps is not None and calls is not None:
        raise LinuxmmError("--maps and --calls: expected one of the two")
    if kernels or maps is not None or calls is not None:
        _serve_faults(trace, names, formats is not None, kernels or [NEWEST], maps, calls, memory, as_json)
        return
    if trace is None:
        raise LinuxmmError("expected a trace, or --calls with a workload")
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
        make_console().print(_table(trace, ROWS, found))


def _serve_faults(
    trace: Path | None,
    names: list[str],
    chosen: bool,
    versions: list[str],
    maps: Path | None,
    calls: Path | None,
    memory: int,
    as_json: bool,
) -> None:
    if trace is None and calls is None:
        raise LinuxmmError("expected a trace, or --calls with a workload")
    workload = None if calls is None else read_workload(calls)
    machines = tuple(
        process_on(version, name, memory, maps, workload)
        for version in versions
        for name in names
        if chosen or FORMATS[name] is not X86_64_LA57 or kernel(version).version >= FIVE_LEVELS
    )
    run(machines, workload or NO_WORKLOAD, References(iter(()) if trace is None else _shown(trace)))
    if as_json:
        found: dict[str, dict[str, object]] = {version: {} for version in versions}
        for each in machines:
            found[each.version][each.format] = each.report
        typer.echo(json.dumps({"trace": trace.name if trace else None, "kernels": found}, indent=1))
        return
    source = trace or calls
    assert source is not None
    columns = {f"{each.version} {each.format}": each.process.report for each in machines}
    make_console().print(_table(source, VM_ROWS, columns))


def _shown(trace: Path) -> Iterator[Int64s]:
    size = trace.stat().st_size if trace.is_file() else None
    with Progress(console=make_console(), transient=True, disable=not make_console().is_terminal) as progress:
        task = progress.add_task(trace.name, total=size)
        for part in read_lackey(trace):
            yield part
            progress.advance(task, BLOCK)


def _table(trace: Path, rows: tuple[tuple[str, Callable[[R], int]], ...], found: dict[str, R]) -> Table:
    table = Table(title=trace.name, box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.add_column("")
    for name in found:
        table.add_column(name, justify="right")
    for heading, value in rows:
        table.add_row(heading, *(f"{value(report):,}" for report in found.values()))
    return table
