"""Run the demonstration and put its output into README.md between the marks; a test compares the two."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DEMO = ROOT / "examples" / "demo.py"
BEGIN = "<!-- output of make demo, written by examples/write_readme.py: begin -->\n"
END = "<!-- output of make demo: end -->\n"


def demo_output() -> str:
    """What `make demo` prints."""
    return subprocess.run([sys.executable, str(DEMO)], capture_output=True, text=True, check=True).stdout


def block(output: str) -> str:
    """The part of the README between the marks, marks included."""
    return f"{BEGIN}```text\n{output}```\n{END}"


def main() -> None:
    """Write the block."""
    head, _, rest = README.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    README.write_text(head + block(demo_output()) + tail)


if __name__ == "__main__":
    main()
