"""Kernel memory of groups: bytes are never lost, in any order, through removal; kernel memory's own limit."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linuxmm.model.memcg.charge import charge
from linuxmm.model.memcg.charged import Ask, Charged, Stock, World, drain
from linuxmm.model.memcg.counter import NOBODY, tree
from linuxmm.model.memcg.objects import (
    ByteStock,
    Kmem,
    Objects,
    charge_object,
    charge_pages,
    drain_bytes,
    free_object,
    give_pages_back,
    no_objects,
    release,
    reparent,
    write_kmem_limit,
)
from linuxmm.model.vm.explore import search
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.memcg.objects import bytes_kept, ends_even, pages_for, rest_of
from linuxmm.spec.step import Err, Errno, Refusal
from linuxmm.spec.vocabulary import PAGE_SIZE

PARENT: Final = (NOBODY, 0, 0)
IDLE = World(lambda s, g, n, w: (s, 0), lambda s, g: (s, False))
NOW: Final = Ask(blocking=False)
NOMEM: Final = Err(Errno.ENOMEM)


def pages(limit: int = 99, kmem: int | None = None, cpus: int = 2) -> Kmem:
    own = None if kmem is None else tree(PARENT, (99, kmem, 99))
    return Kmem(Charged(tree(PARENT, (99, limit, 99)), None, (Stock(),) * cpus), own)


def objects(limit: int = 99, cpus: int = 2) -> Objects:
    return no_objects(pages(limit, cpus=cpus), (1, 2))


def settled(kmem: Kmem) -> tuple[int, ...]:
    """Pages counted, without what the CPUs' stocks hold."""
    charged = kmem.charged
    for cpu in range(len(charged.stocks)):
        charged = drain(charged, cpu)
    return charged.memory.usage


def lost(state: Objects) -> Refusal | None:
    """Whether an objcg misses a byte, or counters disagree with what was charged."""
    for objcg, used in enumerate(state.used):
        stocked = sum(stock.bytes for stock in state.stocks if stock.objcg == objcg)
        if not bytes_kept(state.pages[objcg], used, state.rest[objcg], stocked):
            return Refusal("memcg.objects.bytes", f"objcg {objcg}: {state}")
        if used == stocked == 0 and not ends_even(state.rest[objcg]):
            return Refusal("memcg.objects.end", f"objcg {objcg} keeps {state.rest[objcg]}")
    if settled(state.kmem)[0] != sum(state.pages):
        return Refusal("memcg.counter.sum", f"{settled(state.kmem)} for {state.pages}")
    return None


def test_an_object_takes_a_page_and_the_next_comes_from_the_stock() -> None:
    for version in ("5.9", "6.1"):
        one = charge_object(kernel(version), objects(), 0, 0, 100, NOW, IDLE).state
        assert (one.pages, one.used, one.stocks[0]) == ((1, 0), (100, 0), ByteStock(0, PAGE_SIZE - 100))
        two = charge_object(kernel(version), one, 0, 0, 3996, NOW, IDLE).state
        assert (two.pages, two.used, two.stocks[0]) == ((1, 0), (4096, 0), ByteStock(0, 0))
        other = charge_object(kernel(version), one, 0, 1, 50, NOW, IDLE).state
        assert (other.rest, other.stocks[0]) == ((3996, 0), ByteStock(1, 4046))
        again = charge_object(kernel(version), other, 1, 0, 5000, NOW, IDLE).state
        found = (again.rest, again.stocks[1], again.pages)
        if version == "5.9":  # what the objcg had kept comes with it, and makes more than a page
            assert found == ((3092, 0), ByteStock(), (2, 1))
        else:
            assert found == ((0, 0), ByteStock(0, 3092), (2, 1))


def test_what_a_stock_gives_up_in_each_era() -> None:
    """Until 5.13 a stock of more than a page is given up; then only its pages, and not while charging."""
    seen = {}
    for version in ("5.9", "6.1"):
        state = objects()
        for _ in range(2):
            state = charge_object(kernel(version), state, 0, 0, 5000, NOW, IDLE).state
        charging = (state.stocks[0], state.rest, state.pages)
        state = free_object(kernel(version), state, 0, 0, 5000)
        seen[version] = (charging, (state.stocks[0], state.rest, state.pages))
        assert lost(state) is None
    assert seen == {
        "5.9": (
            (ByteStock(), (2288, 0), (3, 0)),
            (ByteStock(), (3192, 0), (2, 0)),
        ),
        "6.1": (
            (ByteStock(0, 6384), (0, 0), (4, 0)),
            (ByteStock(0, 3192), (0, 0), (2, 0)),
        ),
    }
    with pytest.raises(Unmodelled, match=r"rule 'memcg\.bytes-kept' has no behaviour"):
        charge_object(kernel("5.8"), objects(), 0, 0, 100, NOW, IDLE)


