"""A state machine that drives an allocator with Hypothesis and judges every answer by the specification.

    class MyMachine(AllocatorMachine):
        make = staticmethod(MyAllocator)

    TestMyAllocator = MyMachine.TestCase

or `judge(MyAllocator)`, which returns the shortest case that breaks a clause.
"""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, assume, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from linuxmm.oracle.adapter.allocator import NO_ANSWER, Allocator, BrokenImplementation, Setup
from linuxmm.spec.alloc.gfp import gfp_zone_highest, parse_gfp
from linuxmm.spec.alloc.page_listing import FAILURE_CHANGED, permits_counts, permits_lists
from linuxmm.spec.alloc.page_state import Layout, Pages
from linuxmm.spec.alloc.pages import Alloc, Failed, Free, Granted, Observed, Op, apply, permits
from linuxmm.spec.alloc.strategies import layouts
from linuxmm.spec.step import Refusal
from linuxmm.spec.vocabulary import MigrateType

T = TypeVar("T")
Said = tuple[tuple[int, ...] | None, tuple[tuple[int, int], ...] | None]

MAX_ORDER = 4
_GFP = ("GFP_KERNEL", "GFP_DMA", "GFP_HIGHUSER_MOVABLE")
_TYPES = (MigrateType.UNMOVABLE, MigrateType.MOVABLE, MigrateType.RECLAIMABLE)
_WHICH = st.integers(0, 15)


