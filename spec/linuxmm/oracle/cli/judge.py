"""`linuxmm judge COMMAND...`: drive an allocator that speaks the line protocol, and judge its answers."""

from typing import Annotated

import msgspec
import typer

DIVERGES = 1


class Judgement(msgspec.Struct, frozen=True):
    """What --json prints; clause, why and operations are empty when the allocator conforms."""

    verdict: str
    clause: str
    why: str
    operations: tuple[str, ...]


def judge(
    command: Annotated[
        list[str], typer.Argument(help="The program and its arguments; put -- in front of options.")
    ],
    examples: int = typer.Option(100, min=1, help="How many runs to try."),
    steps: int = typer.Option(40, min=1, help="How many calls a run may have."),
    seed: int | None = typer.Option(None, help="Try other runs; without it they are the same every time."),
    timeout: float = typer.Option(5.0, min=0.01, help="Seconds to wait for a reply."),
    objects: bool = typer.Option(False, "--objects", help="Judge an allocator of objects, not of pages."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Drive an allocator and print the shortest run in which it breaks a clause."""
    from linuxmm.oracle.adapter.judge import Finding
    from linuxmm.oracle.adapter.judge import judge as find
    from linuxmm.oracle.adapter.object_judge import ObjectFinding, judge_objects
    from linuxmm.oracle.adapter.objects import ProcessHeap
    from linuxmm.oracle.adapter.process import ProcessAllocator

    found: Finding | ObjectFinding | None
    if objects:
        found = judge_objects(
            lambda: ProcessHeap(command, timeout), examples=examples, steps=steps, random_seed=seed
        )
    else:
        found = find(
            lambda: ProcessAllocator(command, timeout), examples=examples, steps=steps, random_seed=seed
        )
    if as_json:
        result = (
            Judgement("conforms", "", "", ())
            if found is None
            else Judgement("diverges", found.clause, found.why, found.operations)
        )
        typer.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    elif found is None:
        typer.echo(f"conforms: {examples} runs of up to {steps} calls")
    else:
        typer.echo(f"diverges: {found.report}")
    raise typer.Exit(0 if found is None else DIVERGES)
