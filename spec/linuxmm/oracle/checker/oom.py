"""Hold the OOM killer's reports of a real kernel against its own table of tasks.

Linux: mm/oom_kill.c:dump_header, dump_tasks, __oom_kill_process.  Seed 2.4, 2.9 (F004, F060).  5.0 to 6.12.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.reclaim.oom import NEVER, OOM_SCORE_ADJ_MIN, VICTIM, Task, all_memory, spared
from linuxmm.spec.verdict import Divergence, Judgement

_SPARED: Final = "reclaim.oom.spared"
_INVOKED: Final = re.compile(r"(?:^|\] )(.+) invoked oom-killer: .*order=(-?\d+), oom_score_adj=(-?\d+)")
_HEADER: Final = re.compile(r"(?:^|\] )\[ *pid *\] +(uid +tgid .*name)$")
_ROW: Final = re.compile(r"(?:^|\] )\[ *(\d+)\] +(.*)$")
_CHOICE: Final = re.compile(r"oom-kill:constraint=(\w+),.*task=(.*),pid=(\d+),uid=")
_KILLED: Final = re.compile(r"(?:^|\] )(.*): Killed process (\d+) \((.*)\) total-vm")
_REAPED: Final = re.compile(r"oom_reaper: (?:reaped|unable to reap) (?:process |pid:)(\d+)")
_FIGURE: Final = {
    "ram": re.compile(r"(?:^|\] )(\d+) pages RAM$"),
    "reserved": re.compile(r"(?:^|\] )(\d+) pages reserved$"),
    "swap": re.compile(r"(?:^|\] )Total swap = (\d+)kB$"),
    "limit": re.compile(r"(?:^|\] )memory: usage \d+kB, limit (\d+)kB"),
    "swap_limit": re.compile(r"(?:^|\] )swap: usage \d+kB, limit (\d+)kB"),
    "both_limit": re.compile(r"(?:^|\] )memory\+swap: usage \d+kB, limit (\d+)kB"),
}
_KB: Final = 4
_UNLIMITED: Final = 1 << 50


class Row(NamedTuple):
    """A line of the table of tasks."""

    pid: int
    name: str
    task: Task


class Report(NamedTuple):
    """One report: why, who could be killed, who was.

    line      of the choice in the log
    figures   pages of memory, reserved pages, kilobytes of swap and limits, as far as they were printed
    reaped    tasks whose memory was reaped before
    """

    line: int
    constraint: str
    chosen: int
    rows: tuple[Row, ...]
    figures: dict[str, int]
    reaped: frozenset[int]
    killed: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        """Pages that points are measured against."""
        ram = self.figures.get("ram", 0) - self.figures.get("reserved", 0)
        grouped = self.constraint == "CONSTRAINT_MEMCG"
        memory = self.figures.get("limit", 0)
        swap = self.figures.get("swap_limit", self.figures.get("both_limit", memory) - memory)
        limit = (memory + max(swap, 0)) // _KB
        return all_memory(ram, self.figures.get("swap", 0) // _KB, limit, grouped)

    @property
    def measured(self) -> bool:
        """Whether the report says all that the points of its tasks depend on.

        A group whose swap is not limited may swap as much as the machine has, which its report does not say.
        """
        swap = self.figures.get("swap_limit", self.figures.get("both_limit", 0))
        known = self.constraint in ("CONSTRAINT_NONE", "CONSTRAINT_MEMCG") and swap < _UNLIMITED
        return known or all(row.task.adjust in (0, OOM_SCORE_ADJ_MIN) for row in self.rows)


def read_reports(lines: Iterable[str], file: str) -> tuple[Report, ...]:
    """Every report of a kernel's log that has a table of tasks and a choice.

    Errors    BadEvidence for a line of the table that does not fit its header
    """
    found: list[Report] = []
    columns: list[str] = []
    rows: list[Row] = []
    figures: dict[str, int] = {}
    reaped: set[int] = set()
    for number, text in enumerate(lines, 1):
        line = text.rstrip()
        if _INVOKED.search(line):
            columns, rows, figures = [], [], {}
        for name, pattern in _FIGURE.items():
            seen = pattern.search(line)
            if seen:
                figures[name] = int(seen[1])
        header, row, choice = _HEADER.search(line), _ROW.search(line), _CHOICE.search(line)
        killed, gone = _KILLED.search(line), _REAPED.search(line)
        if header:
            columns = header[1].split()
        elif choice:
            found.append(Report(number, choice[1], int(choice[3]), tuple(rows), figures, frozenset(reaped)))
            columns = []
        elif row and columns:
            rows.append(_row(int(row[1]), row[2], columns, file, number))
        elif killed and found:
            last = found[-1]
            found[-1] = last._replace(killed=(*last.killed, int(killed[2])))
        elif gone:
            reaped.add(int(gone[1]))
    return tuple(found)


def _row(pid: int, text: str, columns: list[str], file: str, number: int) -> Row:
    words = text.split(maxsplit=len(columns) - 1)
    try:
        value = dict(zip(columns[:-1], map(int, words[:-1]), strict=True))
        task = Task(
            rss=value["rss"],
            swap=value["swapents"],
            tables=value["pgtables_bytes"],
            total_vm=value["total_vm"],
            adjust=value["oom_score_adj"],
        )
    except (ValueError, KeyError) as error:
        raise BadEvidence(file, f"expected {' '.join(columns)}: {text!r}", line=number) from error
    return Row(pid, words[-1], task)


def judge_oom(judgement: Judgement, reports: Iterable[Report], kernel: Kernel) -> None:
    """Whether each victim has the most points of its report's table, and none was to be spared."""
    badness = kernel.behaviour("reclaim.oom.badness").function
    for report in reports:
        event = judgement.events
        judgement.events += 1
        if not report.measured:
            gap = "OOM reports that do not say what points are measured against"
            judgement.gaps[gap] = judgement.gaps.get(gap, 0) + 1
            continue
        points = {
            row.pid: badness(row.task._replace(spared=row.pid in report.reaped), report.total)
            for row in report.rows
        }
        names = {row.pid: row.name for row in report.rows}
        values = {pid: value for pid, value in points.items() if isinstance(value, int)}
        may_die = {pid: value for pid, value in values.items() if value > NEVER}
        most = max(may_die.values(), default=NEVER)
        permitted = [f"{pid} ({names[pid]})" for pid, value in may_die.items() if value == most]
        judgement.checked(VICTIM.id)
        if may_die.get(report.chosen) != most:
            figures = ", ".join(f"{pid}: {value}" for pid, value in sorted(values.items()))
            observed = f"{report.chosen} ({names.get(report.chosen, 'not in the table')})"
            judgement.broken(
                Divergence(
                    VICTIM.id, event, report.line, observed, " or ".join(permitted), f"points {figures}"
                )
            )
        for row in report.rows:
            judgement.checked(_SPARED)
            if not spared(row.task.adjust, row.pid in report.killed):
                text = f"{row.pid} ({row.name})"
                judgement.broken(
                    Divergence(_SPARED, event, report.line, f"{text} killed", f"{text} lives", "adj -1000")
                )
