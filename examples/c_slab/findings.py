"""Build the object allocator with each planted bug, judge it, and write what was found into README.md."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from linuxmm.oracle.adapter.object_judge import ObjectFinding, judge_objects
from linuxmm.oracle.adapter.objects import ProcessHeap

HERE = Path(__file__).parent
SOURCE = HERE / "slab.c"
README = HERE / "README.md"
BUGS = tuple(range(1, 17))
_MARKS = ("<!-- written by findings.py: begin -->\n", "<!-- written by findings.py: end -->\n")


def judge_bug(bug: int, folder: Path) -> ObjectFinding | None:
    """The shortest case for a bug (0: none planted); the program is built in `folder`."""
    program = folder / f"slab{bug}"
    flags = [f"-DBUG_{bug}"] if bug else []
    subprocess.run(["gcc", "-O1", *flags, "-o", str(program), str(SOURCE)], check=True)
    return judge_objects(lambda: ProcessHeap([str(program)]), examples=80)


def descriptions() -> dict[int, str]:
    """What the source says about each bug."""
    found = re.findall(r"^#ifn?def BUG_(\d+) // (.*)$", SOURCE.read_text(), re.MULTILINE)
    return {int(number): text for number, text in found}


def table(findings: Mapping[int, ObjectFinding | None]) -> str:
    """Bug, clause and length of the shortest case, and the longest of these cases in full."""
    lines = ["| bug | planted mistake | clause that it breaks | calls |", "|---|---|---|---|"]
    longest: ObjectFinding | None = None
    for bug, text in sorted(descriptions().items()):
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


def main() -> int:
    """Judge them all and write the table; with --check, say whether the table is as written."""
    with tempfile.TemporaryDirectory() as folder:
        findings = {bug: judge_bug(bug, Path(folder)) for bug in (0, *BUGS)}
    if sys.argv[1:] == ["--check"]:
        return 0 if table(findings) in README.read_text() else 1
    begin, end = _MARKS
    head, _, rest = README.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    README.write_text(head + begin + table(findings) + end + tail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
