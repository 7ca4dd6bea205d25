"""Kernel memory read through page tables, on a small image written by hand."""

import struct

import pytest

from linuxmm.lab.btf import Btf
from linuxmm.lab.memory import KernelMemory
from linuxmm.lab.ram import Radix, Unmapped, kernel_tables
from linuxmm.spec.errors import LinuxmmError

TEXT = 0xFFFF_FFFF_8000_0000
PRESENT, LARGE = 1, 128


class Image:
    """Physical memory in a bytearray."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.data = bytearray(size)

    def put(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address, *words)

    def read(self, address: int, size: int) -> bytes:
        if address + size > len(self.data):
            raise Unmapped(f"physical address {address:#x}: not memory of this guest")
        return bytes(self.data[address : address + size])


def small_image() -> tuple[Image, dict[str, int]]:
    """Four levels: the kernel's text maps physical 0 with a large page; another page is mapped singly."""
    image = Image()
    top, third, second, first = 0x1000, 0x2000, 0x3000, 0x4000
    image.put(top + 8 * 511, third | PRESENT)
    image.put(third + 8 * 510, second | PRESENT)
    image.put(second, 0 | PRESENT | LARGE)
    image.put(second + 8 * 1, first | PRESENT)
    image.put(first + 8 * 3, 0x9000 | PRESENT)
    return image, {"init_top_pgt": TEXT + top, "zone": TEXT + 0x8000, "__cpu_online_mask": TEXT + 0x7000}


@pytest.fixture
def memory(small_btf: bytes) -> KernelMemory:
    image, symbols = small_image()
    zone = 0x8000
    image.put(zone, TEXT + 0x8100, 77, 4096)
    image.put(zone + 24 + 32, 5)
    image.put(zone + 24, TEXT + 0xA000, TEXT + 0xA020)
    image.put(0xA000, TEXT + 0xA020)
    image.put(0xA020, TEXT + zone + 24)
    image.put(zone + 24 + 16, TEXT + zone + 24 + 16)
    image.data[zone + 104 : zone + 108] = bytes([1, 255, 0, 128])
    struct.pack_into("<I", image.data, zone + 112, 0xFFFF_FFFF)
    image.data[0x8100:0x8106] = b"DMA32\0"
    return KernelMemory(image, Btf(small_btf), symbols)


def test_large_and_small_pages() -> None:
    image, symbols = small_image()
    tables = kernel_tables(image, symbols, 8)
    assert tables.walk(TEXT + 0x1234) == 0x1234
    assert tables.walk(TEXT + (1 << 21) + 0x3010) == 0x9010
    with pytest.raises(Unmapped, match="not mapped"):
        tables.walk(TEXT + (1 << 21) + 0x4000)


def test_pae_has_three_levels() -> None:
    image = Image()
    image.put(0x1000 + 8 * 3, 0x2000 | PRESENT)
    image.put(0x2000 + 8 * 5, 0x3000 | PRESENT)
    image.put(0x3000 + 8 * 7, 0x6000 | PRESENT)
    tables = Radix(image, 0x1000, (30, 21, 12))
    assert tables.walk(0xC000_0000 + (5 << 21) + (7 << 12) + 9) == 0x6009


def test_fields(memory: KernelMemory) -> None:
    zone = memory.struct("zone", memory.symbol("zone"))
    assert zone.text("name") == "DMA32"
    assert zone.number("managed_pages") == 77, "a counter in its structure"
    assert zone.number("spanned_pages") == 4096
    assert zone.number("free_area[0].nr_free") == 5
    assert zone.numbers("diff") == (1, -1, 0, -128)
    assert zone.number("flags") == 0xFFFF_FFFF
    assert zone.has("flags")
    assert not zone.has("watermark")
    with pytest.raises(LinuxmmError, match="struct zone of this kernel has no field watermark"):
        zone.number("watermark")


def test_lists_in_order(memory: KernelMemory) -> None:
    zone = memory.struct("zone", memory.symbol("zone"))
    assert list(memory.linked(zone.at("free_area[0].free_list[0]"))) == [TEXT + 0xA000, TEXT + 0xA020]
    assert list(memory.linked(zone.at("free_area[0].free_list[1]"))) == []


def test_reading_across_pages(memory: KernelMemory) -> None:
    assert memory.read(TEXT + 0x7FFC, 8) == b"\0" * 4 + struct.pack("<Q", TEXT + 0x8100)[:4]
    assert memory.try_read(TEXT + (1 << 30), 4) is None


def test_what_the_kernel_does_not_have(memory: KernelMemory) -> None:
    assert memory.variable("jiffies", 8) is None
    with pytest.raises(LinuxmmError, match="the kernel has no symbol jiffies"):
        memory.symbol("jiffies")
    with pytest.raises(LinuxmmError, match="the kernel has no symbol init_top_pgt"):
        kernel_tables(Image(), {}, 8)
