"""Files on persistent memory of a real kernel conform; every planted fault is found, with its clause."""

import gzip
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.pmem import DaxCheck, device_frames, judge_files, judge_mapping
from linuxmm.oracle.faults_plant import Change, line
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


# ---- the trace: each planted fault by itself in test_area_faults.py --------------------------------------


def judged(lines: list[str]) -> Judgement:
    judgement = Judgement()
    DaxCheck(judgement, "trace").run(lines)
    return judgement


def edited(change: Change) -> list[str]:
    return change("\n".join(LINES).encode()).decode().splitlines()


def test_what_was_lost_is_not_held_against_the_kernel() -> None:
    found = judged(edited(line(r"pte_fault_done", "^.*$", "CPU:0 [LOST 3 EVENTS]")))
    assert found.verdict is Verdict.INCOMPLETE
    cut = [each for each in LINES if "dax_" in each]
    last = max(index for index, each in enumerate(cut) if "pte_fault: " in each)
    assert judged(cut[: last + 1]).verdict is Verdict.INCOMPLETE


def test_a_torn_event_names_its_line() -> None:
    with pytest.raises(BadEvidence, match=r"trace:\d+: expected an event of fs_dax"):
        judged(edited(line(r"pte_fault: .*0x19b", "pgoff 0x19b", "pgoff ?")))


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


def test_without_tasks_zero_pages_are_not_known() -> None:
    judgement = Judgement()
    judge_files(judgement, "mark", {1: (512, (Extent(512, 0x6800, 512),))}, DEVICE, None)
    assert judgement.verdict is Verdict.CONFORMS


def test_where_a_device_lies() -> None:
    with pytest.raises(BadEvidence, match="Persistent Memory"):
        device_frames("Node 0\n", "device.txt")
    assert device_frames("0a000000-0fffffff : Persistent Memory (legacy)\n", "device.txt") == DEVICE
