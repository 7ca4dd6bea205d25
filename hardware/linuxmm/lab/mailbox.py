"""The host's side of the guest's shared memory: requests of the guest, answered one at a time.

A PCI memory device (ivshmem) that the guest maps through sysfs: no driver, no module, no disk.
Layout: six 32-bit words (magic, request, reply, kind, size, status), a name, and from byte 4096 on the data.
"""

import mmap
import struct
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from linuxmm.spec.errors import LinuxmmError

SIZE: Final = 1 << 24
MAGIC: Final = 0x4C4D4D31
_DATA: Final = 4096
_NAME: Final = 24
_NAME_SIZE: Final = 512
_WORDS: Final = struct.Struct("<6I")
_HEAD: Final = struct.Struct("<II")


class RequestKind(IntEnum):
    """What a guest asks for."""

    MARK = 1
    FILE_PART = 2
    MONITOR = 3
    NOTE = 4
    DONE = 5


class Request(NamedTuple):
    """One request; `data` is what came with it."""

    kind: RequestKind
    name: str
    data: bytes


class Mailbox:
    """The shared memory of one guest, in a file of `SIZE` bytes."""

    def __init__(self, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(SIZE)
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._memory.close()

    def poll(self) -> Request | None:
        """The guest's request, when it has one that was not answered.

        Errors    LinuxmmError for a request that is none
        """
        magic, request, reply, kind, size, _ = _WORDS.unpack_from(self._memory, 0)
        if magic != MAGIC or request == reply:
            return None
        if size > SIZE - _DATA or kind not in RequestKind.__members__.values():
            raise LinuxmmError(f"the guest sent a request of kind {kind} with {size} bytes")
        name = bytes(self._memory[_NAME : _NAME + _NAME_SIZE]).split(b"\0")[0].decode("utf-8", "replace")
        return Request(RequestKind(kind), name, bytes(self._memory[_DATA : _DATA + size]))

    def answer(self, status: int = 0) -> None:
        """Let the guest go on."""
        (_, request, *_) = _WORDS.unpack_from(self._memory, 0)
        struct.pack_into("<I", self._memory, 20, status)
        struct.pack_into("<I", self._memory, 8, request)


def files_in(data: bytes) -> dict[str, bytes]:
    """Files that came with a mark: the guest's path -> content.

    Errors    LinuxmmError for data that ends too early
    """
    found: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise LinuxmmError("a mark's files end in the middle")
        name_size, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + name_size + size > len(data):
            raise LinuxmmError("a mark's files end in the middle")
        name = data[at : at + name_size].decode("utf-8", "replace")
        found[name] = data[at + name_size : at + name_size + size]
        at += name_size + size
    return found
