"""How far a zone's counters may lag behind its free lists.

Each CPU keeps a small difference per zone and counter and folds it into the zone's counter when it passes a
threshold, or once a second.  The watermark test reads the zone's counter alone.

Linux: mm/vmstat.c.  Seed 2.1.1.2 (F013).  2.6.18 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import floor_log2
from linuxmm.spec.registry import formula

MAX_THRESHOLD: Final = 125
"""A difference is a signed byte; the kernel stops short of its end."""


@formula("F013", source="mm/vmstat.c:calculate_normal_threshold; 2.6.18 to 6.12")
def stat_threshold(cpus: int, managed: int, page_shift: int) -> int:
    """Pages by which one CPU's difference may move before it is folded into the zone's counter.

    cpus     CPUs online
    managed  pages of the zone (present pages up to 3.8)
    Requires  cpus > 0, managed >= 0, page_shift <= 27
    Ensures   2 <= result <= MAX_THRESHOLD
    """
    units = managed >> (27 - page_shift)
    memory = floor_log2(units) + 1 if units else 0
    return min(MAX_THRESHOLD, 2 * (floor_log2(cpus) + 1) * (1 + memory))


@formula("F013", source="mm/vmstat.c:calculate_pressure_threshold; 2.6.37 to 6.12")
def stat_pressure_threshold(cpus: int, minimum: int, low: int) -> int:
    """The threshold of a node's zones while its kswapd is awake.

    minimum, low  watermarks of the zone, without boost
    Requires  cpus > 0, 0 <= minimum <= low
    Ensures   1 <= result <= MAX_THRESHOLD; all CPUs together hide at most the distance of the two watermarks
              where that distance is at least one page a CPU
    """
    return min(MAX_THRESHOLD, max(1, (low - minimum) // cpus))
