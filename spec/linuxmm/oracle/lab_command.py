"""`linuxmm lab ...`: real kernels under QEMU, what they did as evidence, and the judgement of it."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from linuxmm.lab import host, kernels
from linuxmm.lab.capture import capture
from linuxmm.lab.introduce import introduce
from linuxmm.lab.workload import find_workload, on, shipped
from linuxmm.oracle.cli.console import make_console
from linuxmm.oracle.lab_check import AreaRow, by_area, check_kernel, exit_status, junit, selected

lab = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich"
)

KernelName = Annotated[
    str,
    typer.Option("--kernel", metavar="NAME|BZIMAGE", help="A name that `lab kernels` lists, or an image."),
]
Modules = Annotated[Path | None, typer.Option(help="lib/modules/RELEASE of your own image, if it needs any.")]
TypesFile = Annotated[Path | None, typer.Option("--btf", help="Types of your own image, when it lacks BTF.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@lab.callback()
def _lab() -> None:
    """Boot real kernels under QEMU, capture what their memory management does, and judge it."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: object) -> None:
    """End as after Ctrl-C, so that QEMU is ended and temporary files are removed."""
    raise KeyboardInterrupt


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """A line on a terminal's standard error that says what goes on; nothing anywhere else."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task("starting", total=None)
        yield lambda text: bar.update(task, description=text)


def _print_json(document: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


@lab.command("kernels")
def list_kernels(as_json: AsJson = False) -> None:
    """Kernels that apt offers and those fetched already; your own is given by its path."""
    host.require(host.FETCH)
    here = {kernel.name for kernel in kernels.fetched()}
    with _shown() as note:
        note("asking apt")
        packages = kernels.offered()
    rows: list[dict[str, Any]] = [
        {"name": p.name, "package": p.package, "version": p.version, "fetched": p.name in here}
        for p in packages
    ]
    if as_json:
        _print_json({"kernels": rows})
        return
    table = Table("kernel", "package", "version", "", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row["name"], row["package"], row["version"], "fetched" if row["fetched"] else "")
    make_console().print(table)


@lab.command("workloads")
def list_workloads(as_json: AsJson = False) -> None:
    """Workloads by area."""
    found = shipped()
    if as_json:
        rows = [{"name": w.name, "area": w.area, "title": w.title, "quick": w.quick} for w in found]
        _print_json({"workloads": rows})
        return
    table = Table("area", "workload", "quick", "what it does", box=None, pad_edge=False)
    for workload in found:
        table.add_row(workload.area, workload.name, "yes" if workload.quick else "", workload.title)
    make_console().print(table)


@lab.command("fetch")
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Kernels, or 'newest'.")],
    as_json: AsJson = False,
) -> None:
    """Download kernels from the distribution, and boot each once to learn its symbols and types."""
    host.require((*host.FETCH, *host.BOOT))
    rows = []
    for name in names:
        with _shown() as note:
            note(f"fetching {name}")
            kernel = kernels.fetch(name)
            outcome = introduce(kernel, note)
        seconds = None if outcome is None else round(outcome.up, 1)
        rows.append(
            {"name": kernel.name, "image": str(kernel.image), "bits": kernel.bits, "boot_seconds": seconds}
        )
    if as_json:
        _print_json({"kernels": rows})
        return
    for row in rows:
        booted = "known before" if row["boot_seconds"] is None else f"up after {row['boot_seconds']} s"
        typer.echo(f"{row['name']}: {booted}")


@lab.command("capture")
def capture_command(
    kernel: KernelName,
    workload: Annotated[
        str, typer.Option(metavar="NAME|SCRIPT", help="One that `lab workloads` lists, or yours.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write; it must not exist.")],
    mem: Annotated[str | None, typer.Option(help="Memory, such as 512M.")] = None,
    smp: Annotated[int | None, typer.Option(help="CPUs.")] = None,
    numa: Annotated[int | None, typer.Option(help="NUMA nodes.")] = None,
    append: Annotated[str | None, typer.Option(help="More words for the kernel's command line.")] = None,
    modules: Modules = None,
    btf: TypesFile = None,
    limit: Annotated[float | None, typer.Option(min=5, help="Seconds that the guest may run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one workload on one kernel and write the folder of evidence.

    Exit status 0 when it is complete, 4 when something is missing from it.
    """
    host.require(host.BOOT)
    chosen = on(find_workload(workload), memory=mem, cpus=smp, nodes=numa, append=append)
    with _shown() as note:
        image = kernels.find_kernel(kernel, modules, btf)
        taken = capture(image, chosen, out, note=note, limit=limit)
    document = {
        "capture": str(out),
        "kernel": taken.capture.description.kernel.release,
        "marks": list(taken.capture.marks),
        "entries": sum(
            buffers.entries
            for trace in taken.capture.description.traces
            for buffers in trace.buffers.values()
        ),
        "boot_seconds": round(taken.boot_seconds, 1),
        "seconds": round(taken.seconds, 1),
        "freezes": {mark: round(seconds, 3) for mark, seconds in taken.freezes.items()},
        "warnings": list(taken.warnings),
    }
    if as_json:
        _print_json(document)
    else:
        typer.echo(
            f"{out}: {document['kernel']}, marks {' '.join(taken.capture.marks) or 'none'}, "
            f"{document['entries']} events, {document['seconds']} s"
        )
        for warning in taken.warnings:
            typer.echo(f"  {warning}")
    raise typer.Exit(4 if taken.warnings or taken.capture.description.timed_out else 0)


