"""Structures in a stopped guest's memory, read by the kernel's own names for them."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from linuxmm.lab.btf import Btf, BtfKind, Place
from linuxmm.lab.ram import Physical, Unmapped, Virtual, kernel_tables
from linuxmm.spec.errors import LinuxmmError

_MEMMAP_64: Final = 0xFFFF_EA00_0000_0000
_MEMMAP_64_5: Final = 0xFFD4_0000_0000_0000
_LIST_LIMIT: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Struct:
    """A structure at an address; fields are named by paths such as "free_area[3].nr_free"."""

    memory: "KernelMemory"
    address: int
    type: int

    def has(self, path: str) -> bool:
        """Whether this kernel has the field."""
        return self.memory.btf.find(self.type, path) is not None

    def at(self, path: str) -> int:
        """The address of a field."""
        return self.address + self._place(path).offset

    def number(self, path: str) -> int:
        """The value of an integer, pointer, enumeration or bit field."""
        place = self._place(path)
        btf = self.memory.btf
        kind = btf.type(place.type).kind
        if kind in (BtfKind.STRUCT, BtfKind.UNION):  # atomic_t, atomic_long_t
            return Struct(self.memory, self.address + place.offset, place.type).number("counter")
        if kind == BtfKind.ARRAY:
            raise LinuxmmError(f"{path}: expected a number, found an array")
        size = btf.size_of(place.type)
        word = self.memory.read(self.address + place.offset, size)
        value = int.from_bytes(word, "little", signed=btf.signed(place.type) and not place.bits)
        return value >> place.shift & ((1 << place.bits) - 1) if place.bits else value

    def sub(self, path: str) -> "Struct":
        """A structure inside this one."""
        place = self._place(path)
        return Struct(self.memory, self.address + place.offset, self.memory.btf.through(place.type))

    def target(self, path: str) -> "Struct":
        """The structure that a pointer points to."""
        place = self._place(path)
        pointed = self.memory.btf.pointed(place.type)
        return Struct(self.memory, self.number(path), self.memory.btf.through(pointed))

    def count(self, path: str) -> int:
        """The number of elements of an array."""
        return self.memory.btf.array(self._place(path).type).count

    def numbers(self, path: str) -> tuple[int, ...]:
        """The values of an array of integers."""
        place = self._place(path)
        array = self.memory.btf.array(place.type)
        size = self.memory.btf.size_of(array.element)
        if self.memory.btf.type(array.element).kind in (BtfKind.STRUCT, BtfKind.UNION):
            return tuple(self.number(f"{path}[{n}]") for n in range(array.count))
        raw = self.memory.read(self.address + place.offset, size * array.count)
        signed = self.memory.btf.signed(array.element)
        return tuple(
            int.from_bytes(raw[at : at + size], "little", signed=signed) for at in range(0, len(raw), size)
        )

    def text(self, path: str) -> str:
        """The string that a char pointer or a char array holds."""
        place = self._place(path)
        is_array = self.memory.btf.type(place.type).kind == BtfKind.ARRAY
        return self.memory.string(self.at(path) if is_array else self.number(path))

    def optional(self, path: str) -> int | None:
        """The value of a field that not every kernel has."""
        return self.number(path) if self.has(path) else None

    def _place(self, path: str) -> Place:
        place = self.memory.btf.find(self.type, path)
        if place is None:
            name = self.memory.btf.text(self.memory.btf.type(self.type).name)
            raise LinuxmmError(f"struct {name} of this kernel has no field {path}")
        return place


class KernelMemory:
    """The kernel's memory in a stopped guest.

    Requires  the guest was booted with nokaslr, and stays stopped
    """

    def __init__(self, ram: Physical, btf: Btf, symbols: Mapping[str, int]) -> None:
        self.ram = ram
        self.btf = btf
        self.symbols = symbols
        self._virtual = Virtual(ram, kernel_tables(ram, symbols, btf.pointer))
        self._word = struct.Struct("<Q" if btf.pointer == 8 else "<I")

    def physical(self, address: int) -> int:
        """The physical address behind a kernel virtual one."""
        return self._virtual.physical(address)

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at a kernel virtual address."""
        return self._virtual.read(address, size)

    def try_read(self, address: int, size: int) -> bytes | None:
        """`size` bytes at a kernel virtual address; None when a part of them is not mapped."""
        try:
            return self._virtual.read(address, size)
        except Unmapped:
            return None

    def word(self, address: int) -> int:
        """The pointer or long at an address."""
        return int(self._word.unpack(self.read(address, self._word.size))[0])

    def string(self, address: int, limit: int = 256) -> str:
        """The string at an address, cut after `limit` bytes."""
        raw = b""
        while b"\0" not in raw and len(raw) < limit:
            piece = min(64, 4096 - (address + len(raw) & 4095))
            raw += self.read(address + len(raw), piece)
        return raw.split(b"\0")[0][:limit].decode("utf-8", "replace")

    def symbol(self, name: str) -> int:
        """The address of a variable or function.

        Errors    LinuxmmError when the kernel has none of that name
        """
        if name not in self.symbols:
            raise LinuxmmError(f"the kernel has no symbol {name}")
        return self.symbols[name]

    def struct(self, name: str, address: int) -> Struct:
        """The structure of that type at an address."""
        return Struct(self, address, self.btf.id_of(name))

    def variable(self, name: str, size: int) -> int | None:
        """An unsigned global variable of `size` bytes; None when the kernel has none of that name."""
        address = self.symbols.get(name)
        return None if address is None else int.from_bytes(self.read(address, size), "little")

    @cached_property
    def memmap(self) -> int:
        """The address of the struct page of page frame 0."""
        if self.btf.pointer == 4:
            return self.word(self.symbol("mem_map"))
        if "vmemmap_base" in self.symbols:
            return self.word(self.symbols["vmemmap_base"])
        return _MEMMAP_64_5 if self.variable("__pgtable_l5_enabled", 4) else _MEMMAP_64

    @cached_property
    def page_size(self) -> int:
        """The size of a struct page."""
        return self.btf.size_of(self.btf.id_of("page"))

    def pfn(self, page: int) -> int:
        """The page frame that a struct page describes."""
        return (page - self.memmap) // self.page_size

    def page(self, pfn: int) -> Struct:
        """The struct page of a page frame."""
        return self.struct("page", self.memmap + pfn * self.page_size)

    @cached_property
    def cpus(self) -> tuple[int, ...]:
        """The CPUs that are online."""
        words = self.struct("cpumask", self.symbol("__cpu_online_mask")).numbers("bits")
        width = self.btf.pointer * 8
        return tuple(
            n * width + bit for n, word in enumerate(words) for bit in range(width) if word >> bit & 1
        )

    def per_cpu(self, address: int, cpu: int) -> int:
        """One CPU's copy of a per-CPU variable."""
        offset = self.word(self.symbol("__per_cpu_offset") + cpu * self.btf.pointer)
        return (address + offset) & ((1 << 8 * self.btf.pointer) - 1)

    def linked(self, head: int) -> Iterator[int]:
        """Addresses of the list_heads on a list, in list order.

        Errors    LinuxmmError when the list does not come back to its head
        """
        at = self.word(head)
        for _ in range(_LIST_LIMIT):
            if at == head:
                return
            yield at
            at = self.word(at)
        raise LinuxmmError(f"the list at {head:#x} does not end")

    def pages_on(self, head: int, offset: int) -> tuple[int, ...]:
        """Page frames on a list whose list_head stands `offset` bytes into struct page."""
        base, size = self.memmap + offset, self.page_size
        return tuple((at - base) // size for at in self.linked(head))
