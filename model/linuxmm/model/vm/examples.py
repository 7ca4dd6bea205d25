"""A small address space with every kind of area, and what can be done to its pages, for tests and examples.

Linux: none.  Seed 2.8 (F059).
"""

from linuxmm.spec.vm.page_layer import PageArea

PAGE = 4096
RIGHTS = (0x73, 0x71, 0x70)
"""Flags of an area whose rights change: to read and write, to read, none."""


FILE, SHMEM = 7, 8
ANON = PageArea(0x10000, 0x14000, 0x73, anon=1)
COPIES = PageArea(0x20000, 0x24000, 0x73, 1, FILE, anon=2)
SHARED = PageArea(0x30000, 0x34000, 0xFB, 0, FILE)
SHARED_MEMORY = PageArea(0x40000, 0x43000, 0xFB, 0, SHMEM)
READ_ONLY = PageArea(0x50000, 0x51000, 0x71, anon=3)
TARGET = PageArea(0x600000, 0x604000, 0x73, anon=4)
AREAS = (ANON, COPIES, SHARED, SHARED_MEMORY, READ_ONLY, TARGET)
"""A small address space: every kind of area, and somewhere to move pages to."""

Operation = tuple[str, int, int, int]
"""What is done, in which address space, at which page, and a number that decides the rest."""

NAMES = (
    "write", "write", "read", "remote-read", "remote-write", "forced-write", "discard", "free", "fork",
    "drop", "move", "protect", "populate", "swap", "write-back", "drop-cached", "hold", "release",
    "truncate", "punch", "file-write",
)  # fmt: skip


def addresses(area: PageArea) -> list[int]:
    """The first byte of every page of an area."""
    return list(range(area.start, area.end, PAGE))


EVERY_PAGE = tuple(address for area in AREAS for address in addresses(area))


def find_in(areas: tuple[PageArea, ...], address: int) -> PageArea | None:
    """The area that holds an address."""
    return next((area for area in areas if area.start <= address < area.end), None)


def with_rights(areas: tuple[PageArea, ...], start: int, flags: int) -> tuple[PageArea, ...]:
    """The areas, the one at `start` with other flags."""
    return tuple(area._replace(flags=flags) if area.start == start else area for area in areas)
