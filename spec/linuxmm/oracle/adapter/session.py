"""One run of an allocator under judgement: calls go in, every answer is held against the specification."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from linuxmm.oracle.adapter.allocator import NO_ANSWER, Allocator, BrokenImplementation, Setup
from linuxmm.spec.alloc.gfp import gfp_zone_highest, parse_gfp
from linuxmm.spec.alloc.page_listing import FAILURE_CHANGED, permits_counts, permits_lists
from linuxmm.spec.alloc.pages import Alloc, Done, Failed, Free, Granted, Observed, Op, apply, permits
from linuxmm.spec.step import Refusal
from linuxmm.spec.vocabulary import MigrateType

T = TypeVar("T")
Said = tuple[tuple[int, ...] | None, tuple[tuple[int, int], ...] | None]


@dataclass(frozen=True, slots=True)
class AllocCall:
    """Ask for a block."""

    order: int
    migratetype: MigrateType
    gfp: str


@dataclass(frozen=True, slots=True)
class FreeCall:
    """Give back, at `order`, page `offset` of the block that the call number `of` was granted."""

    of: int
    offset: int
    order: int


Call = AllocCall | FreeCall


class Diverged(AssertionError):
    """An answer that the specification forbids, with the operations that led to it."""

    def __init__(self, refusal: Refusal, setup: Setup, calls: tuple[Call, ...], log: tuple[str, ...]) -> None:
        super().__init__(report(refusal, setup, log))
        self.refusal = refusal
        self.setup = setup
        self.calls = calls
        self.log = log


class Session:
    """One allocator on one machine.

    Errors    Diverged, from the start and from every call, when an answer is forbidden
    """

    def __init__(self, allocator: Allocator, setup: Setup) -> None:
        self.setup = setup
        self.calls: list[Call] = []
        self.granted: dict[int, int] = {}
        self._allocator = allocator
        self._state = setup.pages()
        self._log: list[str] = []
        self._answered(lambda: allocator.start(setup))
        self._said = self._ask()
        self._look()

    def call(self, call: Call) -> Observed | None:
        """Make a call and judge its answer; None when it refers to a block that was never granted."""
        if isinstance(call, AllocCall):
            return self._alloc(call)
        if call.of not in self.granted:
            return None
        return self._free(call, self.granted[call.of] + call.offset)

    def _alloc(self, call: AllocCall) -> Granted | Failed:
        self.calls.append(call)
        self._log.append(f"alloc(order={call.order}, {call.migratetype.name}, {call.gfp})")
        observed = self._answered(lambda: self._allocator.alloc(call.order, call.migratetype, call.gfp))
        highest = gfp_zone_highest(parse_gfp(call.gfp))
        self._judge(Alloc(call.order, call.migratetype, highest), observed)
        if isinstance(observed, Granted):
            self.granted[len(self.calls) - 1] = observed.pfn
        return observed

    def _free(self, call: FreeCall, pfn: int) -> Done | Failed:
        self.calls.append(call)
        self._log.append(f"free(pfn={pfn}, order={call.order})")
        observed = self._answered(lambda: self._allocator.free(pfn, call.order))
        self._judge(Free(pfn, call.order), observed)
        return observed

    def _judge(self, op: Op, observed: Observed) -> None:
        self._log[-1] += f" -> {_answer(observed)}"
        before, self._said = self._said, self._ask()
        if isinstance(observed, Failed) and self._said != before:
            self._diverge((Refusal(FAILURE_CHANGED, _difference(before, self._said)),))
        self._diverge(permits(self._state, op, observed))
        self._state = apply(self._state, op, observed)
        self._look()

    def _look(self) -> None:
        counts, lists = self._said
        if lists is not None:
            self._diverge(permits_lists(self._state, lists))
        if counts is not None:
            self._diverge(permits_counts(self._state, counts))

    def _ask(self) -> Said:
        return self._answered(lambda: (self._allocator.counts(), self._allocator.lists()))

    def _answered(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except BrokenImplementation as error:
            refusal = Refusal(NO_ANSWER, str(error))
            raise Diverged(refusal, self.setup, tuple(self.calls), tuple(self._log)) from error

    def _diverge(self, refusals: tuple[Refusal, ...]) -> None:
        if refusals:
            raise Diverged(refusals[0], self.setup, tuple(self.calls), tuple(self._log))


def report(refusal: Refusal, setup: Setup, log: tuple[str, ...]) -> str:
    """The broken clause, the machine, and the operations one a line."""
    steps = "".join(f"\n  {number}. {line}" for number, line in enumerate(log, 1))
    return f"{refusal.clause}: {refusal.why}\n  {describe(setup)}{steps}"


def describe(setup: Setup) -> str:
    """One line for a machine."""
    zones = ", ".join(f"{span.zone.printed} {span.start}..{span.end - 1}" for span in setup.layout.spans)
    holes = "".join(f", pages {start}..{end - 1} absent" for start, end in setup.absent)
    size = 1 << setup.layout.pageblock_order
    isolated = "".join(f", pages {pfn}..{pfn + size - 1} isolated" for pfn in setup.isolated)
    return f"zones {zones}{holes}{isolated}"


def _answer(observed: Observed) -> str:
    if isinstance(observed, Granted):
        return f"pfn {observed.pfn}"
    return observed.errno.name if isinstance(observed, Failed) else "done"


def _difference(before: Said, after: Said) -> str:
    if before[0] != after[0]:
        return f"free pages by zone were {before[0]} and are {after[0]} after a failed operation"
    gone = sorted(set(before[1] or ()) - set(after[1] or ()))
    new = sorted(set(after[1] or ()) - set(before[1] or ()))
    return f"a failed operation took the free blocks {gone} from the lists and put {new} on them"
