"""The seam between areas and pages: what a system call on areas asks of whatever keeps the pages.

An address space is a number, `space`; ranges are byte addresses, half open, of whole pages.  A layer is a
value: every request gives another one.  Two things stand behind the seam: the meaning of memory
(`linuxmm.spec.vm.contents`), which the oracle judges by, and the page tables of the model.

Linux: include/linux/mm.h.  Seed 2.8 (F059).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, Self

from linuxmm.spec.step import Err
from linuxmm.spec.vm.rights import Accessor, key_denies

SIGBUS: Final = 7
SIGSEGV: Final = 11
SEGV_MAPERR: Final = 1
SEGV_ACCERR: Final = 2
SEGV_PKUERR: Final = 4
BUS_ADRERR: Final = 2


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that a fault raises: its number, si_code and si_addr."""

    number: int
    code: int
    address: int


def denial(flags: int, address: int, kind: int) -> Signal:
    """The signal for an access that an area with these flags does not permit.

    Source    arch/x86/mm/fault.c:bad_area_access_error
    """
    return Signal(SIGSEGV, SEGV_PKUERR if key_denies(flags, kind) else SEGV_ACCERR, address)


class Area(Protocol):
    """What pages need to know of an area.

    start, end  bytes, half open
    flags       VM_* bits, as the kernel numbers them
    pgoff       offset of `start` in the file, in pages; for anonymous memory of no meaning here
    file        number of the object that is mapped, None for anonymous memory; shared anonymous memory has
                an object of its own
    anon        identity of the anon_vma, None while the area has no private pages
    """

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def flags(self) -> int: ...
    @property
    def pgoff(self) -> int: ...
    @property
    def file(self) -> int | None: ...
    @property
    def anon(self) -> int | None: ...


class PageArea(NamedTuple):
    """An `Area` by itself: `file` names the contents that are mapped, not an open of them."""

    start: int
    end: int
    flags: int
    pgoff: int = 0
    file: int | None = None
    anon: int | None = None


Find = Callable[[int], Area | None]
"""The area of an address space that holds an address, once a stack has grown; None for a hole."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a read gives.

    pieces  page by page, what its bytes may be: one value, or more where the kernel may choose
    signal  what ended the read early, None if nothing did
    """

    pieces: tuple[tuple[bytes, ...], ...]
    signal: Signal | None = None

    @property
    def length(self) -> int:
        """Bytes that were read."""
        return sum(len(piece[0]) for piece in self.pieces)

    @property
    def data(self) -> bytes:
        """The bytes; of those that may differ, the ones that were written last."""
        return b"".join(piece[0] for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Written:
    """How many bytes a write stored, and what ended it early, None if nothing did."""

    length: int
    signal: Signal | None = None


class PageLayer(Protocol):
    """The pages of all address spaces, and of the objects that they map."""

    def zap(self, space: int, start: int, end: int, beside: tuple[int, int] | None = None) -> Self:
        """Forget what is mapped in the range (munmap, MAP_FIXED).

        beside  where the area before ends and the one after starts (0: there is none); page tables that
                serve neither are freed.  None: tables stay
        """

    def move(self, space: int, old: int, new: int, length: int) -> Self:
        """Move what is mapped from `old` to `new`, where nothing is (mremap)."""

    def protect(self, space: int, area: Area, start: int, end: int) -> Self:
        """Follow a change of rights; `area` is the area as it is now."""

    def discard(self, space: int, area: Area, start: int, end: int) -> Self:
        """MADV_DONTNEED."""

    def free_lazily(self, space: int, area: Area, start: int, end: int) -> Self:
        """MADV_FREE."""

    def populate(self, space: int, area: Area, start: int, end: int, write: bool) -> tuple[Self, Err | None]:
        """Fault the range in, page by page, until one cannot be (mlock, MAP_POPULATE, MADV_POPULATE_*)."""

    def resident(self, space: int, area: Area, start: int, end: int) -> tuple[bool | None, ...]:
        """For each page whether mincore finds it; None where it may or may not."""

    def copy(self, space: int, child: int, areas: Iterable[Area]) -> Self:
        """fork: give `child` the pages of `areas`, those of its areas that are copied and not wiped."""

    def drop(self, space: int) -> Self:
        """Forget the address space (exit, exec)."""

    def reach(
        self, space: int, find: Find, address: int, kind: int, accessor: Accessor
    ) -> tuple[Self, Signal | None]:
        """Make one access possible, as pinning a page does; what stops it, None if nothing does.

        kind  READ or WRITE
        """

    def read(
        self, space: int, find: Find, address: int, length: int, accessor: Accessor = Accessor.THREAD
    ) -> tuple[Self, Read]:
        """Read bytes, up to the first page that cannot be."""

    def write(
        self, space: int, find: Find, address: int, data: bytes, accessor: Accessor = Accessor.THREAD
    ) -> tuple[Self, Written]:
        """Write bytes, up to the first page that cannot be."""
