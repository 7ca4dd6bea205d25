"""Theorems about whose a page is: a write that reuses it, a write that copies it, a fork that shares it.

One page is followed, and one more that is fresh; what else refers to the page is counted.  The functions run
over a twin of the model's state that holds just these, and the entry of the parent and of the child.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NamedTuple

from linuxmm.model.vm import state as model_state
from linuxmm.model.vm.copy import (
    copy_entry,
    fork_copies_pinned_pages,
    fork_skips_without_private_pages,
)
from linuxmm.model.vm.cow import (
    do_wp_page,
    owned_exclusively,
    reuse_if_exclusive,
    unmapped,
    wp_page_copy,
    wp_page_reuse,
)
from linuxmm.model.vm.fault import around_sixteen, reads_map_zero_page
from linuxmm.model.vm.gup import forced_if_exclusive, keeps_write, pin_is_biased, read_pin_unshares
from linuxmm.model.vm.move import moves_page_directories
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import PIN_BIAS, Mm, Page, Pages
from linuxmm.model.vm.zap import writable_if_exclusive_and_dirty
from linuxmm.proofs.domain import Integer, Truth, Word
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.sym import as_state
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.vm.ownership import (
    Use,
    exclusive_means_sole,
    mapcount_is_entries,
    pinned_means_sole,
    refcount_is_references,
    writable_means_exclusive,
    writable_means_sole,
)
from linuxmm.spec.vm.pte import SPECIAL, forked, frame_of
from linuxmm.spec.vm.rights import copies_on_write
from linuxmm.spec.vm.x86_entry import PRESENT, WRITABLE
from linuxmm.spec.vm.x86_format import X86_64

AT, THERE = 0, 8
FRESH: Final = 0x7777
"""The frame that the allocator hands out: not the one that is followed."""


class Stretch(NamedTuple):
    """An area of which only the flags matter."""

    flags: int
    start: int = 0
    end: int = 4096
    pgoff: int = 0
    file: int | None = None
    anon: int | None = 1


class Spaces(NamedTuple):
    """Every address space looks the same."""

    mm: Mm

    def __getitem__(self, space: Any) -> Any:
        return self.mm


@dataclass(frozen=True, slots=True)
class Followed:
    """The twin of `Pages`.

    old, new       struct page of the frame that is followed and of the fresh one
    parent, child  their entries for it
    mms            the address spaces
    """

    old: Page
    new: Page
    parent: int
    child: int
    mms: Spaces

    @property
    def pages(self) -> "Followed":
        return self

    @property
    def format(self) -> object:
        return X86_64

    def __getitem__(self, frame: int) -> Page:
        return self.new if frame == FRESH else self.old


def as_pages(followed: Followed) -> Pages:
    """The twin, typed as what the model takes."""
    return as_state(followed, Pages)


def twin(pages: Pages) -> Followed:
    """The twin that the model returned."""
    return as_state(pages, Followed)


def entry(pages: Pages, at: int) -> int:
    return twin(pages).parent if at == AT else twin(pages).child


def with_entry(pages: Pages, at: int, value: int) -> Pages:
    followed = twin(pages)
    changed = replace(followed, parent=value) if at == AT else replace(followed, child=value)
    return as_pages(changed)


def with_page(pages: Pages, frame: int, page: Page) -> Pages:
    followed = twin(pages)
    return as_pages(replace(followed, new=page) if frame == FRESH else replace(followed, old=page))


def put_page(pages: Pages, frame: int, refs: int = 1) -> Pages:
    page = twin(pages)[frame]
    return with_page(pages, frame, page._replace(refs=page.refs - refs))


def take_zeroed(pages: Pages) -> tuple[Pages, int]:
    return pages, FRESH


def with_bytes(pages: Pages, frame: int, data: bytes) -> Pages:
    return pages


def bytes_of(pages: Pages, frame: int) -> bytes:
    return b""


def count(pages: Pages, space: int, page: Page, by: int) -> Pages:
    return pages


def flushing(pages: Pages, space: int, start: int, end: int) -> Pages:
    return pages


TWIN: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    model_state.entry: entry,
    model_state.with_entry: with_entry,
    model_state.with_page: with_page,
    model_state.put_page: put_page,
    model_state.take_zeroed: take_zeroed,
    model_state.with_bytes: with_bytes,
    model_state.bytes_of: bytes_of,
    model_state.count: count,
    model_state.flushing: flushing,
}

Count = Annotated[int, Integer(least=0)]
Flag = Annotated[bool, Truth()]
Flags = Annotated[int, Word(64, below=1 << 43)]
Entry = Annotated[int, Word(64)]
NOBODY: Final = Page(0, 0, True)
HELD: Final[dict[str, Any]] = {
    "flags": 0x73,
    "value": 0x1234_065,
    "entries": 1,
    "cached": 0,
    "held": 0,
    "exclusive": True,
    "anon": True,
}


def modern() -> PageRules:
    """The rules since 6.0."""
    return PageRules(
        reads_zero_page=reads_map_zero_page,
        fault_around=around_sixteen,
        may_reuse=reuse_if_exclusive,
        owned=owned_exclusively,
        fork_skips=fork_skips_without_private_pages,
        fork_copies=fork_copies_pinned_pages,
        pin_refs=pin_is_biased,
        read_hold_breaks=read_pin_unshares,
        keeps_write=keeps_write,
        may_write_forced=forced_if_exclusive,
        move_levels=moves_page_directories,
        may_write_now=writable_if_exclusive_and_dirty,
    )


def use_of(page: Page, cached: int, held: int, entries: int, writable: int, pins: int) -> Use:
    """The use of a page that struct page counts as `page`."""
    return Use(
        page.refs,
        page.maps,
        page.exclusive,
        page.anon,
        cached,
        held,
        entries,
        entries,
        writable,
        0,
        pins,
    )


def sound(use: Use) -> bool:
    """Every invariant of a page that one use shows."""
    return (
        mapcount_is_entries(use)
        and refcount_is_references(use)
        and exclusive_means_sole(use)
        and writable_means_sole(use)
        and writable_means_exclusive(use)
        and pinned_means_sole(use)
    )


def writable(value: int) -> int:
    """1 if an entry may be written, else 0."""
    return 1 if value & WRITABLE != 0 else 0


@theorem(
    "vm.cow.write",
    "A write to a read-only private page goes to the page itself only if this entry alone maps it and nobody "
    "of another address space can look on; else to an exclusive copy, and the page keeps its other users.",
    proves=(do_wp_page, wp_page_reuse, wp_page_copy, unmapped, reuse_if_exclusive, owned_exclusively),
    clauses=(
        "vm.page.mapcount",
        "vm.page.refcount",
        "vm.cow.sole-writer",
        "vm.cow.exclusive",
        "vm.cow.marked",
        "vm.cow.onlooker",
    ),
    features=("F059",),
    method="inductive",
    bounds="any number of entries and references, any entry, any private area that may be written; the rules "
    "since 5.19",
    primitives=TWIN,
    witness=HELD,
    mutants=(
        Mutant(reuse_if_exclusive, "asks how often it is mapped", "page.refs == 1", "page.maps == 1"),
        Mutant(reuse_if_exclusive, "never mind who holds it", "page.refs == 1", "page.refs > 0"),
        Mutant(do_wp_page, "writes to a page of a file", "if page.anon and rules", "if rules"),
        Mutant(owned_exclusively, "does not mark the page", "exclusive=True", "exclusive=False"),
        Mutant(unmapped, "does not count the entry out", "maps=page.maps - 1", "maps=page.maps"),
        Mutant(wp_page_copy, "keeps mapping the page", "page_entry(frame,", "page_entry(old,"),
    ),
)
def private_write(
    flags: Flags, value: Entry, entries: Count, cached: Count, held: Count, exclusive: Flag, anon: Flag
) -> bool:
    assume((flags & 0xA == 0x2) & (flags & 0x20 != 0) & (cached <= 1) & (entries >= 1))
    assume((value & PRESENT != 0) & (value & (WRITABLE | SPECIAL) == 0) & no(frame_of(value) == FRESH))
    assume(implies(anon, cached == 0))
    page = Page(entries + cached + held, entries, anon, exclusive)
    assume(join(sound, use_of(page, cached, held, entries, 0, 0)))
    start = Followed(page, NOBODY, value, 0, Spaces(Mm(0)))
    pages, frame = do_wp_page(modern(), as_pages(start), 1, Stretch(flags), 0, AT, False)
    end = twin(pages)
    if frame_of(end.parent) == FRESH:
        copy = use_of(end.new, 0, 0, 1, writable(end.parent), 0)
        rest_of_it = use_of(end.old, cached, held, entries - 1, 0, 0)
        gone = (entries == 1) & (cached == 0) & (held == 0)
        kept = join(mapcount_is_entries, rest_of_it) & (end.old.refs == entries - 1 + cached + held)
        return join(sound, copy) & kept & (frame == FRESH) & implies(gone, end.old.refs == 0)
    mine = use_of(end.old, cached, held, entries, writable(end.parent), 0)
    return join(sound, mine) & (entries == 1) & implies(no(exclusive), held == 0)


@theorem(
    "vm.cow.unshare",
    "Unsharing gives a page that is exclusive, and leaves it as it was where it belonged to nobody else.",
    proves=(do_wp_page, reuse_if_exclusive, owned_exclusively),
    clauses=("vm.cow.exclusive", "vm.cow.sole-writer"),
    features=("F059",),
    method="inductive",
    bounds="any number of entries and references, any entry, any private area; the rules since 5.19",
    primitives=TWIN,
    witness={name: value for name, value in HELD.items() if name not in ("anon", "cached")},
    mutants=(
        Mutant(
            do_wp_page,
            "makes the page writable",
            "return (pages, frame) if unshare else (wp_page_reuse",
            "return (wp_page_reuse(pages, area, address, space, at), frame) if unshare else (wp_page_reuse",
        ),
        Mutant(
            wp_page_copy, "makes the copy writable", "copied if unshare else", "copied if not unshare else"
        ),
        Mutant(reuse_if_exclusive, "keeps whatever there is", "page.refs == 1", "page.refs >= 1"),
    ),
)
def unsharing(flags: Flags, value: Entry, entries: Count, held: Count, exclusive: Flag) -> bool:
    assume((flags & 0xA == 0x2) & (flags & 0x20 != 0) & (entries >= 1))
    assume((value & PRESENT != 0) & (value & (WRITABLE | SPECIAL) == 0) & no(frame_of(value) == FRESH))
    page = Page(entries + held, entries, True, exclusive)
    assume(join(sound, use_of(page, 0, held, entries, 0, 0)))
    start = Followed(page, NOBODY, value, 0, Spaces(Mm(0)))
    pages, _ = do_wp_page(modern(), as_pages(start), 1, Stretch(flags), 0, AT, True)
    end = twin(pages)
    read_only = end.parent & WRITABLE == 0
    if frame_of(end.parent) == FRESH:
        return read_only & join(sound, use_of(end.new, 0, 0, 1, 0, 0)) & no(exclusive)
    return read_only & end.old.exclusive & (end.parent == value) & (entries == 1)


@theorem(
    "vm.fork.owners",
    "fork shares a private page read-only on both sides, counted and no longer exclusive, or copies it at "
    "once; a page that is pinned stays with the parent that pinned it.",
    proves=(copy_entry, fork_copies_pinned_pages, forked),
    clauses=(
        "vm.page.mapcount",
        "vm.page.refcount",
        "vm.cow.sole-writer",
        "vm.cow.exclusive",
        "vm.cow.marked",
        "vm.pin.sole",
    ),
    features=("F059",),
    method="inductive",
    bounds="any number of entries, references and pins, any entry, any private area; the rules since 5.19",
    primitives=TWIN,
    witness={**HELD, "value": 0x1234_067, "pins": 0},
    mutants=(
        Mutant(fork_copies_pinned_pages, "shares pinned pages", "return mm", "return False and mm"),
        Mutant(
            fork_copies_pinned_pages,
            "takes any reference for no pin",
            "refs >= PIN_BIAS",
            "refs > PIN_BIAS << 1",
        ),
        Mutant(copy_entry, "keeps the mark", ", exclusive=False", ""),
        Mutant(copy_entry, "does not count the child's reference", "refs=page.refs + 1", "refs=page.refs"),
        Mutant(copy_entry, "leaves the parent's entry", "if parents != value:", "if False:"),
    ),
)
def fork_shares(
    flags: Flags,
    value: Entry,
    entries: Count,
    cached: Count,
    held: Count,
    exclusive: Flag,
    anon: Flag,
    pins: Count,
) -> bool:
    assume(copies_on_write(flags) & (cached <= 1) & (entries >= 1) & (held >= PIN_BIAS * pins))
    assume((value & PRESENT != 0) & (value & SPECIAL == 0) & no(frame_of(value) == FRESH))
    assume(implies(anon, cached == 0))
    page = Page(entries + cached + held, entries, anon, exclusive)
    assume(join(sound, use_of(page, cached, held, entries, writable(value), pins)))
    start = Followed(page, NOBODY, value, 0, Spaces(Mm(0, has_pinned=pins > 0)))
    pages, _ = copy_entry(modern(), as_pages(start), 1, 2, Stretch(flags), AT, THERE, value)
    end = twin(pages)
    if frame_of(end.child) == FRESH:
        own = use_of(end.new, 0, 0, 1, writable(end.child), 0)
        return (end.parent == value) & (end.old == page) & join(sound, own)
    shared = use_of(end.old, cached, held, entries + 1, writable(end.parent) + writable(end.child), pins)
    return (frame_of(end.child) == frame_of(value)) & join(sound, shared)
