"""The pages behind all address spaces: tables, frames, reference counts, and objects in the page cache.

Tables are real ones, in modelled memory, in one of the x86 formats; contents are the bytes of frames.

Linux: include/linux/mm_types.h (struct page, struct mm_struct).  Seed 2.3.1, 2.8 (F040, F059).
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol, Self

from immutables import Map

from linuxmm.hardware.bus import Bus, load_entry, store_entry
from linuxmm.hardware.memory import PhysicalMemory, Range, physical_memory
from linuxmm.spec.step import Event
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86_64, X86Format
from linuxmm.spec.vocabulary import PAGE_SIZE

NOTHING: Final = -1
"""No frame, no table."""
PIN_BIAS: Final = 1024
"""GUP_PIN_COUNTING_BIAS: references that a FOLL_PIN takes, since 5.6."""
CONTROL: Final = Control(smap=False)
"""Control bits of the modelled CPU; the kernel touches user memory where it may (stac)."""


@dataclass(frozen=True, slots=True)
class TlbFlush(Event):
    """Translations of a range of an address space must go from every TLB before the step is over."""

    space: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PageFaultUser(Event):
    """Tracepoint exceptions:page_fault_user: the address, and the error code of the hardware's walk."""

    space: int
    address: int
    error_code: int


class Frames(Protocol):
    """Where frames come from and go to; a page allocator, as far as it matters here."""

    def take(self) -> tuple[Self, int]:
        """A frame that nobody uses, or NOTHING."""

    def give(self, frame: int) -> Self:
        """Take a frame back."""


@dataclass(frozen=True, slots=True)
class FrameStack:
    """Frames as a stack: the last one given back is handed out first."""

    free: tuple[int, ...]

    def take(self) -> "tuple[FrameStack, int]":
        """The frame on top, or NOTHING."""
        if not self.free:
            return self, NOTHING
        return FrameStack(self.free[:-1]), self.free[-1]

    def give(self, frame: int) -> "FrameStack":
        """Put a frame on top."""
        return FrameStack((*self.free, frame))


class Page(NamedTuple):
    """What struct page says of a frame that holds data.

    refs       page_count: mappings, the page cache, and whoever else holds it
    maps       page_mapcount: entries that map it
    anon       anonymous memory, a private copy of a file's page included
    exclusive  PageAnonExclusive (5.19): it belongs to one address space
    lazy       MADV_FREE: not swap backed
    dirty      it must not be dropped
    place      object and index where it is in the page cache; None for anonymous memory
    """

    refs: int
    maps: int
    anon: bool
    exclusive: bool = False
    lazy: bool = False
    dirty: bool = False
    place: tuple[int, int] | None = None


class Counters(NamedTuple):
    """Resident pages and swap entries of an address space (mm_counter), and its page tables (mm_pgtables).

    tables  tables below the root, by generic level of the table: pte, pmd, pud, p4d
    """

    file: int = 0
    anon: int = 0
    swap: int = 0
    shmem: int = 0
    tables: tuple[int, int, int, int] = (0, 0, 0, 0)


class Mm(NamedTuple):
    """An address space.

    root        physical address of its top table
    has_pinned  a page of it was pinned at some time (5.10)
    """

    root: int
    counters: Counters = Counters()
    has_pinned: bool = False


class Hold(NamedTuple):
    """A page that somebody holds without mapping it (get_user_pages).

    space  whose page it was when it was taken;  address: where
    write  it may be written through the hold;  pin: FOLL_PIN
    """

    frame: int
    space: int
    address: int
    write: bool
    pin: bool


@dataclass(frozen=True, slots=True)
class Backing:
    """What an object is besides its cached pages.

    size    bytes
    swaps   shared memory (shmem)
    stored  index -> bytes on the medium; a page that is missing holds zeros
    """

    size: int
    swaps: bool = False
    stored: Map[int, bytes] = Map()  # noqa: RUF009 (immutable)


