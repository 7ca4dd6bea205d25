"""What is written to the files of groups in each era, and what the write returns."""

from dataclasses import replace
from typing import Final

import pytest

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, GroupEvent, Kind, Stock, World, give_back
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.writes import force_empty, reclaim, resize, write_high, write_max
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Err, Errno

NEW = kernel("6.1")
AGAIN, BUSY, INTR, INVAL = Err(Errno.EAGAIN), Err(Errno.EBUSY), Err(Errno.EINTR), Err(Errno.EINVAL)
NOBODY_DIES: Final = lambda s, g: (s, False)  # noqa: E731
IDLE = World(lambda s, g, n, w: (s, 0), NOBODY_DIES)
HELPS = World(lambda s, g, n, w: (give_back(s, 1, 1), 1), NOBODY_DIES)
KILLS = World(lambda s, g, n, w: (s, 0), lambda s, g: (give_back(s, 1, 5), True))
SIGNAL = HELPS._replace(signal=lambda s: s.memory.usage[1] <= 8)


def full(both: int | None = None) -> Charged:
    """A group that uses ten pages, with more in the CPU's stock."""
    swap = None if both is None else tree((NOBODY, 0), (both, both))
    state = Charged(tree((NOBODY, 0), (100, 100)), swap, (Stock(),))
    return charge(NEW, state, 0, 1, 10, Ask(), IDLE).state


def test_a_maximum_holds_at_once_and_tasks_die_for_it() -> None:
    assert full().memory.usage == (64, 64)
    done = write_max(NEW, full(), 1, 4, HELPS)
    assert (done.result, done.state.memory.usage, done.events) == (True, (4, 4), ())
    done = write_max(NEW, full(), 1, 4, KILLS)
    assert (done.result, done.state.memory.usage) == (True, (0, 0))
    assert done.events == (GroupEvent(Kind.OOM, 1),) * 2
    done = write_max(NEW, full(), 1, 4, IDLE)
    assert (done.result, done.state.memory.usage, done.state.memory.limit) == (False, (10, 10), (100, 4))
    done = write_max(NEW, full(), 1, 4, SIGNAL)
    assert (done.result, done.state.memory.usage) == (False, (8, 8))


def test_before_4_6_a_maximum_was_refused() -> None:
    for version, result, limit in (("4.3", BUSY, 100), ("4.6", False, 4), ("4.4.155", False, 4)):
        done = write_max(kernel(version), full(), 1, 4, IDLE)
        assert (done.result, done.state.memory.limit[1]) == (result, limit)
    done = write_max(kernel("4.3"), full(), 1, 4, HELPS)
    assert (done.result, done.state.memory.usage) == (True, (4, 4))


def test_high_is_never_refused() -> None:
    seen: list[int] = []

    def counted(s: Charged, g: int, n: int, w: bool) -> tuple[Charged, int]:
        seen.append(n)
        return (give_back(s, 1, 1), 1) if s.memory.usage[1] > 7 else (s, 0)

    found = {}
    for version in ("4.3", "4.6", "5.4", "5.7", "6.12"):
        seen.clear()
        done = write_high(kernel(version), full(), 1, 6, World(counted, NOBODY_DIES))
        found[version] = (done.result, done.state.high[1], done.state.memory.usage[1], len(seen))
    assert found == {
        "4.3": (False, 6, 64, 0),
        "4.6": (False, 6, 63, 1),
        "5.4": (False, 6, 63, 1),
        "5.7": (False, 6, 7, 3 + 6),
        "6.12": (False, 6, 7, 3 + 17),
    }
    assert write_high(NEW, full(), 1, 9, HELPS).result is True
    assert write_high(NEW, full(), 1, 6, SIGNAL).state.memory.usage[1] == 8


def test_limits_of_version_1() -> None:
    state = full(both=100)
    assert resize(NEW, state, 1, 101, False, IDLE).result == INVAL
    assert resize(NEW, state, 1, 99, True, IDLE).result == INVAL
    assert resize(NEW, state, 1, 4, False, IDLE).result == BUSY
    assert resize(NEW, state, 1, 4, False, SIGNAL).result == INTR
    done = resize(NEW, state, 1, 10, False, IDLE)
    assert (done.result, done.state.memory.limit, done.state.stocks) == (True, (100, 10), (Stock(),))
    assert resize(NEW, state, 1, 4, False, HELPS).state.memory.usage == (4, 4)
    raised = resize(NEW, state, 1, 200, True, IDLE).state
    assert raised.both is not None
    assert raised.both.limit == (100, 200)


