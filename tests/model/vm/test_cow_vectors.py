"""Copy on write and pins, case by case, for kernels in which all of it is right (5.19 and later).

The cases follow what the kernel's own selftest of copy on write distinguishes for small pages: who holds a
page, how (a reference as vmsplice takes, a pin of get_user_pages), from when, and who writes or unmaps.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from linuxmm.model.vm import evict, gup
from linuxmm.model.vm.audit import broken
from linuxmm.model.vm.examples import ANON
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import bytes_of, entry, small_pages
from linuxmm.model.vm.table import find
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.page_layer import PageArea
from linuxmm.spec.vm.pte import frame_of
from linuxmm.spec.vm.rights import Accessor

PARENT, CHILD = 1, 2
AT = ANON.start
VERSIONS = ("5.19", "6.1.192", "6.12.117", "6.18")


class Family:
    """A parent whose page holds "old", and perhaps a child."""

    def __init__(self, version: str) -> None:
        self.layer = TableLayer(page_rules(kernel(version)), small_pages(60))
        self.spaces: dict[int, tuple[PageArea, ...]] = {PARENT: (ANON,)}
        self.write(PARENT, b"old")

    def write(self, space: int, data: bytes, accessor: Accessor = Accessor.THREAD) -> None:
        """Write to the page."""
        self.layer, done = self.layer.write(space, lambda _: ANON, AT, data, accessor)
        assert done.length == len(data)
        self.check()

    def seen(self, space: int) -> bytes:
        """What the page holds for a process."""
        self.layer, found = self.layer.read(space, lambda _: ANON, AT, 3)
        return found.data

    def fork(self) -> None:
        """The child appears."""
        self.layer = self.layer.copy(PARENT, CHILD, (ANON,))
        self.spaces[CHILD] = (ANON,)
        self.check()

    def leave(self) -> None:
        """The child exits."""
        self.layer = self.layer.drop(CHILD)
        del self.spaces[CHILD]

    def unmap(self, space: int) -> None:
        """munmap."""
        self.layer = self.layer.zap(space, ANON.start, ANON.end, (0, 0))
        self.check()

    def protect(self, space: int, flags: int) -> None:
        """mprotect."""
        self.layer = self.layer.protect(space, ANON._replace(flags=flags), ANON.start, ANON.end)
        self.check()

    def swap(self) -> None:
        """Reclaim puts the page into swap."""
        frame = self.mapped(PARENT)
        self.layer = replace(self.layer, pages=evict.swap_out(self.layer.pages, frame, 9))

    def hold(self, space: int, write: bool = False, pin: bool = False, handle: int = 1) -> None:
        """Take a reference (as vmsplice does) or a pin."""
        request = gup.Request(write, pin=pin)
        rules, pages = self.layer.rules, self.layer.pages
        pages, frame, _ = gup.get_user_page(rules, pages, space, ANON, AT, request)
        pages = gup.hold(rules, pages, handle, space, AT, frame, request, write)
        self.layer = replace(self.layer, pages=pages)
        self.check()

    def held(self, handle: int = 1) -> bytes:
        """What is seen through a hold."""
        pages = self.layer.pages
        return bytes_of(pages, pages.holds[handle].frame)[:3]

    def mapped(self, space: int) -> int:
        """The frame that is mapped."""
        pages = self.layer.pages
        return frame_of(entry(pages, find(pages, space, AT)))

    def coherent(self, space: int, handle: int = 1) -> bool:
        """Whether the hold is of the page that is mapped."""
        return self.layer.pages.holds[handle].frame == self.mapped(space)

    def check(self) -> None:
        """Ownership holds."""
        assert broken(self.layer.rules, self.layer.pages, dict(self.spaces)) == []


def child_sees_the_old(family: Family) -> None:
    family.fork()
    family.write(PARENT, b"new")
    assert (family.seen(PARENT), family.seen(CHILD)) == (b"new", b"old")


def parent_sees_the_old(family: Family) -> None:
    family.fork()
    family.write(CHILD, b"new")
    assert (family.seen(PARENT), family.seen(CHILD)) == (b"old", b"new")


def rights_given_back_do_not_share(family: Family) -> None:
    family.fork()
    family.protect(PARENT, 0x71)
    family.protect(PARENT, 0x73)
    family.write(PARENT, b"new")
    assert family.seen(CHILD) == b"old"


def splice_and_unmap_in_the_child(family: Family) -> None:
    family.fork()
    family.hold(CHILD)
    family.unmap(CHILD)
    family.write(PARENT, b"new")
    assert family.held() == b"old"


def splice_and_unmap_in_the_child_and_rights_given_back(family: Family) -> None:
    family.fork()
    family.hold(CHILD)
    family.unmap(CHILD)
    family.protect(PARENT, 0x71)
    family.protect(PARENT, 0x73)
    family.write(PARENT, b"new")
    assert family.held() == b"old"


def splice_before_fork_and_unmap_in_the_parent(family: Family) -> None:
    family.hold(PARENT)
    family.fork()
    family.unmap(PARENT)
    family.write(CHILD, b"new")
    assert family.held() == b"old"


def splice_after_fork_and_unmap_in_the_parent(family: Family) -> None:
    family.fork()
    family.hold(PARENT)
    family.unmap(PARENT)
    family.write(CHILD, b"new")
    assert family.held() == b"old"


def a_fixed_buffer_stays_the_parent_s(family: Family) -> None:
    family.hold(PARENT, write=True, pin=True)
    family.fork()
    family.write(PARENT, b"new")
    assert family.coherent(PARENT)
    assert (family.held(), family.seen(CHILD)) == (b"new", b"old")


def a_fixed_buffer_on_a_page_without_rights_to_write(family: Family) -> None:
    family.hold(PARENT, write=True, pin=True)
    family.protect(PARENT, 0x71)
    family.protect(PARENT, 0x73)
    family.write(PARENT, b"new")
    assert family.coherent(PARENT)


def a_read_pin_on_a_shared_page(family: Family) -> None:
    family.fork()
    family.hold(PARENT, pin=True)
    family.write(PARENT, b"new")
    assert family.coherent(PARENT)
    assert family.seen(CHILD) == b"old"


def a_read_pin_on_a_page_that_was_shared(family: Family) -> None:
    family.fork()
    family.leave()
    family.hold(PARENT, pin=True)
    family.write(PARENT, b"new")
    assert family.coherent(PARENT)


def a_read_pin_on_an_exclusive_page(family: Family) -> None:
    family.protect(PARENT, 0x71)
    family.hold(PARENT, pin=True)
    family.protect(PARENT, 0x73)
    family.write(PARENT, b"new")
    assert family.coherent(PARENT)


def a_read_pin_in_the_child(family: Family) -> None:
    family.fork()
    family.hold(CHILD, pin=True)
    family.write(PARENT, b"new")
    family.write(CHILD, b"mine"[:3])
    assert family.coherent(CHILD)
    assert family.seen(PARENT) == b"new"


def a_page_from_swap_is_as_exclusive(family: Family) -> None:
    family.swap()
    assert family.seen(PARENT) == b"old"
    family.fork()
    family.write(CHILD, b"new")
    assert family.seen(PARENT) == b"old"


def a_swapped_page_is_shared_by_fork(family: Family) -> None:
    family.swap()
    family.fork()
    family.write(PARENT, b"new")
    assert (family.seen(PARENT), family.seen(CHILD)) == (b"new", b"old")


def another_process_writes_for_the_parent(family: Family) -> None:
    family.fork()
    family.write(PARENT, b"new", Accessor.REMOTE)
    assert (family.seen(PARENT), family.seen(CHILD)) == (b"new", b"old")


CASES = (
    child_sees_the_old,
    parent_sees_the_old,
    rights_given_back_do_not_share,
    splice_and_unmap_in_the_child,
    splice_and_unmap_in_the_child_and_rights_given_back,
    splice_before_fork_and_unmap_in_the_parent,
    splice_after_fork_and_unmap_in_the_parent,
    a_fixed_buffer_stays_the_parent_s,
    a_fixed_buffer_on_a_page_without_rights_to_write,
    a_read_pin_on_a_shared_page,
    a_read_pin_on_a_page_that_was_shared,
    a_read_pin_on_an_exclusive_page,
    a_read_pin_in_the_child,
    a_page_from_swap_is_as_exclusive,
    a_swapped_page_is_shared_by_fork,
    another_process_writes_for_the_parent,
)
WRONG_BEFORE = {
    ("4.19", splice_and_unmap_in_the_child),
    ("4.19", splice_and_unmap_in_the_child_and_rights_given_back),
    ("4.19", splice_before_fork_and_unmap_in_the_parent),
    ("4.19", splice_after_fork_and_unmap_in_the_parent),
    ("4.19", a_fixed_buffer_stays_the_parent_s),
    ("4.19", a_read_pin_on_a_shared_page),
    ("5.15", a_fixed_buffer_on_a_page_without_rights_to_write),
    ("5.15", a_read_pin_on_a_shared_page),
    ("5.15", a_read_pin_on_a_page_that_was_shared),
    ("5.15", a_read_pin_on_an_exclusive_page),
    ("5.15", a_read_pin_in_the_child),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_nothing_is_shared_that_should_not_be(case: Callable[[Family], None], version: str) -> None:
    case(Family(version))


@pytest.mark.parametrize("version", ["4.19", "5.15"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_older_kernels_get_some_wrong(
    case: Callable[[Family], None], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Family, "check", lambda family: None)
    if (version, case) in WRONG_BEFORE:
        with pytest.raises(AssertionError):
            case(Family(version))
    else:
        case(Family(version))
