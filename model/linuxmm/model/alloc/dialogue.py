"""What a request under way is made of: who asks, what it asks of the rest of the kernel, how it ends.

Linux: mm/page_alloc.c:__alloc_pages_slowpath.  Seed 2.1.1.1, 2.1.1.3 (F014, F017).  2.6.24 to 6.12.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.alloc.request import Request
from linuxmm.spec.alloc.retry import SYNC_LIGHT, Compaction
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.step import Event, Step


class Task(NamedTuple):
    """Who asks: PF_MEMALLOC, an OOM victim, a real-time task, with a fatal signal pending, dumping core."""

    memalloc: bool = False
    oom_victim: bool = False
    realtime: bool = False
    dying: bool = False
    dumping_core: bool = False


class Reason(Enum):
    """Why a request is refused."""

    TOO_LARGE = "the order is above the largest block"
    INJECTED = "a fault was injected"
    NO_ZONE = "no zone is permitted"
    CANNOT_RECLAIM = "the caller cannot reclaim"
    RECLAIMER = "the caller is a reclaimer itself"
    COMPACTION = "compaction cannot help, and the caller does not want to retry"
    NO_RETRY = "the caller does not want to retry"
    COSTLY = "the order is costly and the caller accepts failure"
    VICTIM = "the caller is being killed and has used its reserve"
    EXHAUSTED = "reclaim, compaction and the OOM killer made no progress"


# ---- questions and answers -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DirectReclaim:
    """Reclaim for this order; answered by `Reclaimed`."""

    order: int


@dataclass(frozen=True, slots=True)
class DirectCompaction:
    """Compact for this order at a priority (SYNC_FULL, SYNC_LIGHT, ASYNC); answered by `Compacted`."""

    order: int
    priority: int


@dataclass(frozen=True, slots=True)
class OomKill:
    """Kill a task; answered by `Killed`."""


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Let others run: the request may neither be refused nor reclaim now; answered by `Rescheduled`."""


@dataclass(frozen=True, slots=True)
class BalanceClasszone:
    """Reclaim until the class zone, zone number `zone`, is balanced (2.4); answered by `Balanced`."""

    order: int
    zone: int


class First(Enum):
    """What is done before the clean inactive pages are looked at (up to 2.4.9)."""

    NOTHING = "nothing"
    YIELD = "others run"
    LAUNDER = "dirty inactive pages are written"
    WAIT = "the caller sleeps until kswapd has run"
    RECLAIM = "the caller reclaims itself"


@dataclass(frozen=True, slots=True)
class LookAtInactive:
    """After `first`: which inactive pages are clean (up to 2.4.9); answered by `CleanInactive`."""

    first: First


@dataclass(frozen=True, slots=True)
class CleanInactive:
    """Per zone number the pfns of clean inactive pages that nothing holds, the next to be reclaimed first.

    chosen  the OOM killer chose the caller meanwhile, which makes it a reclaimer
    """

    pages: tuple[tuple[int, ...], ...]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """Others have run."""


@dataclass(frozen=True, slots=True)
class Balanced:
    """Pages freed by reclaim; the pfn of a block of the order asked for that it kept for the caller, or -1.

    A block that is kept is on no list: it stays in use, now the caller's.
    """

    pages: int
    kept: int = NOTHING


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """Pages freed by reclaim, and per zone number the pages that could still be reclaimed."""

    pages: int
    reclaimable: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result, and for SKIPPED whether reclaim could make a zone fit for compaction."""

    result: Compaction
    suitable: bool = False


@dataclass(frozen=True, slots=True)
class Killed:
    """Whether a task was killed or another killer is at work; whether the victim is the caller."""

    progress: bool
    caller: bool = False


@dataclass(frozen=True, slots=True)
class NodeReclaim:
    """Reclaim in zone number `zone`, since 4.8 on its node, before the walk goes on: NodeReclaimed."""

    order: int
    zone: int


class NodeReclaimed(Enum):
    """What reclaim on a node came to.

    NOSCAN   nothing was scanned: who asks cannot wait or reclaims itself, the node has other CPUs, or is busy
    FULL     nothing is reclaimable there
    SOME     fewer pages were freed than asked for; SUCCESS: enough
    """

    NOSCAN = -2
    FULL = -1
    SOME = 0
    SUCCESS = 1


Question = (
    DirectReclaim | DirectCompaction | OomKill | Reschedule | BalanceClasszone | LookAtInactive | NodeReclaim
)
Answer = Reclaimed | Compacted | Killed | Rescheduled | Balanced | CleanInactive | NodeReclaimed


class Stage(Enum):
    """Where a request waits for its answer."""

    FIRST_COMPACTION = 1
    RECLAIM = 2
    COMPACTION = 3
    OOM = 4
    LAST_COMPACTION = 5
    CLASSZONE = 6
    NODE_RECLAIM = 7
    RESCHEDULE = 8
    INACTIVE = 9


class Progress(NamedTuple):
    """A request under way.

    flags       ALLOC_* of the next attempt
    loops       rounds of reclaim without progress; retries, priority, result: of compaction
    reclaimed   pages reclaimed in all rounds; last: in the last one
    kept        pfn of the block that reclaim kept for the caller (2.4.10 on)
    first       what was done before the last look at inactive pages; clean: what it showed (up to 2.4.9)
    reclaim_nodes  bit n: node n is reclaimed on before the walk goes elsewhere (vm.zone_reclaim_mode)
    entry       what the request was last entered with, while it waits for NodeReclaimed
    """

    request: Request
    task: Task
    stage: Stage
    flags: int = 0
    loops: int = 0
    retries: int = 0
    priority: int = SYNC_LIGHT
    result: Compaction = Compaction.SKIPPED
    suitable: bool = False
    reclaimed: int = 0
    last: int = 0
    reclaimable: tuple[int, ...] = ()
    kept: int = NOTHING
    first: First = First.NOTHING
    clean: tuple[tuple[int, ...], ...] = ()
    reclaim_nodes: int = 0
    entry: "Entry | None" = None


class Entry(NamedTuple):
    """An entry into a request, from which it can be run again.

    answer  None: the request begins
    tape    machine and answer of each question about a node so far
    """

    machine: Machine
    progress: Progress
    answer: "Answer | None"
    should_fail: bool = False
    tape: "tuple[tuple[Machine, NodeReclaimed], ...]" = ()


@dataclass(frozen=True, slots=True)
class Allocated:
    """The block at pfn, in zone number `zone`."""

    pfn: int
    zone: int


@dataclass(frozen=True, slots=True)
class Failed:
    """No block."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Asks:
    """The request cannot go on without the answer to a question."""

    question: Question
    then: Progress


Outcome = Allocated | Failed | Asks
Run = Step[Machine, Outcome]


class Path(NamedTuple):
    """A kernel and its rules, with how its slow path retries and ends.

    enter, go_on   from the first attempt on, and with the answer to a question
    refuse         end without a block, unless __GFP_NOFAIL forbids it
    may_kill       order, GFP word, zone class, whether the task dumps core: whether to ask for a kill
    stops_early, stops_killed   whether an OOM victim is refused before it reclaims, and after a kill
    """

    kernel: Kernel
    rules: Rules
    enter: "Callable[[Path, Machine, Progress, tuple[Event, ...]], Run]"
    go_on: "Callable[[Path, Machine, Progress, tuple[Event, ...]], Run]"
    refuse: "Callable[[Path, Machine, Progress, tuple[Event, ...], Reason], Run]"
    may_kill: Callable[[int, int, int, bool], bool]
    stops_early: Callable[[Progress], bool]
    stops_killed: Callable[[Progress], bool]
