"""Every interleaving of a few CPUs that switch between address spaces with few ASIDs.

Variants leave out a step; that of 4.3 is a kernel as it was.

Linux: arch/arm64/mm/context.c.  Seed 2.3.2 (F041).  4.3 to 6.12.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linuxmm.model.vm.arm64_asid import (
    LOADS,
    NOBODY,
    ROLLS,
    RUNS,
    SWAPS,
    TAKES,
    WAITS,
    AsidRules,
    Asids,
    asid_of,
    begin,
    is_current,
    load,
    lock,
    pin,
    roll,
    start,
    swap,
    take,
    unpin,
)
from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.arm64_asid import one_for_all, only_its_own
from linuxmm.spec.vm.total import Row


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much there is, and happens at most: `asids` can be given out, more than there are CPUs.

    lone  CPUs that run one address space and never switch again, from CPU 0 on

    A search of two CPUs with more than one rollover takes minutes unless one of them is lone.
    """

    cpus: int = 2
    asids: int = 3
    spaces: int = 3
    rollovers: int = 2
    pins: bool = False
    lone: int = 0


NEWEST: Final = AsidRules()
SMALL: Final = Bounds()


def steps_of(s: Asids, rules: AsidRules, bounds: Bounds) -> Iterator[tuple[str, Asids]]:
    """Every step that may be made."""
    for cpu in range(bounds.cpus):
        phase, name = s.phase[cpu], f"CPU {cpu}"
        if phase == RUNS and not (cpu < bounds.lone and s.runs[cpu] != NOBODY):
            for space in range(bounds.spaces):
                if space != s.runs[cpu]:
                    yield f"{name} is to run {space}", begin(s, cpu, space)
        elif phase == SWAPS:
            yield f"{name} swaps", swap(s, cpu)
        elif phase == WAITS and s.lock == NOBODY:
            after = lock(s, cpu, rules)
            if after.generation <= 1 + bounds.rollovers:
                yield f"{name} takes the lock", after
        elif phase == ROLLS:
            yield f"{name} rolls over CPU {s.rolled}", roll(s, cpu, rules)
        elif phase == TAKES:
            yield f"{name} takes its number", take(s, cpu)
        elif phase == LOADS:
            yield f"{name} loads the tables", load(s, cpu)
    if bounds.pins and s.lock == NOBODY:
        yield from _pins(s, bounds)


def _pins(s: Asids, bounds: Bounds) -> Iterator[tuple[str, Asids]]:
    room = bounds.asids - bounds.cpus - 1
    for space in range(bounds.spaces):
        number = s.context[space]
        if space in s.pinned:
            yield f"{space} is unpinned", unpin(s, space)
        elif len(s.pinned) < room and number and is_current(s, number):
            yield f"{space} is pinned", pin(s, space)


def renamed(s: Asids) -> Asids:
    """The state with its address spaces in one order: which is which changes nothing that can happen."""

    def place(space: int) -> tuple[object, ...]:
        on = tuple((one == space, other == space) for one, other in zip(s.runs, s.to, strict=True))
        return s.context[space], on, space in s.pinned, sorted(o[:2] for o in s.held if o[2] == space)

    order = sorted(range(len(s.context)), key=place)
    name = {space: number for number, space in enumerate(order)} | {NOBODY: NOBODY}
    return s._replace(
        context=Row(s.context[space] for space in order),
        runs=Row(name[space] for space in s.runs),
        to=Row(name[space] for space in s.to),
        pinned=frozenset(name[space] for space in s.pinned),
        held=frozenset((cpu, asid, name[space]) for cpu, asid, space in s.held),
    )


def judge(s: Asids) -> Refusal | None:
    """What a state breaks."""
    for cpu, space in enumerate(s.runs):
        if space == NOBODY or s.phase[cpu] != RUNS:
            continue
        asid = s.loaded[cpu]
        holders = frozenset(of for at, under, of in s.held if (at, under) == (cpu, asid))
        if not only_its_own(holders, space):
            why = f"CPU {cpu} runs {space} under ASID {asid}, of which it may hold {sorted(holders)}"
            return Refusal("vm.arm64.asid.own", why)
        named = asid_of(s, s.context[space])
        if not one_for_all(asid, named):
            why = f"CPU {cpu} runs {space} under ASID {asid}; flushes name {named}"
            return Refusal("vm.arm64.asid.one", why)
    return None


def search_asids(rules: AsidRules = NEWEST, bounds: Bounds = SMALL, most: int = 200_000) -> Finding:
    """Search the interleavings, those alike but for the names of address spaces once."""

    def steps(s: Asids) -> Iterator[tuple[str, Asids]]:
        for name, after in steps_of(s, rules, bounds):
            yield name, renamed(after)

    return search(start(bounds.asids + 1, bounds.cpus, bounds.spaces), steps, judge, most)