def test_patience_with_a_limit_of_version_1_in_each_era() -> None:
    """Until 4.16 rounds in vain are counted, by what reclaim says or by what is left; then none may be."""

    def rounds(version: str, brings: int) -> int:
        seen: list[int] = []

        def note(s: Charged, g: int, n: int, w: bool) -> tuple[Charged, int]:
            seen.append(g)
            return s, brings if len(seen) < 30 else 0

        done = resize(kernel(version), full(), 1, 4, False, World(note, NOBODY_DIES))
        assert done.result == BUSY
        return len(seen)

    assert [rounds(version, 0) for version in ("2.6.28", "2.6.29", "3.16", "4.18")] == [5, 5, 5, 1]
    assert [rounds(version, 1) for version in ("2.6.28", "2.6.29", "3.16", "4.18")] == [34, 34, 5, 30]
    family = replace(full(), memory=tree((NOBODY, 0, 1), (100, 100, 100)))
    family = replace(family, memory=replace(family.memory, usage=(9, 9, 9)))
    seen: list[int] = []

    def note_group(s: Charged, g: int, n: int, w: bool) -> tuple[Charged, int]:
        seen.append(g)
        return s, 0

    world = World(note_group, NOBODY_DIES)
    assert resize(kernel("3.16"), family, 1, 4, False, world).result == BUSY
    assert len(seen) == 10
    assert resize(kernel("2.6.28"), full(), 1, 4, False, SIGNAL).result == INTR
    assert resize(kernel("4.17"), full(), 1, 10, False, IDLE).result == BUSY  # the stock is not drained
    assert resize(kernel("4.18"), full(), 1, 10, False, IDLE).result is True
    for version in ("2.6.29", "3.16"):
        assert resize(kernel(version), full(), 1, 4, False, SIGNAL).result == INTR
        assert resize(kernel(version), full(both=100), 1, 101, False, IDLE).result == INVAL
        assert resize(kernel(version), full(), 1, 64, False, IDLE).result is True
    assert resize(kernel("3.16"), full(both=100), 1, 101, False, IDLE).result == INVAL


def test_reclaim_on_request() -> None:
    done = reclaim(NEW, full(), 1, 5, HELPS)
    assert (done.result, done.state.memory.usage) == (True, (59, 59))
    assert reclaim(NEW, full(), 1, 5, IDLE).result == AGAIN
    assert reclaim(NEW, full(), 1, 60, SIGNAL).result == INTR
    assert reclaim(NEW, full(), 1, 0, IDLE).result is True
    with pytest.raises(Unmodelled, match=r"rule 'memcg.reclaim-batch' has no behaviour .* kernel 5\.18"):
        reclaim(kernel("5.18"), full(), 1, 5, HELPS)


def test_a_request_is_cut_up_in_its_own_way() -> None:
    def asked(version: str) -> list[int]:
        seen: list[int] = []

        def note(s: Charged, g: int, n: int, w: bool) -> tuple[Charged, int]:
            seen.append(n)
            return s, max(n, 32)

        assert reclaim(kernel(version), full(), 1, 200, World(note, NOBODY_DIES)).result is True
        return seen

    assert asked("6.1") == [200]
    assert asked("6.8") == [32] * 6 + [8]
    assert asked("6.12") == [50, 37, 28, 20, 12, 4]


def test_a_group_is_emptied() -> None:
    assert force_empty(NEW, full(), 0, False, HELPS).result == INVAL
    assert force_empty(kernel("3.14"), full(), 0, False, HELPS).result == INVAL
    assert force_empty(kernel("3.14"), full(), 1, True, HELPS).result == BUSY
    done = force_empty(kernel("3.14"), full(), 1, False, IDLE)
    assert (done.result, done.state.memory.usage) == (True, (10, 0))
    assert force_empty(kernel("2.6.39"), full(both=99), 0, False, HELPS).result is True
    assert force_empty(kernel("2.6.39"), full(), 1, False, SIGNAL).result == INTR
    for version, left in (("4.15", 64), ("4.18", 10)):
        done = force_empty(kernel(version), full(), 1, True, IDLE)
        assert (done.result, done.state.memory.usage[1]) == (False, left)
        assert force_empty(kernel(version), full(), 1, True, HELPS).result is True
        assert force_empty(kernel(version), full(), 1, True, SIGNAL).result == INTR
