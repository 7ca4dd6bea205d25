"""Rows inside a freeze belong before or after the reading of the state, as the state itself tells."""

import numpy as np
import pytest

from linuxmm.fast.engine import Engine
from linuxmm.model.alloc.strategies import small_machine, small_rules
from linuxmm.oracle.exact.windows import Mark, first_after, marks, windows
from linuxmm.oracle.formats.events import Events, empty
from linuxmm.oracle.formats.kinds import Kind

VERSION = "6.1.192"


def engine() -> Engine:
    return Engine(small_rules(VERSION), small_machine(VERSION))


def recording(*rows: tuple[Kind, int, int]) -> Events:
    """(kind, pfn or mark, order or which end of the mark)."""
    events = empty(len(rows))
    for at, (kind, value, other) in enumerate(rows):
        events.kind[at] = kind
        if kind == Kind.MARK:
            events.a[at], events.b[at] = value, other
        else:
            events.pfn[at], events.order[at] = value, other
    return Events(
        **{name: getattr(events, name) for name in events.__dataclass_fields__} | {"marks": ("A", "B")}
    )


FREE = min(small_machine(VERSION).zones[0].free)
ORDER = small_machine(VERSION).zones[0].free[FREE][0]
A, Z = (Kind.MARK, 0, 0), (Kind.MARK, 0, 1)


@pytest.mark.parametrize(
    ("inside", "before"),
    [
        ([], 0),
        ([(Kind.FREEOK, FREE, ORDER)], 1),
        ([(Kind.MM_PAGE_ALLOC, FREE, ORDER)], 0),
        ([(Kind.FREEOK, FREE, ORDER), (Kind.MM_PAGE_ALLOC, FREE, ORDER)], 1),
        ([(Kind.MM_PAGE_ALLOC, FREE, ORDER), (Kind.FREEOK, FREE, ORDER)], 2),
    ],
    ids=["nothing", "a free that shows", "an allocation that does not", "both", "undone"],
)
def test_a_state_tells_what_was_before_it(inside: list[tuple[Kind, int, int]], before: int) -> None:
    events = recording(A, *inside, Z)
    mark = marks(events)["A"]
    assert mark == Mark(0, len(inside) + 1)
    assert first_after(events, mark, engine()) == 1 + before


def test_windows_reach_from_state_to_state() -> None:
    late = (Kind.MM_PAGE_ALLOC, FREE, ORDER)
    events = recording(A, late, Z, late, (Kind.MARK, 1, 0), (Kind.MARK, 1, 1))
    found = list(windows(events, {"A": engine(), "B": engine()}))
    assert found == [("A", "B", slice(1, 5))]
    assert np.flatnonzero(events.kind == Kind.MM_PAGE_ALLOC).tolist() == [1, 3]


def test_a_mark_that_did_not_end_opens_no_window() -> None:
    events = recording(A, Z, (Kind.MARK, 1, 0))
    assert list(windows(events, {"A": engine(), "B": engine()})) == []
