"""Address spaces as arrays when nothing is in them, and the model's form of what is there now."""

from collections.abc import Callable
from contextlib import suppress
from mmap import MADV_NOHUGEPAGE, mmap

import numpy as np
from immutables import Map

from linuxmm.fast.arena import Int64s
from linuxmm.fast.translate import FastBus, unpack_bus
from linuxmm.fast.vm_arena import (
    ANON,
    AREA_WORDS,
    BASE,
    DIRTY,
    END,
    EXCLUSIVE,
    FILE,
    FLAGS,
    FRAME_WORDS,
    FREED,
    LAZY,
    MAPS,
    MAPS_SHIFT,
    NR_FRAMES,
    NR_SPACES,
    OBJECT_WORDS,
    PGOFF,
    REFS,
    ROOT,
    SIZE,
    SPACE_WORDS,
    SPACES,
    START,
    SWAPS,
    TABLES,
    TOUCHED,
    UNUSED,
    FastAreas,
    FastPages,
    mm_at,
)
from linuxmm.hardware.memory import Range, physical_memory
from linuxmm.model.vm.process import view
from linuxmm.model.vm.state import NOTHING, Backing, Counters, FrameStack, Mm, Page, Pages
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.vm.space import AddressSpace
from linuxmm.spec.vm.x86_format import X86Format

MOST_FRAMES = 1 << 26


def fresh(fmt: X86Format, frames: int, first: int = 1) -> FastPages:
    """Arrays of a machine of `frames` frames from `first` on, the first of them the zero page.

    Errors    ImpossibleProfile for frames that the arrays or the format cannot hold
    """
    if not 2 <= frames <= MOST_FRAMES or first < 1 or first + frames > 1 << (fmt.phys_bits - 12):
        most = min(MOST_FRAMES, (1 << (fmt.phys_bits - 12)) - 1)
        raise ImpossibleProfile(f"{frames} page frames: expected 2 to {most}")
    st = np.zeros(SPACES + NR_SPACES * SPACE_WORDS, np.int64)
    st[FREED], st[UNUSED], st[NR_FRAMES] = NOTHING, 1, frames
    return FastPages(
        fmt,
        sparse_words(frames << 9),
        first << 12,
        np.zeros(frames * FRAME_WORDS, np.int32),
        np.zeros(1, np.int32),
        np.zeros(OBJECT_WORDS, np.int64),
        st,
        first,
    )


def sparse_words(count: int) -> Int64s:
    """Words that are 0; a page of them takes memory when it is written, and no huge page does.

    Errors    MemoryError
    """
    try:
        room = mmap(-1, count << 3)
    except OSError as error:
        raise MemoryError(f"no room for {count} words: {error.strerror}") from error
    with suppress(OSError):  # a kernel without huge pages
        room.madvise(MADV_NOHUGEPAGE)
    return np.frombuffer(room, np.int64)


def with_object(pages: FastPages, number: int, size: int, shared_memory: bool) -> FastPages:
    """The arrays with room for an object of so many bytes, of which nothing is cached.

    Requires  numbers are given from 0 on
    """
    objects = np.zeros(max(pages.objects.size, (number + 1) * OBJECT_WORDS), np.int64)
    objects[: pages.objects.size] = pages.objects
    at = number * OBJECT_WORDS
    objects[at + SIZE], objects[at + SWAPS], objects[at + BASE] = size, shared_memory, pages.cache.size
    cache = np.zeros(pages.cache.size + ((size + 4095) >> 12), np.int32)
    used = np.flatnonzero(pages.cache)
    cache[used] = pages.cache[used]
    return pages._replace(objects=objects, cache=cache)


def pack_areas(space: AddressSpace, number_of: Callable[[int | None], int]) -> FastAreas:
    """The areas as records.

    number_of  the arrays' number of an object that `view` names, NOTHING for None
    """
    table = np.zeros((len(space.areas) + 1) * AREA_WORDS, np.int64)
    table[0] = len(space.areas)
    for number, area in enumerate(space.areas, 1):
        seen, at = view(space, area), number * AREA_WORDS
        table[at + START], table[at + END], table[at + FLAGS] = seen.start, seen.end, seen.flags
        table[at + PGOFF], table[at + FILE] = seen.pgoff, number_of(seen.file)
        table[at + TOUCHED] = 0 if area.anon is None else -1
    return FastAreas(table)


def unpack(pages: FastPages) -> Pages:
    """The model's form; frames that hold data are zeros."""
    st, first = pages.st, pages.first >> 12
    total = int(st[NR_FRAMES])
    free, freed = [], int(st[FREED])
    while freed != NOTHING:
        free.append(first + freed)
        freed = int(pages.frames[freed * FRAME_WORDS + REFS])
    unused = range(first + total - 1, first + int(st[UNUSED]) - 1, -1)
    memory = physical_memory((Range(pages.first, pages.first + (total << 12)),))
    objects = pages.objects.reshape(-1, OBJECT_WORDS).tolist()
    cache = {
        (number, index): first - 1 + int(frame)
        for number, (size, _, base) in enumerate(objects)
        for index, frame in enumerate(pages.cache[base : base + ((size + 4095) >> 12)])
        if frame
    }
    records = pages.frames.reshape(-1, FRAME_WORDS)
    held = {first + at: _page(records[at]) for at in np.flatnonzero(records[:, MAPS]).tolist()}
    held |= {frame: _page(records[frame - first]) for frame in cache.values()}
    return Pages(
        pages.format,
        unpack_bus(FastBus(pages.words, pages.first), memory),
        FrameStack((*unused, *free[::-1])),
        pages.zero,
        pages=Map(held),
        mms=Map({space: _mm(pages, space) for space in range(NR_SPACES) if _root(pages, space)}),
        objects=Map({n: Backing(size, swaps != 0) for n, (size, swaps, _) in enumerate(objects) if size}),
        cache=Map(cache),
        tables=int(st[TABLES]),
    )


def _root(pages: FastPages, space: int) -> int:
    return int(pages.st[SPACES + space * SPACE_WORDS + ROOT])


def _mm(pages: FastPages, space: int) -> Mm:
    mm = mm_at(pages, space)
    file, anon, swap, shmem = (int(n) for n in mm.counters[:4])
    pte, pmd, pud, p4d = (int(n) for n in mm.counters.tables)
    return Mm(int(mm.root), Counters(file, anon, swap, shmem, (pte, pmd, pud, p4d)), bool(mm.has_pinned))


def _page(record: "np.ndarray[tuple[int], np.dtype[np.int32]]") -> Page:
    refs, said, number, index = (int(word) for word in record)
    place = None if number == NOTHING else (number, index)
    return Page(
        refs,
        said >> MAPS_SHIFT,
        said & ANON != 0,
        said & EXCLUSIVE != 0,
        said & LAZY != 0,
        said & DIRTY != 0,
        place,
    )
