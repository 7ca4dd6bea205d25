"""Every state that tiny address spaces reach keeps the invariants and agrees with the flat reference."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from linuxmm.model.vm.process import Process, call
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.strategies import BASE, empty_process, unjoined
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Errno
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.flat import canonical, committed_counted, flat, holds, locked_counted
from linuxmm.spec.vm.flat_calls import after, plain
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SIZE

FIXED = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED


def every_call(pages: int) -> Iterator[SystemCall]:
    for low in range(pages):
        for high in range(low + 1, pages + 1):
            start, length = BASE + low * PAGE_SIZE, (high - low) * PAGE_SIZE
            for prot in (1, 3):
                yield calls.Mmap(start, length, prot, FIXED)
                yield calls.Mprotect(start, length, prot)
            yield calls.Munmap(start, length)
            yield calls.Madvise(start, length, vm.MADV_DONTFORK)
            yield calls.Madvise(start, length, vm.MADV_DOFORK)
            yield calls.Mlock(start, length)
            yield calls.Munlock(start, length)
            for target in range(pages - (high - low) + 1):
                yield calls.Mremap(start, length, length, 3, BASE + target * PAGE_SIZE)
    for page in range(pages):
        yield calls.Store(BASE + page * PAGE_SIZE, b"x")


def renamed(space: AddressSpace) -> AddressSpace:
    """The space with its anon_vmas numbered as they appear, without what does not matter here."""
    names: dict[int, int] = {}
    areas = tuple(
        area if area.anon is None else replace(area, anon=names.setdefault(area.anon, len(names) + 1))
        for area in space.areas
    )
    return replace(space, areas=areas, next_anon=len(names) + 1)


def check(before: AddressSpace, what: SystemCall, step_state: Process, result: object) -> None:
    space = step_state.space
    assert holds(space)
    assert locked_counted(space.areas, space.locked)
    assert committed_counted(space.areas, space.system.committed)
    if isinstance(what, calls.Store):
        assert plain(flat(space.areas)) == plain(flat(before.areas))
        return
    if not isinstance(result, Denied):
        keys = space.system.protection_keys
        assert plain(flat(space.areas)) == after(plain(flat(before.areas)), what, keys)
    touched = isinstance(what, calls.Mlock | calls.Mprotect)
    bounds = frozenset(area.start for area in before.areas)
    assert canonical(space.areas, bounds if touched else unjoined(before))


@pytest.mark.parametrize("version", ["2.6.24", "6.1.192", "6.12.117", "6.18.44"])
@pytest.mark.parametrize(("pages", "limit"), [(2, 100000), (6, 250)])
def test_reachable_states_agree_with_the_flat_reference(version: str, pages: int, limit: int) -> None:
    seen, pending = reached(version, empty_process().space, list(every_call(pages)), limit)
    assert len(seen) >= min(limit, 100)
    assert pages > 2 or not pending


def rights(pages: int) -> Iterator[SystemCall]:
    for low in range(pages):
        for high in range(low + 1, pages + 1):
            start, length = BASE + low * PAGE_SIZE, (high - low) * PAGE_SIZE
            for prot in (1, 4, 5):
                yield calls.Mmap(start, length, prot, FIXED)
                yield calls.Mprotect(start, length, prot)
            yield calls.Munmap(start, length)


def test_what_may_only_be_executed_takes_a_protection_key() -> None:
    space = empty_process().space
    with_keys = replace(space, system=replace(space.system, protection_keys=True))
    seen, pending = reached("6.12", with_keys, list(rights(3)), 1000)
    assert not pending
    found = {(area.flags & vm.VM_ACCESS, area.flags & vm.VM_PKEY) for areas in seen for area in areas}
    assert found == {(1, 0), (4, vm.VM_PKEY_EXECUTE), (5, 0)}
    without, _ = reached("6.12", space, list(rights(3)), 1000)
    assert {area.flags & vm.VM_PKEY for areas in without for area in areas} == {0}


def reached(
    version: str, start: AddressSpace, every: list[SystemCall], limit: int
) -> tuple[set[tuple[Vma, ...]], deque[AddressSpace]]:
    """Areas of all states that the calls lead to, and what was not followed; each step is checked."""
    rules = rules_for(kernel(version))
    seen, pending = {start.areas}, deque([start])
    while pending and len(seen) < limit:
        before = pending.popleft()
        for what in every:
            step = call(rules, Process(before, ContentLayer()), what)
            check(before, what, step.state, step.result)
            found = renamed(step.state.space)
            if found.areas not in seen:
                seen.add(found.areas)
                pending.append(found)
    return seen, pending


def test_what_may_only_be_executed_denies_reads_with_a_key_and_grants_them_without() -> None:
    rules = rules_for(kernel("6.12"))
    plain_space = empty_process().space
    keyed = replace(plain_space, system=replace(plain_space.system, protection_keys=True))
    for space, denied in ((plain_space, False), (keyed, True)):
        process = call(rules, Process(space, ContentLayer()), calls.Mmap(BASE, PAGE_SIZE, 4, FIXED)).state
        load = call(rules, process, calls.Load(BASE, 8)).result
        locked = call(rules, process, calls.Mlock(BASE, PAGE_SIZE)).result
        assert (load == Denied(Errno.EFAULT, "signal-11-4")) == denied
        assert (locked == Denied(Errno.ENOMEM, "unreached")) == denied
        assert isinstance(load, Denied) == denied