@lab.command("check")
def check_command(
    kernel: KernelName,
    area: Annotated[list[str] | None, typer.Option(help="Only this area; may be given again.")] = None,
    workload: Annotated[
        list[str] | None, typer.Option(help="Only this workload; may be given again.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only workloads of a minute or so.")] = False,
    modules: Modules = None,
    btf: TypesFile = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the captures in this folder.")] = None,
    junit_file: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML.")] = None,
    as_json: AsJson = False,
) -> None:
    """Capture and judge in one go: a table of areas.

    Exit status 0 conforms, 1 diverges, 3 unspecified, 4 incomplete evidence, 2 misuse.  Areas without a judge
    are listed and do not count.
    """
    host.require(host.BOOT)
    chosen = (
        [find_workload(name) for name in workload]
        if workload
        else selected(shipped(), tuple(area or ()), quick)
    )
    taken_names = [w.name for w in chosen if keep is not None and (keep / w.name).exists()]
    if taken_names:
        raise typer.BadParameter(f"{keep} has a capture {taken_names[0]} already", param_hint="--keep")
    with _shown() as note:
        image = kernels.find_kernel(kernel, modules, btf)
        introduce(image, note)
        areas = by_area(check_kernel(image, chosen, keep=keep, note=note))
    if junit_file is not None:
        junit_file.write_bytes(junit(kernel, areas))
    if as_json:
        _print_json(_document(image, areas))
    else:
        _print_areas(kernel, areas)
    raise typer.Exit(exit_status(areas))


def _document(kernel: kernels.KernelImage, areas: tuple[AreaRow, ...]) -> dict[str, Any]:
    uname = kernel.facts / "uname"
    rows = msgspec.to_builtins(areas)
    for row in rows:
        row["seconds"] = round(row["seconds"], 1)
        for one in row["workloads"]:
            one |= {key: round(one[key], 1) for key in ("seconds", "boot_seconds", "capture_seconds")}
    return {
        "kernel": kernel.name,
        "uname": uname.read_text().strip() if uname.is_file() else "",
        "package": dict(kernels.package_of(kernel)),
        "areas": rows,
    }


def _print_areas(kernel: str, areas: tuple[AreaRow, ...]) -> None:
    console = make_console()
    table = Table(title=f"kernel {kernel}", box=None, pad_edge=False, title_justify="left")
    for column in ("area", "workload", "verdict"):
        table.add_column(column)
    for column in ("events", "predicted", "explained", "unexplained", "after-state", "seconds"):
        table.add_column(column, justify="right")
    colours = {"conforms": "green", "diverges": "red", "incomplete": "yellow", "unspecified": "yellow"}
    for area in areas:
        for number, row in enumerate(area.workloads):
            colour = colours.get(row.verdict, "dim")
            after = "-" if row.state_equal is None else "equal" if row.state_equal else "differs"
            counts = [
                str(n) if n or row.events else "-"
                for n in (row.events, row.predicted, row.explained, row.unexplained)
            ]
            table.add_row(
                area.area if not number else "", row.workload, f"[{colour}]{row.verdict}[/]", *counts, after,
                f"{row.seconds:.0f}" if row.seconds else "-",
            )  # fmt: skip
    console.print(table)
    for area in areas:
        for row in area.workloads:
            if row.why:
                console.print(f"{row.workload}: {row.why}", highlight=False, markup=False, soft_wrap=True)
