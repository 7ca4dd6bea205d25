"""The page tables of every era hold what memory means, whatever is done to them; ownership holds."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.vm import evict, gup, objects
from linuxmm.model.vm.audit import ALWAYS, GUARDED, broken
from linuxmm.model.vm.examples import (
    ANON,
    AREAS,
    EVERY_PAGE,
    FILE,
    NAMES,
    PAGE,
    RIGHTS,
    SHMEM,
    TARGET,
    Operation,
    find_in,
    with_rights,
)
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import Backing, Pages, TlbFlush, small_pages
from linuxmm.model.vm.table import leaves
from linuxmm.spec.kernel import Version, kernel, parse_version
from linuxmm.spec.step import Event
from linuxmm.spec.vm import contents
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.contents import Object, object_of
from linuxmm.spec.vm.page_layer import PageArea
from linuxmm.spec.vm.rights import Accessor, remote_may
from linuxmm.spec.vm.x86_entry import DIRTY, PHYSICAL, PRESENT, READ, WRITABLE, WRITE
from linuxmm.spec.vm.x86_format import FORMATS, X86_64, X86Format

EXCLUSIVE = Version(5, 19)
DATA = b"a" * PAGE + b"b" * PAGE + b"c" * 100


def operations(most: int = 30) -> st.SearchStrategy[list[Operation]]:
    """Up to `most` operations."""
    one = st.tuples(
        st.sampled_from(NAMES), st.sampled_from((1, 2)), st.sampled_from(EVERY_PAGE), st.integers(0, 255)
    )
    return st.lists(one, min_size=1, max_size=most)


class Pair:
    """Both layers, and the areas of both address spaces."""

    def __init__(self, version: str, fmt: X86Format = X86_64) -> None:
        self.rules = page_rules(kernel(version))
        stored = Map({0: b"a" * PAGE, 1: b"b" * PAGE, 2: b"c" * 100 + bytes(PAGE - 100)})
        table = TableLayer(self.rules, small_pages(120, fmt))
        self.table = table.with_object(FILE, Backing(len(DATA), stored=stored)).with_object(
            SHMEM, Backing(3 * PAGE, swaps=True)
        )
        meaning = ContentLayer(swap=True).with_object(FILE, object_of(DATA))
        self.meaning = meaning.with_object(SHMEM, Object(3 * PAGE, swaps=True))
        self.areas: dict[int, tuple[PageArea, ...]] = {1: AREAS}
        self.slots = 0
        self.handles = 0
        self.cached: set[tuple[int, int, int, int, int]] = set()
        self.noted: list[Event] = []
        self.questions = (*ALWAYS, *GUARDED) if parse_version(version) >= EXCLUSIVE else tuple(ALWAYS)

    def do(self, operation: Operation) -> None:
        """Do one operation to both, and compare what it gives."""
        name, space, address, number = operation
        if space not in self.areas:
            return
        self.table = replace(self.table, log=())
        self.noted = []
        getattr(self, "_" + name.replace("-", "_"))(space, address, number)
        self.check_flushes()
        assert broken(self.rules, self.table.pages, dict(self.areas), self.questions) == []

    def check_flushes(self) -> None:
        """Whatever a TLB may hold is still what the tables say, or was flushed in this step."""
        for event in (*self.noted, *self.table.log):
            if not isinstance(event, TlbFlush):
                continue
            self.cached = {
                held
                for held in self.cached
                if held[0] != event.space or not event.start <= held[1] < event.end
            }
        pages = self.table.pages
        now = {
            (space, address, value & PHYSICAL, value & WRITABLE, value & DIRTY)
            for space in pages.mms
            for address, _, value in leaves(pages, space, 0, 1 << (pages.format.va_bits - 1))
            if value & PRESENT
        }
        rights = {(space, address): (frame, bits | dirty) for space, address, frame, bits, dirty in now}
        self.cached = {held for held in self.cached if held[0] in pages.mms}
        for space, address, frame, bits, dirty in self.cached:
            assert (space, address) in rights, f"{address:#x} of space {space} is gone but for a TLB"
            found, more = rights[space, address]
            assert (found, (bits | dirty) & ~more) == (frame, 0), f"{address:#x} of space {space} is stale"
        self.cached |= now

    def find(self, space: int, address: int) -> PageArea | None:
        """The area of an address space."""
        return find_in(self.areas[space], address)

    def area(self, space: int, address: int) -> PageArea:
        """The area of an address space, which is there."""
        found = self.find(space, address)
        assert found is not None
        return found

    def _reads(self, space: int, address: int, length: int, accessor: Accessor) -> None:
        find = partial(self.find, space)
        self.table, found = self.table.read(space, find, address, length, accessor)
        self.meaning, expected = self.meaning.read(space, find, address, length, accessor)
        assert (found.length, found.signal) == (expected.length, expected.signal)
        if found.length:
            self.meaning, why = self.meaning.observe(space, find, address, found.data)
            assert why is None

    def _read(self, space: int, address: int, number: int) -> None:
        self._reads(space, address + 40, 4000 + number, Accessor.THREAD)

    def _remote_read(self, space: int, address: int, number: int) -> None:
        self._reads(space, address + number, 4096, Accessor(1 + number % 2))

    def _writes(self, space: int, address: int, data: bytes, accessor: Accessor) -> None:
        find = partial(self.find, space)
        self.table, found = self.table.write(space, find, address, data, accessor)
        self.meaning, expected = self.meaning.write(space, find, address, data, accessor)
        assert found == expected

    def _write(self, space: int, address: int, number: int) -> None:
        self._writes(space, address + 90, bytes([number, 255 - number]) * (1 + number * 10), Accessor.THREAD)

    def _remote_write(self, space: int, address: int, number: int) -> None:
        self._writes(space, address + number, bytes([number]) * 40, Accessor.REMOTE)

    def _forced_write(self, space: int, address: int, number: int) -> None:
        self._writes(space, address + number, bytes([number]) * 40, Accessor.FORCED)

    def _discard(self, space: int, address: int, number: int) -> None:
        area, end = self.area(space, address), address + PAGE
        self.table = self.table.discard(space, area, address, end)
        self.meaning = self.meaning.discard(space, area, address, end)

    def _free(self, space: int, address: int, number: int) -> None:
        area, end = self.area(space, address), address + PAGE
        if area.file is None:
            self.table = self.table.free_lazily(space, area, address, end)
            self.meaning = self.meaning.free_lazily(space, area, address, end)

    def _fork(self, space: int, address: int, number: int) -> None:
        child = 3 - space
        if child in self.areas:
            return
        copied = tuple(area for area in self.areas[space] if number & 1 or area.start != ANON.start)
        self.areas[child] = self.areas[space]
        self.table = self.table.copy(space, child, copied)
        self.meaning = self.meaning.copy(space, child, copied)

    def _drop(self, space: int, address: int, number: int) -> None:
        if len(self.areas) == 2:
            self.table = self.table.drop(space)
            self.meaning = self.meaning.drop(space)
            del self.areas[space]

    def _move(self, space: int, address: int, number: int) -> None:
        if self.area(space, address) != ANON:
            return
        to = TARGET.start + number % 4 * PAGE
        length = min(1 + number % 3, (ANON.end - address) // PAGE, (TARGET.end - to) // PAGE) * PAGE
        self.table = self.table.zap(space, to, to + length, (TARGET.start, TARGET.end))
        self.noted += self.table.log
        self.table = self.table.move(space, address, to, length)
        self.meaning = self.meaning.zap(space, to, to + length).move(space, address, to, length)

    def _protect(self, space: int, address: int, number: int) -> None:
        areas = with_rights(self.areas[space], ANON.start, RIGHTS[number % 3])
        self.areas[space] = areas
        self.table = self.table.protect(space, areas[0], ANON.start, ANON.end)
        self.meaning = self.meaning.protect(space, areas[0], ANON.start, ANON.end)

    def _populate(self, space: int, address: int, number: int) -> None:
        area = self.area(space, address)
        self.table, found = self.table.populate(space, area, address, area.end, number % 2 == 1)
        self.meaning, expected = self.meaning.populate(space, area, address, area.end, number % 2 == 1)
        assert found == expected

    def _swap(self, space: int, address: int, number: int) -> None:
        pages = self.table.pages
        frames = [f for f, page in sorted(pages.pages.items()) if page.anon and not evict.is_held(pages, f)]
        if frames:
            self.slots += 1
            pages = evict.swap_out(pages, frames[number % len(frames)], self.slots)
            self._evicted(pages)

    def _evicted(self, pages: Pages) -> None:
        self.table = replace(self.table, pages=replace(pages, log=()), log=pages.log)

    def _write_back(self, space: int, address: int, number: int) -> None:
        places = [place for place in sorted(self.table.pages.cache) if place[0] == FILE]
        if places:
            self._evicted(evict.write_back(self.table.pages, *places[number % len(places)]))

    def _mappers(self) -> list[tuple[int, PageArea]]:
        made = [space for space in self.areas if space in self.table.pages.mms]
        return [(space, area) for space in made for area in self.areas[space] if area.file == FILE]

    def _truncate(self, space: int, address: int, number: int) -> None:
        size = number * 61
        self._evicted(objects.truncate(self.table.pages, FILE, size, self._mappers()))
        self.meaning = replace(self.meaning, contents=contents.resize(self.meaning.contents, FILE, size))

    def _punch(self, space: int, address: int, number: int) -> None:
        start, end = number % 3 * PAGE, (number % 3 + 1 + number // 128) * PAGE
        self._evicted(objects.punch(self.table.pages, FILE, start, end, self._mappers()))
        self.meaning = replace(self.meaning, contents=contents.punch(self.meaning.contents, FILE, start, end))

    def _file_write(self, space: int, address: int, number: int) -> None:
        data = bytes([number]) * (1 + number * 20)
        pages, done = objects.write_object(self.table.pages, FILE, number * 40, data)
        assert done == len(data)
        self._evicted(pages)
        self.meaning = replace(
            self.meaning,
            contents=contents.write_object(self.meaning.contents, FILE, number * 40, data),
        )

    def _drop_cached(self, space: int, address: int, number: int) -> None:
        pages = self.table.pages
        for place in sorted(pages.cache):
            frame = pages.cache[place]
            if place[0] == FILE and not evict.is_held(pages, frame) and not evict.is_dirty(pages, frame):
                self._evicted(evict.drop_cached(pages, *place))
                return

    def _hold(self, space: int, address: int, number: int) -> None:
        area, write = self.area(space, address), number % 2 == 1
        if len(self.table.pages.holds) > 2 or not remote_may(area.flags, WRITE if write else READ, False):
            return
        request = gup.Request(write, pin=number % 4 > 1)
        layer = self.table.populate(space, area, address, address, False)[0]
        pages, frame, _ = gup.get_user_page(self.rules, layer.pages, space, area, address, request)
        if frame != -1:
            self.handles += 1
            pages = gup.hold(self.rules, pages, self.handles, space, address, frame, request, write)
        self._evicted(pages)
        forms = self.meaning.populate(space, area, address, address + PAGE, write)
        self.meaning = forms[0]

    def _release(self, space: int, address: int, number: int) -> None:
        for handle in sorted(self.table.pages.holds)[:1]:
            self.table = replace(self.table, pages=gup.release(self.rules, self.table.pages, handle))

    def finish(self) -> None:
        """Compare everything that can be read and what is resident, then take all apart."""
        for space, areas in self.areas.items():
            for area in areas:
                found = self.table.resident(space, area, area.start, area.end)
                seen = tuple(page is True for page in found)
                assert self.meaning.judge_resident(space, area, area.start, area.end, seen) is None
                self._reads(space, area.start, area.end - area.start, Accessor.THREAD)
        while self.table.pages.holds:
            self._release(0, 0, 0)
        for space in list(self.areas):
            self.table = self.table.drop(space)
        assert broken(self.rules, self.table.pages, {}) == []
        assert self.table.pages.tables == 0
        assert all(page.place is not None for page in self.table.pages.pages.values())
        assert not self.table.pages.swap


def run(version: str, fmt: X86Format, steps: list[Operation]) -> None:
    """Run operations in lockstep."""
    pair = Pair(version, fmt)
    for step in steps:
        pair.do(step)
    pair.finish()


@pytest.mark.parametrize("version", ["2.6.20", "2.6.30", "4.19", "5.8", "5.15", "6.1.192", "6.12.117"])
@settings(max_examples=40, deadline=None)
@given(steps=operations())
def test_tables_hold_what_memory_means(version: str, steps: list[Operation]) -> None:
    run(version, X86_64, steps)


@pytest.mark.parametrize("fmt", list(FORMATS.values()), ids=list(FORMATS))
@settings(max_examples=15, deadline=None)
@given(steps=operations())
def test_every_format_does_so(fmt: X86Format, steps: list[Operation]) -> None:
    run("6.12", fmt, steps)
