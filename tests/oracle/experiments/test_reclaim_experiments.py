"""The experiments about reclaim: machines are repeatable, and each claim stands as it was found."""

import pytest

from linuxmm.oracle.experiments.reclaim import (
    Machine,
    hit_ratio,
    refaults_of_hot,
    scanned_anon,
    stream,
    swappiness_zero,
    workingset,
)
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.experiment import Scale, Standing


def test_a_machine_keeps_every_frame_accounted_for() -> None:
    machine = Machine("6.1", frames=64)
    assert [machine.read(place) for place in (1, 2, 1)] == [True, True, False]
    for place in range(200):
        machine.read(100 + place)
    assert len(machine.where) + len(machine.free) == 64
    assert sorted(machine.where.values()) == sorted(machine.v.pages)
    assert machine.misses == 202


def test_anonymous_pages_without_swap_run_out_of_memory() -> None:
    machine = Machine("6.1", frames=40, swap=0)
    for place in range(40):
        machine.read(place, anon=True)
    with pytest.raises(LinuxmmError, match=r"^reclaim frees no page: out of memory$"):
        machine.read(40, anon=True)


def test_swap_makes_room_for_anonymous_pages() -> None:
    machine = Machine("6.1", frames=40)
    for place in range(60):
        machine.read(place, anon=True)
    assert machine.misses == 60


def test_no_inactive_anonymous_page_is_scanned_at_swappiness_zero() -> None:
    assert scanned_anon("3.5", 0, 300) == (0, 128)
    assert scanned_anon("6.12", 0, 300) == (0, 0)
    assert scanned_anon("6.12", 60, 300)[0] > 0
    assert scanned_anon("6.12", 60, 300) == scanned_anon("6.12", 60, 300)
    assert swappiness_zero(Scale.QUICK).standing is Standing.PARTLY


def test_a_stream_takes_the_hot_set_of_old_releases_alone() -> None:
    assert refaults_of_hot("6.12", 1000, 8, mapped=True) == 0
    assert refaults_of_hot("2.6.28", 1000, 8, mapped=False) > 0
    outcome = stream(Scale.QUICK)
    assert outcome.standing is Standing.PARTLY
    assert outcome.why == "kept by 6.12; more than a twentieth of the touches fault in 2.6.28, 2.6.36"


def test_refault_detection_stops_thrashing() -> None:
    assert hit_ratio("3.14", 250, 6) == 0
    assert hit_ratio("3.16", 250, 6) == 1
    assert workingset(Scale.QUICK).standing is Standing.CONFIRMED
