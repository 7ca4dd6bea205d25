"""Devices to swap to, for the tests of slots and of swapoff."""

from linuxmm.model.reclaim.swap_slots import NO_DEVICE, add_to_swap, refer, swap_of, swap_rules
from linuxmm.model.reclaim.swap_state import Clusters, Swap, SwapRules, new_device
from linuxmm.spec.kernel import kernel


def rules(release: str) -> SwapRules:
    return swap_rules(kernel(release))


def single(release: str, slots: int, *, cpus: int = 1, **how: object) -> Swap:
    own = rules(release)
    return swap_of(own, new_device(own, slots, cpus=cpus, **how), cpus=cpus)  # type: ignore[arg-type]


def used(release: str, state: Swap, *slots: int) -> Swap:
    """An entry refers to each slot."""
    for slot in slots:
        more = refer(rules(release), state, 0, slot)
        assert isinstance(more, Swap)
        state = more
    return state


def take(release: str, state: Swap, number: int, *, cpu: int = 0, order: int = 0) -> tuple[Swap, list[int]]:
    """So many pages get slots, one after the other, and are referred to there."""
    slots = []
    for _ in range(number):
        state, at, slot = add_to_swap(rules(release), state, cpu, order)
        slots.append(slot)
        if at != NO_DEVICE:
            state = used(release, state, *range(slot, slot + (1 << order)))
    return state, slots


def clusters_of(state: Swap) -> Clusters:
    clusters = state.devices[0].clusters
    assert clusters is not None
    return clusters
