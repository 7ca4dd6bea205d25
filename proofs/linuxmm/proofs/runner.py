"""Runs the theorems, a few processes at a time, and turns what they find into ledger entries."""

import importlib
import multiprocessing
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Final

from linuxmm.oracle.built import load_clauses
from linuxmm.proofs import crosshair
from linuxmm.proofs.ledger import Entry, rounded_rlimit
from linuxmm.proofs.mutant import Function
from linuxmm.proofs.prover import Report, prove
from linuxmm.proofs.source import source_hash
from linuxmm.proofs.theorem import Theorem, check_clauses, find_theorem, theorems

CORE: Final = frozenset(
    {
        "cli",
        "contracts",
        "crosshair",
        "domain",
        "ledger",
        "mutant",
        "paths",
        "prover",
        "rewrite",
        "runner",
        "source",
        "sym",
        "symmap",
        "theorem",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The entry of one theorem as found now, with what does not belong in the ledger."""

    entry: Entry
    seconds: float
    why: str = ""
    pytest: str = ""
    survivors: tuple[str, ...] = ()


def load() -> None:
    """Import every module with theorems; what they name has to be registered.

    Errors    ValueError for a theorem that names an unknown clause
    """
    package = importlib.import_module("linuxmm.proofs")
    for module in pkgutil.walk_packages(package.__path__, "linuxmm.proofs."):
        if module.name.split(".")[2] not in CORE:
            importlib.import_module(module.name)
    load_clauses()
    check_clauses()


def qualified(function: Function) -> str:
    """Module and name of a function."""
    return f"{function.__module__}.{function.__qualname__}"


def finding_of(theorem: Theorem, report: Report, recorded_rlimit: int = 0) -> Finding:
    """The finding of one proof attempt."""
    own = (theorem.function.__module__.rpartition(".")[0] or theorem.function.__module__,)
    entry = Entry(
        id=theorem.id,
        property=theorem.sentence,
        clauses=theorem.clauses,
        features=theorem.features,
        functions={qualified(function): source_hash(function) for function in theorem.proves},
        statement=source_hash(theorem.function, ours=own),
        method=theorem.method,
        bounds=theorem.bounds,
        rlimit=rounded_rlimit(report.rlimit, recorded_rlimit),
        result=report.result,
        vacuity=report.vacuity,
        mutants=tuple(mutant.fault for mutant in theorem.mutants),
        mutants_refuted=report.mutants_refuted,
    )
    survivors = tuple(f"{mutant.fault}: {mutant.how}" for mutant in report.mutants if not mutant.refuted)
    return Finding(entry, report.seconds, report.why, report.pytest, survivors)


def _prove_by_id(id: str, recorded_rlimit: int) -> Finding:
    load()
    theorem = find_theorem(id)
    return finding_of(theorem, prove(theorem), recorded_rlimit)


def _check_contract(name: str) -> Finding:
    condition = crosshair.find_condition(name)
    outcome = crosshair.check(condition)
    return Finding(
        crosshair.entry_of(condition, outcome), outcome.seconds, outcome.why, "", outcome.survivors
    )


def select(area: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the theorems and of the CrossHair conditions of an area, or of all."""
    load()
    proved = tuple(t.id for t in theorems() if area is None or t.area == area)
    checked = tuple(c.id for c in crosshair.conditions() if area is None or c.id.split(".")[0] == area)
    return proved, checked


def areas() -> tuple[str, ...]:
    """Every area that has theorems or conditions."""
    proved, checked = select(None)
    return tuple(sorted({id.split(".")[0] for id in (*proved, *checked)}))


def run(
    proved: Sequence[str],
    checked: Sequence[str],
    recorded: dict[str, Entry],
    *,
    jobs: int = 2,
    done: Callable[[str], None] = lambda id: None,
) -> list[Finding]:
    """Prove and check everything named; findings by id."""
    findings = list(_run_parallel(proved, checked, recorded, jobs, done))
    return sorted(findings, key=lambda finding: finding.entry.id)


def _run_parallel(
    proved: Sequence[str],
    checked: Sequence[str],
    recorded: dict[str, Entry],
    jobs: int,
    done: Callable[[str], None],
) -> Iterator[Finding]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["linuxmm.proofs.runner"])
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as pool:
        futures = [pool.submit(_check_contract, id) for id in checked]
        for id in proved:
            rlimit = recorded[id].rlimit if id in recorded else 0
            futures.append(pool.submit(_prove_by_id, id, rlimit))
        for future in as_completed(futures):
            finding = future.result()
            done(finding.entry.id)
            yield finding
