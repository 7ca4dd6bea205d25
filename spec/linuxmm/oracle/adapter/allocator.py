"""What an implementation offers to be judged."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from linuxmm.spec.alloc.page_state import Layout, Pages, all_free
from linuxmm.spec.alloc.pages import Done, Failed, Granted, Retag, apply
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.invariant import clause
from linuxmm.spec.vocabulary import MigrateType

NO_ANSWER: Final = clause(
    "alloc.page.no-answer",
    "Every request is answered, in time and by one reply.",
    features=("F012",),
    source="docs/formats/protocol.md",
).id


@dataclass(frozen=True, slots=True)
class Setup:
    """The machine that an implementation starts with; everything managed is free.

    absent    ranges (start, end) of pages that exist in a zone's span and are not managed
    isolated  first pages of the pageblocks that must serve nobody
    """

    layout: Layout
    absent: tuple[tuple[int, int], ...] = ()
    isolated: tuple[int, ...] = ()

    def pages(self) -> Pages:
        """The specification's state of this machine."""
        state = all_free(self.layout, self.absent)
        for pfn in self.isolated:
            state = apply(state, Retag(pfn, MigrateType.ISOLATE), Done())
        return state


class Allocator(Protocol):
    """A page allocator under judgement.

    Every answer is taken as given; an exception other than BrokenImplementation is a fault of the adapter.
    """

    def start(self, setup: Setup) -> None:
        """Forget everything and manage the memory of `setup`."""

    def alloc(self, order: int, migratetype: MigrateType, gfp: str) -> Granted | Failed:
        """Ask for 2**order pages; `gfp` is a mask as the kernel prints it, such as GFP_KERNEL."""

    def free(self, pfn: int, order: int) -> Done | Failed:
        """Give a block back; a release that is not in order is refused with EINVAL."""

    def counts(self) -> tuple[int, ...] | None:
        """Free pages of each zone, in the order of the layout, without isolated ones; None: cannot say."""

    def lists(self) -> tuple[tuple[int, int], ...] | None:
        """Every free block (pfn, order), without isolated ones; None: cannot say."""

    def close(self) -> None:
        """Let go of what `start` took."""


class Fault(Enum):
    """How an implementation may fail to answer at all."""

    NOT_STARTED = "could not be started"
    DIED = "died"
    HUNG = "did not answer in time"
    TORN = "stopped in the middle of a line"
    TOO_LONG = "sent a line without end"
    GARBAGE = "sent something that is no reply"
    SURPLUS = "sent more than one reply"


class BrokenImplementation(LinuxmmError):
    """The implementation does not keep to the protocol: says how, at which request, and what came."""

    def __init__(self, fault: Fault, request: str, detail: str = "") -> None:
        at = f" at the request {request}" if request else ""
        super().__init__(f"the implementation {fault.value}{at}{': ' + detail if detail else ''}")
        self.fault = fault
        self.request = request
        self.detail = detail
