"""The trace events that say what a page allocator did, and in which column each of their fields stands.

One `Layout` describes one event as some kernel prints or stores it.  A kprobe is known by its name *and*
the symbol that it probes, because names are free.  Events without a layout are counted, not kept.

Kernel: include/trace/events/kmem.h, 2.6.31 to 6.12; kprobes as `docs/formats/events.md` lists them.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Kind(IntEnum):
    """What an observation is; the numbers are part of the archive format."""

    MM_PAGE_ALLOC = 1
    MM_PAGE_FREE = 2
    MM_PAGE_FREE_BATCHED = 3
    MM_PAGE_ALLOC_ZONE_LOCKED = 4
    MM_PAGE_PCPU_DRAIN = 5
    MM_PAGE_ALLOC_EXTFRAG = 6
    MARK = 7
    COMMIT = 16
    FREEOK = 17
    FREEONE = 18
    ISOL = 19
    ISOL_R = 20
    MOVEFPB = 21
    MOVEFPB_R = 22
    MOVEFP = 23
    STEAL = 24
    TRY_STEAL = 25
    TRY_STEAL_R = 26
    SETMT = 27
    SETPFB = 28
    PCPBULK = 29
    RMQBULK = 30
    RMQBULK_R = 31
    TAKEOFF = 32
    PUTBACK = 33
    PUTISO = 34
    SPLITFREE = 35
    SPLITL = 36
    MFBISO = 37
    DRAINZ = 38
    DECAYHIGH = 39
    BULKALLOC = 40
    BULKALLOC_R = 41
    SPLIT = 42
    CORE = 43
    ATTEMPT = 44
    BALANCE = 45
    BALANCE_R = 46
    COMPACTZONE = 47
    COMPACTFREE = 48
    COMPACTZONE_R = 49
    COMPACTALLOC = 50
    ISOLMIGRATE = 51


class Column(IntEnum):
    """Where a field's value goes; PAGE is a struct-page address and becomes a pfn; NONE is not kept."""

    PAGE = 0
    PFN = 1
    ORDER = 2
    MT = 3
    A = 4
    B = 5
    C = 6
    NONE = 7


class Form(IntEnum):
    """How a field's value is written in text."""

    NUMBER = 0  # decimal, or hexadecimal after 0x
    HEX = 1  # hexadecimal with or without 0x, or (null)
    GFP = 2  # names joined by |


class Field(NamedTuple):
    """One field: its name, its column, how it is written, and where in a packed word it stands."""

    key: str
    column: Column
    form: Form = Form.NUMBER
    shift: int = 0
    bits: int = 64
    required: bool = True


class Layout(NamedTuple):
    """One event: names it goes by, the symbols it probes when it is a kprobe, its fields."""

    kind: Kind
    names: tuple[str, ...]
    fields: tuple[Field, ...]
    symbols: tuple[str, ...] = ()
    returns: bool = False


_PAGE: Final = Field("page", Column.PAGE, Form.HEX)
_PFN: Final = Field("pfn", Column.PFN)
_ORDER: Final = Field("order", Column.ORDER)
_MT: Final = Field("mt", Column.MT)
_ZONE: Final = Field("zone", Column.A, Form.HEX)
_MIGRATETYPE: Final = Field("migratetype", Column.MT)
_TRACED: Final = (_PAGE._replace(required=False), _PFN)


def _a(key: str, form: Form = Form.NUMBER) -> Field:
    return Field(key, Column.A, form)


def _b(key: str, form: Form = Form.NUMBER) -> Field:
    return Field(key, Column.B, form)


def _c(key: str, shift: int = 0, bits: int = 64, required: bool = True) -> Field:
    return Field(key, Column.C, Form.NUMBER, shift, bits, required)


def _probe(kind: Kind, symbols: str, *fields: Field) -> Layout:
    name = kind.name.lower()
    return Layout(kind, (name,), fields, tuple(symbols.split()))


def _return(kind: Kind, name: str, symbols: str, field: Field) -> Layout:
    return Layout(kind, (name,), (field,), tuple(symbols.split()), returns=True)


