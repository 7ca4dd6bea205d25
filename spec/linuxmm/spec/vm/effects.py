"""What a system call on areas does to pages, as data, and which of the ways to merge or split it took.

The verbs of the model change areas and call out these events; `linuxmm.model.vm.process` carries them out on
a page layer.  All ranges are bytes, half open, of whole pages.

Linux: mm/mmap.c, mm/vma.c, mm/madvise.c, mm/mlock.c.  Seed 2.8 (F059).
"""

from dataclasses import dataclass

from linuxmm.spec.step import Err, Errno, Event
from linuxmm.spec.vm.area import Vma


@dataclass(frozen=True, slots=True)
class Denied(Err):
    """A refusal: the error number, and which check said so.

    why  a short name for the check, unique within its system call
    """

    why: str = ""


@dataclass(frozen=True, slots=True)
class Zap(Event):
    """Pages of the range are mapped no more."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Move(Event):
    """What is mapped at `old` is mapped at `new`."""

    old: int
    new: int
    length: int


@dataclass(frozen=True, slots=True)
class Protect(Event):
    """Rights of the range are those of `area` now."""

    area: Vma
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Discard(Event):
    """MADV_DONTNEED."""

    area: Vma
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FreeLazily(Event):
    """MADV_FREE."""

    area: Vma
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Punch(Event):
    """MADV_REMOVE: the part of the file behind the range holds zeros."""

    area: Vma
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PageOut(Event):
    """MADV_PAGEOUT: pages may leave memory; what they hold stays."""

    area: Vma
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Guard(Event):
    """MADV_GUARD_INSTALL: pages are gone, an access raises a signal; `on` False takes the guard away."""

    start: int
    end: int
    on: bool


@dataclass(frozen=True, slots=True)
class Populate(Event):
    """Fault the range in.

    write     None: as the areas' rights say (writing where a private copy would come); else as asked
    unreached what the call returns when a page cannot be had; None when it is ignored
    """

    start: int
    end: int
    write: bool | None = None
    unreached: Errno | None = None


@dataclass(frozen=True, slots=True)
class Object(Event):
    """A shmem object came to be: the memory behind MAP_SHARED | MAP_ANONYMOUS."""

    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Merged(Event):
    """Areas became one; `case` 1 to 8 as mm/mmap.c of 2.6 to 6.11 numbers them."""

    case: int


@dataclass(frozen=True, slots=True)
class Split(Event):
    """An area became two at `address`."""

    address: int
