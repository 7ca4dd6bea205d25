"""The part of a recording between two exact states.

A state is read while the machine stands still, between the events "begin" and "end" of its mark.  Mostly
nothing is recorded in between; an interrupt there belongs before or after the reading of the state, which the
state itself tells.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from linuxmm.fast.engine import Engine
from linuxmm.oracle.formats.events import Events
from linuxmm.oracle.formats.kinds import Kind

_RELEASES: Final = frozenset({Kind.COMMIT, Kind.FREEOK, Kind.FREEONE, Kind.SPLITL})


class Mark(NamedTuple):
    """Rows of a mark's begin and end events."""

    begin: int
    end: int


def marks(events: Events) -> dict[str, Mark]:
    """Every mark of a recording that began and ended, by name."""
    begun: dict[str, int] = {}
    found: dict[str, Mark] = {}
    for index in (events.kind == Kind.MARK).nonzero()[0].tolist():
        name = events.marks[int(events.a[index])]
        if int(events.b[index]) == 0:
            begun[name] = index
        elif name in begun:
            found[name] = Mark(begun[name], index)
    return found


def first_after(events: Events, mark: Mark, state: Engine) -> int:
    """The first row of a mark that happened after its state was read.

    state  a machine in the state of the mark
    """
    after = mark.end
    for index in reversed(range(mark.begin + 1, mark.end)):
        if _in_state(events, index, state):
            break
        after = index
    return after


def _in_state(events: Events, index: int, state: Engine) -> bool:
    """Whether what a row reports was done before the state was read."""
    kind, pfn = int(events.kind[index]), int(events.pfn[index])
    order = max(int(events.order[index]), 0)
    if not state.has_block(pfn, order):
        return False
    if kind in _RELEASES:
        return state.is_listed(pfn, order)
    return kind == Kind.MM_PAGE_ALLOC and not state.is_listed(pfn, order)


def windows(events: Events, states: dict[str, Engine]) -> Iterator[tuple[str, str, slice]]:
    """(mark, next mark, rows between their states) for marks that follow each other in the recording.

    states  machines in the state of each mark, in order
    """
    known = marks(events)
    names = [name for name in states if name in known]
    cuts = {name: first_after(events, known[name], states[name]) for name in names}
    for begin, end in pairwise(names):
        yield begin, end, slice(cuts[begin], cuts[end])
