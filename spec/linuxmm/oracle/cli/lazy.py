"""Commands that are imported when they are run."""

import importlib
import importlib.util
import os
import sys
from typing import Any, Final, NamedTuple

import typer
from typer._click import Context
from typer.core import TyperCommand, TyperGroup

BROKEN_PIPE: Final = 141


class Target(NamedTuple):
    """Where a command lives, and its line in the list of commands; `function` may be a group of commands."""

    module: str
    function: str
    help: str


COMMANDS: Final[dict[str, Target]] = {
    "check": Target("linuxmm.oracle.check_command", "check_command", "Judge evidence of a real kernel."),
    "run": Target("linuxmm.oracle.run_command", "run_command", "Run a workload on a kernel of any version."),
    "diff": Target(
        "linuxmm.oracle.run_command", "diff_command", "What two versions do differently with a workload."
    ),
    "translate": Target(
        "linuxmm.oracle.translate_command",
        "translate_command",
        "Count what a program's references cost in TLB misses and tables.",
    ),
    "experiment": Target(
        "linuxmm.oracle.experiment_command", "experiment_command", "Test a headline claim on the model."
    ),
    "live": Target(
        "linuxmm.oracle.live.command", "live_command", "Judge the kernel at hand by random system calls."
    ),
    "serve": Target(
        "linuxmm.oracle.live.serve", "serve_command", "Judge your own address spaces over the line protocol."
    ),
    "judge": Target("linuxmm.oracle.cli.judge", "judge", "Judge your own allocator over the line protocol."),
    "lab": Target(
        "linuxmm.oracle.lab_command", "lab", "Boot real kernels under QEMU, capture and judge what they do."
    ),
    "prove": Target("linuxmm.proofs.cli", "prove", "Check the proofs and print the ledger."),
    "features": Target(
        "linuxmm.oracle.cli.features", "features", "The table of features, and what is built of each."
    ),
    "explain": Target(
        "linuxmm.oracle.cli.explain", "explain", "What a clause says, since when, and where it stands."
    ),
}


class LazyCommand(TyperCommand):
    """Stands for a command in lists; becomes it when it is run or completed."""

    def __init__(self, name: str, target: Target) -> None:
        super().__init__(name=name, help=target.help)
        self._target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: Context | None = None, **extra: Any
    ) -> Context:
        """The context of the command itself."""
        found = getattr(importlib.import_module(self._target.module), self._target.function)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found).make_context(info_name, args, parent, **extra)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(self.name)(found)
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


class LazyGroup(TyperGroup):
    """The commands whose modules are installed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, target in COMMANDS.items():
            if _installed(target.module):
                self.commands[name] = LazyCommand(name, target)

    def invoke(self, ctx: Context) -> Any:
        """Run the command; a reader that has gone ends it quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
