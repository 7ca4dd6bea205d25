"""`linuxmm explain CLAUSE`: what a verdict's clause says."""

import inspect

import typer

from linuxmm.oracle.built import load_clauses
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature_table import find_feature
from linuxmm.spec.invariant import Clause, find_clause


def explain(
    clause: str = typer.Argument(..., help="A clause as verdicts name it, such as alloc.page.lost."),
) -> None:
    """What a clause says, since when it holds, and where the kernel and the seed say so."""
    load_clauses()
    try:
        found = find_clause(clause)
    except KeyError as error:
        raise LinuxmmError(str(error.args[0])) from error
    typer.echo(_explained(found))


def _explained(clause: Clause) -> str:
    lines = [clause.id, "", clause.sentence, ""]
    lines.append(f"holds     {_releases(clause)}")
    lines.append(f"source    {clause.source}")
    if clause.seed:
        lines.append(f"seed      {clause.seed}")
    lines += [f"feature   {id}  {find_feature(id).title}" for id in clause.features]
    if clause.function is not None:
        lines.append(f"checked   {clause.function.__module__}.{clause.function.__qualname__}")
        more = inspect.cleandoc(clause.function.__doc__ or "").partition("\n")[2].strip("\n")
        if more:
            lines += ["", more]
    return "\n".join(lines)


def _releases(clause: Clause) -> str:
    if not clause.since and not clause.until:
        return "in every release"
    since = f"since {clause.since}" if clause.since else "from the beginning"
    return f"{since}, until {clause.until}" if clause.until else since
