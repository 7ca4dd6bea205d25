"""Judge a recording of a real kernel, then the same recording with one planted fault.

make demo
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from linuxmm.oracle.faults import find_fault, plant
from linuxmm.oracle.formats import open_capture

CAPTURE = Path(__file__).parent.parent / "tests" / "real" / "alloc-churn-6.1"
FAULT = "double-allocation"


def judge(evidence: str) -> int:
    """Run `linuxmm check` as a user would; its exit status."""
    print(f"$ linuxmm check {evidence}", flush=True)
    command = [str(Path(sys.executable).with_name("linuxmm")), "check", evidence]
    status = subprocess.run(command, check=False).returncode
    print(f"exit status {status}\n", flush=True)
    return status


def main() -> int:
    """0 when the recording conforms and the planted fault is found."""
    print("A recording of Linux 6.1 under allocation churn, judged:\n")
    clean = judge(str(CAPTURE))
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "planted"
        fault = find_fault(FAULT)
        plant(open_capture(CAPTURE), fault, target)
        print(f"The same recording with one planted fault ({fault.sentence}), judged:\n")
        spoiled = judge(str(target))
    return 0 if (clean, spoiled) == (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
