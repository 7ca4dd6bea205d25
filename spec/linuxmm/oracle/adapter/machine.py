"""A state machine that drives an allocator with Hypothesis and judges every answer by the specification.

    class MyMachine(AllocatorMachine):
        make = staticmethod(MyAllocator)

    TestMyAllocator = MyMachine.TestCase

or `linuxmm.oracle.adapter.judge.judge(MyAllocator)`, which returns the shortest case that breaks a clause.
"""

from collections.abc import Callable
from typing import ClassVar

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from linuxmm.oracle.adapter.allocator import Allocator, Setup
from linuxmm.oracle.adapter.session import AllocCall, FreeCall, Session
from linuxmm.spec.alloc.pages import Failed
from linuxmm.spec.alloc.strategies import layouts
from linuxmm.spec.vocabulary import MigrateType

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


class AllocatorMachine(RuleBasedStateMachine):
    """Requests, releases and misuse of an allocator; a subclass says in `make` how to get one."""

    make: ClassVar[Callable[[], Allocator]]

    def __init__(self) -> None:
        super().__init__()
        self.allocator = type(self).make()
        self.session: Session
        self.owned: dict[int, int] = {}
        self.returned: list[FreeCall] = []

    @initialize(setup=setups())
    def start(self, setup: Setup) -> None:
        """The implementation begins with everything free."""
        self.session = Session(self.allocator, setup)

    @rule(order=st.integers(0, MAX_ORDER + 1), migratetype=st.sampled_from(_TYPES), gfp=st.sampled_from(_GFP))
    def alloc(self, order: int, migratetype: MigrateType, gfp: str) -> None:
        """Ask for a block."""
        observed = self.session.call(AllocCall(order, migratetype, gfp))
        if not isinstance(observed, Failed):
            self.owned[len(self.session.calls) - 1] = order

    @precondition(lambda self: self.owned)
    @rule(which=_WHICH)
    def free(self, which: int) -> None:
        """Give an owned block back."""
        of = self._pick(which)
        self._free(FreeCall(of, 0, self.owned[of]))

    @precondition(lambda self: self.owned)
    @rule(which=_WHICH, order=st.integers(0, MAX_ORDER))
    def free_at_another_order(self, which: int, order: int) -> None:
        """Give an owned block back as if it were larger or smaller."""
        of = self._pick(which)
        assume(order != self.owned[of])
        self._free(FreeCall(of, 0, order))

    @precondition(lambda self: self.owned)
    @rule(which=_WHICH)
    def free_a_page_inside(self, which: int) -> None:
        """Give back the last page of a larger block."""
        of = self._pick(which)
        assume(self.owned[of] > 0)
        self._free(FreeCall(of, (1 << self.owned[of]) - 1, 0))

    @precondition(lambda self: self.returned)
    @rule(which=_WHICH)
    def free_again(self, which: int) -> None:
        """Give back a block that was given back before."""
        self._free(self.returned[-1 - which % len(self.returned)])

    def teardown(self) -> None:
        """Let the implementation go."""
        self.allocator.close()

    def _pick(self, which: int) -> int:
        return list(self.owned)[which % len(self.owned)]

    def _free(self, call: FreeCall) -> None:
        pfn = self.session.granted[call.of] + call.offset
        if not isinstance(self.session.call(call), Failed):
            self.owned = {of: order for of, order in self.owned.items() if self.session.granted[of] != pfn}
            self.returned.append(call)
