"""The page tables behind the seam to the areas: the model's page layer.

A thread's accesses go through the hardware's walk, and fault until they are served; those of another process
go through get_user_pages.

Linux: arch/x86/mm/fault.c:do_user_addr_fault, mm/memory.c:__access_remote_vm.  Seed 2.8 (F001, F059).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from linuxmm.hardware.bus import Bus
from linuxmm.hardware.table_format import Access, PageFault, Translated, X86Tables
from linuxmm.model.vm import zap as zapping
from linuxmm.model.vm.copy import copy
from linuxmm.model.vm.fault import Served, serve
from linuxmm.model.vm.gup import Request, get_user_page
from linuxmm.model.vm.move import move
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import (
    NOTHING,
    Backing,
    PageFaultUser,
    Pages,
    bytes_of,
    page_at,
    with_bytes,
    with_page,
)
from linuxmm.model.vm.table import create, destroy
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Err, Errno, Event
from linuxmm.spec.vm.contents import pieces_of
from linuxmm.spec.vm.page_layer import (
    BUS_ADRERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGSEGV,
    Area,
    Find,
    Read,
    Signal,
    Written,
    denial,
)
from linuxmm.spec.vm.rights import Accessor, key_denies, may
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vm.x86_format import user_end
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


@verb("F001", "F059", source="arch/x86/mm/fault.c:do_user_addr_fault; 2.6.11 to 6.12")
def touch(
    rules: PageRules, pages: Pages, space: int, find: Find, address: int, kind: int
) -> tuple[Pages, int | Signal]:
    """One access of a thread: the physical address that it reaches, or the signal that it gets.

    Errors    Unmodelled when frames run out: whom the kernel then kills is not described
    """
    area = find(address)
    if area is not None and key_denies(area.flags, kind):
        return pages, denial(area.flags, address, kind)
    tables = X86Tables(pages.format, pages.control, pages.mms[space].root)
    while True:
        walked = tables.translate(Bus(pages.memory), Access(address, kind))
        pages = replace(pages, memory=walked.state.memory)
        if isinstance(walked.result, Translated):
            return pages, walked.result.address
        if not isinstance(walked.result, PageFault):
            raise Unmodelled(f"the walk for {address:#x} ended with {walked.result}")
        fault = PageFaultUser(space, address, walked.result.code)
        pages = replace(pages, log=(*pages.log, fault))
        area = find(address)
        if area is None:
            return pages, Signal(SIGSEGV, SEGV_MAPERR, address)
        pages, outcome = serve(rules, pages, space, area, address, kind)
        if outcome == Served.DENIED:
            return pages, denial(area.flags, address, kind)
        if outcome == Served.BUS:
            return pages, Signal(SIGBUS, BUS_ADRERR, address)
        if outcome == Served.OOM:
            raise no_frames(address)


def refused(area: Area | None, address: int, kind: int, accessor: Accessor) -> Signal | None:
    """The signal for an access that no area permits.

    Source    arch/x86/mm/fault.c:bad_area_nosemaphore, bad_area_access_error
    """
    if area is None:
        return Signal(SIGSEGV, SEGV_MAPERR, address)
    return None if may(area.flags, kind, accessor) else denial(area.flags, address, kind)


def no_frames(address: int) -> Unmodelled:
    """The end of what the model says when no frame is left."""
    return Unmodelled(
        f"a fault at {address:#x} finds no frame: reclaim and its victim are not described here"
    )


@verb("F059", "F086", source="mm/memory.c:__access_remote_vm; mm/process_vm_access.c; 2.6.11 to 6.12")
def reach(
    rules: PageRules, pages: Pages, space: int, find: Find, address: int, kind: int, accessor: Accessor
) -> tuple[Pages, int | Signal]:
    """One access on behalf of another process: the physical address, or what stops it."""
    area = find(address)
    signal = refused(area, address, kind, accessor)
    if signal is not None or area is None:
        return pages, signal or Signal(SIGSEGV, SEGV_MAPERR, address)
    request = Request(kind == WRITE, accessor == Accessor.FORCED, accessor == Accessor.REMOTE)
    pages, frame, outcome = get_user_page(rules, pages, space, area, address & -PAGE_SIZE, request)
    if outcome == Served.OOM:
        raise no_frames(address)
    if frame == NOTHING:
        return pages, Signal(SIGBUS, BUS_ADRERR, address)
    if kind == WRITE:
        page = page_at(pages, frame)
        pages = with_page(pages, frame, page._replace(dirty=True, lazy=False))
    return pages, (frame << PAGE_SHIFT) | (address & (PAGE_SIZE - 1))


@dataclass(frozen=True, slots=True)
class TableLayer:
    """The model's page layer; an address space is made when it is first touched.

    log  events of the last step
    """

    rules: PageRules
    pages: Pages
    log: tuple[Event, ...] = ()

    def with_object(self, number: int, backing: Backing) -> "TableLayer":
        """The layer with an object under a number."""
        return self._with(replace(self.pages, objects=self.pages.objects.set(number, backing)))

    def zap(self, space: int, start: int, end: int, beside: tuple[int, int] | None = None) -> "TableLayer":
        """Clear the range, and free the tables that serve no other area."""
        if space not in self.pages.mms:
            return self
        if beside is None:
            return self._with(zapping.zap(self.pages, space, start, end))
        return self._with(zapping.unmap(self.pages, space, start, end, *beside))

    def move(self, space: int, old: int, new: int, length: int) -> "TableLayer":
        """Move what is mapped."""
        if space not in self.pages.mms:
            return self
        pages, done = move(self.rules, self.pages, space, old, new, length)
        if not done:
            raise no_frames(new)
        return self._with(pages)

    def protect(self, space: int, area: Area, start: int, end: int) -> "TableLayer":
        """Follow a change of rights."""
        if space not in self.pages.mms:
            return self
        return self._with(zapping.protect(self.rules, self.pages, space, area, start, end))

    def discard(self, space: int, area: Area, start: int, end: int) -> "TableLayer":
        """MADV_DONTNEED."""
        if space not in self.pages.mms:
            return self
        return self._with(zapping.zap(self.pages, space, start, end))

    def free_lazily(self, space: int, area: Area, start: int, end: int) -> "TableLayer":
        """MADV_FREE."""
        if space not in self.pages.mms:
            return self
        return self._with(zapping.free_lazily(self.pages, space, start, end))

    def populate(
        self, space: int, area: Area, start: int, end: int, write: bool
    ) -> "tuple[TableLayer, Err | None]":
        """Fault the range in; EFAULT where a page cannot be."""
        kind = WRITE if write else READ
        pages = self._made(space).pages
        for address in range(start, end, PAGE_SIZE):
            signal = refused(area, address, kind, Accessor.THREAD)
            if signal is None:
                request = Request(kind == WRITE)
                pages, frame, outcome = get_user_page(self.rules, pages, space, area, address, request)
                if outcome == Served.OOM:
                    raise no_frames(address)
            if signal is not None or frame == NOTHING:
                return self._with(pages), Err(Errno.EFAULT)
        return self._with(pages), None

    def resident(self, space: int, area: Area, start: int, end: int) -> tuple[bool | None, ...]:
        """For each page whether mincore finds it."""
        pages = self._made(space).pages
        return tuple(zapping.is_resident(pages, space, area, at) for at in range(start, end, PAGE_SIZE))

    def copy(self, space: int, child: int, areas: Iterable[Area]) -> "TableLayer":
        """fork."""
        pages, done = copy(self.rules, self._made(space).pages, space, child, areas)
        if not done:
            raise no_frames(0)
        return self._with(pages)

    def drop(self, space: int) -> "TableLayer":
        """Forget the address space."""
        if space not in self.pages.mms:
            return self
        pages = zapping.unmap(self.pages, space, 0, user_end(self.pages.format))
        return self._with(destroy(pages, space))

    def reach(
        self, space: int, find: Find, address: int, kind: int, accessor: Accessor
    ) -> "tuple[TableLayer, Signal | None]":
        """Make one access possible; what stops it, None if nothing does."""
        pages, place = self._access(self._made(space).pages, space, find, address, kind, accessor)
        return self._with(pages), place if isinstance(place, Signal) else None

    def read(
        self, space: int, find: Find, address: int, length: int, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[TableLayer, Read]":
        """Read bytes, up to the first page that cannot be."""
        pages = self._made(space).pages
        pieces: list[tuple[bytes, ...]] = []
        for at, offset, taken in pieces_of(address, length):
            pages, place = self._access(pages, space, find, at, READ, accessor)
            if isinstance(place, Signal):
                return self._with(pages), Read(tuple(pieces), place)
            pieces.append((bytes_of(pages, place >> PAGE_SHIFT)[offset : offset + taken],))
        return self._with(pages), Read(tuple(pieces))

    def write(
        self, space: int, find: Find, address: int, data: bytes, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[TableLayer, Written]":
        """Write bytes, up to the first page that cannot be."""
        pages, done = self._made(space).pages, 0
        for at, offset, taken in pieces_of(address, len(data)):
            pages, place = self._access(pages, space, find, at, WRITE, accessor)
            if isinstance(place, Signal):
                return self._with(pages), Written(done, place)
            frame = place >> PAGE_SHIFT
            old = bytes_of(pages, frame)
            new = old[:offset] + data[done : done + taken] + old[offset + taken :]
            pages = with_bytes(pages, frame, new)
            done += taken
        return self._with(pages), Written(done)

    def _access(
        self, pages: Pages, space: int, find: Find, address: int, kind: int, accessor: Accessor
    ) -> tuple[Pages, int | Signal]:
        if accessor is Accessor.THREAD:
            return touch(self.rules, pages, space, find, address, kind)
        return reach(self.rules, pages, space, find, address, kind, accessor)

    def _made(self, space: int) -> "TableLayer":
        if space in self.pages.mms:
            return self
        pages, done = create(self.pages, space)
        if not done:
            raise no_frames(0)
        return self._with(pages)

    def _with(self, pages: Pages) -> "TableLayer":
        if not pages.log:
            return TableLayer(self.rules, pages)
        return TableLayer(self.rules, replace(pages, log=()), pages.log)
