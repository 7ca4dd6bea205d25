"""`linuxmm features`: the table, with what is built of each feature counted from registrations."""

import msgspec
import typer
from rich.table import Table

from linuxmm.oracle.built import ClaimRow, FeatureRow, claim_rows, feature_rows
from linuxmm.oracle.cli.console import make_console
from linuxmm.spec.claim_table import find_claim
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature import Area
from linuxmm.spec.feature_table import find_feature


class Listing(msgspec.Struct, frozen=True):
    """What --json prints."""

    features: tuple[FeatureRow, ...]
    claims: tuple[ClaimRow, ...]


def features(
    id: str = typer.Argument("", help="One feature (F017) or claim (H01)."),
    area: str = typer.Option("", "--area", help="Only the features of an area, such as alloc."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """The table of features and claims.

    Counts are computed from what the modules register: spec (clauses, behaviours, formulas), model
    (steps), proofs (theorems that hold), fast (compiled kernels), evidence (captures judged), docs (a page
    with content).
    """
    listing = _selected(id, area)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(listing), indent=2).decode())
    elif id:
        _describe(listing)
    else:
        _print_table(listing)


def _selected(id: str, area: str) -> Listing:
    areas = [member.value for member in Area]
    if area and area not in areas:
        raise LinuxmmError(f"no area is called {area!r}: expected one of {', '.join(areas)}")
    if id.upper().startswith("H"):
        claim = find_claim(id)
        return Listing((), tuple(row for row in claim_rows() if row.id == claim.id))
    if id:
        feature = find_feature(id)
        return Listing(tuple(row for row in feature_rows() if row.id == feature.id), ())
    rows = tuple(row for row in feature_rows() if area in ("", row.area))
    shown = {row.id for row in rows}
    return Listing(rows, tuple(row for row in claim_rows() if not area or shown & set(row.features)))


def _print_table(listing: Listing) -> None:
    console = make_console()
    table = Table(title="Features", box=None, header_style="bold", pad_edge=False, title_justify="left")
    for column in ("id", "seed", "feature", "since", "until", "status"):
        table.add_column(column)
    for column in ("spec", "model", "proofs", "fast", "evidence", "docs"):
        table.add_column(column, justify="right")
    for row in listing.features:
        counts = (row.spec, row.model, row.proofs, row.fast, row.evidence)
        table.add_row(
            row.id, row.seed, row.title, row.since, row.until, row.status,
            *(str(count) if count else "-" for count in counts), "yes" if row.docs else "-",
        )  # fmt: skip
    console.print(table)
    claims = Table(title="Claims", box=None, header_style="bold", pad_edge=False, title_justify="left")
    for column in ("id", "seed", "claim", "features"):
        claims.add_column(column)
    for claim in listing.claims:
        claims.add_row(claim.id, claim.seed, claim.statement, " ".join(claim.features))
    console.print(claims)


def _describe(listing: Listing) -> None:
    for row in listing.features:
        feature = find_feature(row.id)
        typer.echo(f"{row.id}  {row.title}  (seed {row.seed}, area {row.area})\n\n{feature.summary}\n")
        if feature.corrects:
            typer.echo(f"{feature.corrects}\n")
        releases = f"since {row.since}" if row.since else "in no release"
        releases += f", last in {row.until}" if row.until else ""
        typer.echo(f"status    {row.status}, {releases}")
        typer.echo(f"seen in   {feature.observable or 'nothing that a running kernel shows'}")
        typer.echo(f"sources   {'; '.join(feature.sources)}")
        typer.echo(
            f"built     spec {row.spec}, model {row.model}, proofs {row.proofs}, fast {row.fast}, "
            f"evidence {row.evidence}"
        )
    for claim in listing.claims:
        typer.echo(f"{claim.id}  {claim.statement}  (seed {claim.seed})\n")
        typer.echo(
            f"experiment  {claim.experiment}\n"
            f"features    {' '.join(claim.features)}\n"
            f"basis       {claim.basis}"
        )