def test_a_group_without_room_refuses_and_a_removed_one_passes_on() -> None:
    at = kernel("6.1")
    full = charge_object(at, objects(limit=1), 0, 0, 100, NOW, IDLE).state
    refused = charge_object(at, full, 0, 0, 5000, NOW, IDLE)
    assert (refused.result, refused.state.pages, refused.state.used) == (NOMEM, full.pages, full.used)
    moved = reparent(full, 1)
    assert (moved.group, moved.kmem) == ((0, 2), full.kmem)
    empty = drain_bytes(at, free_object(at, moved, 0, 0, 100), 0)
    assert (empty.rest, empty.pages, empty.used, empty.stocks[0]) == ((0, 0), (0, 0), (0, 0), ByteStock())
    assert settled(empty.kmem) == (0, 1, 0)  # the removed group's own counter keeps the page


def test_an_objcg_gives_its_last_page_back() -> None:
    at = kernel("6.1")
    state = charge_object(at, objects(), 0, 0, 2000, NOW, IDLE).state
    state = charge_object(at, state, 1, 0, 3000, NOW, IDLE).state
    state = drain_bytes(at, drain_bytes(at, state, 0), 1)
    assert (state.rest, state.pages) == ((3192, 0), (2, 0))
    state = free_object(at, free_object(at, state, 0, 0, 2000), 1, 0, 3000)
    state = drain_bytes(at, drain_bytes(at, state, 0), 1)
    assert lost(state) is None
    assert (state.used, state.rest, state.pages) == ((0, 0), (4096, 0), (1, 0))
    done = release(at, state, 0, 0)
    assert (done.rest, done.pages, settled(done.kmem)) == ((0, 0), (0, 0), (0, 0, 0))


Ordered = tuple[Objects, tuple[int, ...]]


def tidy(state: Objects) -> Objects:
    """The state without what only counts events, and with the CPUs' stocks of pages given back."""
    charged = state.kmem.charged
    for cpu in range(2):
        charged = drain(charged, cpu)
    none = (0,) * 3
    memory = replace(charged.memory, watermark=none, failcnt=none)
    return replace(state, kmem=Kmem(replace(charged, memory=memory)))


def every_order(version: str, sizes: tuple[int, ...]) -> tuple[object, int]:
    """Two objcgs and two CPUs; up to one object of each size, allocated, freed, drained anywhere."""
    at: Kernel = kernel(version)

    def steps(now: Ordered) -> list[tuple[str, Ordered]]:
        state, owners = now
        found: list[tuple[str, Ordered]] = []
        for cpu in range(2):
            if state.stocks[cpu].objcg != NOBODY:
                found.append((f"drain {cpu}", (drain_bytes(at, state, cpu), owners)))
            for number, size in enumerate(sizes):
                if owners[number] != NOBODY:
                    after = free_object(at, state, cpu, owners[number], size)
                    found.append((f"free {number} on {cpu}", (after, _set(owners, number, NOBODY))))
                    continue
                for objcg in range(2):
                    done = charge_object(at, state, cpu, objcg, size, NOW, IDLE)
                    if done.result is True:
                        after_owners = _set(owners, number, objcg)
                        found.append((f"object {number} of {objcg} on {cpu}", (done.state, after_owners)))
        return [(name, (tidy(after), whose)) for name, (after, whose) in found]

    begun: Ordered = (objects(limit=4), (NOBODY,) * len(sizes))
    found = search(begun, steps, lambda now: lost(now[0]))
    return (found.trace, found.broken), found.states


def _set(values: tuple[int, ...], at: int, value: int) -> tuple[int, ...]:
    return (*values[:at], value, *values[at + 1 :])


@pytest.mark.parametrize("version", ["5.9", "6.1"])
def test_no_byte_is_lost_in_any_order(version: str) -> None:
    found, states = every_order(version, (2048, 3072))
    assert found == ((), None)
    assert states > 300


def test_kernel_memory_has_a_counter_of_its_own() -> None:
    """First asked until 4.4, last until 5.15, never since."""
    for version, result, memory in (("3.10", NOMEM, 0), ("4.6", NOMEM, 0), ("5.17", True, 5)):
        done = charge_pages(kernel(version), pages(kmem=4), 0, 1, 5, NOW, IDLE)
        assert (done.result, settled(done.state)[1]) == (result, memory)
        assert done.state.kmem is not None
        assert done.state.kmem.usage[1] == memory
    nofail = NOW._replace(nofail=True)
    forced = charge_pages(kernel("4.15"), pages(kmem=4), 0, 1, 5, nofail, IDLE)
    assert forced.state.kmem is not None
    assert (forced.result, forced.state.kmem.usage[1], forced.state.kmem.over[1]) == (True, 5, 1)
    for version in ("3.10", "4.6", "5.17"):
        both = charge_pages(kernel(version), pages(limit=4, kmem=9), 0, 1, 5, NOW, IDLE)
        assert (both.result, settled(both.state)[1]) == (NOMEM, 0)
        assert both.state.kmem is not None
        assert both.state.kmem.usage[1] == 0
    killed = charge_pages(kernel("3.10"), pages(limit=0, kmem=9), 0, 1, 1, Ask(killed=True), IDLE)
    assert (killed.result, settled(killed.state)[1]) == (True, 1)
    plain = charge(kernel("3.10"), pages(limit=0).charged, 0, 1, 1, Ask(killed=True), IDLE)
    assert (plain.result, plain.state.memory.usage[1]) == (False, 0)


