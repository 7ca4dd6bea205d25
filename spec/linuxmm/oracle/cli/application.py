"""The frame of every command: help, version, errors, exit statuses."""

import os
import sys
from collections.abc import Sequence
from importlib import metadata

import typer

from linuxmm.oracle.cli.lazy import BROKEN_PIPE, LazyGroup
from linuxmm.spec.errors import LinuxmmError

MISUSE = 2
INTERRUPTED = 130

app = typer.Typer(
    cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"linuxmm {metadata.version('linuxmm')}")
        raise typer.Exit


@app.callback(
    epilog="Exit status: 0 conforms or done, 1 diverges, 2 misuse or unreadable input, 3 unspecified, "
    "4 incomplete evidence, 130 interrupted."
)
def linuxmm(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """An executable reference specification of Linux memory management."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Ensures   an error on purpose is one line on standard error, without a traceback
    """
    try:
        typer.main.get_command(app).main(args=arguments, prog_name="linuxmm")
    except LinuxmmError as error:
        print(f"linuxmm: {error}", file=sys.stderr)
        return MISUSE
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as end:
        return _flushed(end.code if isinstance(end.code, int) else 0)
    return _flushed(0)


def _flushed(status: int) -> int:
    """The status, or that of a broken pipe when the last of the output cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return status
