"""`linuxmm run TRACE --reclaim`: figures of a trace on several kernels."""

import json
from pathlib import Path

import pytest

from linuxmm.fast.lru_trace import write_oracle_general
from linuxmm.oracle.cli import main
from linuxmm.oracle.reclaim_run import FIGURES, run_trace


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "loop.oracleGeneral"
    write_oracle_general(path, [at % 300 for at in range(3000)])
    return path


def test_every_kernel_gets_the_same_references(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", str(trace), "--reclaim", "--memory", "256", "--kernel", "2.6.24,6.12"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pages"], found["swap"]) == (256, 0)
    assert [row["kernel"] for row in found["kernels"]] == ["2.6.24", "6.12"]
    for row in found["kernels"]:
        assert list(row)[5:] == list(FIGURES)
        assert (row["references"], row["refused"]) == (3000, 0)
        assert row["misses"] == round(row["miss_ratio"] * 3000)
        assert 300 < row["misses"] <= 3000
        assert row["misses"] - 256 <= row["reclaimed"] <= row["misses"]
        assert row["reclaimed"] <= row["scanned"]
    assert found["kernels"][0]["refaults"] == 0
    assert found["kernels"][1]["refaults"] == found["kernels"][1]["misses"] - 300
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{trace}: 3000 references, 256 pages, 0 pages of swap"
    assert [line.split()[0] for line in lines[1:]] == ["kernel", "2.6.24", "6.12"]


def test_what_cannot_be_read_is_misuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "short.bin"
    path.write_bytes(b"123")
    assert main(["run", str(path), "--reclaim"]) == 2
    assert "record: expected a record of 24 bytes, got 3 bytes" in capsys.readouterr().err


def test_memory_fits_or_every_reference_misses_once(trace: Path) -> None:
    (run,) = run_trace(trace, ["6.12"], 1000, 0)
    assert (run.misses, run.miss_ratio) == (300, 0.1)
