"""The catalogue of misuses: small histories with their ground truth, and proper ones as controls."""

from typing import Final

from linuxmm.spec.debug.history import (
    Alloc,
    Churn,
    Event,
    Free,
    History,
    Kind,
    Misuse,
    Read,
    Scan,
    Store,
    Wait,
    Write,
)
from linuxmm.spec.vocabulary import PAGE_SIZE

_OBJECT: Final = (Alloc("other", 13), Alloc("a", 13), Alloc("next", 13), Write("a", 0, 13))
_FREED: Final = (*_OBJECT, Free("a"))
_THEN_FREED: Final = (Free("a"),)
_REQUESTED: Final = (Alloc("again", 13),)
_PAGE: Final = (Alloc("p", PAGE_SIZE, Kind.PAGES), Write("p", 0, PAGE_SIZE))
_PAGE_FREED: Final = (*_PAGE, Free("p"))
_PAIR: Final = (Alloc("p", 2 * PAGE_SIZE, Kind.PAGES), Write("p", 0, 2 * PAGE_SIZE))
_LARGE: Final = (Alloc("big", 10_000), Write("big", 0, 10_000))
_FRAME: Final = (Alloc("v", 13, Kind.STACK), Alloc("w", 40, Kind.STACK), Write("v", 0, 13), Write("w", 0, 40))
_GLOBAL: Final = (Alloc("g", 13, Kind.GLOBAL), Alloc("h", 40, Kind.GLOBAL))
_ROOT: Final = (Alloc("root", 64, Kind.GLOBAL), Write("root", 0, 64, 0))
_AGAIN: Final = (Alloc("q", PAGE_SIZE, Kind.PAGES),)
_AGED: Final = (Wait(10), Scan(), Wait(600), Scan())
_FLUSH: Final = (Churn(40_000, 1024),)


def _cleared(name: str, size: int = 64) -> History:
    return (Alloc(name, size, zeroed=True),)


def _wrong(id: str, title: str, before: History, event: Event, after: History = ()) -> Misuse:
    return Misuse(id, title, (*before, event, *after), len(before))