_BULK: Final = "__alloc_pages_bulk alloc_pages_bulk_noprof"
_MOVEFPB: Final = "move_freepages_block"

LAYOUTS: Final[tuple[Layout, ...]] = (
    Layout(
        Kind.MM_PAGE_ALLOC,
        ("mm_page_alloc",),
        (*_TRACED, _ORDER, _MIGRATETYPE, Field("gfp_flags", Column.A, Form.GFP)),
    ),
    Layout(Kind.MM_PAGE_FREE, ("mm_page_free", "mm_page_free_direct"), (*_TRACED, _ORDER)),
    Layout(
        Kind.MM_PAGE_FREE_BATCHED,
        ("mm_page_free_batched", "mm_pagevec_free"),
        (*_TRACED, _ORDER._replace(required=False), _a("cold")._replace(required=False)),
    ),
    Layout(
        Kind.MM_PAGE_ALLOC_ZONE_LOCKED,
        ("mm_page_alloc_zone_locked",),
        (*_TRACED, _ORDER, _MIGRATETYPE, _a("percpu_refill")),
    ),
    Layout(Kind.MM_PAGE_PCPU_DRAIN, ("mm_page_pcpu_drain",), (*_TRACED, _ORDER, _MIGRATETYPE)),
    Layout(
        Kind.MM_PAGE_ALLOC_EXTFRAG,
        ("mm_page_alloc_extfrag",),
        (
            *_TRACED,
            Field("alloc_order", Column.ORDER),
            _a("fallback_order"),
            _c("pageblock_order", 8, 8, required=False),
            Field("alloc_migratetype", Column.MT),
            _b("fallback_migratetype"),
            _c("fragmenting", 1, 1, required=False),
            _c("change_ownership", 0, 1),
        ),
    ),
    _probe(
        Kind.COMMIT,
        "free_unref_page_commit",
        _ZONE,
        _b("pcp", Form.HEX),
        _PAGE,
        _MT,
        _ORDER,
        _c("zflags", 0, 8, required=False),
        _c("held", 8, 24, required=False),
        _c("high", 32, 24, required=False),
    ),
    _probe(Kind.FREEOK, "__free_pages_ok", _PAGE, _ORDER, _a("fpi")),
    _probe(Kind.FREEONE, "free_one_page", _ZONE, _PAGE, _PFN, _ORDER, _MT),
    _probe(Kind.ISOL, "__isolate_free_page", _PAGE, _ORDER),
    _return(Kind.ISOL_R, "isol_r", "__isolate_free_page", _a("ret")),
    _probe(Kind.MOVEFPB, _MOVEFPB, _ZONE, _PAGE, _MT),
    _return(Kind.MOVEFPB_R, "movefpb_r", _MOVEFPB, _a("ret")),
    _probe(Kind.MOVEFP, "__move_freepages_block", _ZONE, _PFN, _b("old"), _MT),
    _probe(
        Kind.STEAL,
        "steal_suitable_fallback",
        _ZONE,
        _PAGE,
        _b("aflags"),
        Field("start", Column.MT),
        _c("whole"),
    ),
    Layout(
        Kind.TRY_STEAL,
        ("steal",),
        (_ZONE, _PAGE, _c("cur"), _ORDER, Field("start", Column.MT), _b("aflags")),
        ("try_to_steal_block",),
    ),
    _return(Kind.TRY_STEAL_R, "steal_r", "try_to_steal_block", Field("ret", Column.PAGE, Form.HEX)),
    _probe(Kind.SETMT, "set_pageblock_migratetype", _PAGE, _MT),
    _probe(Kind.SETPFB, "set_pfnblock_flags_mask", _PAGE, _a("flags"), _PFN, _b("mask")),
    _probe(
        Kind.PCPBULK,
        "free_pcppages_bulk",
        _ZONE,
        _c("count", 32, 32),
        _b("pcp", Form.HEX),
        _c("pindex", 0, 32),
    ),
    _probe(
        Kind.RMQBULK,
        "rmqueue_bulk",
        _ZONE,
        _ORDER,
        _c("count", 32, 32),
        _b("list", Form.HEX),
        _MT,
        _c("aflags", 0, 32),
    ),
    _return(Kind.RMQBULK_R, "rmqbulk_r", "rmqueue_bulk", _a("ret")),
    _probe(Kind.TAKEOFF, "take_page_off_buddy", _PAGE),
    _probe(Kind.PUTBACK, "put_page_back_buddy", _PAGE),
    _probe(Kind.PUTISO, "__putback_isolated_page", _PAGE, _ORDER, _MT),
    _probe(Kind.SPLITFREE, "split_free_page", _PAGE, _ORDER, _a("off")),
    _probe(Kind.SPLITL, "split_large_buddy", _ZONE, _PAGE, _PFN, _ORDER, _b("fpi")),
    _probe(Kind.MFBISO, "move_freepages_block_isolate", _ZONE, _PAGE, _MT),
    _probe(Kind.DRAINZ, "drain_pages_zone", _b("cpu"), _ZONE),
    _probe(Kind.DECAYHIGH, "decay_pcp_high", _ZONE, _b("pcp", Form.HEX)),
    _probe(Kind.BULKALLOC, _BULK, _a("gfp"), _b("nid"), _c("nr")),
    _return(Kind.BULKALLOC_R, "bulkalloc_r", _BULK, _a("ret")),
    _probe(Kind.SPLIT, "split_page", _PAGE, _ORDER),
    _probe(Kind.CORE, "__free_pages_core", _PAGE, _ORDER),
    _probe(
        Kind.ATTEMPT,
        "get_page_from_freelist",
        _a("gfp"),
        _ORDER,
        _c("aflags", 0, 24),
        _MT,
        _c("highest", 32, 8),
        _b("zone", Form.HEX),
        _c("dirty", 40, 8, required=False),
    ),
    _probe(Kind.BALANCE, "balance_pgdat", _b("pgdat", Form.HEX), _ORDER, _a("highest")),
    _return(Kind.BALANCE_R, "balance_r", "balance_pgdat", _a("ret")),
    _probe(Kind.COMPACTFREE, "compaction_free", _PAGE),
    _probe(
        Kind.COMPACTZONE,
        "compact_zone",
        _ZONE,
        Field("order", Column.B, Form.NUMBER, 0, 32),
        Field("cachedfree", Column.B, Form.NUMBER, 32, 32, required=False),
        _c("mode", 0, 8),
        _c("whole", 8, 8, required=False),
        _c("skip", 16, 8, required=False),
        Field("cachedasync", Column.PFN, required=False),
        _c("cachedsync", 24, 32, required=False),
    ),
    _return(Kind.COMPACTZONE_R, "compactzone_r", "compact_zone", _a("ret")),
    _probe(
        Kind.COMPACTALLOC,
        "compaction_alloc",
        _ZONE,
        Field("migrate", Column.PFN),
        Field("free", Column.B, Form.NUMBER, 0, 32),
        Field("nrfree", Column.B, Form.NUMBER, 32, 16),
        _c("order", 0, 32),
        _c("search", 32, 16),
        _c("failed", 48, 15),
    ),
    _probe(
        Kind.ISOLMIGRATE,
        "isolate_migratepages_block",
        _ZONE,
        Field("low", Column.PFN),
        _b("end"),
        _c("failed"),
    ),
)

MARK_EVENT: Final = "tracing_mark_write"

KIND_OF: Final[Mapping[int, Layout]] = MappingProxyType({layout.kind: layout for layout in LAYOUTS})


def limits(field: Field) -> tuple[int, int]:
    """The least and greatest value that a field may have, as a signed word.

    Ensures   a value inside the limits fits its column; 64-bit fields take any word
    """
    match field.column:
        case Column.PFN:
            return 0, (1 << 52) - 1
        case Column.ORDER:
            return 0, 63
        case Column.MT:
            return -1, 127
        case Column.A | Column.B | Column.C if field.bits < 64:
            return (0, (1 << field.bits) - 1) if field.bits < 32 else (-(1 << 31), (1 << 32) - 1)
        case _:
            return -(1 << 63), (1 << 63) - 1
