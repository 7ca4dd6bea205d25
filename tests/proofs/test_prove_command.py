"""`linuxmm prove`: exit status, JSON, and what it does with a ledger that does not fit."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from linuxmm.proofs import runner
from linuxmm.proofs.cli import app
from linuxmm.proofs.ledger import find_ledger, read_ledger, write_ledger

KEYS = {
    "id",
    "property",
    "function",
    "clauses",
    "features",
    "method",
    "result",
    "bounds",
    "rlimit",
    "vacuity",
    "mutants",
    "mutants_refuted",
    "seconds",
}


def prove(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_an_unknown_area_is_misuse() -> None:
    status, out, err = prove("--area", "nowhere")
    assert (status, out) == (2, "")
    areas = "alloc, arith, debug, defrag, large, memcg, objects, reclaim, vm"
    assert err == f"area 'nowhere' has no theorems; there are: {areas}\n"


def test_a_damaged_ledger_is_misuse(tmp_path: Path) -> None:
    damaged = tmp_path / "ledger.json"
    damaged.write_text("[]")
    status, out, err = prove("--area", "arith", "--ledger", str(damaged))
    assert (status, out) == (2, "")
    assert err.startswith(f"{damaged}: expected a proof ledger")


@pytest.mark.slow
def test_everything_is_proved_as_the_checked_in_ledger_says() -> None:
    """The whole run, once; its JSON is complete, and equals the ledger."""
    status, out, _ = prove("--json")
    answer = json.loads(out)
    assert answer["failures"] == []
    assert status == 0
    recorded = {entry.id: entry for entry in read_ledger(find_ledger()).theorems}
    assert [theorem["id"] for theorem in answer["theorems"]] == sorted(recorded)
    for theorem in answer["theorems"]:
        assert theorem.keys() == KEYS
        assert theorem["result"] == recorded[theorem["id"]].result
        assert theorem["mutants_refuted"] == theorem["mutants"] >= 2


def test_a_stale_entry_fails_and_update_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One theorem stands for all: clean control, planted fault, and the repair."""
    entry = next(e for e in read_ledger(find_ledger()).theorems if e.id == "arith.clamp.within")
    monkeypatch.setattr(runner, "select", lambda area: ((entry.id,), ()))
    planted = tmp_path / "ledger.json"
    write_ledger(planted, [entry])
    clean = planted.read_text()
    assert prove("--ledger", str(planted), "--jobs", "1")[0] == 0
    planted.write_text(clean.replace(entry.functions["linuxmm.spec.arith.clamp"], "0" * 16))
    status, out, _ = prove("--ledger", str(planted), "--jobs", "1")
    assert status == 1
    assert "FAILED arith.clamp.within: stale: linuxmm.spec.arith.clamp or something that it calls" in out
    status, out, _ = prove("--ledger", str(planted), "--jobs", "1", "--update")
    assert status == 0
    assert planted.read_text() == clean