MISUSES: Final[tuple[Misuse, ...]] = (
    _wrong("slab.right.slack-read", "read of the byte behind 13 requested ones", _OBJECT, Read("a", 13)),
    _wrong(
        "slab.right.slack-write",
        "write of the byte behind 13 requested ones",
        _OBJECT,
        Write("a", 13),
        _THEN_FREED,
    ),
    _wrong(
        "slab.right.room",
        "write behind the 16 bytes of the object's class",
        _OBJECT,
        Write("a", 16),
        _THEN_FREED,
    ),
    _wrong("slab.right.straddle", "aligned read of 8 bytes, 3 of them behind", _OBJECT, Read("a", 8, 8)),
    _wrong("slab.right.unaligned", "unaligned read of 2 bytes, 1 of them behind", _OBJECT, Read("a", 12, 2)),
    _wrong("slab.right.sixteen", "read of 16 bytes from a block of 13", _OBJECT, Read("a", 0, 16)),
    _wrong(
        "slab.right.memset", "memset of 15 bytes in a block of 13", _OBJECT, Write("a", 0, 15), _THEN_FREED
    ),
    _wrong("slab.left.read", "read of the byte in front", _OBJECT, Read("a", -1)),
    _wrong("slab.left.write", "write of the byte in front", _OBJECT, Write("a", -1), _THEN_FREED),
    _wrong(
        "slab.left.word", "write of 8 bytes of which 4 lie in front", _OBJECT, Write("a", -4, 8), _THEN_FREED
    ),
    _wrong("slab.far.live", "stray write that ends in a live object", _OBJECT, Write("a", 0, onto="next")),
    _wrong(
        "slab.far.freed",
        "stray write that ends in a freed object",
        (*_OBJECT, Free("next")),
        Write("a", 0, onto="next"),
        _REQUESTED,
    ),
    _wrong("slab.uaf.read", "read of an object just freed", _FREED, Read("a", 0, 8)),
    _wrong("slab.uaf.write", "write to an object just freed", _FREED, Write("a", 0, 8), _REQUESTED),
    _wrong("slab.uaf.idle", "write to a freed object that nobody requests again", _FREED, Write("a", 0, 8)),
    _wrong(
        "slab.uaf.tail", "write to the last byte of an object just freed", _FREED, Write("a", 12), _REQUESTED
    ),
    _wrong(
        "slab.uaf.freelist",
        "write over the free pointer of a freed object, which the next request follows",
        _FREED,
        Write("a", 8, 8, 0xFF),
        (Alloc("new", 13), Alloc("newer", 13)),
    ),
    _wrong(
        "slab.uaf.requested-again",
        "read of a freed object after a request of its size",
        (*_FREED, Alloc("new", 13)),
        Read("a", 0, 8),
    ),
    _wrong(
        "slab.uaf.late", "read of an object freed 40 MiB of frees ago", (*_FREED, *_FLUSH), Read("a", 0, 8)
    ),
    _wrong(
        "slab.uaf.late-reused",
        "read of an object freed 40 MiB of frees ago and handed out again",
        (*_FREED, *_FLUSH, Alloc("new", 13)),
        Read("a", 0, 8),
    ),
    _wrong("slab.free.twice", "object freed twice in a row", _FREED, Free("a")),
    _wrong(
        "slab.free.twice-apart", "object freed twice, another between", (*_FREED, Free("next")), Free("a")
    ),
    _wrong(
        "slab.free.twice-late", "object freed twice, 40 MiB of frees between", (*_FREED, *_FLUSH), Free("a")
    ),
    _wrong(
        "slab.free.others",
        "object freed twice after it was handed out again",
        (*_FREED, *_FLUSH, Alloc("new", 13)),
        Free("a"),
    ),
    _wrong("slab.free.inside", "object freed through a pointer 8 bytes into it", _OBJECT, Free("a", 8)),
    _wrong("large.right.slack", "write behind 10000 bytes of kmalloc", _LARGE, Write("big", 10_000)),
    _wrong("large.right.pages", "write behind the pages of a large kmalloc", _LARGE, Write("big", 16_384)),
    _wrong("large.left", "write in front of a large kmalloc", _LARGE, Write("big", -1)),
    _wrong("large.uaf", "read of a large kmalloc just freed", (*_LARGE, Free("big")), Read("big", 0, 8)),
    _wrong("large.free.twice", "large kmalloc freed twice", (*_LARGE, Free("big")), Free("big")),
    _wrong(
        "large.free.inside", "large kmalloc freed through its second page", _LARGE, Free("big", PAGE_SIZE)
    ),
    _wrong("page.uaf.read", "read of a freed page", _PAGE_FREED, Read("p", 0, 8), _AGAIN),
    _wrong("page.uaf.write", "write of 8 bytes to a freed page", _PAGE_FREED, Write("p", 64, 8), _AGAIN),
    _wrong("page.uaf.bit", "one bit changed in a freed page", _PAGE_FREED, Write("p", 9, 1, 0xAB), _AGAIN),
    _wrong("page.uaf.poison", "write of 0xaa to a freed page", _PAGE_FREED, Write("p", 9, 1, 0xAA), _AGAIN),
    _wrong("page.uaf.idle", "write to a freed page that nobody requests again", _PAGE_FREED, Write("p", 9)),
    _wrong(
        "page.uaf.reused",
        "write to a freed page that was handed out again",
        (*_PAGE_FREED, *_AGAIN),
        Write("p", 9),
    ),
    _wrong(
        "page.uaf.second",
        "write to the second page of a freed pair",
        (*_PAIR, Free("p")),
        Write("p", PAGE_SIZE + 5),
        (Alloc("q", 2 * PAGE_SIZE, Kind.PAGES),),
    ),
    _wrong("page.uaf.memset", "memset of a freed page", _PAGE_FREED, Write("p", 0, PAGE_SIZE, 0), _AGAIN),
    _wrong(
        "page.right.read", "read behind a page, where a free one lies", _PAGE, Read("p", PAGE_SIZE), _AGAIN
    ),
    _wrong(
        "page.right.write", "write behind a page, where a free one lies", _PAGE, Write("p", PAGE_SIZE), _AGAIN
    ),
    _wrong(
        "page.right.owned",
        "write behind a page, where another owner's lies",
        (*_PAGE, *_AGAIN, Write("q", 0, PAGE_SIZE)),
        Write("p", PAGE_SIZE),
    ),
    _wrong(
        "page.left.owned",
        "write in front of a page, where another owner's lies",
        (*_PAGE, *_AGAIN, Write("q", 0, PAGE_SIZE)),
        Write("q", -1),
    ),
    _wrong("stack.right", "write behind a stack variable", _FRAME, Write("v", 13)),
    _wrong("stack.left", "write in front of a stack variable", _FRAME, Write("v", -1)),
    _wrong("stack.middle", "read of 8 bytes behind the second variable", _FRAME, Read("w", 40, 8)),
    _wrong("stack.far", "stray write from one variable into another", _FRAME, Write("v", 0, onto="w")),
    _wrong("stack.scope", "write to a variable that left its scope", (*_FRAME, Free("v")), Write("v", 0)),
    _wrong("global.right", "read behind a global variable", _GLOBAL, Read("g", 13)),
    _wrong("global.left", "read in front of the second global variable", _GLOBAL, Read("h", -1)),
    _wrong("global.far", "stray write from one global into another", _GLOBAL, Write("g", 0, onto="h")),
    _wrong("uninit.slab", "read of an object never written", (Alloc("a", 64),), Read("a", 0, 8)),
    _wrong(
        "uninit.page", "read of a page never written", (Alloc("p", PAGE_SIZE, Kind.PAGES),), Read("p", 0, 8)
    ),
    _wrong(
        "leak.lost",
        "the only pointer to an object is overwritten",
        (*_ROOT, *_cleared("a"), Store("root", 0, "a")),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "leak.dropped", "the pointer to an object is never kept", _ROOT, Alloc("a", 64, zeroed=True), _AGED
    ),
    _wrong(
        "leak.chain",
        "the head of a chain of two objects is lost",
        (*_ROOT, *_cleared("a"), *_cleared("b"), Store("a", 0, "b"), Store("root", 0, "a")),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "leak.cycle",
        "two objects that point to each other are lost",
        (
            *_ROOT,
            *_cleared("a"),
            *_cleared("b"),
            Store("a", 0, "b"),
            Store("b", 0, "a"),
            Store("root", 0, "a"),
        ),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "leak.self",
        "an object that points to itself is lost",
        (*_ROOT, *_cleared("a"), Store("a", 0, "a"), Store("root", 0, "a")),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "leak.once",
        "an object is lost and memory is scanned only once",
        (*_ROOT, *_cleared("a"), Store("root", 0, "a")),
        Store("root", 0),
        (Wait(10), Scan()),
    ),
    _wrong(
        "leak.stale",
        "an object is lost whose address still lies in a forgotten variable",
        (*_ROOT, *_cleared("a"), Store("root", 0, "a"), Store("root", 8, "a")),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "leak.holder-freed",
        "the object that holds the only pointer is freed",
        (*_ROOT, *_cleared("a"), *_cleared("b"), Store("root", 0, "a"), Store("a", 0, "b"), Store("root", 0)),
        Free("a"),
        _AGED,
    ),
    _wrong(
        "leak.pages",
        "the only pointer to a page is overwritten",
        (*_ROOT, *_PAGE, Store("root", 0, "p")),
        Store("root", 0),
        _AGED,
    ),
    _wrong(
        "null.slab-atomic",
        "result of an atomic kmalloc used unchecked",
        (),
        Alloc("a", 64, blocking=False, checked=False),
        (Write("a", 0, 8),),
    ),
    _wrong(
        "null.slab",
        "result of a kmalloc that may sleep used unchecked",
        (),
        Alloc("a", 64, checked=False),
        (Write("a", 0, 8),),
    ),
    _wrong(
        "null.page-atomic",
        "result of an atomic request for one page used unchecked",
        (),
        Alloc("p", PAGE_SIZE, Kind.PAGES, blocking=False, checked=False),
        (Write("p", 0, 8),),
    ),
    _wrong(
        "null.pages-atomic",
        "result of an atomic request for two pages used unchecked",
        (),
        Alloc("p", 2 * PAGE_SIZE, Kind.PAGES, blocking=False, checked=False),
        (Write("p", 0, 8),),
    ),
    _wrong(
        "null.pages",
        "result of a request for two pages that may sleep used unchecked",
        (),
        Alloc("p", 2 * PAGE_SIZE, Kind.PAGES, checked=False),
        (Write("p", 0, 8),),
    ),
)


