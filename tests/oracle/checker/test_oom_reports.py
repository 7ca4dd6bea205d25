"""OOM reports of real kernels: every victim has the most points; each planted fault is found.

memcg_evidence/oom-*: the kernel's own reports, from Debian's 6.1.192 in a QEMU guest.
"""

from pathlib import Path

import pytest

from linuxmm.oracle.checker.oom import judge_oom, read_reports
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement, Verdict

HERE = Path(__file__).parent / "memcg_evidence"
REAL = Path(__file__).parents[2] / "real"
LOGS = {
    HERE / "oom-6.1.txt": (2, "6.1"),
    HERE / "oom-groups-6.1.txt": (2, "6.1"),
    REAL / "areas/memcg-v1-6.12/logs/dmesg.txt": (1, "6.12"),
    REAL / "areas/memcg-v2-6.12/logs/dmesg.txt": (1, "6.12"),
    REAL / "alloc-numa-6.1/logs/dmesg.txt": (1, "6.1"),
    REAL / "alloc-numa-6.12/logs/dmesg.txt": (1, "6.12"),
}


def judged(text: str, version: str = "6.1") -> Judgement:
    judgement = Judgement()
    judge_oom(judgement, read_reports(text.splitlines(), "log"), kernel(version))
    return judgement


@pytest.mark.parametrize("log", LOGS, ids=lambda log: f"{log.parts[-3]}-{log.name}")
def test_real_kernels_kill_the_worst_task(log: Path) -> None:
    reports, version = LOGS[log]
    judgement = judged(log.read_text(), version)
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["reclaim.oom.victim"].checked == reports


def test_a_group_dies_whole() -> None:
    reports = read_reports((HERE / "oom-groups-6.1.txt").read_text().splitlines(), "log")
    assert [(report.chosen, report.total, set(report.killed)) for report in reports] == [
        (195, 2048, {195}),
        (412, 5120, {411, 412}),
    ]


def test_another_victim_is_found() -> None:
    text = (HERE / "oom-groups-6.1.txt").read_text().replace("task=mm,pid=412", "task=mm,pid=411")
    assert [(d.clause, d.observed, d.permitted, d.why) for d in judged(text).divergences] == [
        ("reclaim.oom.victim", "411 (mm)", "412 (mm)", "points 411: 1438, 412: 3953")
    ]


def test_a_victim_that_is_to_be_spared_is_found() -> None:
    lines = (HERE / "oom-groups-6.1.txt").read_text().splitlines()
    planted = [
        line.replace("      0             0 mm", "      0         -1000 mm") if "[    412]" in line else line
        for line in lines
    ]
    broken = judged("\n".join(planted)).divergences
    assert [(d.clause, d.observed, d.permitted) for d in broken] == [
        ("reclaim.oom.victim", "412 (mm)", "411 (mm)"),
        ("reclaim.oom.spared", "412 (mm) killed", "412 (mm) lives"),
    ]


def test_a_report_that_does_not_say_its_measure_is_a_gap() -> None:
    text = (HERE / "oom-groups-6.1.txt").read_text().replace("limit 0kB", "limit 9007199254740988kB")
    text = text.replace("      0             0 mm", "      0           100 mm")
    judgement = judged(text)
    assert judgement.gaps == {"OOM reports that do not say what points are measured against": 2}
    assert judgement.clauses == {}


def test_a_table_that_does_not_fit_its_header_is_refused() -> None:
    text = (HERE / "oom-groups-6.1.txt").read_text().replace("    53248        0", "    53248        x")
    with pytest.raises(
        BadEvidence, match=r"^log:\d+: expected uid tgid total_vm rss pgtables_bytes"
    ) as caught:
        judged(text)
    assert caught.value.line is not None
