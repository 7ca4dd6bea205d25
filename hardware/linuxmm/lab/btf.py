"""BTF, the kernel's own description of its types: where a field of a structure stands, and what it is.

Linux: Documentation/bpf/btf.rst; `/sys/kernel/btf/vmlinux` since 5.4.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from linuxmm.spec.errors import BadEvidence

MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBIIIII")
_TYPE: Final = struct.Struct("<III")
_MEMBER: Final = struct.Struct("<III")


class BtfKind(IntEnum):
    """Kinds of types, numbered as in the format."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_EXTRA_PER_ITEM: Final = {
    BtfKind.STRUCT: 12,
    BtfKind.UNION: 12,
    BtfKind.ENUM: 8,
    BtfKind.FUNC_PROTO: 8,
    BtfKind.DATASEC: 12,
    BtfKind.ENUM64: 12,
}
_EXTRA: Final = {BtfKind.INT: 4, BtfKind.ARRAY: 12, BtfKind.VAR: 4, BtfKind.DECL_TAG: 4}
_SEE_THROUGH: Final = frozenset(
    {BtfKind.TYPEDEF, BtfKind.VOLATILE, BtfKind.CONST, BtfKind.RESTRICT, BtfKind.TYPE_TAG}
)
_NAMED: Final = frozenset(
    {BtfKind.STRUCT, BtfKind.UNION, BtfKind.ENUM, BtfKind.ENUM64, BtfKind.TYPEDEF, BtfKind.FUNC}
)


class BtfType(NamedTuple):
    """One type: `size` is the size or the id of the type it refers to; `at` where its extra data starts."""

    kind: BtfKind
    name: int
    items: int
    flag: bool
    size: int
    at: int


class Place(NamedTuple):
    """Where a field stands in a structure, in bytes; a bit field has `bits` bits from bit `shift` on."""

    offset: int
    type: int
    shift: int = 0
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Array:
    """An array type."""

    element: int
    count: int


