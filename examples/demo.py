"""Judge a recording of a real kernel, then the same recording with one planted fault.

make demo
"""

import shutil
import subprocess
import sys
from pathlib import Path

from linuxmm.oracle.faults import find_fault, plant
from linuxmm.oracle.formats import open_capture

ROOT = Path(__file__).parent.parent
CAPTURE = Path("tests/real/alloc-churn-6.1")
PLANTED = Path("build/demo/alloc-churn-6.1-planted")
FAULT = "double-allocation"


def judge(evidence: Path) -> int:
    """Run `linuxmm check` as a user would; its exit status."""
    print(f"$ linuxmm check {evidence}", flush=True)
    command = [str(Path(sys.executable).with_name("linuxmm")), "check", str(evidence)]
    status = subprocess.run(command, check=False, cwd=ROOT).returncode
    print(f"exit status {status}\n", flush=True)
    return status


def main() -> int:
    """0 when the recording conforms and the planted fault is found."""
    print("A recording of Linux 6.1 under allocation churn, judged:\n")
    clean = judge(CAPTURE)
    fault = find_fault(FAULT)
    shutil.rmtree(ROOT / PLANTED, ignore_errors=True)
    plant(open_capture(ROOT / CAPTURE), fault, ROOT / PLANTED)
    print(f"The same recording with one planted fault ({fault.sentence}), judged:\n")
    spoiled = judge(PLANTED)
    shutil.rmtree(ROOT / PLANTED)
    return 0 if (clean, spoiled) == (0, 1) else 1


if __name__ == "__main__":
    sys.exit(main())
