"""The contents of memory behind the seam to the areas.

Linux: mm/memory.c, mm/mincore.c.  Seed 2.8 (F059).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from linuxmm.spec.invariant import clause
from linuxmm.spec.step import Err, Errno, Refusal
from linuxmm.spec.vm import contents as memory
from linuxmm.spec.vm.contents import Contents, Object, index_in
from linuxmm.spec.vm.page_layer import Area, Find, Read, Signal, Written
from linuxmm.spec.vm.rights import Accessor
from linuxmm.spec.vocabulary import PAGE_SHIFT

READS: Final = clause(
    "vm.contents.read",
    "A read gives what was written last: through a private copy, the file, or zeros where nothing was.",
    features=("F059",),
    seed="2.8",
    source="mm/memory.c:handle_mm_fault",
)
RESIDENT: Final = clause(
    "vm.contents.resident",
    "mincore finds the pages that were touched, and no anonymous page that never was.",
    features=("F059",),
    seed="2.8",
    source="mm/mincore.c:mincore_pte_range",
)


@dataclass(frozen=True, slots=True)
class ContentLayer:
    """A page layer that knows contents alone.

    swap  pages may leave memory without being asked
    huge  a fault may bring in pages beside the one touched (transparent huge pages, large folios)
    """

    contents: Contents = field(default_factory=Contents)
    swap: bool = False
    huge: bool = False

    def with_object(self, number: int, held: Object) -> "ContentLayer":
        """The layer with an object (a file, shared memory) under a number."""
        return self._with(memory.with_object(self.contents, number, held))

    def zap(self, space: int, start: int, end: int, beside: tuple[int, int] | None = None) -> "ContentLayer":
        """Forget what is mapped in the range."""
        return self._with(memory.zap(self.contents, space, start, end))

    def move(self, space: int, old: int, new: int, length: int) -> "ContentLayer":
        """Move what is mapped."""
        return self._with(memory.move(self.contents, space, old, new, length))

    def protect(self, space: int, area: Area, start: int, end: int) -> "ContentLayer":
        """Rights are the area's: nothing changes."""
        return self

    def discard(self, space: int, area: Area, start: int, end: int) -> "ContentLayer":
        """MADV_DONTNEED: private pages are gone; objects keep theirs."""
        return self.zap(space, start, end)

    def free_lazily(self, space: int, area: Area, start: int, end: int) -> "ContentLayer":
        """MADV_FREE."""
        return self._with(memory.free_lazily(self.contents, space, start, end))

    def populate(
        self, space: int, area: Area, start: int, end: int, write: bool
    ) -> "tuple[ContentLayer, Err | None]":
        """Fault the range in; EFAULT where a page cannot be."""
        contents, signal = memory.populate(self.contents, space, area, start, end, write)
        return self._with(contents), None if signal is None else Err(Errno.EFAULT)

    def resident(self, space: int, area: Area, start: int, end: int) -> tuple[bool | None, ...]:
        """For each page whether mincore finds it; None where it may or may not."""
        return tuple(
            self._resident(space, area, page) for page in range(start >> PAGE_SHIFT, end >> PAGE_SHIFT)
        )

    def _resident(self, space: int, area: Area, page: int) -> bool | None:
        private = self.contents.spaces.get(space, memory.NO_PRIVATE).get(page)
        if private is not None:
            return None if private.lazy or self.swap else True
        if area.file is None:
            return None if self.huge else False
        held = self.contents.objects[area.file]
        if not held.swaps:
            return None
        if index_in(area, page) in held.pages:
            return None if self.swap else True
        return None if self.huge else False

    def copy(self, space: int, child: int, areas: Iterable[Area]) -> "ContentLayer":
        """fork."""
        return self._with(memory.copy(self.contents, space, child, areas))

    def drop(self, space: int) -> "ContentLayer":
        """Forget the address space."""
        return self._with(memory.drop(self.contents, space))

    def reach(
        self, space: int, find: Find, address: int, kind: int, accessor: Accessor
    ) -> "tuple[ContentLayer, Signal | None]":
        """Make one access possible; what stops it, None if nothing does."""
        contents, signal = memory.reach(self.contents, space, find(address), address, kind, accessor)
        return self._with(contents), signal

    def read(
        self, space: int, find: Find, address: int, length: int, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[ContentLayer, Read]":
        """Read bytes, up to the first page that cannot be."""
        contents, found = memory.read(self.contents, space, find, address, length, accessor)
        return self._with(contents), found

    def write(
        self, space: int, find: Find, address: int, data: bytes, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[ContentLayer, Written]":
        """Write bytes, up to the first page that cannot be."""
        contents, done = memory.write(self.contents, space, find, address, data, accessor)
        return self._with(contents), done

    def observe(
        self, space: int, find: Find, address: int, seen: bytes
    ) -> "tuple[ContentLayer, Refusal | None]":
        """The layer once `seen` was read at `address`, or why it cannot have been.

        Requires  a read of the range gives no signal
        """
        found = memory.observe(self.contents, space, find, address, seen)
        if isinstance(found, Contents):
            return self._with(found), None
        byte = seen[found - address]
        expected = memory.read(self.contents, space, find, found, 1)[1].pieces[0]
        allowed = " or ".join(f"{form[0]:#04x}" for form in expected)
        return self, Refusal(READS.id, f"byte at {found:#x} is {byte:#04x}, expected {allowed}")

    def judge_resident(
        self, space: int, area: Area, start: int, end: int, seen: tuple[bool, ...]
    ) -> Refusal | None:
        """What is wrong with what mincore said of a range; None if nothing is."""
        for at, (expected, found) in enumerate(
            zip(self.resident(space, area, start, end), seen, strict=True)
        ):
            if expected is not None and expected != found:
                page = start + (at << PAGE_SHIFT)
                wanted = "resident" if expected else "not resident"
                return Refusal(RESIDENT.id, f"page {page:#x} was expected to be {wanted}")
        return None

    def _with(self, contents: Contents) -> "ContentLayer":
        return self if contents is self.contents else replace(self, contents=contents)
