"""Files of /proc and /sys that say what an exact state also says, as tables of numbers."""

import re
from typing import Final, NamedTuple

from linuxmm.oracle.formats.capture import Capture

_NUMBER: Final = re.compile(r"^([A-Za-z0-9_()]+):?\s+(\d+)(?: kB)?$")
_AREA: Final = re.compile(r"^0x([0-9a-f]+)-0x([0-9a-f]+)\s+\d+ (.*)$")
_PAGES: Final = re.compile(r"\bpages=(\d+)")
_MAP: Final = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])([sp]) ([0-9a-f]+) \S+ (\d+)")


def text_of(capture: Capture, mark: str, name: str) -> str | None:
    """A file that the guest read at a mark; None when it did not."""
    return capture.text(mark, name) if capture.file(f"marks/{mark}/{name}").is_file() else None


def numbers_by_name(text: str) -> dict[str, int]:
    """Lines of a name and a number, as in /proc/meminfo, /proc/PID/status, memory.stat; others left out."""
    seen = (_NUMBER.match(line) for line in text.splitlines())
    return {found[1]: int(found[2]) for found in seen if found}


Areas = dict[tuple[int, int], int]


def vmallocinfo(text: str) -> tuple[Areas, list[tuple[int, int]]]:
    """(start, end) of each area -> its pages; and areas that are freed but not yet unmapped."""
    areas: Areas = {}
    lazy: list[tuple[int, int]] = []
    for line in text.splitlines():
        found = _AREA.match(line)
        if found is None:
            continue
        place = int(found[1], 16), int(found[2], 16)
        if found[3].startswith("unpurged"):
            lazy.append(place)
        else:
            pages = _PAGES.search(found[3])
            areas[place] = int(pages[1]) if pages else 0
    return areas, lazy


def slabinfo(text: str) -> dict[str, tuple[int, int, int, int]]:
    """Cache -> objects, slabs, objects per slab, pages per slab; caches of one name are left out."""
    found: dict[str, tuple[int, int, int, int]] = {}
    twice: set[str] = set()
    for line in text.splitlines()[2:]:
        words = line.split()
        name = words[0]
        if name in found:
            twice.add(name)
        found[name] = int(words[2]), int(words[14]), int(words[4]), int(words[5])
    return {name: row for name, row in found.items() if name not in twice}


class Map(NamedTuple):
    """A line of /proc/PID/maps: VM_READ 1, VM_WRITE 2, VM_EXEC 4 and VM_MAYSHARE 0x80 as `flags`.

    rss, swap  kilobytes, from smaps
    """

    start: int
    end: int
    flags: int
    offset: int
    inode: int
    rss: int = 0
    swap: int = 0


def maps(text: str) -> list[Map]:
    """Lines of maps or smaps; the page of vsyscalls, which is no VMA, is left out."""
    found: list[Map] = []
    for line in text.splitlines():
        seen = _MAP.match(line)
        if seen is not None:
            flags = sum(
                bit for bit, letter in zip((1, 2, 4), seen.groups()[2:5], strict=True) if letter != "-"
            )
            flags |= 0x80 if seen[6] == "s" else 0
            start, end, offset = (int(seen[n], 16) for n in (1, 2, 7))
            found.append(Map(start, end, flags, offset, int(seen[8])))
        elif found and (number := _NUMBER.match(line)):
            if number[1] == "Rss":
                found[-1] = found[-1]._replace(rss=int(number[2]))
            elif number[1] == "Swap":
                found[-1] = found[-1]._replace(swap=int(number[2]))
    return [line for line in found if line.start < 1 << 63]
