"""The proof ledger as the feature table needs it.

The specification may not read the proofs, so the two are joined here.
"""

import importlib
import importlib.util
from pathlib import Path

import msgspec

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.registry import Theorem


class _Entry(msgspec.Struct, frozen=True):
    id: str
    property: str
    method: str
    result: str
    features: tuple[str, ...]
    functions: dict[str, str]
    clauses: tuple[str, ...] = ()


class _Ledger(msgspec.Struct, frozen=True):
    theorems: tuple[_Entry, ...]


def read_theorems(path: Path | None = None) -> tuple[Theorem, ...]:
    """The theorems of a ledger, by id; of the one that the proofs keep when `path` is None.

    Ensures   empty when the proofs are not installed or have no ledger
    Errors    BadEvidence when the file is not a ledger
    """
    if path is None:
        path = _kept()
    if path is None or not path.exists():
        return ()
    try:
        ledger = msgspec.json.decode(path.read_bytes(), type=_Ledger)
    except msgspec.MsgspecError as error:
        raise BadEvidence(str(path), f"a proof ledger ({error})") from error
    return tuple(
        Theorem(
            entry.id,
            entry.property,
            ", ".join(sorted(entry.functions)),
            entry.method,
            entry.result,
            entry.features,
            entry.clauses,
        )
        for entry in sorted(ledger.theorems, key=lambda entry: entry.id)
    )


def _kept() -> Path | None:
    if importlib.util.find_spec("linuxmm.proofs") is None:
        return None
    if importlib.util.find_spec("linuxmm.proofs.ledger") is None:
        return None
    found: Path = importlib.import_module("linuxmm.proofs.ledger").find_ledger()
    return found
