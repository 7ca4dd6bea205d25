"""The page layer over flat arrays: what system calls do to pages, by the model's functions, not compiled.

Calls are rare beside references; each costs what it changes.

Seed 2.8 (F059).
"""

from collections.abc import Iterable
from typing import Protocol

from linuxmm.fast.link import Linked
from linuxmm.fast.vm_arena import PRIMITIVES, FastArea, FastPages
from linuxmm.fast.vm_pack import with_object
from linuxmm.model.vm import copy as model_copy
from linuxmm.model.vm import gup, move, table, zap
from linuxmm.model.vm.fault import Served
from linuxmm.model.vm.gup import Request
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import NOTHING
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.relink import Function
from linuxmm.spec.step import Err, Errno
from linuxmm.spec.vm.page_layer import Area, Find, Read, Signal, Written
from linuxmm.spec.vm.rights import Accessor, may
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vm.x86_format import user_end
from linuxmm.spec.vocabulary import PAGE_SIZE


class Sized(Protocol):
    """An object: its size in bytes, and whether it is shared memory."""

    @property
    def size(self) -> int: ...
    @property
    def swaps(self) -> bool: ...


class ArrayLayer:
    """A page layer that changes in place: every request answers with the layer itself.

    pages  the arrays; objects get numbers of their own there
    """

    def __init__(self, rules: PageRules, pages: FastPages) -> None:
        linked = Linked(rules, PRIMITIVES, compiled=False)
        self.pages = pages
        self._rules = linked.rules
        self._linked = linked
        self._objects: dict[int, int] = {}

    def number_of(self, file: int | None) -> int:
        """The arrays' number of an object, NOTHING for None.

        Errors    KeyError for an object that is not known
        """
        return NOTHING if file is None else self._objects[file]

    def with_object(self, number: int, held: Sized) -> "ArrayLayer":
        """Make an object known under a number."""
        self._objects[number] = len(self._objects)
        self.pages = with_object(self.pages, self._objects[number], held.size, held.swaps)
        return self

    def create(self, space: int) -> None:
        """A new address space.

        Errors    Unmodelled without a frame
        """
        self.pages, done = self._do(table.create)(self.pages, space)
        if not done:
            raise _no_frames(0)

    def zap(self, space: int, start: int, end: int, beside: tuple[int, int] | None = None) -> "ArrayLayer":
        """Clear the range, and free the tables that serve no other area."""
        if beside is None:
            self.pages = self._do(zap.zap)(self.pages, space, start, end)
        else:
            top = 1 << min(self.pages.format.va_bits, 48)
            self.pages = self._do(zap.unmap)(self.pages, space, start, min(end, top), *beside)
        return self

    def move(self, space: int, old: int, new: int, length: int) -> "ArrayLayer":
        """Move what is mapped."""
        self.pages, done = self._do(move.move)(self._rules, self.pages, space, old, new, length)
        if not done:
            raise _no_frames(new)
        return self

    def protect(self, space: int, area: Area, start: int, end: int) -> "ArrayLayer":
        """Follow a change of rights."""
        self.pages = self._do(zap.protect)(self._rules, self.pages, space, self._area(area), start, end)
        return self

    def discard(self, space: int, area: Area, start: int, end: int) -> "ArrayLayer":
        """MADV_DONTNEED."""
        return self.zap(space, start, end)

    def free_lazily(self, space: int, area: Area, start: int, end: int) -> "ArrayLayer":
        """MADV_FREE."""
        self.pages = self._do(zap.free_lazily)(self.pages, space, start, end)
        return self

    def populate(
        self, space: int, area: Area, start: int, end: int, write: bool
    ) -> "tuple[ArrayLayer, Err | None]":
        """Fault the range in; EFAULT where a page cannot be."""
        kind = WRITE if write else READ
        for address in range(start, end, PAGE_SIZE):
            if not may(area.flags, kind, Accessor.THREAD):
                return self, Err(Errno.EFAULT)
            self.pages, frame, outcome = self._do(gup.get_user_page)(
                self._rules, self.pages, space, self._area(area), address, Request(write)
            )
            if outcome == Served.OOM:
                raise _no_frames(address)
            if frame == NOTHING:
                return self, Err(Errno.EFAULT)
        return self, None

    def resident(self, space: int, area: Area, start: int, end: int) -> tuple[bool | None, ...]:
        """For each page whether mincore finds it."""
        seen, ask = self._area(area), self._do(zap.is_resident)
        return tuple(bool(ask(self.pages, space, seen, at)) for at in range(start, end, PAGE_SIZE))

    def copy(self, space: int, child: int, areas: Iterable[Area]) -> "ArrayLayer":
        """fork."""
        copied = [self._area(area) for area in areas]
        self.pages, done = self._do(model_copy.copy)(self._rules, self.pages, space, child, copied)
        if not done:
            raise _no_frames(0)
        return self

    def drop(self, space: int) -> "ArrayLayer":
        """Forget the address space."""
        end = user_end(self.pages.format)
        self.pages = self._do(zap.unmap)(self.pages, space, 0, end)
        self.pages = self._do(table.destroy)(self.pages, space)
        return self

    def reach(
        self, space: int, find: Find, address: int, kind: int, accessor: Accessor
    ) -> "tuple[ArrayLayer, Signal | None]":
        """Not described: references run compiled."""
        raise Unmodelled("an access by way of the page layer over arrays")

    def read(
        self, space: int, find: Find, address: int, length: int, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[ArrayLayer, Read]":
        """Not described: what pages hold is not kept."""
        raise Unmodelled("bytes of pages over arrays")

    def write(
        self, space: int, find: Find, address: int, data: bytes, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[ArrayLayer, Written]":
        """Not described: what pages hold is not kept."""
        raise Unmodelled("bytes of pages over arrays")

    def _area(self, area: Area) -> FastArea:
        number = self.number_of(area.file)
        return FastArea(area.start, area.end, area.flags, area.pgoff, number, area.anon)  # type: ignore[arg-type]

    def _do(self, function: Function) -> Function:
        return self._linked(function)


def _no_frames(address: int) -> Unmodelled:
    return Unmodelled(f"a call finds no frame at {address:#x}: reclaim and its victim are not described here")
