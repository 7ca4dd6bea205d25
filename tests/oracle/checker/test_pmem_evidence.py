"""Files on persistent memory of a real kernel conform; every planted fault is found, with its clause."""

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.pmem import DaxCheck, device_frames, judge_files, judge_mapping
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.pmem.dax import Extent, Mapping
from linuxmm.spec.verdict import Judgement, Verdict

CAPTURE = Path(__file__).parents[2] / "real" / "areas" / "pmem-dax-6.12"
LINES = gzip.decompress((CAPTURE / "trace" / "dax.txt.gz").read_bytes()).decode().splitlines()
DEVICE = ((0xA000, 0x6000),)


def test_a_real_kernel_conforms() -> None:
    report = check(CAPTURE, only="pmem")
    judgement = report.judgement
    assert (report.verdict, judgement.divergences, judgement.gaps) == (Verdict.CONFORMS, [], {})
    looked_at = {name.removeprefix("pmem.dax."): tally.checked for name, tally in judgement.clauses.items()}
    assert looked_at == {
        "answered": 278, "linear": 136, "sync": 41, "huge": 8, "durable": 41, "writeback": 82,
        "device": 154, "counted": 4, "one-place": 2, "mapped": 556, "not-free": 9,
    }  # fmt: skip


# ---- planted in the trace ----------------------------------------------------------------------------------


def judged(lines: list[str]) -> Judgement:
    judgement = Judgement()
    DaxCheck(judgement, "trace").run(lines)
    return judgement


def edited(change: Callable[[str], str | None], which: str, number: int = 0) -> list[str]:
    """The trace with its `number`-th line that matches `which` changed, or left out when None comes."""
    at = [index for index, line in enumerate(LINES) if re.search(which, line)][number]
    new = change(LINES[at])
    return [*LINES[:at], *([] if new is None else [new]), *LINES[at + 1 :]]


def to(old: str, new: str) -> Callable[[str], str]:
    return lambda line: re.sub(old, new, line)


