"""Writes cpio archives of the form that the kernel unpacks as its first root file system ("newc").

Linux: Documentation/driver-api/early-userspace/buffer-format.rst
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its mode with its type, its content (a link's target), its device number."""

    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(content: bytes, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(stat.S_IFREG | mode, content)


def folder() -> Entry:
    """A directory."""
    return Entry(stat.S_IFDIR | 0o755)


def link(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def device(major: int, minor: int) -> Entry:
    """A character device."""
    return Entry(stat.S_IFCHR | 0o600, b"", (major, minor))


def archive(entries: Mapping[str, Entry]) -> bytes:
    """The archive of all entries by path, folders that lead to them added.

    Ensures   equal entries give equal bytes: owner root, time 0, sorted by path
    """
    whole = dict(entries)
    for path in entries:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            whole.setdefault("/".join(parts[:depth]), folder())
    pieces = [_record(number, path, whole[path]) for number, path in enumerate(sorted(whole), 1)]
    pieces.append(_record(0, _TRAILER, Entry(0)))
    return b"".join(pieces)


def _record(number: int, path: str, entry: Entry) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        number, entry.mode, 0, 0, links, 0, len(entry.content),
        0, 0, *entry.device, len(name), 0,
    )  # fmt: skip
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
