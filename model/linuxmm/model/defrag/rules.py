"""How compaction of one kernel differs, as one record of functions.

Linux: mm/compaction.c.  Seed 2.2.3 (F039).
"""

from collections.abc import Callable
from typing import NamedTuple

from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.rules import Rules as AllocRules
from linuxmm.model.defrag.state import Run
from linuxmm.model.defrag.trip import Migrate
from linuxmm.spec.alloc.retry import Compaction


class Rules(NamedTuple):
    """Everything that compaction of one kernel does in its own way.

    base_mark, suitable, permitted, met, looks, captures, below, free_start, passes
                      formulas of linuxmm.spec.defrag
    remembers         positions and skip marks are kept between runs (3.7)
    scan_free         fill the hand with targets
    to_targets        what an isolated block becomes in the hand
    target_block      whether a pageblock may hold targets
    served_otherwise  whether another type's list, or a large block, would serve
    order_windows     a direct ASYNC run gives up an aligned window with a page that stays (4.8)
    find_source, find_target   searches of free lists (5.1)
    ran_out           how a run without further targets goes on or ends
    finishes_failed   the pageblock of a page that stayed is finished at once (6.3)
    rescans           a pageblock that still stands where it stood is taken as a whole (5.1)
    migrate           how pages that were taken get their targets and move (6.3: in batches)
    wanted_after      targets that are looked for after some were handed out
    samples           scans that may not wait look at every 32nd page (5.1)
    settles           remembered positions stay once something was found (until 3.18)
    may_give          whether a pageblock of a type gives pages
    at_free_scanner   where the migration scanner stands when it came to the free scanner's pageblock
    drains_within     the CPU's list is drained behind the scanner (3.19); before, by the request afterwards
    resets            positions are forgotten when the scanners have met
    marks_taken, next_source, next_targets   what later compactions remember of a pageblock
    """

    alloc: AllocRules
    base_mark: Callable[[int, int, int, int], int]
    suitable: Callable[[int, bool, bool, int, int], Compaction]
    permitted: Callable[[int, bool, bool], bool]
    met: Callable[[int, int, int], bool]
    looks: Callable[[int, int, bool], bool]
    captures: Callable[[int, int, int, int, int], bool]
    below: Callable[[int, int], bool]
    free_start: Callable[[int, int], int]
    passes: Callable[[int], int]
    remembers: Callable[[], bool]
    scan_free: "Callable[[Rules, Run], Run]"
    to_targets: Callable[[tuple[tuple[int, int], ...]], tuple[tuple[int, int], ...]]
    target_block: Callable[[int, int, int, int, bool], bool]
    served_otherwise: "Callable[[Rules, Zone, int, int], bool]"
    order_windows: Callable[[bool, int], bool]
    find_source: "Callable[[Rules, Run], tuple[Run, int]]"
    find_target: "Callable[[Rules, Run], Run]"
    finishes_failed: Callable[[], bool]
    rescans: Callable[[], bool]
    migrate: Migrate[Run]
    wanted_after: Callable[[int, int], int]
    samples: Callable[[], bool]
    settles: Callable[[], bool]
    may_give: Callable[[int, int, bool, int], bool]
    at_free_scanner: Callable[[int, int, int], int]
    resets: Callable[[], bool]
    drains_within: Callable[[], bool]
    marks_taken: Callable[[bool, bool], bool]
    next_source: Callable[[int, int, int], int]
    next_targets: Callable[[int, int], int]
    ran_out: Callable[[bool], Compaction]
