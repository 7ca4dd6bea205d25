"""The frame of the command line: errors, exit statuses, quick start, broken pipes."""

import json
import signal
import subprocess
import sys
import types

import pytest

from linuxmm.oracle.built import FeatureRow, load_all
from linuxmm.oracle.cli import main
from linuxmm.oracle.cli.lazy import COMMANDS, Target
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.invariant import clauses

RUN = [sys.executable, "-c", "import sys; from linuxmm.oracle.cli import main; sys.exit(main())"]
COLUMNS = ("spec", "model", "proofs", "fast", "evidence", "docs")
Captured = pytest.CaptureFixture[str]


def test_help_lists_commands_and_exit_statuses(capsys: Captured) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in ("features", "explain", "judge", "Exit status", "--install-completion", "--version"):
        assert name in out


def test_a_command_whose_part_is_not_installed_is_not_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setitem(COMMANDS, "fly", Target("linuxmm.no.such.part", "fly", "Fly."))
    assert main(["--help"]) == 0
    assert "Fly." not in capsys.readouterr().out
    assert main(["fly"]) == 2


def test_help_imports_nothing_heavy() -> None:
    heavy = "{'numba', 'z3', 'pyarrow', 'hypothesis', 'numpy'}"
    script = f"""
import sys
from linuxmm.oracle.cli import main
main(["--help"])
sys.exit(bool({heavy} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_misuse_is_status_2(capsys: Captured) -> None:
    assert main(["featurs"]) == 2
    assert "Did you mean 'features'?" in capsys.readouterr().err
    assert main(["features", "--no-such-option"]) == 2


def test_an_error_on_purpose_is_one_line(capsys: Captured) -> None:
    assert main(["features", "F999"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "linuxmm: no feature is called 'F999': expected F001 to F086\n"


def command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    module = types.ModuleType("broken_command")

    def broken() -> None:
        """Fail."""
        raise error

    vars(module)["broken"] = broken
    monkeypatch.setitem(sys.modules, "broken_command", module)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(COMMANDS, "broken", Target("broken_command", "broken", "Fail."))


def test_bad_evidence_names_file_and_line(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    command(monkeypatch, BadEvidence("trace.txt", "expected a pfn", line=7, where="field pfn"))
    assert main(["broken"]) == 2
    assert capsys.readouterr().err == "linuxmm: trace.txt:7: field pfn: expected a pfn\n"


def test_an_interrupt_is_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, KeyboardInterrupt())
    assert main(["broken"]) == 128 + signal.SIGINT


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["broken"])


@pytest.mark.parametrize("arguments", [["features"], ["features", "--json"]])
def test_a_reader_that_leaves_ends_it_quietly(arguments: list[str]) -> None:
    with subprocess.Popen([*RUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 128 + signal.SIGPIPE


def test_features_as_json_have_the_promised_keys(capsys: Captured) -> None:
    assert main(["features", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert list(listing) == ["features", "claims"]
    assert [row["id"] for row in listing["features"]] == [f"F{n:03}" for n in range(1, 87)]
    promised = set(FeatureRow.__struct_fields__) - {"area"}
    assert promised == {"id", "seed", "title", "since", "until", "status", *COLUMNS}
    assert all(promised <= row.keys() for row in listing["features"])
    assert [row["id"] for row in listing["claims"]] == [f"H{n:02}" for n in range(1, 19)]


def test_features_of_one_area(capsys: Captured) -> None:
    assert main(["features", "--area", "pmem", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in listing["features"]] == ["F073", "F074"]
    assert [row["id"] for row in listing["claims"]] == ["H18"]
    assert main(["features", "--area", "sea"]) == 2
    assert "no area is called 'sea': expected one of alloc, objects" in capsys.readouterr().err


def test_one_feature_and_one_claim_in_words(capsys: Captured) -> None:
    assert main(["features", "f025"]) == 0
    out = capsys.readouterr().out
    assert "The seed says 4.11-rc1 and 2017; it is in 5.4, of 2019." in out
    assert "status    mainline, since 5.4\n" in out
    assert main(["features", "H16"]) == 0
    assert "experiment  Count copies.\n" in capsys.readouterr().out


def test_explain_says_all_that_is_registered(capsys: Captured) -> None:
    assert main(["explain", "alloc.buddy.disjoint"]) == 0
    text, _, proved = capsys.readouterr().out.partition("theorem   ")
    assert text == (
        "alloc.buddy.disjoint\n\nNo page lies in two free blocks.\n\n"
        "holds     in every release\n"
        "source    mm/page_alloc.c:__free_one_page\n"
        "seed      2.1.1.1\n"
        "feature   F012  Buddy system\n"
        "checked   linuxmm.spec.alloc.buddy.disjoint\n"
    )
    assert proved.startswith("alloc.buddy.merge-step  (proved, inductive)\n")
    assert main(["explain", "--json", "alloc.buddy.disjoint"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert all(theorem["result"] == "proved" for theorem in printed["theorems"])
    assert f"theorem   {printed['theorems'][1]['id']}  (" in proved
    assert printed["features"] == ["F012"]
    assert main(["explain", "alloc.page.set-aside"]) == 0
    assert "holds     since 2.6.24\n" in capsys.readouterr().out


def test_every_clause_can_be_explained(capsys: Captured) -> None:
    load_all()
    for entry in clauses():
        assert main(["explain", entry.id]) == 0, entry.id
        assert entry.sentence in capsys.readouterr().out


def test_a_slip_gets_the_nearest_names(capsys: Captured) -> None:
    assert main(["explain", "alloc.page.lots"]) == 2
    assert capsys.readouterr().err.startswith(
        "linuxmm: no clause is called 'alloc.page.lots' (alloc.page.lost"
    )


def test_judging_a_program_that_talks_nonsense(capsys: Captured) -> None:
    assert main(["judge", "--json", "--", "echo", "hello"]) == 1
    judgement = json.loads(capsys.readouterr().out)
    assert judgement["verdict"] == "diverges"
    assert judgement["clause"] == "alloc.page.no-answer"
    assert judgement["operations"] == []
