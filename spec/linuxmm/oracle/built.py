"""The rows of the feature table: registrations of every installed part, joined with the proof ledger."""

import importlib
import importlib.util
from functools import cache

import msgspec

from linuxmm.oracle.theorems import read_theorems
from linuxmm.spec.claim_table import CLAIMS
from linuxmm.spec.feature_table import FEATURES
from linuxmm.spec.registry import Built, built, load

SPECIFIED = ("linuxmm.spec", "linuxmm.model", "linuxmm.hardware")
COMPILED = ("linuxmm.fast",)
CLAUSES_OF_THE_ORACLE = (
    "linuxmm.oracle.adapter.allocator",
    "linuxmm.oracle.checker.objects",
    "linuxmm.oracle.checker.pages",
    "linuxmm.oracle.checker.states",
    "linuxmm.oracle.evidence",
)


class FeatureRow(msgspec.Struct, frozen=True):
    """One row of the table; the counts are of registrations."""

    id: str
    area: str
    seed: str
    title: str
    since: str
    until: str
    status: str
    spec: int
    model: int
    proofs: int
    fast: int
    evidence: int
    docs: bool


class ClaimRow(msgspec.Struct, frozen=True):
    """One headline claim."""

    id: str
    seed: str
    statement: str
    experiment: str
    features: tuple[str, ...]
    basis: str


@cache
def load_all() -> None:
    """Import every part of linuxmm that is installed, so that what it registers counts."""
    load_clauses()
    _load(COMPILED)


@cache
def load_clauses() -> None:
    """Import what registers clauses: everything but the compiled path, which takes long to import."""
    _load(SPECIFIED)
    for module in CLAUSES_OF_THE_ORACLE:
        importlib.import_module(module)


def _load(parts: tuple[str, ...]) -> None:
    for part in parts:
        if importlib.util.find_spec(part) is not None:
            load(part)


def built_of(feature: str) -> Built:
    """Everything registered for a feature, theorems included."""
    load_all()
    return built(feature, read_theorems())


def feature_rows() -> tuple[FeatureRow, ...]:
    """Every feature, in the order of the seed."""
    load_all()
    theorems = read_theorems()
    rows = []
    for feature in FEATURES:
        have = built(feature.id, theorems)
        rows.append(
            FeatureRow(
                feature.id,
                feature.area.value,
                feature.seed,
                feature.title,
                feature.since,
                feature.until,
                feature.status.value,
                have.spec,
                len(have.verbs),
                have.proved,
                len(have.fast),
                len(have.evidence),
                have.docs,
            )
        )
    return tuple(rows)


def claim_rows() -> tuple[ClaimRow, ...]:
    """Every claim."""
    return tuple(
        ClaimRow(claim.id, claim.seed, claim.statement, claim.experiment, claim.features, claim.basis)
        for claim in CLAIMS
    )
