"""Histories: what a piece of kernel code does with memory, apart from where memory is placed.

An event names a block and an offset in it; each tool places blocks in its own way, so that the same history
can be put before every tool.  An offset may lie outside the block: that is a misuse.

Seed 2.13 (F075 to F081).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Where a block comes from: kmalloc, alloc_pages, or a variable of the compiler's."""

    SLAB = "kmalloc"
    PAGES = "alloc_pages"
    STACK = "stack variable"
    GLOBAL = "global variable"


@dataclass(frozen=True, slots=True)
class Alloc:
    """A request for `size` bytes, or the beginning of a variable.

    blocking  whether the request may sleep (__GFP_DIRECT_RECLAIM)
    zeroed    whether the memory is cleared (__GFP_ZERO)
    checked   whether the caller copes with a refusal; one that does not uses the null pointer
    """

    name: str
    size: int
    kind: Kind = Kind.SLAB
    blocking: bool = True
    zeroed: bool = False
    checked: bool = True


@dataclass(frozen=True, slots=True)
class Free:
    """The block is given back through a pointer `offset` bytes into it; a variable leaves its scope."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Read:
    """`length` bytes are read at `offset`; lengths other than 1, 2, 4, 8 and 16 are memory functions."""

    name: str
    offset: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Write:
    """`length` bytes are set to `value` at `offset`; long ones are a memset.

    onto  the block from which `offset` counts where a stray pointer made from `name` ends up in another
    """

    name: str
    offset: int
    length: int = 1
    value: int = 0x41
    onto: str = ""


@dataclass(frozen=True, slots=True)
class Store:
    """A pointer to `target` + `target_offset` is written at `offset`; no target writes a null pointer.

    mask  what the pointer is disguised with (exclusive or)
    """

    name: str
    offset: int
    target: str = ""
    target_offset: int = 0
    mask: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds pass."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Scan:
    """Whoever scans memory does so now."""


@dataclass(frozen=True, slots=True)
class Churn:
    """Other code allocates and frees `count` objects of `size` bytes, of another cache, one by one."""

    count: int
    size: int


Event = Alloc | Free | Read | Write | Store | Wait | Scan | Churn
History = tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a tool says: at which event of the history, of what kind, and which block it names.

    event  index into the history
    kind   the tool's own words
    """

    event: int
    kind: str
    block: str = ""


@dataclass(frozen=True, slots=True)
class Misuse:
    """A history with its ground truth.

    at      the event that is wrong
    proper  for a history without misuse: a control; then `at` is -1
    """

    id: str
    title: str
    history: History
    at: int

    @property
    def proper(self) -> bool:
        """Whether nothing is wrong."""
        return self.at < 0


def well_formed(history: History) -> Iterator[str]:
    """What a history says that cannot be: an unknown block, a second block of a name, an empty access."""
    known: set[str] = set()
    for index, event in enumerate(history):
        if isinstance(event, Alloc):
            if event.name in known:
                yield f"event {index}: block {event.name!r} exists already"
            if event.size <= 0:
                yield f"event {index}: block {event.name!r} of {event.size} bytes"
            known.add(event.name)
            continue
        for name in named(event):
            if name not in known:
                yield f"event {index}: no block is called {name!r}"
        if isinstance(event, Read | Write) and event.length <= 0:
            yield f"event {index}: an access of {event.length} bytes"


def named(event: Event) -> tuple[str, ...]:
    """The blocks that an event is about."""
    if isinstance(event, Alloc | Free | Read):
        return (event.name,)
    if isinstance(event, Write):
        return (event.name, event.onto) if event.onto else (event.name,)
    if isinstance(event, Store):
        return (event.name, event.target) if event.target else (event.name,)
    return ()
