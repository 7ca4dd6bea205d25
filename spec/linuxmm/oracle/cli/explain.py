"""`linuxmm explain CLAUSE`: what a verdict's clause says."""

import inspect

import msgspec
import typer

from linuxmm.oracle.built import load_clauses
from linuxmm.oracle.theorems import read_theorems
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature_table import find_feature
from linuxmm.spec.invariant import Clause, find_clause


class ProvenBy(msgspec.Struct, frozen=True):
    """A theorem that proves the clause, as the ledger keeps it."""

    id: str
    result: str
    method: str
    property: str


class Explained(msgspec.Struct, frozen=True):
    """What --json prints; `since` and `until` are empty where nothing bounds them."""

    clause: str
    sentence: str
    since: str
    until: str
    source: str
    seed: str
    features: tuple[str, ...]
    checked: str
    theorems: tuple[ProvenBy, ...]


def explain(
    clause: str = typer.Argument(..., help="A clause as verdicts name it, such as alloc.page.lost."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What a clause says, since when it holds, where the kernel and the seed say so, and what proves it."""
    load_clauses()
    try:
        found = find_clause(clause)
    except KeyError as error:
        raise LinuxmmError(str(error.args[0])) from error
    proofs = tuple(
        ProvenBy(theorem.id, theorem.result, theorem.method, theorem.property)
        for theorem in read_theorems()
        if found.id in theorem.clauses
    )
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_record(found, proofs)), indent=2).decode())
    else:
        typer.echo(_explained(found, proofs))


def _record(clause: Clause, proofs: tuple[ProvenBy, ...]) -> Explained:
    return Explained(
        clause.id,
        clause.sentence,
        clause.since,
        clause.until,
        clause.source,
        clause.seed,
        clause.features,
        _checked(clause),
        proofs,
    )


def _checked(clause: Clause) -> str:
    function = clause.function
    return "" if function is None else f"{function.__module__}.{function.__qualname__}"


def _explained(clause: Clause, proofs: tuple[ProvenBy, ...]) -> str:
    lines = [clause.id, "", clause.sentence, ""]
    lines.append(f"holds     {_releases(clause)}")
    lines.append(f"source    {clause.source}")
    if clause.seed:
        lines.append(f"seed      {clause.seed}")
    lines += [f"feature   {id}  {find_feature(id).title}" for id in clause.features]
    if clause.function is not None:
        lines.append(f"checked   {_checked(clause)}")
    lines += [f"theorem   {proof.id}  ({proof.result}, {proof.method})" for proof in proofs]
    if clause.function is not None:
        more = inspect.cleandoc(clause.function.__doc__ or "").partition("\n")[2].strip("\n")
        if more:
            lines += ["", more]
    return "\n".join(lines)


def _releases(clause: Clause) -> str:
    if not clause.since and not clause.until:
        return "in every release"
    since = f"since {clause.since}" if clause.since else "from the beginning"
    return f"{since}, until {clause.until}" if clause.until else since
