"""Swap is switched off; what may be said of a slot; the audit finds what is wrong."""

from dataclasses import replace

from tests.model.reclaim.swap_devices import clusters_of, rules, single, take, used

from linuxmm.model.reclaim.swap_audit import judge
from linuxmm.model.reclaim.swap_release import leave_swap_cache, swap_free
from linuxmm.model.reclaim.swap_slots import (
    NO_DEVICE,
    add_to_swap,
    alloc_slot,
    end_device,
    read_back,
    read_in,
    refer,
    restart_device,
    stop_device,
    swap_of,
    unuse,
)
from linuxmm.model.reclaim.swap_state import Device, Swap, new_device
from linuxmm.spec.reclaim.swap_slots import NO_SLOT
from linuxmm.spec.step import Err, Errno

# ---- swapoff -----------------------------------------------------------------------------------------------


def test_swapoff_reads_everything_back_and_takes_from_cpus_what_they_keep() -> None:
    own = rules("6.1")
    state = replace(single("6.1", 400), active=True)
    state, slots = take("6.1", state, 3)
    state = leave_swap_cache(own, state, 0, slots[1])
    assert stop_device(own, state, 0, 398) == Err(Errno.ENOMEM)
    stopped = stop_device(own, state, 0, 399)
    assert isinstance(stopped, Swap)
    assert (stopped.orders, stopped.enabled, stopped.devices[0].inuse) == (((),), False, 3)
    assert stop_device(own, stopped, 0, 399) == Err(Errno.EINVAL)
    assert end_device(own, stopped, 0) == Err(Errno.EBUSY)
    assert alloc_slot(own, stopped)[1:] == (NO_DEVICE, NO_SLOT)
    again = restart_device(own, stopped, 0)
    assert (again.orders, again.enabled) == (((0,),), True)
    for slot in slots:
        stopped = read_back(own, stopped, 0, slot)
    ended = end_device(own, stopped, 0)
    assert isinstance(ended, Swap)
    assert (ended.devices[0].inuse, ended.devices[0].highest, ended.enabled) == (0, 0, False)


def test_up_to_5_0_slots_are_read_one_after_the_other_and_later_owners_are() -> None:
    """Slots 1 and 2 are of owner 1, slot 1 of owner 2 too, slot 3 is of shared memory."""
    references = ((1, 1), (2, 1), (1, 2), (0, 3))
    orders = {}
    for release in ("4.19", "6.1"):
        own = rules(release)
        state = single(release, 9)
        for _ in range(3):
            state, _, _ = add_to_swap(own, state)
        state = used(release, state, 1, 1, 2)
        shared = refer(own, state, 0, 3, shmem=True)
        assert isinstance(shared, Swap)
        for slot in (1, 2, 3):
            shared = leave_swap_cache(own, shared, 0, slot)
        stopped = stop_device(own, shared, 0, 8)
        assert isinstance(stopped, Swap)
        some, done = unuse(own, stopped, 0, references, 2)
        ended, orders[release] = unuse(own, stopped, 0, references, 3)
        assert orders[release][: len(done)] == done
        left = set(references) - set(done)
        assert judge(some, {(0, slot): sum(s == slot for _, s in left) for _, slot in left}) is None
        assert (ended.devices[0].inuse, isinstance(end_device(own, ended, 0), Swap)) == (0, True)
    assert orders == {
        "4.19": ((1, 1), (2, 1), (1, 2), (0, 3)),
        "6.1": ((0, 3), (1, 1), (1, 2), (2, 1)),
    }


def test_swapoff_moves_later_devices_without_priority_up() -> None:
    own = rules("6.1")
    state = swap_of(own, *(new_device(own, 9, priority) for priority in (-2, -3, -4)))
    stopped = stop_device(own, state, 1, 99)
    assert isinstance(stopped, Swap)
    assert [device.priority for device in stopped.devices] == [-2, -3, -3]


# ---- pages and references ----------------------------------------------------------------------------------


def test_what_may_be_said_of_a_slot() -> None:
    own = rules("6.1")
    state, _, _ = add_to_swap(own, single("6.1", 9))
    assert refer(own, state, 0, 5) == Err(Errno.ENOENT)
    assert read_in(own, state, 0, 1) == Err(Errno.EEXIST)
    assert read_in(own, state, 0, 5) == Err(Errno.ENOENT)
    shared = refer(own, state, 0, 1, shmem=True)
    assert isinstance(shared, Swap)
    assert refer(own, shared, 0, 1, shmem=True) == Err(Errno.EINVAL)
    assert refer(own, shared, 0, 1) == Err(Errno.EINVAL)
    alone = leave_swap_cache(own, shared, 0, 1)
    back = read_in(own, alone, 0, 1)
    assert isinstance(back, Swap)
    assert back.devices == shared.devices
    gone = swap_free(own, alone, 0, 1)
    assert (gone.devices[0].inuse, judge(gone, {})) == (0, None)


def test_a_count_is_continued() -> None:
    own = rules("6.1")
    state, _, _ = add_to_swap(own, single("6.1", 9))
    state = used("6.1", state, *[1] * 200)
    assert judge(state, {(0, 1): 200}) is None
    for _ in range(200):
        state = swap_free(own, state, 0, 1)
    assert judge(state, {}) is None


def _faulty(device: Device, **change: object) -> Swap:
    return Swap((replace(device, **change),))  # type: ignore[arg-type]


def test_the_audit_finds_what_is_wrong() -> None:
    state, _, _ = add_to_swap(rules("6.12"), single("6.12", 8, cluster=4, seekless=True))
    device, own = state.devices[0], clusters_of(state)
    assert device.clusters is not None
    slot = min(device.pages)
    found = {
        clause: broken.clause if broken else None
        for clause, broken in {
            "run": judge(_faulty(device, pages=device.pages.delete(slot).set(slot + 1, 1)), {}),
            "uses": judge(state, {(0, slot): 1}),
            "cache-flag": judge(_faulty(device, pages=device.pages.delete(slot)), {}),
            "inuse": judge(_faulty(device, inuse=3), {}),
            "bounds": judge(_faulty(device, lowest=7), {}),
            "freed": judge(_faulty(device, counts=device.counts.delete(slot)), {}),
            "cluster-count": judge(_faulty(device, clusters=replace(own, counts=(1, 3))), {}),
            "cluster-list": judge(_faulty(device, clusters=replace(own, full=(0,))), {}),
            "one-place": judge(_faulty(device, clusters=replace(own, discard=(1,), free=())), {}),
        }.items()
    }
    assert found == {
        "run": "reclaim.swap.run",
        "uses": "reclaim.swap.uses",
        "cache-flag": "reclaim.swap.cache-flag",
        "inuse": "reclaim.swap.inuse",
        "bounds": "reclaim.swap.bounds",
        "freed": "reclaim.swap.cache-flag",
        "cluster-count": "reclaim.swap.cluster-count",
        "cluster-list": "reclaim.swap.cluster-list",
        "one-place": "reclaim.swap.one-place",
    }
