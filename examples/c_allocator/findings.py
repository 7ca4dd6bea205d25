"""Build the allocator with each planted bug, judge it, and write what was found into README.md."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from examples.planted import Planted  # noqa: E402

from linuxmm.oracle.adapter.judge import judge  # noqa: E402
from linuxmm.oracle.adapter.process import ProcessAllocator  # noqa: E402

PLANTED = Planted(HERE / "buddy.c", lambda program: judge(lambda: ProcessAllocator([program]), examples=60))
BUGS = tuple(PLANTED.descriptions())


if __name__ == "__main__":
    sys.exit(PLANTED.main())
