"""The line protocol: one JSON object a line, one reply for each request (docs/formats/protocol.md)."""

from typing import Final

import msgspec

from linuxmm.oracle.adapter.allocator import Setup
from linuxmm.spec.step import Errno

VERSION: Final = 1
MAX_LINE: Final = 1 << 20


class Zone(msgspec.Struct, frozen=True):
    """One zone: its name as /proc/zoneinfo prints it, its node, and its pfns, end exclusive."""

    zone: str
    node: int
    start: int
    end: int


class Init(msgspec.Struct, frozen=True, tag="init", tag_field="op"):
    """Forget everything; manage these zones."""

    version: int
    max_order: int
    pageblock_order: int
    zones: list[Zone]
    absent: list[tuple[int, int]]
    isolated: list[int]


class AllocRequest(msgspec.Struct, frozen=True, tag="alloc", tag_field="op"):
    """Ask for 2**order pages.

    highest  index into the zones of init: the last zone whose class the mask permits, -1 when none
    """

    order: int
    migratetype: str
    gfp: str
    highest: int


class FreeRequest(msgspec.Struct, frozen=True, tag="free", tag_field="op"):
    """Give a block back."""

    pfn: int
    order: int


class StatsRequest(msgspec.Struct, frozen=True, tag="stats", tag_field="op"):
    """Count free pages by zone."""


class StateRequest(msgspec.Struct, frozen=True, tag="state", tag_field="op"):
    """List free blocks."""


Request = Init | AllocRequest | FreeRequest | StatsRequest | StateRequest


class Reply(msgspec.Struct, frozen=True):
    """Any reply; which fields must be there depends on the request.  Unknown fields are ignored."""

    ok: bool | None = None
    pfn: int | None = None
    error: str | None = None
    counts: list[int] | None = None
    free: list[tuple[int, int]] | None = None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Reply)


def encode(request: Request) -> bytes:
    """The line for a request, with its newline."""
    return _ENCODER.encode(request) + b"\n"


def decode(line: bytes) -> Reply:
    """The reply on a line.

    Errors    ValueError, naming what was expected
    """
    try:
        reply = _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{_shortened(line)} ({error})") from error
    given = [name for name in reply.__struct_fields__ if getattr(reply, name) is not None]
    if len(given) != 1:
        raise ValueError(f"{_shortened(line)} (expected exactly one of ok, pfn, error, counts, free)")
    return reply


def decode_errno(name: str) -> Errno:
    """The error number that a reply names.

    Errors    ValueError, naming the errors that are known
    """
    if name not in Errno.__members__:
        raise ValueError(f"error {name!r} (expected one of {', '.join(Errno.__members__)})")
    return Errno[name]


def init_request(setup: Setup) -> Init:
    """The first request for a machine."""
    layout = setup.layout
    zones = [Zone(span.zone.printed, span.node, span.start, span.end) for span in layout.spans]
    absent, isolated = list(setup.absent), list(setup.isolated)
    return Init(VERSION, layout.max_order, layout.pageblock_order, zones, absent, isolated)


def highest_index(setup: Setup, highest_zone: int) -> int:
    """Index of the last zone whose class is at most `highest_zone`, -1 when there is none."""
    permitted = (i for i, span in enumerate(setup.layout.spans) if span.zone <= highest_zone)
    return max(permitted, default=-1)


def _shortened(line: bytes) -> str:
    text = line[:120].decode("utf-8", "backslashreplace").rstrip("\n")
    return repr(text) + (" ..." if len(line) > 120 else "")
