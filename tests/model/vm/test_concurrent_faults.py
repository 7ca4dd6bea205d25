"""Every interleaving of faults with a change of their area: each protocol is right, but for no step less."""

import pytest

from linuxmm.model.vm.concurrent_faults import (
    AREA,
    PROTOCOLS,
    RANGE,
    SEQUENCE,
    UNMAP,
    WEAKEN,
    WHOLE,
    Protocol,
    explore,
    without,
)
from linuxmm.spec.step import Refusal


@pytest.mark.parametrize("what", [UNMAP, WEAKEN])
@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_protocol_is_right(name: str, what: str) -> None:
    found = explore(PROTOCOLS[name], what)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 100


@pytest.mark.parametrize(
    ("protocol", "step", "what", "clause"),
    [
        (WHOLE, "read whole", UNMAP, "vm.fault.no-orphan"),
        (WHOLE, "check entry", UNMAP, "vm.fault.once"),
        (SEQUENCE, "check sequence", UNMAP, "vm.fault.no-orphan"),
        (SEQUENCE, "check sequence", WEAKEN, "vm.fault.no-orphan"),
        (SEQUENCE, "begin", WEAKEN, "vm.fault.no-orphan"),
        (SEQUENCE, "check entry", UNMAP, "vm.fault.once"),
        (SEQUENCE, "hold area", UNMAP, "vm.fault.area-alive"),
        (SEQUENCE, "lock table", UNMAP, "vm.fault.once"),
        (AREA, "check mark", UNMAP, "vm.fault.area-alive"),
        (AREA, "read area", UNMAP, "vm.fault.no-orphan"),
        (AREA, "mark area", WEAKEN, "vm.fault.no-orphan"),
        (RANGE, "read range", UNMAP, "vm.fault.no-orphan"),
        (RANGE, "write range", WEAKEN, "vm.fault.no-orphan"),
    ],
)
def test_a_step_that_is_left_out(protocol: Protocol, step: str, what: str, clause: str) -> None:
    found = explore(without(protocol, step), what)
    assert (found.broken.clause if found.broken else "") == clause


def test_the_shortest_way_past_an_unchecked_sequence() -> None:
    found = explore(without(SEQUENCE, "check sequence"), WEAKEN, faults=1)
    assert found.trace == (
        "fault 0: find", "fault 0: hold area", "fault 0: note sequence", "fault 0: read rights",
        "change: write whole", "change: begin", "change: forbid writing", "change: lock table",
        "change: weaken entry", "change: unlock table", "fault 0: lock table", "fault 0: check entry",
        "fault 0: write entry", "fault 0: unlock table", "change: end", "change: unwrite whole",
    )  # fmt: skip
    assert found.broken == Refusal("vm.fault.no-orphan", "the entry permits 'rw', the area 'ro'")


def test_an_area_that_went_while_it_was_being_locked_is_noticed() -> None:
    found = explore(without(AREA, "check mark"), UNMAP, faults=1)
    assert found.trace[-3:] == ("fault 0: read area", "change: free", "fault 0: read rights")


def test_a_step_that_nobody_makes_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="no program makes the step 'pray'"):
        without(WHOLE, "pray")
