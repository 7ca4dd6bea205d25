"""The console that commands print tables on."""

import sys
from typing import NoReturn

from rich.console import Console

PLAIN_WIDTH = 120


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """Let the frame end the program quietly, with the status of a broken pipe."""
        raise BrokenPipeError


def make_console() -> Console:
    """A console on standard output: as wide as the terminal, or 120 columns when it is none."""
    return _Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)
