"""The ledger: what is proved about which source, checked in and compared with every run.

An entry is stale when a function that it covers, or the statement of its theorem, has changed since.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from linuxmm.spec.errors import BadEvidence

FORMAT: Final = 1
COMPARED: Final = (
    "property",
    "clauses",
    "features",
    "method",
    "bounds",
    "result",
    "vacuity",
    "mutants",
    "mutants_refuted",
)
FINE: Final = frozenset({"proved", "bounded", "confirmed"})
Result = Literal["proved", "bounded", "confirmed", "refuted", "unknown"]
Method = Literal["inductive", "formula", "bounded", "crosshair"]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One theorem or CrossHair condition.

    functions        qualified name -> hash of its source and of all that it calls
    statement        hash of the theorem's own text
    rlimit           power of ten above the resources of the hardest query; 0 where z3 was not asked
    vacuity          witnessed, or what is wrong with the premises
    mutants          faults that were planted; mutants_refuted of them were found
    clauses          the registered clauses that it proves, wholly or in part
    """

    id: str
    property: str
    features: tuple[str, ...]
    functions: dict[str, str]
    statement: str
    method: Method
    bounds: str
    rlimit: int
    result: Result
    vacuity: str
    mutants: tuple[str, ...]
    mutants_refuted: int
    clauses: tuple[str, ...] = ()


def area_of(entry: Entry) -> str:
    """The first component of an entry's id."""
    return entry.id.split(".")[0]


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All entries, by id."""

    format: int
    theorems: tuple[Entry, ...]


def entries_by_clause(entries: Iterable[Entry]) -> dict[str, tuple[Entry, ...]]:
    """Clause -> the theorems that name it and hold, by id."""
    found: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.id):
        if entry.result in FINE:
            for id in entry.clauses:
                found.setdefault(id, []).append(entry)
    return {id: tuple(own) for id, own in found.items()}


def find_ledger() -> Path:
    """Where the ledger lies: beside the package when installed, in proofs/ of a checkout."""
    here = Path(__file__).resolve().parent
    installed = here / "ledger.json"
    return installed if installed.exists() else here.parents[1] / "ledger.json"


def read_ledger(path: Path) -> Ledger:
    """Read a ledger; a missing one is empty.

    Errors    BadEvidence
    """
    if not path.exists():
        return Ledger(FORMAT, ())
    try:
        ledger = msgspec.json.decode(path.read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError) as error:
        raise BadEvidence(str(path), f"expected a proof ledger: {error}") from error
    if ledger.format != FORMAT:
        raise BadEvidence(
            str(path), f"expected ledger format {FORMAT}, found {ledger.format}", where="format"
        )
    return ledger


def write_ledger(path: Path, entries: Iterable[Entry]) -> None:
    """Write the ledger in one piece, sorted and indented."""
    ledger = Ledger(FORMAT, tuple(sorted(entries, key=lambda entry: entry.id)))
    text = msgspec.json.format(msgspec.json.encode(ledger), indent=2)
    scratch = path.with_suffix(".json.new")
    scratch.write_bytes(text + b"\n")
    scratch.replace(path)


def rounded_rlimit(measured: int, recorded: int = 0) -> int:
    """The power of ten above `measured`; `recorded` stays as long as it is right within a factor of 100."""
    if measured <= 0:
        return 0
    if recorded and recorded // 100 <= measured <= recorded:
        return recorded
    power = 1
    while power < 2 * measured:
        power *= 10
    return power


def unsound(entry: Entry) -> list[str]:
    """Why the outcome itself is not acceptable, whatever the ledger says."""
    reasons: list[str] = []
    if entry.result not in FINE:
        reasons.append(f"the result is {entry.result}")
    if entry.vacuity != "witnessed":
        reasons.append(f"the premises are {entry.vacuity}")
    if len(entry.mutants) < 2:
        reasons.append("fewer than two mutants")
    if entry.mutants_refuted < len(entry.mutants):
        reasons.append(f"only {entry.mutants_refuted} of {len(entry.mutants)} mutants are refuted")
    return reasons


def compare(recorded: Sequence[Entry], found: Sequence[Entry]) -> dict[str, list[str]]:
    """Theorem id -> why it fails: unsound, missing from the ledger, or different from what it says."""
    complaints = {entry.id: unsound(entry) for entry in found}
    known = {entry.id: entry for entry in recorded}
    for entry in found:
        if entry.id not in known:
            complaints[entry.id].append("not in the ledger; run with --update")
        else:
            complaints[entry.id] += _differences(known[entry.id], entry)
    for entry in recorded:
        if entry.id not in complaints:
            complaints[entry.id] = ["in the ledger, but no such theorem exists"]
    return {id: reasons for id, reasons in sorted(complaints.items()) if reasons}


def _differences(recorded: Entry, found: Entry) -> list[str]:
    reasons: list[str] = []
    for name in sorted(recorded.functions.keys() | found.functions.keys()):
        if name not in found.functions:
            reasons.append(f"no longer covers {name}")
        elif name not in recorded.functions:
            reasons.append(f"covers {name}, which the ledger does not know")
        elif recorded.functions[name] != found.functions[name]:
            reasons.append(f"stale: {name} or something that it calls has changed")
    if recorded.statement != found.statement:
        reasons.append("stale: the statement of the theorem has changed")
    for field in COMPARED:
        before, now = getattr(recorded, field), getattr(found, field)
        if before != now:
            reasons.append(f"{field} is {now!r}, the ledger says {before!r}")
    return reasons
