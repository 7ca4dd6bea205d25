"""What locks of address ranges owe: who may hold which range at once.

Linux: the RFC of 24 February 2020, mm/mm_lock.c; posted, never merged.  Seed 2 (F009).
"""

from linuxmm.spec.invariant import invariant


@invariant(
    "vm.range-lock.exclusive",
    features=("F009",),
    seed="2",
    source="RFC of 2020-02-24, mm/mm_lock.c (posted, not merged)",
)
def ranges_exclude(start: int, end: int, writes: bool, start_2: int, end_2: int, writes_2: bool) -> bool:
    """Two holders whose ranges overlap are both readers."""
    overlap = (start < end_2) & (start_2 < end)
    return (overlap ^ True) | ((writes | writes_2) ^ True)
