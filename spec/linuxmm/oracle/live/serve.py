"""`linuxmm serve vm COMMAND...`: drive a program that speaks the line protocol, and judge it.

The program says which release it is; its answers are held against the rules of that release.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from linuxmm.oracle.live.command import report
from linuxmm.oracle.live.run import live, replay
from linuxmm.oracle.live.session import Executor
from linuxmm.spec.errors import LinuxmmError


def serve_command(
    area: Annotated[str, typer.Argument(help="What to drive: vm (address spaces).")],
    command: Annotated[
        list[str], typer.Argument(help="The program and its arguments; put -- in front of options.")
    ],
    ops: Annotated[int, typer.Option(min=1, help="How many calls to make.")] = 2_000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same calls.")] = 1,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds to wait for a reply.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Drive a program with memory system calls and print the shortest run in which it diverges.

    Exit status 0 conforms, 1 diverges, 3 a release that linuxmm does not describe, 4 it cannot run.
    """
    if area != "vm":
        raise typer.BadParameter(f"{area!r}: expected vm")
    _started(command, timeout)
    report(
        lambda progress: live(ops, seed, command=tuple(command), timeout=timeout, progress=progress),
        lambda calls: replay(calls, tuple(command), timeout),
        ops,
        as_json,
        None,
    )


def _started(command: Sequence[str], timeout: float) -> None:
    """Start the program once, so that one that cannot be is named at once.

    Errors    LinuxmmError
    """
    try:
        with Executor(command, timeout):
            pass
    except OSError as error:
        raise LinuxmmError(f"{command[0]}: {error.strerror}") from error
