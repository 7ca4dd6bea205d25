"""Whatever happens to slots of swap in whatever order, each is in one place; tiny devices: every order."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.reclaim.swap import referenced
from linuxmm.model.reclaim.swap_audit import judge
from linuxmm.model.reclaim.swap_release import discard_clusters, leave_swap_cache, swap_free
from linuxmm.model.reclaim.swap_slots import (
    NO_DEVICE,
    add_to_swap,
    end_device,
    read_back,
    read_in,
    refer,
    restart_device,
    stop_device,
    swap_of,
    swap_rules,
)
from linuxmm.model.reclaim.swap_state import Device, Swap, SwapRules, new_device
from linuxmm.model.vm.explore import search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.swap import uses
from linuxmm.spec.step import Err, Refusal

RELEASES = ("2.4.20", "2.6.24", "3.10", "3.12", "4.4", "4.19", "6.1", "6.10", "6.12")
References = dict[tuple[int, int], int]


def tiny(release: str) -> SwapRules:
    """The rules of a release; CPUs keep two slots at once where they keep any."""
    own = swap_rules(kernel(release))
    return own._replace(batch=min(own.batch, 2))


class EverySlot(RuleBasedStateMachine):
    """Pages go out, are shared, come back; devices of two priorities, on disks and where nothing seeks."""

    own: SwapRules
    state: Swap
    references: References

    @initialize(release=st.sampled_from(RELEASES), seekless=st.booleans(), discards=st.booleans())
    def begin(self, release: str, seekless: bool, discards: bool) -> None:
        self.own = tiny(release)
        make = self.own
        self.state = swap_of(
            make,
            new_device(make, 22, 1, cpus=2, cluster=4, seekless=seekless, discards=discards),
            new_device(make, 13, 1, cpus=2, cluster=4, seekless=seekless, bad=frozenset({5, 6})),
            new_device(make, 9, 0, cpus=2, cluster=4),
            cpus=2,
        )
        self.references = {}

    def some(self, number: int, used: bool) -> tuple[int, int] | None:
        """A slot that something refers to, or one with a page of the swap cache."""
        places = [
            (at, slot)
            for at, device in enumerate(self.state.devices)
            for slot in (device.counts if used else device.pages)
            if not used or referenced(device.counts[slot])
        ]
        return sorted(places)[number % len(places)] if places else None

    @rule(cpu=st.integers(0, 1), order=st.sampled_from([0, 0, 0, 1, 2]))
    def out(self, cpu: int, order: int) -> None:
        self.state, at, slot = add_to_swap(self.own, self.state, cpu, order)
        if at == NO_DEVICE:
            return
        assert slot % (1 << order) == 0
        assert slot // 4 == (slot + (1 << order) - 1) // 4
        for each in range(slot, slot + (1 << order)):
            self.share_slot(at, each, 1)

    def share_slot(self, at: int, slot: int, times: int) -> None:
        for _ in range(times):
            more = refer(self.own, self.state, at, slot)
            assert isinstance(more, Swap)
            self.state = more
            self.references[at, slot] = self.references.get((at, slot), 0) + 1

    @rule(number=st.integers(0, 99), times=st.integers(1, 70))
    def share(self, number: int, times: int) -> None:
        place = self.some(number, True)
        if place is not None:
            self.share_slot(*place, times)

    @rule(number=st.integers(0, 99), times=st.integers(1, 70), cpu=st.integers(0, 1))
    def unmap(self, number: int, times: int, cpu: int) -> None:
        place = self.some(number, True)
        if place is None:
            return
        for _ in range(min(times, self.references[place])):
            self.state = swap_free(self.own, self.state, *place, cpu)
            self.references[place] -= 1

    @rule(number=st.integers(0, 99), cpu=st.integers(0, 1))
    def leave_cache(self, number: int, cpu: int) -> None:
        place = self.some(number, False)
        if place is not None and place[1] not in self.state.devices[place[0]].busy:
            self.state = leave_swap_cache(self.own, self.state, *place, cpu)

    @rule(number=st.integers(0, 99))
    def come_back(self, number: int) -> None:
        place = self.some(number, True)
        if place is not None:
            back = read_in(self.own, self.state, *place)
            cached = self.state.devices[place[0]].counts[place[1]].cached
            assert isinstance(back, Err) == cached
            self.state = self.state if isinstance(back, Err) else back

    @rule(number=st.integers(0, 99))
    def lock(self, number: int) -> None:
        place = self.some(number, False)
        if place is not None:
            device = self.state.devices[place[0]]
            device = replace(device, busy=device.busy ^ {place[1]})
            devices = self.state.devices
            self.state = replace(self.state, devices=(*devices[: place[0]], device, *devices[place[0] + 1 :]))

    @rule(at=st.integers(0, 2))
    def work(self, at: int) -> None:
        self.state = discard_clusters(self.own, self.state, at)

    @rule(at=st.integers(0, 2), whole=st.booleans())
    def swapoff(self, at: int, whole: bool) -> None:
        stopped = stop_device(self.own, self.state, at, 99)
        assert isinstance(stopped, Swap)
        device = replace(stopped.devices[at], busy=frozenset())
        devices = (*stopped.devices[:at], device, *stopped.devices[at + 1 :])
        state = replace(stopped, devices=devices)
        for slot in sorted(device.counts)[: None if whole else 2]:
            state = read_back(self.own, state, at, slot)
            self.references.pop((at, slot), None)
        if whole:
            ended = end_device(self.own, state, at)
            assert isinstance(ended, Swap)
            assert ended.devices[at].counts == type(ended.devices[at].counts)()
        self.state = restart_device(self.own, state, at)

    @invariant()
    def sound(self) -> None:
        if hasattr(self, "state"):
            assert judge(self.state, self.references) is None


TestEverySlot = EverySlot.TestCase
TestEverySlot.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


# ---- tiny devices ------------------------------------------------------------------------------------------


def plain(state: Swap) -> Swap:
    """A state without the log of what was discarded."""
    return replace(state, devices=tuple(replace(device, discarded=()) for device in state.devices))


def steps(own: SwapRules, state: Swap, cpus: int) -> Iterator[tuple[str, Swap]]:
    """Every step: a page goes out and is referred to, an entry goes, a page leaves the swap cache."""
    device = state.devices[0]
    for cpu in range(cpus):
        for order in (0, 1):
            after, at, slot = add_to_swap(own, state, cpu, order)
            for each in range(slot, slot + (1 << order)) if at != NO_DEVICE else ():
                more = refer(own, after, at, each)
                assert isinstance(more, Swap)
                after = more
            if order == 0 or at != NO_DEVICE:
                yield f"out {order} by {cpu}", after
    for slot, count in device.counts.items():
        if referenced(count):
            yield f"unmap {slot}", swap_free(own, state, 0, slot)
    for slot in device.pages:
        yield f"leave {slot}", leave_swap_cache(own, state, 0, slot)
    yield "discard", discard_clusters(own, state, 0)


def own_references(device: Device) -> References:
    return {(0, slot): uses(count.low, count.digits) for slot, count in device.counts.items()}


@pytest.mark.parametrize(
    ("release", "seekless", "discards", "cpus", "slots"),
    [
        ("2.4.20", False, False, 1, 5),
        ("2.6.24", False, False, 1, 5),
        ("3.10", True, False, 1, 5),
        ("4.4", True, True, 1, 5),
        ("4.19", True, True, 1, 5),
        ("6.1", True, True, 1, 5),
        ("6.10", True, False, 1, 5),
        ("6.12", True, True, 1, 5),
    ],
)
def test_every_order_of_steps_keeps_each_slot_in_one_place(
    release: str, seekless: bool, discards: bool, cpus: int, slots: int
) -> None:
    own = tiny(release)
    device = new_device(own, slots, cpus=cpus, cluster=2, seekless=seekless, discards=discards)
    start = replace(swap_of(own, device, cpus=cpus), active=own.batch > 0)

    def judged(state: Swap) -> Refusal | None:
        return judge(state, own_references(state.devices[0]))

    found = search(start, lambda s: ((name, plain(after)) for name, after in steps(own, s, cpus)), judged)
    assert found.broken is None
    assert found.states > 100


def reachable_failures(release: str, slots: int) -> set[tuple[int, ...]]:
    """Free slots that no search finds, over every order of steps: each time the free ones of the device."""
    own = tiny(release)
    start = swap_of(own, new_device(own, slots, cluster=2, seekless=True))
    missed: set[tuple[int, ...]] = set()

    def judged(state: Swap) -> Refusal | None:
        device = state.devices[0]
        free = tuple(slot for slot in range(1, slots) if slot not in device.counts)
        if free and not any(state.caches[0].ready) and add_to_swap(own, state)[1] == NO_DEVICE:
            missed.add(free)
        return None

    search(start, lambda s: ((name, plain(after)) for name, after in steps(own, s, 1)), judged)
    return missed


def test_searches_of_some_releases_miss_a_free_slot() -> None:
    """Found by the search: 4.11 to 6.11 never look at the cursor's own slot once clusters are used up."""
    assert reachable_failures("4.4", 5) == set()
    assert reachable_failures("6.1", 5) != set()
    assert reachable_failures("6.12", 5) == set()
