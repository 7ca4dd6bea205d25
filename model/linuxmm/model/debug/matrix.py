"""The table of which misuse each tool finds, and when: the catalogue, put before every tool.

Seed 2.13 (F075 to F081).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from linuxmm.model.debug.kasan import kasan_reports
from linuxmm.model.debug.kasan_tags import hardware_tag_reports, software_tag_reports
from linuxmm.model.debug.kmemcheck import kmemcheck_reports
from linuxmm.model.debug.kmemleak import kmemleak_reports
from linuxmm.model.debug.pages import poison_reports, unmapped_reports
from linuxmm.model.debug.refusals import DEFAULT_FILTERS, NO_FILTERS, refusal_reports
from linuxmm.model.debug.slabs import slab_reports, slub_reports
from linuxmm.spec.debug.history import History, Misuse, Report

Detector = Callable[[History], tuple[Report, ...]]


def refused_by_default(history: History) -> tuple[Report, ...]:
    """Fault injection with the filters that it begins with."""
    return refusal_reports(history, DEFAULT_FILTERS)


def refused_unfiltered(history: History) -> tuple[Report, ...]:
    """Fault injection with ignore-gfp-wait off and min-order 0."""
    return refusal_reports(history, NO_FILTERS)


TOOLS: Final[dict[str, Detector]] = {
    "KASAN (generic)": kasan_reports,
    "KASAN (software tags)": software_tag_reports,
    "KASAN (hardware tags)": hardware_tag_reports,
    "slub_debug=FZPU": slub_reports,
    "DEBUG_SLAB": slab_reports,
    "DEBUG_PAGEALLOC": unmapped_reports,
    "page poisoning": poison_reports,
    "kmemcheck": kmemcheck_reports,
    "kmemleak": kmemleak_reports,
    "fault injection, first filters": refused_by_default,
    "fault injection, no filters": refused_unfiltered,
}


class When(Enum):
    """When a tool notices a misuse; FALSE is a report of something that is proper."""

    AT_ONCE = "at once"
    LATER = "later"
    NEVER = "never"
    FALSE = "false alarm"


@dataclass(frozen=True, slots=True)
class Found:
    """What a tool makes of a history: when, and its first report, if any."""

    when: When
    report: Report | None = None


def judge(misuse: Misuse, detector: Detector) -> Found:
    """What a tool makes of a misuse, or of a proper history."""
    reports = detector(misuse.history)
    if not reports:
        return Found(When.NEVER)
    first = reports[0]
    if misuse.proper or first.event < misuse.at:
        return Found(When.FALSE, first)
    return Found(When.AT_ONCE if first.event == misuse.at else When.LATER, first)
