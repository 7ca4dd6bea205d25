"""Real observations laid out as raw ring-buffer pages, for the benchmark of the walker."""

import struct

from linuxmm.oracle.formats import Events, Kind
from linuxmm.oracle.formats.eventformat import EventFormat, RawField
from linuxmm.oracle.formats.ftrace_raw import DEFAULT_PAGE, Decoder, decoder
from linuxmm.oracle.formats.kinds import KIND_OF, Column

_TRACEPOINTS = tuple(kind for kind in Kind if kind < Kind.MARK)
_SIZE = {Column.PFN: 8, Column.ORDER: 4, Column.MT: 4, Column.A: 8, Column.B: 8, Column.C: 4}


def _format(kind: Kind) -> EventFormat:
    fields: dict[str, RawField] = {}
    offset = 8
    for field in KIND_OF[kind].fields:
        if field.required:
            size = _SIZE[field.column]
            fields[field.key] = RawField(field.key, offset, size, size == 4)
            offset += size
    return EventFormat("benchmark", KIND_OF[kind].names[0], 100 + kind, fields, "")


def decoder_and_pages(events: Events) -> tuple[Decoder, bytes, int]:
    """How to read the pages, the pages, and the number of events in them."""
    formats = {kind: _format(kind) for kind in _TRACEPOINTS}
    out: list[bytes] = []
    data = b""
    start = last = count = 0
    for row in range(len(events)):
        kind = int(events.kind[row])
        if kind >= Kind.MARK:
            continue
        time = int(events.ts[row])
        content = struct.pack("<HBBi", 100 + kind, 0, 0, int(events.pid[row]))
        for field in KIND_OF[kind].fields:
            if field.required:
                size = _SIZE[field.column]
                word = int(getattr(events, field.column.name.lower())[row])
                content += (word >> field.shift & ((1 << min(field.bits, 8 * size)) - 1)).to_bytes(
                    size, "little"
                )
        if not data or len(data) + 12 + len(content) > 4080:
            if data:
                out.append(struct.pack("<QQ", start, len(data)) + data.ljust(4080, b"\0"))
            data, start, last = b"", time, time
        delta = time - last
        if delta >= 1 << 27:
            data += struct.pack("<II", 30 | (delta & (1 << 27) - 1) << 5, delta >> 27)
            delta = 0
        data += struct.pack("<I", len(content) // 4 | delta << 5) + content
        last = time
        count += 1
    out.append(struct.pack("<QQ", start, len(data)) + data.ljust(4080, b"\0"))
    return decoder(formats.values(), DEFAULT_PAGE), b"".join(out), count
