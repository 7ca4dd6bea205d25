"""Strategies for states of reclaim: releases that differ, and small machines."""

from hypothesis import strategies as st

from linuxmm.model.reclaim.outside import Backing, ReverseMap, Store
from linuxmm.model.reclaim.state import Lruvec, ZoneMarks, empty

ERAS = ("2.4.0", "2.4.5", "2.4.9", "2.4.17", "2.4.32", "2.6.11", "2.6.20", "2.6.24", "2.6.28", "2.6.31",
        "2.6.34", "2.6.39", "3.5",
        "3.10", "3.16", "4.4", "4.7", "4.9", "4.12", "4.20", "5.4", "5.8", "5.9", "5.15", "6.1",
        "6.12")  # fmt: skip
"""A release of each generation of the rules."""


def eras() -> st.SearchStrategy[str]:
    """A release of some generation."""
    return st.sampled_from(ERAS)


def machine(
    pages: int, zones: int = 1, rmap: ReverseMap | None = None, backing: Backing | None = None
) -> Lruvec:
    """Lists without a page, over zones with so many free pages each."""
    marks = ZoneMarks(pages, pages, pages // 16, pages // 8, pages // 4)
    return empty((marks,) * zones, rmap, Store(slots=8) if backing is None else backing)
