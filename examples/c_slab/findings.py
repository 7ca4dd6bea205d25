"""Build the allocator with each planted bug, judge it, and write what was found into README.md."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from examples.planted import Planted  # noqa: E402

from linuxmm.oracle.adapter.object_judge import judge_objects  # noqa: E402
from linuxmm.oracle.adapter.objects import ProcessHeap  # noqa: E402

PLANTED = Planted(HERE / "slab.c", lambda program: judge_objects(lambda: ProcessHeap([program]), examples=80))
BUGS = tuple(PLANTED.descriptions())


if __name__ == "__main__":
    sys.exit(PLANTED.main())