def _control(id: str, title: str, *events: Event) -> Misuse:
    return Misuse(id, title, events, -1)


CONTROLS: Final[tuple[Misuse, ...]] = (
    _control(
        "proper.object", "every byte of an object", *_OBJECT, Read("a", 0, 13), Read("a", 5, 8), Free("a")
    ),
    _control(
        "proper.reuse", "an object freed and requested again", *_FREED, Alloc("n", 13), Write("n", 0, 13)
    ),
    _control(
        "proper.page", "a page freed and requested again", *_PAGE_FREED, *_AGAIN, Write("q", 0, PAGE_SIZE)
    ),
    _control("proper.large", "a large kmalloc to its last byte", *_LARGE, Read("big", 9_999), Free("big")),
    _control("proper.stack", "variables to their last bytes", *_FRAME, Read("v", 12), Read("w", 32, 8)),
    _control("proper.global", "globals to their last bytes", *_GLOBAL, Read("g", 12), Read("h", 39)),
    _control(
        "proper.kept",
        "an object that a global points to",
        *_ROOT,
        *_cleared("a"),
        Store("root", 0, "a"),
        *_AGED,
    ),
    _control(
        "proper.inside",
        "an object kept by a pointer into its middle",
        *_ROOT,
        *_cleared("a"),
        Store("root", 0, "a", 63),
        *_AGED,
    ),
    _control(
        "proper.chain",
        "a chain of objects from a global",
        *_ROOT,
        *_cleared("a"),
        *_cleared("b"),
        Store("a", 0, "b"),
        Store("root", 0, "a"),
        *_AGED,
    ),
    _control(
        "proper.checked",
        "a refusal that the caller copes with",
        Alloc("a", 64, blocking=False),
        Write("a", 0),
    ),
)

DISGUISED: Final[tuple[Misuse, ...]] = (
    _control(
        "proper.masked",
        "an object kept by a disguised pointer",
        *_ROOT,
        *_cleared("a"),
        Store("root", 0, "a", mask=0xFFFF_0000_0000),
        *_AGED,
    ),
    _control(
        "proper.in-page",
        "an object kept only by a pointer in a page of alloc_pages",
        *_ROOT,
        *_PAGE,
        Store("root", 0, "p"),
        *_cleared("a"),
        Store("p", 0, "a"),
        *_AGED,
    ),
)
"""Proper histories that a scan for pointers cannot tell from leaks."""
