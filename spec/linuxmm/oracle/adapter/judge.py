"""Find a case in which an implementation breaks a clause, and make it as short as can be.

Hypothesis finds the case.  It is then reduced call by call, on the level of allocations and releases, as long
as the same clause stays broken.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from linuxmm.oracle.adapter.allocator import Allocator, Setup
from linuxmm.oracle.adapter.machine import AllocatorMachine
from linuxmm.oracle.adapter.search import UNSTEADY, first_failure, shortest
from linuxmm.oracle.adapter.session import AllocCall, Call, Diverged, FreeCall, Session
from linuxmm.spec.alloc.page_state import Layout
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vocabulary import MigrateType, ZoneType

Make = Callable[[], Allocator]


@dataclass(frozen=True, slots=True)
class Finding:
    """The shortest case found that breaks a clause.

    operations  the requests and their answers; the last one breaks the clause
    report      all of it, in words
    """

    clause: str
    why: str
    setup: Setup
    operations: tuple[str, ...]
    report: str


def judge(
    make: Make, *, examples: int = 100, steps: int = 40, random_seed: int | None = None
) -> Finding | None:
    """Drive allocators and return the shortest case that breaks a clause, or None.

    make         gives a fresh allocator for every example
    random_seed  None for the same cases every time
    Ensures      the same answers give the same finding
    Errors       LinuxmmError when an allocator answers the same calls differently
    """

    class Machine(AllocatorMachine):
        pass

    Machine.make = staticmethod(make)
    found = first_failure(Machine, Diverged, examples, steps, random_seed)
    if found is None:
        return None
    best = reduce(make, found)
    return Finding(best.refusal.clause, best.refusal.why, best.setup, best.log, str(best))


def reduce(make: Make, found: Diverged) -> Diverged:
    """A shorter case that breaks the same clause: fewer calls, a simpler machine, simpler arguments.

    Ensures   no single call can be left out of the result
    Errors    LinuxmmError when the case does not repeat: the implementation is not deterministic
    """
    best = replay(make, found.setup, found.calls)
    if best is None or best.refusal.clause != found.refusal.clause:
        raise LinuxmmError(f"{UNSTEADY}; the first was\n{found}")
    return shortest(best, _simpler, lambda case: replay(make, *case), same_clause)


def same_clause(one: Diverged, other: Diverged) -> bool:
    """Whether two cases break the same clause."""
    return one.refusal.clause == other.refusal.clause


def replay(make: Make, setup: Setup, calls: Iterable[Call | None]) -> Diverged | None:
    """Make the calls on a fresh allocator, and say where it diverges; None stands for a call left out.

    A release of a block whose request was left out, or failed, is left out too.
    """
    allocator = make()
    try:
        session = Session(allocator, setup)
        place: dict[int, int] = {}
        for number, call in enumerate(calls):
            if isinstance(call, AllocCall):
                place[number] = len(session.calls)
                session.call(call)
            elif call is not None and call.of in place:
                session.call(replace(call, of=place[call.of]))
    except Diverged as error:
        return error
    finally:
        allocator.close()
    return None


def _simpler(case: Diverged) -> Iterable[tuple[Setup, tuple[Call | None, ...]]]:
    calls = case.calls
    for setup in _simpler_setups(case.setup):
        yield setup, calls
    size = len(calls)
    while size:
        for start in range(len(calls) - size, -1, -size):
            yield case.setup, calls[:start] + (None,) * size + calls[start + size :]
        size //= 2
    for number, call in enumerate(calls):
        for simpler in _simpler_calls(call):
            yield case.setup, (*calls[:number], simpler, *calls[number + 1 :])


def _simpler_setups(setup: Setup) -> Iterable[Setup]:
    if setup.absent:
        yield replace(setup, absent=())
    if setup.isolated:
        yield replace(setup, isolated=())
    layout = setup.layout
    for number in range(len(layout.spans) - 1):
        one, other = layout.spans[number : number + 2]
        zone = ZoneType.NORMAL if ZoneType.NORMAL in (one.zone, other.zone) else one.zone
        joined = replace(other, start=one.start, zone=zone)
        spans = (*layout.spans[:number], joined, *layout.spans[number + 2 :])
        yield replace(setup, layout=Layout(spans, layout.max_order, layout.pageblock_order, layout.withheld))


def _simpler_calls(call: Call) -> Iterable[Call]:
    if isinstance(call, FreeCall):
        return
    if call.order:
        yield replace(call, order=0)
        yield replace(call, order=call.order - 1)
    if call.gfp != "GFP_KERNEL":
        yield replace(call, gfp="GFP_KERNEL")
    if call.migratetype != MigrateType.UNMOVABLE:
        yield replace(call, migratetype=MigrateType.UNMOVABLE)
