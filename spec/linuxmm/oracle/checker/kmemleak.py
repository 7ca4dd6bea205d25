"""Hold the list of /sys/kernel/debug/kmemleak against itself, the kernel's log, and what a workload lost.

Linux: mm/kmemleak.c:print_unreferenced, kmemleak_scan.  Seed 2.13.4 (F080).  4.x to 6.12.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from linuxmm.spec.debug.kmemleak import DUMPED, FOUND, LISTED, dumped_bytes
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Judgement

_OBJECT: Final = re.compile(r"^unreferenced object (?:0x)?([0-9a-f]+) \(size (\d+)\):$")
_HEX: Final = re.compile(r"^ {4}((?:[0-9a-f]{2} )+) *(.{1,16})$")
_FIRST: Final = re.compile(r"^  hex dump \(first (\d+) bytes")
_CRC: Final = re.compile(r"^  backtrace \(crc ([0-9a-f]+)\):$")
_NEW: Final = re.compile(r"kmemleak: (\d+) new suspected memory leaks")
_LOST: Final = re.compile(r"misuse: lost of object ([0-9a-f]+)$")
_WHY: Final = "kmemleak's list"
_ONES: Final = 0xFFFF_FFFF


class Listed(NamedTuple):
    """An object of the list: its bytes as far as they are shown, and as text; the checksum, if it is said."""

    line: int
    address: int
    size: int
    first: int
    data: bytes
    text: str
    crc: int | None


def read_list(lines: Iterable[str], file: str) -> tuple[Listed, ...]:
    """The objects of a list.

    Errors    BadEvidence for a line of the list that belongs to no object
    """
    found: list[Listed] = []
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\n")
        begins, first, row, crc = _OBJECT.match(line), _FIRST.match(line), _HEX.match(line), _CRC.match(line)
        if begins:
            found.append(Listed(number, int(begins[1], 16), int(begins[2]), -1, b"", "", None))
        elif (first or row or crc) and not found:
            raise BadEvidence(file, f"expected an unreferenced object first, got {line!r}", line=number)
        elif first:
            found[-1] = found[-1]._replace(first=int(first[1]))
        elif row:
            last = found[-1]
            found[-1] = last._replace(data=last.data + bytes.fromhex(row[1]), text=last.text + row[2])
        elif crc:
            found[-1] = found[-1]._replace(crc=int(crc[1], 16))
    return tuple(found)


def crc_of(data: bytes) -> int:
    """The checksum that kmemleak keeps of an object: crc32 without inverting at the ends."""
    return zlib.crc32(data, _ONES) ^ _ONES


def judge_kmemleak(judgement: Judgement, found: tuple[Listed, ...], log: Iterable[str]) -> None:
    """Hold a list against the clauses.

    log     what the kernel said since the list was cleared
    """
    end, before = -1, ""
    for one in sorted(found, key=lambda one: one.address):
        text = f"{one.address:#x} of {one.size} bytes"
        apart = one.address >= end
        judgement.require(LISTED.id, apart, text, f"an object behind {before}", _WHY, line=one.line)
        end, before = one.address + one.size, text
        _judge_bytes(judgement, one)
    log = tuple(log)
    judgement.events += len(found)
    news = sum(int(match[1]) for match in map(_NEW.search, log) if match)
    if news:
        judgement.require(FOUND.id, len(found) == news, f"{len(found)} objects listed", f"{news}", _WHY)
    listed = {one.address for one in found}
    for lost in (int(match[1], 16) for match in map(_LOST.search, log) if match):
        text = f"{lost:#x} lost, not listed"
        judgement.require(FOUND.id, lost in listed, text, "every lost object", _WHY)


def _judge_bytes(judgement: Judgement, one: Listed) -> None:
    room = dumped_bytes(one.size)
    shown = f"{len(one.data)} of {one.first} bytes shown"
    whole = one.first == len(one.data) == room
    judgement.require(DUMPED.id, whole, shown, f"{room} bytes", _WHY, line=one.line)
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in one.data)
    seen = f"text {one.text!r}"
    judgement.require(DUMPED.id, one.text == text, seen, repr(text), _WHY, line=one.line)
    if one.crc is not None and one.size == len(one.data):
        crc = crc_of(one.data)
        seen = f"crc {one.crc:x}"
        judgement.require(DUMPED.id, one.crc == crc, seen, f"crc {crc:x}", _WHY, line=one.line)
