"""Trees and arrays of the kernel, laid out by hand in a small memory, are walked in order."""

import struct
from collections.abc import Mapping

import pytest

from linuxmm.lab.btf import Btf, BtfKind
from linuxmm.lab.dump.containers import Mapped, hashed, maple, marked, rb_in_order, xarray
from linuxmm.lab.dump.tables import user_tables
from linuxmm.lab.memory import KernelMemory
from linuxmm.oracle.formats.areas import Leaves
from linuxmm.spec.errors import LinuxmmError

TEXT = 0xFFFF_FFFF_8000_0000
MOST = (1 << 64) - 1


class Image:
    """Physical memory, mapped at the kernel's text by one large page."""

    def __init__(self) -> None:
        self.data = bytearray(1 << 20)
        self.put(0x1000 + 8 * 511, 0x2000 | 1)
        self.put(0x2000 + 8 * 510, 0x3000 | 1)
        self.put(0x3000, 0x81)

    def put(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address, *words)

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.data[address : address + size])


@pytest.fixture(scope="module")
def types(btf_writer: type) -> Btf:
    btf = btf_writer()
    word, byte = btf.integer("unsigned long", 8), btf.integer("unsigned char", 1)
    pointer = btf.pointer(0)
    btf.structure("list_head", 16, [("next", pointer, 0), ("prev", pointer, 8)])
    btf.structure("rb_node", 24, [("color", word, 0), ("rb_right", pointer, 8), ("rb_left", pointer, 16)])
    btf.structure("maple_tree", 16, [("ma_flags", word, 0), ("ma_root", pointer, 8)])
    range_node = btf.structure(
        "range", 256, [("pivot", btf.array(word, 15), 8), ("slot", btf.array(pointer, 16), 128)]
    )
    arange_node = btf.structure(
        "arange", 256, [("pivot", btf.array(word, 9), 8), ("slot", btf.array(pointer, 10), 80)]
    )
    btf.structure("maple_node", 256, [("mr64", range_node, 0), ("ma64", arange_node, 0)], BtfKind.UNION)
    btf.structure("xarray", 16, [("flags", word, 0), ("xa_head", pointer, 8)])
    slots, marks = btf.array(pointer, 64), btf.array(word, 3)
    btf.structure("xa_node", 576, [("shift", byte, 0), ("slots", slots, 40), ("marks", marks, 552)])
    return Btf(btf.blob())


def memory_of(image: Image, types: Btf, symbols: Mapping[str, int] | None = None) -> KernelMemory:
    return KernelMemory(image, types, {"init_top_pgt": TEXT + 0x1000, **(symbols or {})})


def test_a_red_black_tree_from_left_to_right(types: Btf) -> None:
    image = Image()
    one, two, three = 0x4000, 0x4100, 0x4200
    image.put(0x8000, TEXT + two)
    image.put(two, 0, TEXT + three, TEXT + one)
    assert list(rb_in_order(memory_of(image, types), TEXT + 0x8000)) == [TEXT + one, TEXT + two, TEXT + three]
    image.put(one, 0, 0, TEXT + two)
    with pytest.raises(LinuxmmError, match="deeper than a balanced tree can be"):
        list(rb_in_order(memory_of(image, types), TEXT + 0x8000))


def test_a_hash_list(types: Btf) -> None:
    image = Image()
    image.put(0x8000, TEXT + 0x4000)
    image.put(0x4000, TEXT + 0x4100)
    assert list(hashed(memory_of(image, types), TEXT + 0x8000)) == [TEXT + 0x4000, TEXT + 0x4100]


def test_a_maple_tree_of_two_levels(types: Btf) -> None:
    """The upper node has gaps; a leaf's last range ends where its parent says; empty ones are left out."""
    image = Image()
    top, left, right = 0x4000, 0x4100, 0x4200
    image.put(0x8008, (TEXT + top) | 3 << 3 | 2)
    image.put(top + 8, 0x9FFF)
    image.put(top + 80, (TEXT + left) | 1 << 3 | 4, (TEXT + right) | 1 << 3 | 4)
    image.put(left + 8, 0x1FFF, 0x3FFF, 0x9FFF)
    image.put(left + 128, 0, 0x7001_0000, 0x7002_0000)
    image.put(right + 8, 0xBFFF)
    image.put(right + 128, 0x7003_0000, 0)
    assert list(maple(memory_of(image, types), TEXT + 0x8000)) == [
        Mapped(0x2000, 0x3FFF, 0x7001_0000),
        Mapped(0x4000, 0x9FFF, 0x7002_0000),
        Mapped(0xA000, 0xBFFF, 0x7003_0000),
    ]
    image.put(0x8008, (TEXT + top) | 9 << 3 | 2)
    with pytest.raises(LinuxmmError, match=r"a maple node at .* of kind 9"):
        list(maple(memory_of(image, types), TEXT + 0x8000))


def test_an_empty_maple_tree_and_one_of_a_single_entry(types: Btf) -> None:
    image = Image()
    assert list(maple(memory_of(image, types), TEXT + 0x8000)) == []
    image.put(0x8008, 0x7001_0000)
    assert list(maple(memory_of(image, types), TEXT + 0x8000)) == [Mapped(0, 0, 0x7001_0000)]


def test_an_xarray_with_a_large_entry_a_value_and_marks(types: Btf) -> None:
    """An entry of four indices: three siblings follow it, and it appears once."""
    image = Image()
    top, low = 0x4000, 0x5000
    image.put(0x8008, (TEXT + top) | 2)
    image.data[top] = 6
    image.put(top + 40 + 8 * 2, (TEXT + low) | 2)
    image.put(top + 552, 1 << 2)
    image.put(low + 40 + 8 * 4, 0x7001_0000, *[4 << 2 | 2] * 3, 77 << 1 | 1)
    image.put(low + 552, 1 << 4, 0, 0)
    memory = memory_of(image, types)
    assert list(xarray(memory, TEXT + 0x8000)) == [
        Mapped(132, 135, 0x7001_0000),
        Mapped(136, 136, 77 << 1 | 1),
    ]
    assert marked(memory, TEXT + 0x8000, 0) == 1
    assert marked(memory, TEXT + 0x8000, 1) == 0


def test_page_tables_of_a_task(types: Btf) -> None:
    """Pages in a row with the same marks are one run; a large page, and an entry that is not present."""
    image = Image()
    root, third, second, first = 0x10000, 0x11000, 0x12000, 0x13000
    image.put(root, third | 7)
    image.put(root + 8 * 256, 0x3000 | 7)
    image.put(third, second | 7)
    image.put(second, first | 7, 0x20_0000 | 0x87)
    image.put(first + 8 * 3, 0x50_0067, 0x50_1067, 0x50_2065, 0xDEAD_0000)
    found = user_tables(memory_of(image, types), root)
    assert found.tables == [1, 1, 1]
    assert found.leaves == [
        Leaves(0x3000, 0, 0x50_0067, 2),
        Leaves(0x5000, 0, 0x50_2065, 1),
        Leaves(0x6000, 0, 0xDEAD_0000, 1),
        Leaves(0x20_0000, 1, 0x20_0087, 1),
    ]