@st.composite
def setups(draw: st.DrawFn) -> Setup:
    """Small machines of 64 pages: one to three zones, a hole here and there, a pageblock set aside."""
    layout = draw(layouts(max_pages=64, max_order=MAX_ORDER))
    holes = draw(st.lists(st.integers(0, 63), max_size=2, unique=True))
    size = 1 << layout.pageblock_order
    isolated = draw(st.lists(st.integers(0, 64 // size - 1), max_size=1))
    return Setup(layout, tuple((pfn, pfn + 1) for pfn in sorted(holes)), tuple(n * size for n in isolated))


class Diverged(AssertionError):
    """An answer that the specification forbids, with the operations that led to it."""

    def __init__(self, refusal: Refusal, setup: Setup, operations: tuple[str, ...]) -> None:
        lines = "\n".join(f"  {line}" for line in operations)
        super().__init__(f"{refusal.clause}: {refusal.why}\n  {describe(setup)}\n{lines}")
        self.refusal = refusal
        self.setup = setup
        self.operations = operations


class AllocatorMachine(RuleBasedStateMachine):
    """Requests, releases and misuse of an allocator; a subclass says in `make` how to get one."""

    make: ClassVar[Callable[[], Allocator]]

    def __init__(self) -> None:
        super().__init__()
        self.allocator = type(self).make()
        self.setup = Setup(Layout(()))
        self.state: Pages
        self.owned: list[tuple[int, int]] = []
        self.returned: list[tuple[int, int]] = []
        self.said: Said = (None, None)
        self.log: list[str] = []

    @initialize(setup=setups())
    def start(self, setup: Setup) -> None:
        """The implementation begins with everything free."""
        self.setup = setup
        self.state = setup.pages()
        self._call("start()", lambda: self.allocator.start(setup))
        self.said = self._ask()
        self._look()

    @rule(order=st.integers(0, MAX_ORDER + 1), migratetype=st.sampled_from(_TYPES), gfp=st.sampled_from(_GFP))
    def alloc(self, order: int, migratetype: MigrateType, gfp: str) -> None:
        """Ask for a block."""
        name = f"alloc(order={order}, {migratetype.name}, {gfp})"
        observed = self._call(name, lambda: self.allocator.alloc(order, migratetype, gfp))
        self._judge(Alloc(order, migratetype, gfp_zone_highest(parse_gfp(gfp))), observed)
        if isinstance(observed, Granted):
            self.owned.append((observed.pfn, order))

    @precondition(lambda self: self.owned)
    @rule(which=_WHICH)
    def free(self, which: int) -> None:
        """Give an owned block back."""
        self._free(*self.owned[which % len(self.owned)])

    @precondition(lambda self: self.owned)
    @rule(which=_WHICH, order=st.integers(0, MAX_ORDER))
    def free_at_another_order(self, which: int, order: int) -> None:
        """Give an owned block back as if it were larger or smaller."""
        pfn, held = self.owned[which % len(self.owned)]
        assume(order != held)
        self._free(pfn, order)

    @precondition(lambda self: any(order for _, order in self.owned))
    @rule(which=_WHICH)
    def free_a_page_inside(self, which: int) -> None:
        """Give back the last page of a larger block."""
        larger = [(pfn, order) for pfn, order in self.owned if order]
        pfn, order = larger[which % len(larger)]
        self._free(pfn + (1 << order) - 1, 0)

    @precondition(lambda self: self.returned)
    @rule(which=_WHICH)
    def free_again(self, which: int) -> None:
        """Give back a block that was given back before."""
        self._free(*self.returned[-1 - which % len(self.returned)])

    def teardown(self) -> None:
        """Let the implementation go."""
        self.allocator.close()

    def _free(self, pfn: int, order: int) -> None:
        observed = self._call(f"free(pfn={pfn}, order={order})", lambda: self.allocator.free(pfn, order))
        self._judge(Free(pfn, order), observed)
        if not isinstance(observed, Failed):
            self.owned = [block for block in self.owned if block != (pfn, order)]
            self.returned.append((pfn, order))

    def _judge(self, op: Op, observed: Observed) -> None:
        self.log[-1] += f" -> {_answer(observed)}"
        before, self.said = self.said, self._ask()
        if isinstance(observed, Failed) and self.said != before:
            why = f"counters and free blocks were {before}, and are {self.said} after a failed operation"
            self._diverge((Refusal(FAILURE_CHANGED, why),))
        self._diverge(permits(self.state, op, observed))
        self.state = apply(self.state, op, observed)
        self._look()

    def _look(self) -> None:
        counts, lists = self.said
        if lists is not None:
            self._diverge(permits_lists(self.state, lists))
        if counts is not None:
            self._diverge(permits_counts(self.state, counts))

    def _ask(self) -> Said:
        return self._answered(lambda: (self.allocator.counts(), self.allocator.lists()))

    def _call(self, name: str, request: Callable[[], T]) -> T:
        self.log.append(name)
        return self._answered(request)

    def _answered(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except BrokenImplementation as error:
            refusal = Refusal(NO_ANSWER, str(error))
            raise Diverged(refusal, self.setup, tuple(self.log)) from error

    def _diverge(self, refusals: tuple[Refusal, ...]) -> None:
        if refusals:
            raise Diverged(refusals[0], self.setup, tuple(self.log))


@dataclass(frozen=True, slots=True)
class Finding:
    """The shortest case found that breaks a clause.

    operations  the requests and their answers; the last one breaks the clause
    """

    clause: str
    why: str
    setup: Setup
    operations: tuple[str, ...]

    def __str__(self) -> str:
        steps = "\n".join(f"  {number}. {line}" for number, line in enumerate(self.operations, 1))
        return f"{self.clause}: {self.why}\n  {describe(self.setup)}\n{steps}"


def judge(
    make: Callable[[], Allocator], *, examples: int = 100, steps: int = 40, random_seed: int | None = None
) -> Finding | None:
    """Drive allocators and return the shrunk case that breaks a clause, or None.

    make         gives a fresh allocator for every example
    random_seed  None for the same cases every time
    Ensures      the same answers give the same finding
    """

    class Machine(AllocatorMachine):
        pass

    Machine.make = staticmethod(make)
    if random_seed is not None:
        seed(random_seed)(Machine)
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=random_seed is None,
        database=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            run_state_machine_as_test(Machine, settings=options)
    except Diverged as error:
        return Finding(error.refusal.clause, error.refusal.why, error.setup, error.operations)
    return None


def describe(setup: Setup) -> str:
    """One line for a machine."""
    zones = ", ".join(f"{span.zone.printed} {span.start}..{span.end - 1}" for span in setup.layout.spans)
    holes = "".join(f", page {start} absent" for start, _ in setup.absent)
    size = 1 << setup.layout.pageblock_order
    isolated = "".join(f", pages {pfn}..{pfn + size - 1} isolated" for pfn in setup.isolated)
    return f"zones {zones}{holes}{isolated}"


def _answer(observed: Observed) -> str:
    if isinstance(observed, Granted):
        return f"pfn {observed.pfn}"
    return observed.errno.name if isinstance(observed, Failed) else "done"
