"""Growing dictionaries of byte strings and flat tables of layouts, as the compiled parsers want them."""

from functools import lru_cache

import numpy as np

from linuxmm.fast import scan, trace_text
from linuxmm.oracle.formats.kinds import LAYOUTS, MARK_EVENT, Form, Kind, limits


class NameTable:
    """Byte strings with a number each, found by the compiled parser.

    At most `entries` strings of at most `longest` bytes; a file with more is refused by the caller.
    """

    def __init__(self, entries: int = 2048, longest: int = 512) -> None:
        self.longest = longest
        self.texts: list[bytes] = []
        self.tuple = scan.Names(
            np.full(4 * entries, -1, np.int32),
            np.zeros(entries, np.int32),
            np.zeros(entries, np.int32),
            np.zeros(entries, np.int64),
            np.zeros(entries * 96, np.uint8),
        )
        self._end = 0

    def add(self, text: bytes, value: int) -> bool:
        """Enter `text` with `value`; False when there is no room left for it."""
        table = self.tuple
        entry, end = len(self.texts), self._end + len(text)
        if entry >= table.offset.size or len(text) > self.longest or end > table.arena.size:
            return False
        table.offset[entry], table.size[entry] = self._end, len(text)
        table.value[entry] = value
        table.arena[self._end : end] = np.frombuffer(text, np.uint8)
        scan.put(table, entry)
        self.texts.append(text)
        self._end = end
        return True


def event_names() -> NameTable:
    """The names of all layouts and of marks; several layouts of one name are chained in `Tables`."""
    table = NameTable(entries=1024, longest=128)
    seen: set[str] = set()
    for number, layout in enumerate(LAYOUTS):
        for name in layout.names:
            if name not in seen:
                seen.add(name)
                table.add(name.encode(), number)
    table.add(MARK_EVENT.encode(), trace_text.MARKER)
    return table


@lru_cache(maxsize=1)
def tables() -> trace_text.Tables:
    """All layouts as the flat arrays that the text parser reads."""
    arena = bytearray()
    starts: dict[str, int] = {}

    def place(text: str) -> int:
        if text not in starts:
            starts[text] = len(arena)
            arena.extend(text.encode())
        return starts[text]

    fields = [field for layout in LAYOUTS for field in layout.fields]
    symbols = [symbol for layout in LAYOUTS for symbol in layout.symbols]
    ends = np.cumsum([len(layout.fields) for layout in LAYOUTS])
    symbol_ends = np.cumsum([len(layout.symbols) for layout in LAYOUTS])
    packed = [field.bits < 64 for field in fields]
    key_offset = [place(field.key) for field in fields]
    symbol_offset = [place(symbol) for symbol in symbols]
    return trace_text.Tables(
        kind=np.array([layout.kind for layout in LAYOUTS], np.uint8),
        first=(ends - [len(layout.fields) for layout in LAYOUTS]).astype(np.int32),
        last=ends.astype(np.int32),
        required=np.array([_required(number) for number in range(len(LAYOUTS))], np.int64),
        order=np.array(
            [0 if layout.kind is Kind.MM_PAGE_FREE_BATCHED else -1 for layout in LAYOUTS], np.int64
        ),
        other_layout=np.array([_next_of(number) for number in range(len(LAYOUTS))], np.int32),
        symbols_from=(symbol_ends - [len(layout.symbols) for layout in LAYOUTS]).astype(np.int32),
        symbols_to=symbol_ends.astype(np.int32),
        returns=np.array([layout.returns for layout in LAYOUTS], np.uint8),
        symbol_offset=np.array(symbol_offset, np.int32),
        symbol_size=np.array([len(symbol) for symbol in symbols], np.int32),
        key_offset=np.array(key_offset, np.int32),
        key_size=np.array([len(field.key) for field in fields], np.int32),
        column=np.array([field.column for field in fields], np.uint8),
        form=np.array([field.form for field in fields], np.uint8),
        shift=np.array([field.shift for field in fields], np.uint8),
        mask=np.array(
            [(1 << field.bits) - 1 if small else -1 for field, small in zip(fields, packed, strict=True)],
            np.int64,
        ),
        low=np.array([limits(field)[0] for field in fields], np.int64),
        high=np.array([limits(field)[1] for field in fields], np.int64),
        arena=np.frombuffer(bytes(arena) + b"\0" * 8, np.uint8).copy(),
    )


def _required(number: int) -> int:
    return sum(1 << bit for bit, field in enumerate(LAYOUTS[number].fields) if field.required)


def _next_of(number: int) -> int:
    """The next layout with the same first name, or -1."""
    name = LAYOUTS[number].names[0]
    later = (n for n in range(number + 1, len(LAYOUTS)) if LAYOUTS[n].names[0] == name)
    return next(later, -1)


def field_name(flat: int) -> str:
    """The key of a field by its number over all layouts."""
    return [field.key for layout in LAYOUTS for field in layout.fields][flat]


def form_of(flat: int) -> Form:
    """How a field by its number over all layouts is written."""
    return [field.form for layout in LAYOUTS for field in layout.fields][flat]
