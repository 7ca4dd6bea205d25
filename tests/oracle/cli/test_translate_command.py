"""`linuxmm translate` counts references, and says what is wrong with a trace."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.cli.application import main

TRACE = """==1== Lackey
I  04001000,3
 L 1ffefff000,8
I  04001003,2
 S 1ffeffeffc,8
 M 04001800,4
==1== end
"""


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "trace"
    path.write_text(TRACE)
    return str(path)


def test_counts_by_format(trace: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", trace, "--format", "x86-64", "--format", "i386", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trace"] == "trace"
    assert found["formats"]["x86-64"] == {
        "references": 6, "first_hits": 1, "second_hits": 0, "table_walks": 2, "full_walks": 3,
        "faults": 3, "refused": 0, "pages": 3, "tables": 6,
    }  # fmt: skip
    assert found["formats"]["i386"]["refused"] == 3
    assert main(["translate", trace]) == 0
    out = capsys.readouterr().out
    assert out.startswith("trace")
    assert "page tables, KiB" in out


def test_a_bad_line_and_a_bad_format(trace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad"
    bad.write_text("I  04001000,3\n L zz,8\n")
    assert main(["translate", str(bad)]) == 2
    assert "bad:2" in capsys.readouterr().err
    assert main(["translate", trace, "--format", "alpha"]) == 2
    assert "no table format is called 'alpha': expected one of i386, pae" in capsys.readouterr().err
