"""What a recording may leave open: the named explanations that a prediction may give for a difference."""

from typing import Final

INTERRUPTED: Final = "an interrupt came between a list operation and its event"
DRIFT: Final = "free pages were within the per-CPU counters' drift of a watermark"
RIGHTS: Final = "the task's right to go below the watermark is not recorded"
POLICY: Final = "the task's memory policy is not recorded"
BOOST_UNKNOWN: Final = "when kswapd took back a zone's watermark boost is not recorded"
REORDERED: Final = "compaction's search for pages reordered a free list, which is not recorded"
MOVABLE_UNKNOWN: Final = "which pages in use were movable is not recorded"
RECLAIM_UNKNOWN: Final = "when reclaim worked on a zone is not recorded"
ATTEMPTS_UNKNOWN: Final = "attempts at a zone that found nothing are not recorded"

EXPLANATIONS: Final = (
    INTERRUPTED,
    DRIFT,
    RIGHTS,
    POLICY,
    BOOST_UNKNOWN,
    REORDERED,
    MOVABLE_UNKNOWN,
    RECLAIM_UNKNOWN,
    ATTEMPTS_UNKNOWN,
)
