"""A small BTF blob, written by hand: what the lab's tests read instead of a kernel."""

import struct

import pytest

from linuxmm.lab.btf import BtfKind


class BtfWriter:
    """Puts a BTF blob together, one type after the other; types are numbered from 1."""

    def __init__(self) -> None:
        self.strings = b"\0"
        self.types = b""
        self.count = 0

    def text(self, text: str) -> int:
        if not text:
            return 0
        at = len(self.strings)
        self.strings += text.encode() + b"\0"
        return at

    def add(
        self, kind: BtfKind, name: str, size: int, extra: bytes = b"", items: int = 0, flag: int = 0
    ) -> int:
        info = flag << 31 | int(kind) << 24 | items
        self.types += struct.pack("<III", self.text(name), info, size) + extra
        self.count += 1
        return self.count

    def integer(self, name: str, size: int, signed: bool = False) -> int:
        word = (1 if signed else 0) << 24 | size * 8
        return self.add(BtfKind.INT, name, size, struct.pack("<I", word))

    def pointer(self, target: int) -> int:
        return self.add(BtfKind.PTR, "", target)

    def array(self, element: int, count: int) -> int:
        return self.add(BtfKind.ARRAY, "", 0, struct.pack("<III", element, element, count))

    def structure(
        self, name: str, size: int, members: list[tuple[str, int, int]], kind: BtfKind = BtfKind.STRUCT
    ) -> int:
        """Members are (name, type, offset in bytes)."""
        extra = b"".join(struct.pack("<III", self.text(n), t, 8 * at) for n, t, at in members)
        return self.add(kind, name, size, extra, len(members))

    def bit_structure(self, name: str, size: int, members: list[tuple[str, int, int, int]]) -> int:
        """Members are (name, type, offset in bits, bits)."""
        extra = b"".join(struct.pack("<III", self.text(n), t, bits << 24 | at) for n, t, at, bits in members)
        return self.add(BtfKind.STRUCT, name, size, extra, len(members), flag=1)

    def enumeration(self, name: str, values: dict[str, int]) -> int:
        extra = b"".join(struct.pack("<Ii", self.text(n), v) for n, v in values.items())
        return self.add(BtfKind.ENUM, name, 4, extra, len(values))

    def function(self, name: str, parameters: list[tuple[str, int]]) -> int:
        extra = b"".join(struct.pack("<II", self.text(n), t) for n, t in parameters)
        proto = self.add(BtfKind.FUNC_PROTO, "", 0, extra, len(parameters))
        return self.add(BtfKind.FUNC, name, proto)

    def blob(self) -> bytes:
        sizes = (0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("<HBBI4I", 0xEB9F, 1, 0, 24, *sizes) + self.types + self.strings


@pytest.fixture(scope="session")
def small_btf() -> bytes:
    """Types like the kernel's: a list, a zone with areas, an unnamed union, bit fields, a function."""
    btf = BtfWriter()
    u32, u64, s8 = (
        btf.integer("unsigned int", 4),
        btf.integer("unsigned long", 8),
        btf.integer("char", 1, True),
    )
    pointer = btf.pointer(0)
    head = btf.structure("list_head", 16, [("next", pointer, 0), ("prev", pointer, 8)])
    lists = btf.array(head, 2)
    area = btf.structure("free_area", 40, [("free_list", lists, 0), ("nr_free", u64, 32)])
    counter = btf.structure("", 8, [("counter", u64, 0)])
    atomic = btf.add(BtfKind.TYPEDEF, "atomic_long_t", counter)
    inner = btf.structure("", 8, [("spanned_pages", u64, 0), ("other", u32, 0)], BtfKind.UNION)
    areas = btf.array(area, 2)
    zone = btf.structure(
        "zone",
        128,
        [
            ("name", btf.pointer(s8), 0),
            ("managed_pages", atomic, 8),
            ("", inner, 16),
            ("free_area", areas, 24),
            ("diff", btf.array(s8, 4), 104),
            ("flags", btf.add(BtfKind.CONST, "", u32), 112),
        ],
    )
    btf.bit_structure("packed", 4, [("low", u32, 0, 3), ("high", u32, 3, 5)])
    btf.enumeration("migratetype", {"MIGRATE_UNMOVABLE": 0, "MIGRATE_MOVABLE": 1, "MIGRATE_NONE": -1})
    btf.function("free_one_page", [("zone", btf.pointer(zone)), ("pfn", u64), ("fpi_flags", u32)])
    return btf.blob()


@pytest.fixture(scope="session")
def btf_writer() -> type[BtfWriter]:
    """What puts a BTF blob together."""
    return BtfWriter
