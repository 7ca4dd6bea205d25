"""`linuxmm live AREA`: random system calls on the kernel at hand, every result judged."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from linuxmm.oracle.live.reproducer import c_program, reproducer
from linuxmm.oracle.live.run import Divergence, Outcome, live, replay
from linuxmm.oracle.live.session import CannotRun
from linuxmm.oracle.live.shrink import Again, shrink
from linuxmm.oracle.live.wire import encode
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled

CONFORMS, DIVERGES, UNSPECIFIED, INCOMPLETE = 0, 1, 3, 4


def live_command(
    area: Annotated[str, typer.Argument(help="What to exercise: vm (address spaces).")] = "vm",
    ops: Annotated[int, typer.Option(min=1, help="How many calls to make.")] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same calls.")] = 1,
    seconds: Annotated[float, typer.Option(min=1, help="Stop after this long.")] = 600.0,
    kernel: Annotated[
        str | None, typer.Option(help="Have a guest of the lab with this kernel make the calls.")
    ] = None,
    overcommit: Annotated[
        int | None, typer.Option(min=0, max=2, help="vm.overcommit_memory of the guest.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    program: Annotated[
        Path | None, typer.Option(help="Write the reproducer of a divergence, in C, to this file.")
    ] = None,
) -> None:
    """Make random memory system calls, unprivileged, and judge each result and the areas after it.

    Exit status 0 conforms, 1 diverges, 3 a kernel that linuxmm does not describe, 4 it cannot run here.
    """
    if area != "vm":
        raise typer.BadParameter(f"{area!r}: expected vm")
    if kernel is not None:
        _in_guest(kernel, ops, seed, overcommit or 0, as_json, program)
    if overcommit is not None:
        raise typer.BadParameter("--overcommit is set in a guest: name its --kernel")
    report(
        lambda progress: live(ops, seed, seconds=seconds, progress=progress), replay, ops, as_json, program
    )


def _in_guest(
    kernel: str, ops: int, seed: int, overcommit: int, as_json: bool, program: Path | None
) -> NoReturn:
    from linuxmm.oracle.live.guest import live_in_guest, shrink_in_guest

    console = Console(stderr=True)
    note = console.print if sys.stderr.isatty() else _silent
    outcome = live_in_guest(kernel, ops, seed, note, overcommit)
    found = tuple(shrink_in_guest(kernel, each, overcommit=overcommit) for each in outcome.divergences[:1])
    _end(outcome, found, as_json, program)


def _silent(text: str) -> None:
    """Say nothing."""


def report(
    made: Callable[[Callable[[int], None]], Outcome],
    again: Again,
    ops: int,
    as_json: bool,
    program: Path | None,
) -> NoReturn:
    """Make the runs with a bar, shrink what diverges, print it, and exit.

    made   makes the runs, given what to tell of each call
    again  makes calls in a fresh process
    """
    bar = Progress(
        TextColumn("judging"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("calls"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    try:
        with bar:
            task = bar.add_task("judging", total=ops)
            outcome = made(lambda calls: bar.advance(task, calls))
    except CannotRun as error:
        typer.echo(f"incomplete: {error}", err=True)
        raise typer.Exit(INCOMPLETE) from None
    except (ImpossibleProfile, Unmodelled) as error:
        typer.echo(f"unspecified: {error}", err=True)
        raise typer.Exit(UNSPECIFIED) from None
    _end(outcome, tuple(shrink(each, again) for each in outcome.divergences), as_json, program)


def _end(outcome: Outcome, found: tuple[Divergence, ...], as_json: bool, program: Path | None) -> NoReturn:
    if found and program is not None:
        program.write_text(c_program(found[0]))
    if as_json:
        sys.stdout.write(json.dumps(as_document(outcome, found), indent=2, sort_keys=True) + "\n")
    else:
        show(outcome, found, Console())
    raise typer.Exit(DIVERGES if found else CONFORMS)


def as_document(outcome: Outcome, found: tuple[Divergence, ...]) -> dict[str, Any]:
    """The outcome by the keys that others rely on."""
    return {
        "format": "linuxmm-live/1",
        "verdict": "diverges" if found else "conforms",
        "kernel": str(outcome.kernel.version) if outcome.kernel else None,
        "events": outcome.events,
        "coverage": dict(sorted(outcome.seen.items())),
        "divergences": [
            {
                "clause": each.refusal.clause,
                "why": each.refusal.why,
                "expected": each.expected,
                "calls": [encode(call) for call in each.calls],
                "reproducer": reproducer(each),
                "program": c_program(each),
            }
            for each in found
        ],
    }


def show(outcome: Outcome, found: tuple[Divergence, ...], console: Console) -> None:
    """The outcome for a reader."""
    verdict, colour = ("diverges", "red") if found else ("conforms", "green")
    kernel = outcome.kernel.version if outcome.kernel else "unknown"
    rate = outcome.events / max(outcome.seconds, 1e-9)
    console.print(
        f"[bold {colour}]{verdict}[/]  kernel {kernel}, {outcome.events} calls, {rate:.0f} a second",
        highlight=False,
    )
    table = Table("call", "outcomes", "refusals", "merges and splits", box=None, pad_edge=False)
    for name in sorted({key.split()[0] for key in outcome.seen}):
        ways = [key.split(" ", 1)[1] for key in outcome.seen if key.split()[0] == name]
        refusals = [way for way in ways if ":" in way]
        changes = [way for way in ways if way.startswith("merge") or way == "split"]
        table.add_row(name, str(len(ways)), str(len(refusals)), str(len(changes)))
    console.print(table)
    for each in found:
        console.print(f"\n{each.refusal.clause}: {each.refusal.why}", markup=False, highlight=False)
        console.print(f"expected {each.expected}; {len(each.calls)} calls:", markup=False, highlight=False)
        for call in each.calls:
            console.print(f"  {encode(call)}", markup=False, highlight=False)
        console.print("\n" + c_program(each), markup=False, highlight=False, soft_wrap=True)