@dataclass(frozen=True, slots=True)
class Pages:
    """Everything behind the areas of all address spaces.

    zero     frame of the zero page
    pages    frame -> what struct page says
    mms      address space -> its root and counters
    objects  number -> what is behind it
    cache    (object, index) -> frame
    swap     slot -> (bytes, entries that name it)
    holds    handle -> hold
    tables   nr_page_table_pages, roots included
    log      events of the step in progress
    """

    format: X86Format
    memory: PhysicalMemory
    frames: Frames
    zero: int
    control: Control = CONTROL
    pages: Map[int, Page] = Map()  # noqa: RUF009 (immutable)
    mms: Map[int, Mm] = Map()  # noqa: RUF009 (immutable)
    objects: Map[int, Backing] = Map()  # noqa: RUF009 (immutable)
    cache: Map[tuple[int, int], int] = Map()  # noqa: RUF009 (immutable)
    swap: Map[int, tuple[bytes, int]] = Map()  # noqa: RUF009 (immutable)
    holds: Map[int, Hold] = Map()  # noqa: RUF009 (immutable)
    tables: int = 0
    log: tuple[Event, ...] = ()

    @property
    def entry_size(self) -> int:
        """Bytes of a page-table entry."""
        return 1 << self.format.entry_shift


def small_pages(count: int, fmt: X86Format = X86_64, first: int = 1) -> Pages:
    """A machine of `count` frames from `first` on, the first of them the zero page."""
    memory = physical_memory((Range(first * PAGE_SIZE, (first + count) * PAGE_SIZE),))
    return Pages(fmt, memory, FrameStack(tuple(range(first + count - 1, first, -1))), first)


# What follows is all that faults, copies and releases know of this representation; compiled code and proofs
# put their own in its place.

# ---- entries ---------------------------------------------------------------------------------------------


def bus_of(pages: Pages) -> Bus:
    """Memory as a walk sees it."""
    return Bus(pages.memory)


def with_bus(pages: Pages, bus: Bus) -> Pages:
    """The pages after a walk or a change of tables."""
    return replace(pages, memory=bus.memory)


def entry(pages: Pages, at: int) -> int:
    """The entry at a physical address."""
    return load_entry(Bus(pages.memory), at, pages.entry_size)[1]


def with_entry(pages: Pages, at: int, value: int) -> Pages:
    """The pages after an entry was written."""
    return replace(pages, memory=store_entry(Bus(pages.memory), at, pages.entry_size, value).memory)


def flushing(pages: Pages, space: int, start: int, end: int) -> Pages:
    """The pages, with a flush noted."""
    return replace(pages, log=(*pages.log, TlbFlush(space, start, end)))


# ---- frames ----------------------------------------------------------------------------------------------


def bytes_of(pages: Pages, frame: int) -> bytes:
    """What a frame holds."""
    return pages.memory.frames.get(frame, bytes(PAGE_SIZE))


def with_bytes(pages: Pages, frame: int, data: bytes) -> Pages:
    """The pages with other bytes in a whole frame."""
    frames = pages.memory.frames
    if any(data):
        frames = frames.set(frame, data)
    elif frame in frames:
        frames = frames.delete(frame)
    return replace(pages, memory=replace(pages.memory, frames=frames))


def zeros() -> bytes:
    """The bytes of a page of zeros."""
    return bytes(PAGE_SIZE)


def take_zeroed(pages: Pages) -> tuple[Pages, int]:
    """A zeroed frame from the allocator, or NOTHING."""
    frames, frame = pages.frames.take()
    if frame == NOTHING:
        return pages, NOTHING
    pages = replace(pages, frames=frames)
    return with_bytes(pages, frame, bytes(PAGE_SIZE)), frame


def give_frame(pages: Pages, frame: int) -> Pages:
    """Give a frame back to the allocator."""
    return replace(pages, frames=pages.frames.give(frame))


def page_at(pages: Pages, frame: int) -> Page:
    """What struct page says of a frame."""
    return pages.pages[frame]


def drop_page(pages: Pages, frame: int) -> Pages:
    """Forget what struct page says of a frame, and give the frame back."""
    return give_frame(replace(pages, pages=pages.pages.delete(frame)), frame)


def emptied(pages: Pages, frame: int) -> Pages:
    """The pages with zeros in a frame that was a table."""
    return with_bytes(pages, frame, zeros())


