"""Four bugs of copy on write that kernels had, as small systems in which every interleaving can be searched.

Each system runs the model's own functions under the rules of a kernel; the bug is a rule, and nothing else.

    dirty_cow       a forced write races with MADV_DONTNEED and reaches the file (CVE-2016-5195)
    onlooker        a child keeps a reference to a page that its parent writes (CVE-2020-29374)
    forked_pin      fork takes a page away from the parent that pinned it (until 5.8)
    lost_read_pin   a write takes a page away from whoever pinned it for reading (5.9 to 5.18)

Linux: mm/gup.c, mm/memory.c.  Seed 2.8 (F059).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.model.vm import gup
from linuxmm.model.vm.audit import broken
from linuxmm.model.vm.copy import copy
from linuxmm.model.vm.explore import Finding, search
from linuxmm.model.vm.fault import cached
from linuxmm.model.vm.layer import touch
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import NOTHING, Backing, Pages, bytes_of, entry, small_pages, with_bytes
from linuxmm.model.vm.table import create, destroy, find
from linuxmm.model.vm.zap import unmap, zap
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.invariant import clause
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.ownership import PINNED_STAYS
from linuxmm.spec.vm.page_layer import Area, PageArea
from linuxmm.spec.vm.pte import frame_of, is_mapped
from linuxmm.spec.vm.x86_entry import WRITE
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

FILE_UNTOUCHED: Final = clause(
    "vm.cow.file-untouched",
    "A write to a private mapping never changes the file.",
    features=("F059",),
    seed="2.8",
    source="mm/gup.c:faultin_page; commit 19be0eaffa3",
)
PARENT, CHILD = 1, 2
HANDLE: Final = 1


PRIVATE: Final = PageArea(0x10000, 0x11000, 0x73, anon=1)
READ_ONLY: Final = PageArea(0x10000, 0x11000, 0x71, file=7, anon=1)


def _quiet(pages: Pages) -> Pages:
    """The pages without the log, so that equal states are equal."""
    return replace(pages, log=())


# ---- Dirty COW -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Racing:
    """A forced write to a private page of a file, step by step, beside a thread that discards the page.

    request  what get_user_pages still remembers; None once it has its page
    unshare  how the next fault is served; None when a look comes next
    stored   the write was made
    """

    pages: Pages
    request: gup.Request | None
    fault: bool = False
    frame: int = NOTHING
    stored: bool = False
    discards: int = 0


def dirty_cow(rules: PageRules, discards: int = 2) -> Finding:
    """Search every interleaving of the forced write with up to `discards` MADV_DONTNEED."""
    pages, _ = create(small_pages(16), PARENT)
    pages = replace(pages, objects=Map({7: Backing(PAGE_SIZE, stored=Map({0: b"file" * 1024}))}))
    pages, frame, _ = cached(pages, 7, 0)
    start = Racing(_quiet(pages), gup.Request(True, forced=True))

    def steps(state: Racing) -> Iterator[tuple[str, Racing]]:
        yield from _writer_steps(rules, state)
        if state.discards < discards:
            zapped = _quiet(zap(state.pages, PARENT, READ_ONLY.start, READ_ONLY.end))
            yield "discard", replace(state, pages=zapped, discards=state.discards + 1)

    def judge(state: Racing) -> Refusal | None:
        if bytes_of(state.pages, frame) == b"file" * 1024:
            return None
        return Refusal(FILE_UNTOUCHED.id, "the page in the cache has the bytes of the private write")

    return search(start, steps, judge)


def _writer_steps(rules: PageRules, state: Racing) -> Iterator[tuple[str, Racing]]:
    if state.request is not None and not state.fault:
        look = gup.follow_page(rules, state.pages, PARENT, READ_ONLY, READ_ONLY.start, state.request)
        if look.frame == NOTHING:
            yield "look: fault needed", replace(state, fault=True)
        else:
            request = state.request
            held = gup.hold(
                rules, state.pages, HANDLE, PARENT, READ_ONLY.start, look.frame, request, wrote=True
            )
            yield "look: page found", replace(state, pages=_quiet(held), request=None, frame=look.frame)
    elif state.request is not None:
        pages, request, _ = gup.faultin_page(
            rules, state.pages, PARENT, READ_ONLY, READ_ONLY.start, state.request, False
        )
        yield "fault", replace(state, pages=_quiet(pages), request=request, fault=False)
    elif not state.stored:
        yield "store", replace(state, pages=with_bytes(state.pages, state.frame, b"mine" * 1024), stored=True)


# ---- who looks on, and whose pin is lost -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Family:
    """A parent and a child, and how far each of the actions has come."""

    pages: Pages
    done: frozenset[str] = frozenset()


def _written(rules: PageRules, pages: Pages, space: int) -> Pages:
    pages, place = touch(rules, pages, space, lambda _: PRIVATE, PRIVATE.start, WRITE)
    if not isinstance(place, int):
        raise Unmodelled(f"the write ends with {place}")
    frame = place >> PAGE_SHIFT
    return _quiet(with_bytes(pages, frame, bytes([space + bytes_of(pages, frame)[0]]) * PAGE_SIZE))


def _held(rules: PageRules, pages: Pages, space: int, request: gup.Request) -> Pages:
    pages, frame, _ = gup.get_user_page(rules, pages, space, PRIVATE, PRIVATE.start, request)
    return _quiet(gup.hold(rules, pages, HANDLE, space, PRIVATE.start, frame, request, wrote=request.write))


def _forked(rules: PageRules, pages: Pages) -> Pages:
    return _quiet(copy(rules, pages, PARENT, CHILD, (PRIVATE,))[0])


def _gone(pages: Pages, space: int) -> Pages:
    return _quiet(destroy(unmap(pages, space, 0, 1 << 47), space))


def _parent(rules: PageRules) -> Pages:
    return _written(rules, create(small_pages(24), PARENT)[0], PARENT)


def _audited(rules: PageRules, state: Family, question: str) -> Refusal | None:
    areas: dict[int, tuple[Area, ...]] = dict.fromkeys(state.pages.mms, (PRIVATE,))
    return next((found for found in broken(rules, state.pages, areas, (question,))), None)


def onlooker(rules: PageRules) -> Finding:
    """A child takes a reference to the page that it shares (vmsplice), and may unmap it; both may write."""

    def steps(state: Family) -> Iterator[tuple[str, Family]]:
        pages, done = state.pages, state.done
        if "child holds" not in done and "child unmaps" not in done:
            held = _held(rules, pages, CHILD, gup.Request(False))
            yield "child holds", Family(held, done | {"child holds"})
        if "child unmaps" not in done:
            zapped = _quiet(unmap(pages, CHILD, PRIVATE.start, PRIVATE.end))
            yield "child unmaps", Family(zapped, done | {"child unmaps"})
        if "parent writes" not in done:
            yield "parent writes", Family(_written(rules, pages, PARENT), done | {"parent writes"})
        if "child writes" not in done and "child unmaps" not in done:
            yield "child writes", Family(_written(rules, pages, CHILD), done | {"child writes"})

    start = Family(_forked(rules, _parent(rules)))
    return search(start, steps, lambda state: _audited(rules, state, "vm.cow.onlooker"))


def forked_pin(rules: PageRules) -> Finding:
    """A parent pins its page to be written (RDMA), forks, and goes on writing."""

    def steps(state: Family) -> Iterator[tuple[str, Family]]:
        pages, done = state.pages, state.done
        if "pin" not in done:
            yield "pin", Family(_held(rules, pages, PARENT, gup.Request(True, pin=True)), done | {"pin"})
        if "fork" not in done:
            yield "fork", Family(_forked(rules, pages), done | {"fork"})
        if "parent writes" not in done:
            yield "parent writes", Family(_written(rules, pages, PARENT), done | {"parent writes"})
        if "fork" in done and "child writes" not in done:
            yield "child writes", Family(_written(rules, pages, CHILD), done | {"child writes"})

    return search(Family(_parent(rules)), steps, _pin_lost)


def lost_read_pin(rules: PageRules) -> Finding:
    """A parent forks, its child exits, and the parent pins its page for reading and goes on writing."""

    def steps(state: Family) -> Iterator[tuple[str, Family]]:
        pages, done = state.pages, state.done
        if "pin" not in done:
            yield "pin", Family(_held(rules, pages, PARENT, gup.Request(False, pin=True)), done | {"pin"})
        if "child exits" not in done:
            yield "child exits", Family(_gone(pages, CHILD), done | {"child exits"})
        if "parent writes" not in done:
            yield "parent writes", Family(_written(rules, pages, PARENT), done | {"parent writes"})

    return search(Family(_forked(rules, _parent(rules))), steps, _pin_lost)


def _pin_lost(state: Family) -> Refusal | None:
    for hold in state.pages.holds.values():
        at = find(state.pages, hold.space, hold.address)
        value = entry(state.pages, at) if at != NOTHING else 0
        if is_mapped(value) and frame_of(value) != hold.frame:
            why = f"frame {hold.frame:#x} is pinned, frame {frame_of(value):#x} is mapped instead"
            return Refusal(PINNED_STAYS.id, why)
    return None
