"""Build a C program with each planted bug, judge it, and write what was found into the README beside it."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_MARKS = ("<!-- written by findings.py: begin -->\n", "<!-- written by findings.py: end -->\n")


class Found(Protocol):
    """The shortest case that breaks a clause."""

    @property
    def clause(self) -> str: ...
    @property
    def operations(self) -> tuple[object, ...]: ...
    @property
    def report(self) -> str: ...


@dataclass(frozen=True)
class Planted:
    """A source with planted bugs, and how a program built from it is judged."""

    source: Path
    judge: Callable[[str], Found | None]

    def judge_bug(self, bug: int, folder: Path) -> Found | None:
        """The shortest case for a bug (0: none planted); the program is built in `folder`."""
        program = folder / f"{self.source.stem}{bug}"
        flags = [f"-DBUG_{bug}"] if bug else []
        subprocess.run(["gcc", "-O1", *flags, "-o", str(program), str(self.source)], check=True)
        return self.judge(str(program))

    def descriptions(self) -> dict[int, str]:
        """What the source says about each bug."""
        found = re.findall(r"^#ifn?def BUG_(\d+) // (.*)$", self.source.read_text(), re.MULTILINE)
        return {int(number): text for number, text in sorted(found, key=lambda pair: int(pair[0]))}

    def table(self, findings: Mapping[int, Found | None]) -> str:
        """Bug, clause and length of the shortest case, and the longest of these cases in full."""
        lines = ["| bug | planted mistake | clause that it breaks | calls |", "|---|---|---|---|"]
        longest: Found | None = None
        for bug, text in self.descriptions().items():
            found = findings[bug]
            if found is None:
                lines.append(f"| {bug} | {text} | not found | |")
                continue
            lines.append(f"| {bug} | {text} | `{found.clause}` | {len(found.operations)} |")
            if longest is None or len(found.operations) > len(longest.operations):
                longest = found
        clean = "conforms" if findings[0] is None else f"diverges: {findings[0].clause}"
        lines += ["", f"Without a bug it {clean}."]
        if longest is not None:
            shown = (f"    {line}" for line in longest.report.split("\n"))
            lines += ["", "The longest of the shortest cases:", "", *shown]
        return "\n".join(lines) + "\n"

    def main(self) -> int:
        """Judge them all and write the table; with --check, say whether the table is as written."""
        with tempfile.TemporaryDirectory() as folder:
            findings = {bug: self.judge_bug(bug, Path(folder)) for bug in (0, *self.descriptions())}
        readme = self.source.parent / "README.md"
        if sys.argv[1:] == ["--check"]:
            return 0 if self.table(findings) in readme.read_text() else 1
        begin, end = _MARKS
        head, _, rest = readme.read_text().partition(begin)
        _, _, tail = rest.partition(end)
        readme.write_text(head + begin + self.table(findings) + end + tail)
        return 0
