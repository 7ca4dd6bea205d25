"""Outcomes of experiments as JSON: `linuxmm-experiment/1`, written by `linuxmm experiment CLAIM --json`."""

import json
from pathlib import Path
from typing import Final

import msgspec

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.experiment import Outcome

FORMAT: Final = "linuxmm-experiment/1"


class Record(msgspec.Struct, frozen=True):
    """What a file holds."""

    format: str
    claim: str
    outcome: Outcome


def dump(claim: str, outcome: Outcome) -> str:
    """An outcome as JSON text."""
    return json.dumps(msgspec.to_builtins(Record(FORMAT, claim, outcome)), indent=1)


def read(path: Path) -> Record:
    """A recorded outcome.

    Errors    BadEvidence naming the file and the field
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Record)
    except OSError as error:
        raise BadEvidence(str(path), f"cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadEvidence(str(path), str(error)) from error
    if found.format != FORMAT:
        raise BadEvidence(str(path), f"expected {FORMAT}, found {found.format!r}", where="format")
    return found


def drift(recorded: Outcome, fresh: Outcome) -> tuple[str, ...]:
    """Counts of a fresh run that the record does not have, or has otherwise; times are not compared."""
    held = {figure.key: figure.value for figure in recorded.figures if not figure.timed}
    wrong = []
    for figure in fresh.figures:
        if not figure.timed and held.get(figure.key) != figure.value:
            label = ", ".join(figure.key)
            wrong.append(f"{label}: recorded {held.get(figure.key)}, now {figure.value}")
    return tuple(wrong)