DONE, HUGE, SYNCED = r"pte_fault_done.*", r"pmd_fault_done.*NOPAGE", "NEEDDSYNC"
FAULTS = {
    "an answer to another index": ("answered", to(r"pgoff 0x19b", "pgoff 0x19c"), DONE + "0x19b"),
    "an answer that none gives": ("answered", to("NOPAGE", "VANISHED"), DONE + "NOPAGE"),
    "a copy for a shared mapping": ("answered", to("(MAJOR.)?NEEDDSYNC", "DONE_COW"), DONE + SYNCED),
    "an answer is missing": ("answered", lambda line: None, DONE),
    "an index that does not fit": ("linear", to(r"pgoff 0x19b", "pgoff 0x19c"), r"pte_fault: .*0x19b"),
    "huge where the file ends": ("huge", to(r"max_pgoff 0x\w+", "max_pgoff 0x3ff"), HUGE),
    "huge behind the file": ("huge", to(r"max_pgoff 0x\w+", "max_pgoff 0x10"), HUGE),
    "huge in a small mapping": ("huge", to(r"vm_end 0x\w+", "vm_end 0x7ffff7d00000"), HUGE),
    "a read is told to be durable": (
        "sync",
        to("NOPAGE", SYNCED),
        DONE + "private.*NOPAGE|" + DONE + "NOPAGE",
    ),
    "nobody asked to write": ("durable", to("pgoff 0x5", "pgoff 0x99"), r"mkwrite.*pgoff 0x5 "),
    "the rest not written first": ("durable", lambda line: None, r"writeback_range: .*0x7-0x7"),
    "not told before": ("durable", to("MAJOR.NEEDDSYNC", "NOPAGE"), DONE + " 0x9 MAJ"),
    "written back outside": ("writeback", to("pgoff 0x3 ", "pgoff 0x900 "), r"writeback_one.*pgoff 0x3 "),
    "written back twice": ("writeback", to("pgoff 0x3 ", "pgoff 0x2 "), r"writeback_one.*pgoff 0x3 "),
    "a range that ends elsewhere": ("writeback", to("-0x7$", "-0x8"), r"writeback_range_done.*-0x7$"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_event_is_found(name: str) -> None:
    clause, change, which = FAULTS[name]
    found = judged(edited(change, which))
    assert found.verdict is Verdict.DIVERGES
    assert f"pmem.dax.{clause}" in {each.clause for each in found.divergences}


def test_what_was_lost_is_not_held_against_the_kernel() -> None:
    found = judged(edited(lambda line: "CPU:0 [LOST 3 EVENTS]", r"pte_fault_done"))
    assert found.verdict is Verdict.INCOMPLETE
    cut = [line for line in LINES if "dax_" in line]
    last = max(index for index, line in enumerate(cut) if "pte_fault: " in line)
    assert judged(cut[: last + 1]).verdict is Verdict.INCOMPLETE


def test_a_torn_event_names_its_line() -> None:
    with pytest.raises(BadEvidence, match=r"trace:\d+: expected an event of fs_dax"):
        judged(edited(to("pgoff 0x19b", "pgoff ?"), r"pte_fault: .*0x19b"))


# ---- planted in states -------------------------------------------------------------------------------------


Files = dict[int, tuple[int, tuple[Extent, ...]]]


def entries(files: Files) -> Judgement:
    judgement = Judgement()
    judge_files(judgement, "mark", files, DEVICE, ((0x6800, 512),))
    return judgement


def test_entries_of_files() -> None:
    good = (2, (Extent(0, 0xA000, 1), Extent(8, 0xA010, 1)))
    assert entries({1: good, 2: (512, (Extent(512, 0x6800, 512),))}).verdict is Verdict.CONFORMS
    wrong: dict[str, Files] = {
        "device": {1: (1, (Extent(0, 0x1234, 1),))},
        "counted": {1: (3, good[1])},
        "one-place": {1: good, 2: (1, (Extent(4, 0xA010, 1),))},
    }
    for clause, files in wrong.items():
        assert [each.clause for each in entries(files).divergences] == [f"pmem.dax.{clause}"]


def test_what_a_mapping_shows() -> None:
    shared = Mapping(0x10000, 0x20000, 4, True)
    file = (Extent(4, 0xA000, 3),)
    for mapping, frame, good in (
        (shared, 0xA000, True),
        (shared, 0xA002, False),
        (shared, 0x55, False),
        (shared._replace(shared=False), 0x55, True),
        (shared._replace(shared=False), 0xA002, False),
    ):
        judgement = Judgement()
        judge_mapping(judgement, "mark", mapping, ((0x10000, frame, 1),), file, DEVICE)
        assert (judgement.verdict is Verdict.CONFORMS) == good


def test_a_free_page_of_the_device_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "capture"
    shutil.copytree(CAPTURE, copy)
    state = copy / "marks" / "C" / "state.json.gz"
    text = gzip.decompress(state.read_bytes()).decode()
    wrong = re.sub(r'("name": ?"Device".*?"managed": ?)0', r"\g<1>7", text, count=1, flags=re.DOTALL)
    assert wrong != text
    state.write_bytes(gzip.compress(wrong.encode()))
    found = check(copy, only="pmem").judgement
    assert [each.clause for each in found.divergences] == ["pmem.dax.not-free"]


def test_without_the_place_of_the_device_the_evidence_is_incomplete(tmp_path: Path) -> None:
    copy = tmp_path / "capture"
    shutil.copytree(CAPTURE, copy)
    (copy / "data" / "device.txt").unlink()
    assert check(copy, only="pmem").verdict is Verdict.INCOMPLETE
    with pytest.raises(BadEvidence, match="Persistent Memory"):
        device_frames("Node 0\n", "device.txt")
    assert device_frames("0a000000-0fffffff : Persistent Memory (legacy)\n", "device.txt") == DEVICE