class Btf:
    """All types of one kernel.

    pointer  size of a pointer in bytes
    Errors   BadEvidence for data that is not BTF
    """

    def __init__(self, data: bytes, name: str = "BTF") -> None:
        if len(data) < _HEADER.size:
            raise BadEvidence(name, f"expected BTF, found {len(data)} bytes")
        magic, version, _, header, type_at, type_size, text_at, text_size = _HEADER.unpack_from(data, 0)
        if magic != MAGIC or version != 1:
            raise BadEvidence(name, f"expected BTF of version 1, found magic {magic:#x} version {version}")
        if header + max(type_at + type_size, text_at + text_size) > len(data):
            raise BadEvidence(name, f"expected {header + text_at + text_size} bytes, found {len(data)}")
        self.name = name
        self._types = memoryview(data)[header + type_at : header + type_at + type_size]
        self._text = data[header + text_at : header + text_at + text_size]
        self._list: list[BtfType] = [BtfType(BtfKind.VOID, 0, 0, False, 0, 0)]
        self._ids: dict[tuple[BtfKind, str], int] = {}
        self._places: dict[tuple[int, str], Place | None] = {}
        self._read()
        self.pointer = 4 if self.size_of(self.id_of("list_head")) == 8 else 8

    def _read(self) -> None:
        at, end = 0, len(self._types)
        while at < end:
            try:
                name, info, size = _TYPE.unpack_from(self._types, at)
                kind = BtfKind(info >> 24 & 0x1F)
            except (struct.error, ValueError):
                raise BadEvidence(self.name, f"expected a type at byte {at} of the types") from None
            at += _TYPE.size
            items = info & 0xFFFF
            if kind in _NAMED and name:
                self._ids.setdefault((kind, self.text(name)), len(self._list))
            self._list.append(BtfType(kind, name, items, bool(info >> 31), size, at))
            at += _EXTRA.get(kind, 0) + _EXTRA_PER_ITEM.get(kind, 0) * items

    def text(self, offset: int) -> str:
        """The string at an offset of the string section."""
        end = self._text.find(b"\0", offset)
        if end < 0:
            raise BadEvidence(self.name, f"expected a string at byte {offset} of the strings")
        return self._text[offset:end].decode("utf-8", "replace")

    def type(self, id: int) -> BtfType:
        """The type of that number, typedefs and qualifiers seen through."""
        for _ in range(64):
            found = self._list[id]
            if found.kind not in _SEE_THROUGH:
                return found
            id = found.size
        raise BadEvidence(self.name, f"expected type {id} to end in a type, found a circle")

    def through(self, id: int) -> int:
        """The number of the type behind typedefs and qualifiers."""
        while self._list[id].kind in _SEE_THROUGH:
            id = self._list[id].size
        return id

    def id_of(self, name: str) -> int:
        """The number of the structure, union or typedef of that name.

        Errors    KeyError when the kernel has none
        """
        for kind in (BtfKind.STRUCT, BtfKind.UNION, BtfKind.TYPEDEF):
            if (kind, name) in self._ids:
                return self.through(self._ids[kind, name])
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether the kernel has a structure of that name."""
        return any((kind, name) in self._ids for kind in (BtfKind.STRUCT, BtfKind.UNION, BtfKind.TYPEDEF))

    def array(self, id: int) -> Array:
        """An array's element type and count."""
        element, _, count = _MEMBER.unpack_from(self._types, self.type(id).at)
        return Array(element, count)

    def size_of(self, id: int) -> int:
        """Bytes that a value of the type takes."""
        found = self.type(id)
        if found.kind == BtfKind.PTR:
            return self.pointer
        if found.kind == BtfKind.ARRAY:
            array = self.array(id)
            return array.count * self.size_of(array.element)
        return found.size

    def signed(self, id: int) -> bool:
        """Whether an integer or enumeration is signed."""
        found = self.type(id)
        if found.kind == BtfKind.INT:
            return bool(self._types[found.at + 3] & 1)
        return found.kind == BtfKind.ENUM

    def members(self, id: int) -> list[tuple[str, Place]]:
        """Names and places of a structure's own members; unnamed ones have the name ""."""
        found = self.type(id)
        listed = []
        for number in range(found.items):
            name, type_id, word = _MEMBER.unpack_from(self._types, found.at + 12 * number)
            bits, offset = (word >> 24, word & 0xFFFFFF) if found.flag else (0, word)
            listed.append((self.text(name), Place(offset // 8, type_id, offset % 8 if bits else 0, bits)))
        return listed

    def member(self, id: int, name: str) -> Place | None:
        """Where a member stands, looking into unnamed structures and unions; None when there is none."""
        for own, place in self.members(id):
            if own == name:
                return place
            if not own and self.type(place.type).kind in (BtfKind.STRUCT, BtfKind.UNION):
                inner = self.member(place.type, name)
                if inner is not None:
                    return inner._replace(offset=place.offset + inner.offset)
        return None

    def find(self, id: int, path: str) -> Place | None:
        """Where a path such as "free_area[3].nr_free" leads; None when some part is not there."""
        key = (id, path)
        if key not in self._places:
            self._places[key] = self._find(id, path)
        return self._places[key]

    def _find(self, id: int, path: str) -> Place | None:
        place = Place(0, id)
        for part in path.replace("[", ".[").split("."):
            if part.startswith("["):
                if self.type(place.type).kind != BtfKind.ARRAY:
                    return None
                array = self.array(place.type)
                index = int(part[1:-1])
                place = Place(place.offset + index * self.size_of(array.element), array.element)
                continue
            if self.type(place.type).kind not in (BtfKind.STRUCT, BtfKind.UNION):
                return None
            inner = self.member(place.type, part)
            if inner is None:
                return None
            place = inner._replace(offset=place.offset + inner.offset)
        return place

    def offset(self, structure: str, path: str) -> int:
        """The offset of a field in bytes.

        Errors    KeyError when the kernel has no such field
        """
        place = self.find(self.id_of(structure), path)
        if place is None:
            raise KeyError(f"{structure}.{path}")
        return place.offset

    def enumeration(self, name: str) -> dict[str, int]:
        """Names and values of an enumeration.

        Errors    KeyError when the kernel has none of that name
        """
        found = self._list[self._ids[BtfKind.ENUM, name]]
        values = {}
        for number in range(found.items):
            text, value = struct.unpack_from("<Ii", self._types, found.at + 8 * number)
            values[self.text(text)] = value
        return values

    def parameters(self, function: str) -> tuple[tuple[str, int], ...] | None:
        """Names and types of a function's parameters; None when BTF does not describe it."""
        id = self._ids.get((BtfKind.FUNC, function))
        if id is None:
            return None
        proto = self._list[self._list[id].size]
        pairs = (
            struct.unpack_from("<II", self._types, proto.at + 8 * number) for number in range(proto.items)
        )
        return tuple((self.text(name), type_id) for name, type_id in pairs)

    def pointed(self, id: int) -> int:
        """The type that a pointer points to."""
        return self.type(id).size
