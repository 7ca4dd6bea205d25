"""CrossHair's part: contracts on the real functions, and the list of those that it has to confirm.

A contract is a function of `linuxmm.proofs.contracts` with PEP 316 lines that does nothing but call the
real function.  Every condition listed there is expected to be confirmed over all paths; "not confirmed" is
reported as unknown, never as verified.  Its mutants are checked in the same way and need a counterexample.
"""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, Final, Literal

from linuxmm.proofs.ledger import Entry
from linuxmm.proofs.mutant import Function, Mutant
from linuxmm.proofs.source import source_hash
from linuxmm.spec.relink import Relinker

CPU_SECONDS: Final = 20
_LAYERS: Final = ("linuxmm.spec.", "linuxmm.hardware.", "linuxmm.model.")
_MESSAGE: Final = re.compile(
    r"^(?P<file>[^:\n]+):(?P<line>\d+): (?P<level>info|error|warning): (?P<text>.*)$"
)

Status = Literal["confirmed", "refuted", "unknown"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A contract that CrossHair is expected to confirm; fields as those of a theorem."""

    id: str
    sentence: str
    contract: Callable[..., object]
    proves: tuple[Function, ...]
    witness: Mapping[str, Any]
    mutants: tuple[Mutant, ...]
    features: tuple[str, ...] = ()
    bounds: str = "any integer"


@dataclass(frozen=True, slots=True)
class Message:
    """One line of CrossHair's report."""

    file: str
    line: int
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What CrossHair said about a condition and its mutants."""

    status: Status
    vacuity: str
    mutants_refuted: int
    survivors: tuple[str, ...]
    why: str
    seconds: float


def conditions() -> tuple[Condition, ...]:
    """Every listed condition, by id: the manifest."""
    package = importlib.import_module("linuxmm.proofs.contracts")
    found: list[Condition] = []
    for module in pkgutil.walk_packages(package.__path__, "linuxmm.proofs.contracts."):
        found += getattr(importlib.import_module(module.name), "CONDITIONS", ())
    return tuple(sorted(found, key=lambda condition: condition.id))


def find_condition(id: str) -> Condition:
    """The condition called `id`.

    Errors    KeyError
    """
    return {condition.id: condition for condition in conditions()}[id]


def parse_report(text: str) -> tuple[Message, ...]:
    """The messages of `crosshair check --report_all`; continuation lines belong to the message before."""
    messages: list[Message] = []
    for line in text.splitlines():
        match = _MESSAGE.match(line)
        if match:
            messages.append(Message(match["file"], int(match["line"]), match["level"], match["text"]))
        elif messages:
            last = messages.pop()
            messages.append(Message(last.file, last.line, last.level, f"{last.text}\n{line}"))
    return tuple(messages)


def judge(messages: tuple[Message, ...], postconditions: int) -> tuple[Status, str]:
    """Confirmed only when each postcondition is, refuted by a counterexample, else unknown; and why."""
    errors = [m.text for m in messages if m.level == "error" and " when calling " in m.text]
    if errors:
        return "refuted", errors[0]
    confirmed = sum(message.text.strip() == "Confirmed over all paths." for message in messages)
    if confirmed == postconditions and len(messages) == postconditions and postconditions > 0:
        return "confirmed", ""
    said = "; ".join(message.text for message in messages) or "CrossHair reported nothing"
    return "unknown", f"{confirmed} of {postconditions} postconditions confirmed: {said}"


def lines_of(contract: Callable[..., object], keyword: str) -> tuple[str, ...]:
    """The expressions of the docstring's `pre:` or `post:` lines."""
    text = inspect.getdoc(contract) or ""
    return tuple(re.findall(rf"^{keyword}: *(.+)$", text, flags=re.MULTILINE))


def namespace_with_mutant(id: str, index: int) -> dict[str, Any]:
    """The globals of a condition's contract with one mutant in place of the real function."""
    condition = find_condition(id)
    mutant = condition.mutants[index]
    relinker = Relinker({mutant.function: mutant.build()}, packages=_LAYERS)
    namespace = dict(getattr(condition.contract, "__globals__", {}))
    for name, value in list(namespace.items()):
        if isinstance(value, FunctionType) and value.__module__.startswith(_LAYERS):
            namespace[name] = relinker(value)
    return {name: value for name, value in namespace.items() if not name.startswith("__")}


def check(condition: Condition, cpu_seconds: int = CPU_SECONDS) -> Checked:
    """Run CrossHair on the condition and on its mutants."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="linuxmm-crosshair-") as folder:
        files = [_mutant_file(Path(folder), condition, index) for index in range(len(condition.mutants))]
        name = f"{condition.contract.__module__}.{condition.contract.__qualname__}"
        messages = _run([name, *map(str, files)], cpu_seconds)
        mutated = {path.name for path in files}
    real = tuple(m for m in messages if Path(m.file).name not in mutated)
    status, why = judge(real, len(lines_of(condition.contract, "post")))
    survivors: list[str] = []
    for path, mutant in zip(files, condition.mutants, strict=True):
        said = tuple(m for m in messages if Path(m.file).name == path.name)
        if judge(said, len(lines_of(condition.contract, "post")))[0] != "refuted":
            survivors.append(f"{mutant.fault}: {'; '.join(m.text for m in said) or 'nothing reported'}")
    refuted = len(condition.mutants) - len(survivors)
    seconds = time.perf_counter() - start
    return Checked(status, _vacuity(condition), refuted, tuple(survivors), why, seconds)


def _mutant_file(folder: Path, condition: Condition, index: int) -> Path:
    path = folder / f"mutant_{index}_of_{condition.id.replace('.', '_').replace('-', '_')}.py"
    path.write_text(
        "from linuxmm.proofs.crosshair import namespace_with_mutant as _namespace\n"
        f"globals().update(_namespace({condition.id!r}, {index}))\n\n"
        + textwrap.dedent(inspect.getsource(condition.contract))
    )
    return path


def _run(targets: list[str], cpu_seconds: int) -> tuple[Message, ...]:
    command = [sys.executable, "-m", "crosshair", "check", "--report_all", "--analysis_kind", "PEP316"]
    command += ["--per_condition_timeout", str(cpu_seconds), *targets]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in (0, 1):
        return (Message("crosshair", 0, "warning", (done.stderr or done.stdout).strip()[-500:]),)
    return parse_report(done.stdout)


def _vacuity(condition: Condition) -> str:
    """Whether the witness satisfies the preconditions, and the postconditions with its result."""
    namespace = dict(getattr(condition.contract, "__globals__", {}))
    namespace.update(condition.witness)
    if not all(eval(text, namespace) for text in lines_of(condition.contract, "pre")):
        return "vacuous"
    namespace["__return__"] = condition.contract(**condition.witness)
    met = all(eval(text, namespace) for text in lines_of(condition.contract, "post"))
    return "witnessed" if met else "vacuous"


def entry_of(condition: Condition, checked: Checked) -> Entry:
    """The ledger entry of a checked condition."""
    return Entry(
        id=condition.id,
        property=condition.sentence,
        features=condition.features,
        functions={f"{f.__module__}.{f.__qualname__}": source_hash(f) for f in condition.proves},
        statement=source_hash(condition.contract, ours=("linuxmm.proofs.contracts",)),
        method="crosshair",
        bounds=condition.bounds,
        rlimit=0,
        result=checked.status,
        vacuity=checked.vacuity,
        mutants=tuple(mutant.fault for mutant in condition.mutants),
        mutants_refuted=checked.mutants_refuted,
    )