def with_page(pages: Pages, frame: int, page: Page) -> Pages:
    """The pages with another struct page."""
    return replace(pages, pages=pages.pages.set(frame, page))


def get_page(pages: Pages, frame: int, refs: int = 1) -> Pages:
    """Take references.

    Source    include/linux/mm.h:get_page, try_grab_page
    """
    page = page_at(pages, frame)
    return with_page(pages, frame, page._replace(refs=page.refs + refs))


def put_page(pages: Pages, frame: int, refs: int = 1) -> Pages:
    """Give references back; the last one frees the frame.

    Source    include/linux/mm.h:put_page
    """
    page = page_at(pages, frame)
    if page.refs > refs:
        return with_page(pages, frame, page._replace(refs=page.refs - refs))
    return drop_page(pages, frame)


# ---- objects ---------------------------------------------------------------------------------------------


def swaps(pages: Pages, number: int) -> bool:
    """Whether an object is shared memory."""
    return pages.objects[number].swaps


def size_of(pages: Pages, number: int) -> int:
    """Bytes of an object."""
    return pages.objects[number].size


def cached_frame(pages: Pages, number: int, index: int) -> int:
    """Frame of a page of an object in the page cache, or NOTHING."""
    return pages.cache.get((number, index), NOTHING)


def with_cached(pages: Pages, number: int, index: int, frame: int) -> Pages:
    """The pages with a frame in the page cache that holds what the medium has of an object's page.

    Requires  the frame is zeroed and used by nothing
    """
    stored = pages.objects[number].stored.get(index)
    if stored is not None:
        pages = with_bytes(pages, frame, stored)
    pages = with_page(pages, frame, Page(1, 0, False, place=(number, index)))
    return replace(pages, cache=pages.cache.set((number, index), frame))


# ---- address spaces --------------------------------------------------------------------------------------


def mm_at(pages: Pages, space: int) -> Mm:
    """An address space's root and counters."""
    return pages.mms[space]


def with_mm(pages: Pages, space: int, mm: Mm) -> Pages:
    """The pages with another root or other counters of an address space."""
    return replace(pages, mms=pages.mms.set(space, mm))


def count(pages: Pages, space: int, page: Page, by: int) -> Pages:
    """Count a page as resident, or no more: as anonymous, of a file, or shared memory.

    Source    include/linux/mm.h:mm_counter, mm_counter_file; shared memory apart since 4.5
    """
    mm = pages.mms[space]
    counters = mm.counters
    if page.anon:
        counters = counters._replace(anon=counters.anon + by)
    elif page.place is not None and pages.objects[page.place[0]].swaps:
        counters = counters._replace(shmem=counters.shmem + by)
    else:
        counters = counters._replace(file=counters.file + by)
    return with_mm(pages, space, mm._replace(counters=counters))


def count_table(pages: Pages, space: int, level: int, by: int) -> Pages:
    """Count a table of a generic level.

    Source    include/linux/mm.h:pgtable_pte_page_ctor, mm_inc_nr_ptes, mm_inc_nr_pmds, mm_inc_nr_puds
    """
    mm = pages.mms[space]
    tables = list(mm.counters.tables)
    tables[level] += by
    counted = mm.counters._replace(tables=(tables[0], tables[1], tables[2], tables[3]))
    return replace(with_mm(pages, space, mm._replace(counters=counted)), tables=pages.tables + by)


def new_mm(pages: Pages, space: int, root: int) -> Pages:
    """The pages with an address space whose top table is at `root`.

    Requires  the table is zeroed and used by nothing
    """
    return replace(with_mm(pages, space, Mm(root)), tables=pages.tables + 1)


def forget_mm(pages: Pages, space: int) -> Pages:
    """The pages without an address space; its top table is no more."""
    return replace(pages, mms=pages.mms.delete(space), tables=pages.tables - 1)


def count_swap(pages: Pages, space: int, by: int) -> Pages:
    """Count entries that name swap."""
    mm = pages.mms[space]
    counters = mm.counters._replace(swap=mm.counters.swap + by)
    return with_mm(pages, space, mm._replace(counters=counters))
