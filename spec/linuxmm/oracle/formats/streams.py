"""Files as bounded chunks of bytes, whatever they are compressed with."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow

from linuxmm.spec.errors import BadEvidence

GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_READ: Final = 1 << 20


class Cut(Exception):
    """A compressed stream ends before its end; what came before is good."""


def head(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file as it stands.

    Errors    BadEvidence when it cannot be read
    """
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise BadEvidence(str(path), f"cannot be read: {error.strerror}") from None


def chunks(path: Path, size: int = 1 << 22) -> Iterator[bytes]:
    """The decompressed content in pieces of at most `size` bytes: plain, gzip or zstd, by content.

    Errors    BadEvidence for a file that cannot be read or decompressed; Cut when the file is truncated
    """
    magic = head(path, 4)
    try:
        if magic.startswith(GZIP):
            yield from _gzip(path, size)
        elif magic.startswith(ZSTD):
            yield from _zstd(path, size)
        else:
            with path.open("rb") as file:
                while piece := file.read(size):
                    yield piece
    except OSError as error:
        raise BadEvidence(str(path), f"cannot be read: {error.strerror}") from None


def _gzip(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        machine = zlib.decompressobj(31)
        left = b""
        while True:
            if not left:
                left = file.read(_READ)
            if not left and not machine.unconsumed_tail:
                if not machine.eof:
                    raise Cut("the gzip stream ends before its end")
                return
            if machine.eof:
                machine = zlib.decompressobj(31)
            try:
                piece = machine.decompress(left, size)
            except zlib.error as error:
                raise BadEvidence(
                    str(path), f"gzip data cannot be decompressed: {error}", where=f"near byte {file.tell()}"
                ) from None
            left = machine.unused_data if machine.eof else machine.unconsumed_tail
            if machine.eof:
                left = left.lstrip(b"\0")
                if not left and not (left := file.read(_READ).lstrip(b"\0")):
                    if piece:
                        yield piece
                    return
            if piece:
                yield piece


def _zstd(path: Path, size: int) -> Iterator[bytes]:
    with pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd") as file:
        while True:
            try:
                piece: bytes = file.read(size)
            except (OSError, pyarrow.ArrowInvalid) as error:
                if "Truncated" in str(error):
                    raise Cut("the zstd stream ends before its end") from None
                raise BadEvidence(str(path), f"zstd data cannot be decompressed: {error}") from None
            if not piece:
                return
            yield piece


def whole(path: Path, limit: int) -> bytes:
    """The decompressed content of a file of at most `limit` bytes.

    Errors    BadEvidence when it is larger, truncated, or cannot be read
    """
    parts: list[bytes] = []
    total = 0
    try:
        for piece in chunks(path):
            total += len(piece)
            if total > limit:
                raise BadEvidence(str(path), f"expected at most {limit} bytes of content")
            parts.append(piece)
    except Cut as cut:
        raise BadEvidence(str(path), str(cut)) from None
    return b"".join(parts)
