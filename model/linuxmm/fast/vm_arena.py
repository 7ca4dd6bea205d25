"""Address spaces as flat arrays: the primitives of `linuxmm.model.vm.state` and of `linuxmm.spec.vm.space`.

`words` (int64) is physical memory as far as it holds tables: what data pages hold is not kept, so only
frames of tables ever take memory of ours.  `frames` (int32) has a record of four words a page frame, what
struct page says.  `cache` (int32) has a word for each page of each object: its frame + 1, or 0.  `objects`
(int64) has a record an object.  `st` (int64) has the frames that are free, what was flushed, and a record of
each address space.  There is no swap.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload_method
from numpy import uintp as U  # noqa: N812
from numpy.typing import NDArray

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.fast.translate import PRIMITIVES as MACHINE
from linuxmm.fast.translate import FastBus
from linuxmm.model.vm import fault as model_fault
from linuxmm.model.vm import state as model
from linuxmm.model.vm import table as model_table
from linuxmm.model.vm import thread as model_thread
from linuxmm.model.vm.fault import Served
from linuxmm.model.vm.process import SPACE
from linuxmm.model.vm.state import NOTHING
from linuxmm.spec.relink import Function
from linuxmm.spec.vm import space as spec_space
from linuxmm.spec.vm.x86_format import X86Format

# Words of a frame's record.  A frame that is free has the number of the next free one in REFS.
REFS: Final = 0
MAPS: Final = 1
"""Mappings << 4 | DIRTY | LAZY | EXCLUSIVE | ANON."""
OBJECT: Final = 2
INDEX: Final = 3
FRAME_WORDS: Final = 4
ANON: Final = 1
EXCLUSIVE: Final = 2
LAZY: Final = 4
DIRTY: Final = 8
MAPS_SHIFT: Final = 4

# Words of an object's record.
SIZE: Final = 0
SWAPS: Final = 1
BASE: Final = 2
"""Number of its first word in `cache`."""
OBJECT_WORDS: Final = 3

# Words of `st`, then those of each address space.
FREED: Final = 0
"""Number of the frame given back last, NOTHING if there is none."""
UNUSED: Final = 1
"""Number of the first frame that was never taken."""
NR_FRAMES: Final = 2
TABLES: Final = 3
FLUSHES: Final = 4
FLUSH_START: Final = 5
FLUSH_END: Final = 6
SPACES: Final = 8
ROOT: Final = 0
PINNED: Final = 1
FILE_RSS: Final = 2
ANON_RSS: Final = 3
SWAP_ENTRIES: Final = 4
SHMEM_RSS: Final = 5
LEVELS: Final = 6
SPACE_WORDS: Final = 16
NR_SPACES: Final = 4

# Words of an area's record; the first record has the number of areas.
START: Final = 0
END: Final = 1
FLAGS: Final = 2
PGOFF: Final = 3
FILE: Final = 4
"""Number of the object, NOTHING for anonymous memory."""
TOUCHED: Final = 5
"""How many areas were written for the first time before this one, itself included; 0 if it was not."""
AREA_WORDS: Final = 8


class FastPages(NamedTuple):
    """Everything behind the areas; first is the physical address of the first frame."""

    format: X86Format
    words: Int64s
    first: int
    frames: Int32s
    cache: Int32s
    objects: Int64s
    st: Int64s
    zero: int

    @property
    def entry_size(self) -> int:
        """Bytes of a page-table entry."""
        return 1 << self.format.entry_shift


class FastAreas(NamedTuple):
    """The areas of one address space, in order."""

    table: Int64s


class FastPage(NamedTuple):
    """What struct page says, as it was read.

    object, at  where it is in the page cache; object is NOTHING if it is not there
    """

    refs: int
    maps: int
    anon: bool
    exclusive: bool
    lazy: bool
    dirty: bool
    object: int
    at: int


class FastCounters(NamedTuple):
    """What an address space counts, as it was read."""

    file: int
    anon: int
    swap: int
    shmem: int
    tables: tuple[int, int, int, int]


class FastMm(NamedTuple):
    """An address space, as it was read."""

    root: int
    counters: FastCounters
    has_pinned: bool


class FastArea(NamedTuple):
    """An area, as it was read."""

    start: int
    end: int
    flags: int
    pgoff: int
    file: int
    anon: int


@overload_method(types.BaseTuple, "_replace", jit_options={"_nrt": False, "error_model": "numpy"})
def _replaced(page, refs=None, maps=None, anon=None, exclusive=None, lazy=None, dirty=None):  # type: ignore[no-untyped-def]
    """`_replace` of a `FastPage` in compiled code: the fields that are named, the others as they are."""
    if getattr(page, "instance_class", None) is not FastPage:
        return None
    given = {"refs": refs, "maps": maps, "anon": anon, "exclusive": exclusive, "lazy": lazy, "dirty": dirty}
    named = {name for name, kind in given.items() if not isinstance(kind, (types.Omitted, type(None)))}
    values = ", ".join(name if name in named else f"page.{name}" for name in FastPage._fields)
    namespace: dict[str, Function] = {"FastPage": FastPage}
    exec(
        f"def made(page, {', '.join(f'{name}=None' for name in given)}):\n return FastPage({values})\n",
        namespace,
    )
    return namespace["made"]


# ---- frames ----------------------------------------------------------------------------------------------


def bus_of(pages: FastPages) -> FastBus:
    return FastBus(pages.words, pages.first)


def with_bus(pages: FastPages, bus: FastBus) -> FastPages:
    return pages


def entry(pages: FastPages, at: int) -> int:
    number = (at - pages.first) >> 3
    word = pages.words[U(number)]
    if pages.format.entry_shift == 2:
        return (word >> ((at & 4) << 3)) & 0xFFFFFFFF  # type: ignore[no-any-return]
    return word  # type: ignore[no-any-return]


def with_entry(pages: FastPages, at: int, value: int) -> FastPages:
    number = (at - pages.first) >> 3
    if pages.format.entry_shift == 2:
        shift = np.int64((at & 4) << 3)
        kept = pages.words[U(number)] & ~(np.int64(0xFFFFFFFF) << shift)
        pages.words[U(number)] = kept | (np.int64(value) << shift)
    else:
        pages.words[U(number)] = value
    return pages


def flushing(pages: FastPages, space: int, start: int, end: int) -> FastPages:
    st = pages.st
    if space != SPACE:  # no CPU has its tables loaded
        return pages
    if st[FLUSHES] == 0:
        st[FLUSH_START] = start
        st[FLUSH_END] = end
    else:
        st[FLUSH_START] = min(st[FLUSH_START], start)
        st[FLUSH_END] = max(st[FLUSH_END], end)
    st[FLUSHES] += 1
    return pages


def zeros() -> int:
    return NOTHING


def bytes_of(pages: FastPages, frame: int) -> int:
    return frame


def with_bytes(pages: FastPages, frame: int, data: int) -> FastPages:
    """Data are the frame whose bytes they are, or NOTHING; they are not kept."""
    return pages


def emptied(pages: FastPages, frame: int) -> FastPages:
    at = ((frame << 12) - pages.first) >> 3
    end = at + 512
    while at < end:
        pages.words[U(at)] = 0
        at += 1
    return pages


def take_zeroed(pages: FastPages) -> tuple[FastPages, int]:
    st = pages.st
    first = pages.first >> 12
    freed = st[FREED]
    if freed != NOTHING:
        st[FREED] = pages.frames[U(freed * FRAME_WORDS + REFS)]
        return pages, first + freed
    unused = st[UNUSED]
    if unused == st[NR_FRAMES]:
        return pages, NOTHING
    st[UNUSED] = unused + 1
    return pages, first + unused


def give_frame(pages: FastPages, frame: int) -> FastPages:
    number = frame - (pages.first >> 12)
    pages.frames[U(number * FRAME_WORDS + REFS)] = pages.st[FREED]
    pages.frames[U(number * FRAME_WORDS + MAPS)] = 0
    pages.st[FREED] = number
    return pages


# ---- struct page -----------------------------------------------------------------------------------------


def make_page(
    refs: int, maps: int, anon: bool, exclusive: bool = False, lazy: bool = False, dirty: bool = False
) -> FastPage:
    return FastPage(refs, maps, anon, exclusive, lazy, dirty, NOTHING, 0)


def page_at(pages: FastPages, frame: int) -> FastPage:
    at = (frame - (pages.first >> 12)) * FRAME_WORDS
    frames = pages.frames
    refs = np.int64(frames[U(at + REFS)])
    said = np.int64(frames[U(at + MAPS)])
    number = np.int64(frames[U(at + OBJECT)])
    index = np.int64(frames[U(at + INDEX)])
    anon = said & ANON != 0
    exclusive = said & EXCLUSIVE != 0
    return FastPage(
        refs,  # type: ignore[arg-type]
        said >> MAPS_SHIFT,  # type: ignore[arg-type]
        anon,
        exclusive,
        said & LAZY != 0,
        said & DIRTY != 0,
        number,  # type: ignore[arg-type]
        index,  # type: ignore[arg-type]
    )


def with_page(pages: FastPages, frame: int, page: FastPage) -> FastPages:
    at = (frame - (pages.first >> 12)) * FRAME_WORDS
    frames = pages.frames
    said = page.maps << MAPS_SHIFT
    if page.anon:
        said |= ANON
    if page.exclusive:
        said |= EXCLUSIVE
    if page.lazy:
        said |= LAZY
    if page.dirty:
        said |= DIRTY
    frames[U(at + REFS)] = page.refs
    frames[U(at + MAPS)] = said
    frames[U(at + OBJECT)] = page.object
    frames[U(at + INDEX)] = page.at
    return pages


# ---- objects ---------------------------------------------------------------------------------------------


def swaps(pages: FastPages, number: int) -> bool:
    return pages.objects[U(number * OBJECT_WORDS + SWAPS)] != 0  # type: ignore[no-any-return]


def size_of(pages: FastPages, number: int) -> int:
    return pages.objects[U(number * OBJECT_WORDS + SIZE)]  # type: ignore[no-any-return]


def cached_frame(pages: FastPages, number: int, index: int) -> int:
    if index << 12 >= size_of(pages, number):
        return NOTHING
    held = np.int64(pages.cache[U(pages.objects[U(number * OBJECT_WORDS + BASE)] + index)])
    return NOTHING if held == 0 else held + (pages.first >> 12) - 1  # type: ignore[return-value]


def with_cached(pages: FastPages, number: int, index: int, frame: int) -> FastPages:
    pages.cache[U(pages.objects[U(number * OBJECT_WORDS + BASE)] + index)] = frame - (pages.first >> 12) + 1
    return with_page(pages, frame, FastPage(1, 0, False, False, False, False, number, index))


def is_anonymous(area: FastArea) -> bool:
    return area.file == NOTHING


def object_of(area: FastArea) -> int:
    return area.file


# ---- address spaces --------------------------------------------------------------------------------------


def mm_at(pages: FastPages, space: int) -> FastMm:
    at = SPACES + space * SPACE_WORDS
    st = pages.st
    tables = (
        st[U(at + LEVELS)],
        st[U(at + LEVELS + 1)],
        st[U(at + LEVELS + 2)],
        st[U(at + LEVELS + 3)],
    )
    counters = FastCounters(
        st[U(at + FILE_RSS)], st[U(at + ANON_RSS)], st[U(at + SWAP_ENTRIES)], st[U(at + SHMEM_RSS)], tables
    )
    return FastMm(st[U(at + ROOT)], counters, st[U(at + PINNED)] != 0)


def new_mm(pages: FastPages, space: int, root: int) -> FastPages:
    at = SPACES + space * SPACE_WORDS
    for word in range(SPACE_WORDS):
        pages.st[U(at + word)] = 0
    pages.st[U(at + ROOT)] = root
    pages.st[TABLES] += 1
    return pages


def forget_mm(pages: FastPages, space: int) -> FastPages:
    pages.st[U(SPACES + space * SPACE_WORDS + ROOT)] = 0
    pages.st[TABLES] -= 1
    return pages


def count(pages: FastPages, space: int, page: FastPage, by: int) -> FastPages:
    at = SPACES + space * SPACE_WORDS
    if page.anon:
        at += ANON_RSS
    elif page.object != NOTHING and swaps(pages, page.object):
        at += SHMEM_RSS
    else:
        at += FILE_RSS
    pages.st[U(at)] += by
    return pages


def count_table(pages: FastPages, space: int, level: int, by: int) -> FastPages:
    pages.st[U(SPACES + space * SPACE_WORDS + LEVELS + level)] += by
    pages.st[TABLES] += by
    return pages


def no_swap(
    rules: object, pages: FastPages, space: int, area: FastArea, at: int, value: int, write: bool
) -> tuple[FastPages, Served]:
    """Stands for `do_swap_page`: no entry names swap, where there is none."""
    return pages, Served.OOM


def said(pages: FastPages, at: int, most: int) -> Iterator[tuple[int, int]]:
    """Not compiled: releases and copies of ranges are rare."""
    size = pages.entry_size
    words: NDArray[np.signedinteger[Any]] = pages.words if size == 8 else pages.words.view(np.uint32)
    first = (at - pages.first) // size
    part = words[first : first + most]
    for number in np.flatnonzero(part).tolist():
        yield number, int(part[number])


# ---- areas -----------------------------------------------------------------------------------------------


def nr_areas(areas: FastAreas) -> int:
    return areas.table[0]  # type: ignore[no-any-return]


def start_at(areas: FastAreas, number: int) -> int:
    return areas.table[U((number + 1) * AREA_WORDS + START)]  # type: ignore[no-any-return]


def end_at(areas: FastAreas, number: int) -> int:
    return areas.table[U((number + 1) * AREA_WORDS + END)]  # type: ignore[no-any-return]


def area_numbered(areas: FastAreas, number: int) -> FastArea:
    at = (number + 1) * AREA_WORDS
    table = areas.table
    return FastArea(
        table[U(at + START)],
        table[U(at + END)],
        table[U(at + FLAGS)],
        table[U(at + PGOFF)],
        table[U(at + FILE)],
        table[U(at + TOUCHED)],
    )


PRIMITIVES: Final[dict[Function, Function]] = MACHINE | {
    model.bus_of: bus_of,
    model.with_bus: with_bus,
    model.entry: entry,
    model.with_entry: with_entry,
    model.flushing: flushing,
    model.zeros: zeros,
    model.bytes_of: bytes_of,
    model.with_bytes: with_bytes,
    model.take_zeroed: take_zeroed,
    model.give_frame: give_frame,
    model.drop_page: give_frame,
    model.emptied: emptied,
    model.Page: make_page,
    model.page_at: page_at,
    model.with_page: with_page,
    model.swaps: swaps,
    model.size_of: size_of,
    model.cached_frame: cached_frame,
    model.with_cached: with_cached,
    model_fault.is_anonymous: is_anonymous,
    model_fault.object_of: object_of,
    model_fault.do_swap_page: no_swap,
    model.mm_at: mm_at,
    model.new_mm: new_mm,
    model.forget_mm: forget_mm,
    model.count: count,
    model.count_table: count_table,
    model_table.said: said,
    spec_space.nr_areas: nr_areas,
    spec_space.start_at: start_at,
    spec_space.end_at: end_at,
    model_thread.area_numbered: area_numbered,
}