def test_pages_of_kernel_memory_go_back_to_the_stock_since_5_11() -> None:
    for version, stock in (("5.10", Stock()), ("5.11", Stock(1, 2))):
        state = charge_pages(kernel(version), pages(kmem=9, limit=6), 0, 1, 2, NOW, IDLE).state
        state = give_pages_back(kernel(version), state, 1, 1, 2)
        assert state.charged.stocks[1] == stock
        assert settled(state)[1] == 0
        assert state.kmem is not None
        assert state.kmem.usage[1] == 0


def test_the_limit_of_kernel_memory_through_the_eras() -> None:
    used = charge_pages(kernel("4.6"), pages(kmem=9), 0, 1, 5, NOW, IDLE).state

    def written(version: str, limit: int, busy: bool = False, first: bool = False) -> object:
        done = write_kmem_limit(kernel(version), used, 1, limit, busy, first)
        if isinstance(done, Err):
            return done.errno
        assert done.kmem is not None
        return done.kmem.limit[1]

    assert [written("3.10", 7), written("3.10", 4)] == [7, Errno.EBUSY]
    assert [written("3.10", 7, True, True), written("3.10", 7, True)] == [Errno.EBUSY, 7]
    assert written("4.5", 7, True, True) is Errno.EBUSY
    assert [written("4.6", 7, True, True), written("5.15", 4)] == [7, Errno.EBUSY]
    assert [written(v, 7) for v in ("5.17", "6.1", "6.1.158", "6.5", "6.6")] == [
        Errno.EOPNOTSUPP,
        Errno.EOPNOTSUPP,
        9,
        Errno.EOPNOTSUPP,
        9,
    ]


def test_bytes_refuse() -> None:
    assert bytes_kept(2, 5000, 1000, 2192)
    assert not bytes_kept(2, 5000, 1000, 2191)
    assert not bytes_kept(1, -1, 4097, 0)
    assert ends_even(8192)
    assert not ends_even(1)
    assert [(pages_for(size), rest_of(size)) for size in (1, 4096, 4097)] == [(1, 4095), (1, 0), (2, 4095)]


class Allocations(RuleBasedStateMachine):
    """Objects of any size come and go on two CPUs; groups are removed on the way."""

    @initialize(version=st.sampled_from(("5.9", "5.11", "5.15", "6.12")))
    def begin(self, version: str) -> None:
        self.kernel, self.state = kernel(version), objects(limit=8)
        self.living: tuple[tuple[int, int], ...] = ()

    @rule(cpu=st.integers(0, 1), objcg=st.integers(0, 1), size=st.integers(1, 12000))
    def allocate(self, cpu: int, objcg: int, size: int) -> None:
        done = charge_object(self.kernel, self.state, cpu, objcg, size, NOW, IDLE)
        self.state = done.state
        if done.result is True:
            self.living = (*self.living, (objcg, size))

    @rule(cpu=st.integers(0, 1), number=st.integers(0, 99))
    def free(self, cpu: int, number: int) -> None:
        if self.living:
            at = number % len(self.living)
            self.state = free_object(self.kernel, self.state, cpu, *self.living[at])
            self.living = (*self.living[:at], *self.living[at + 1 :])

    @rule(cpu=st.integers(0, 1))
    def drain(self, cpu: int) -> None:
        self.state = drain_bytes(self.kernel, self.state, cpu)

    @rule()
    def remove(self) -> None:
        self.state = reparent(self.state, 2)

    @invariant()
    def whole(self) -> None:
        if hasattr(self, "state"):
            assert lost(self.state) is None
            assert sum(self.state.used) == sum(size for _, size in self.living)


TestAllocations = Allocations.TestCase


def test_a_lost_byte_is_found() -> None:
    state = charge_object(kernel("6.1"), objects(), 0, 0, 100, NOW, IDLE).state
    broken = lost(replace(state, stocks=(ByteStock(0, 3995), ByteStock())))
    assert broken is not None
    assert broken.clause == "memcg.objects.bytes"
    broken = lost(replace(state, rest=(1, 0), used=(0, 0), stocks=(ByteStock(), ByteStock()), pages=(0, 0)))
    assert broken is not None
