"""Readers of traces of references: of caches as CSV or oracleGeneral, of memory as valgrind's lackey prints.

Every reader gives blocks of two columns: the place that is referenced, numbered from 0 in order of first use,
and the kind of access.  One key is one page; sizes are not looked at.  Memory grows with the number of
different keys, not with the length of the trace.

Formats: libCacheSim's oracleGeneral (records of 24 bytes); `time,key,size,op` with or without a header.
Seed 2.4 (F042, F043, F046).
"""

import csv
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple

import numpy as np
import zstandard

from linuxmm.fast.arena import Int64s
from linuxmm.fast.lackey import read_lackey
from linuxmm.fast.numbering import Numbering
from linuxmm.model.reclaim.workload import ANON, DROP, MAPPED, READ, WRITE
from linuxmm.spec.errors import BadEvidence

RECORD: Final = np.dtype([("time", "<u4"), ("id", "<u8"), ("size", "<u4"), ("next", "<i8")])
"""A request of oracleGeneral."""
BLOCK: Final = 1 << 16
LONGEST: Final = 1 << 12
"""Characters of a line of CSV."""

KINDS: Final = {
    **dict.fromkeys(("", "r", "read", "get", "gets", "0"), READ),
    **dict.fromkeys(
        ("w", "write", "put", "set", "add", "replace", "cas", "append", "prepend", "incr", "decr", "1"), WRITE
    ),
    **dict.fromkeys(("d", "delete", "remove"), DROP),
    **dict.fromkeys(("mapped", "mmap"), MAPPED),
}
"""Operations of a CSV trace, in lower case."""
_KEYS: Final = ("key", "id", "obj_id", "object_id", "obj", "page")
_OPERATIONS: Final = ("op", "operation", "op_type")


class Block(NamedTuple):
    """References in order."""

    places: Int64s
    how: Int64s


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            if path.suffix != ".zst":
                yield file
                return
            with zstandard.ZstdDecompressor().stream_reader(file) as unpacked:
                yield unpacked
    except zstandard.ZstdError as error:
        raise BadEvidence(str(path), f"expected zstandard data: {error}") from error
    except OSError as error:
        raise BadEvidence(str(path), f"expected a readable file: {error.strerror}") from error


def read_references(path: Path, places: Numbering, *, anon: bool = False) -> Iterator[Block]:
    """The references of a trace, as its name says: .csv, .oracleGeneral, .bin (also with .zst), or .lackey.

    anon      memory that a process reads and writes is anonymous, not a mapped file; for lackey
    Errors    BadEvidence naming the record and the field
    """
    name = path.name.removesuffix(".zst").lower()
    if name.endswith(".csv"):
        return read_csv(path, places)
    if name.endswith((".bin", ".oraclegeneral")):
        return read_oracle_general(path, places)
    if path.suffix == ".lackey":
        return _of_lackey(path, places, anon)
    raise BadEvidence(
        str(path), "expected a name that ends in .csv, .oracleGeneral or .bin, maybe .zst, or in .lackey"
    )


def read_oracle_general(path: Path, places: Numbering) -> Iterator[Block]:
    """Requests of libCacheSim's binary format.

    Errors    BadEvidence for a file without a request, and for one that ends within a record
    """
    number = 0
    rest = b""
    with _opened(path) as file:
        while data := file.read(BLOCK * RECORD.itemsize):
            data = rest + data
            whole = len(data) // RECORD.itemsize
            rest = data[whole * RECORD.itemsize :]
            requests = np.frombuffer(data, RECORD, whole)
            number += whole
            if whole:
                yield Block(places.of_array(requests["id"]), np.full(whole, READ, np.int64))
    if rest or not number:
        got = f"{len(rest)} bytes" if rest else "nothing"
        expected = f"expected a record of {RECORD.itemsize} bytes, got {got}"
        raise BadEvidence(str(path), expected, line=number, where="record")


def read_csv(path: Path, places: Numbering) -> Iterator[Block]:
    """Requests of a CSV trace: `time,key,size,op`, or with a header that names a key and maybe an operation.

    Errors    BadEvidence for a line without a key, an unknown operation, a line that is too long
    """
    with _opened(path) as file:
        rows = csv.reader(_lines(path, file))
        at_key, at_op, done = 1, 3, 0
        while batch := list(islice(rows, BLOCK)):
            if not done:
                at_key, at_op, header = _columns(path, batch[0])
                batch = batch[header:]
                done = header
            keys, kinds = [], np.empty(len(batch), np.int64)
            for at, row in enumerate(batch):
                line = done + at + 1
                if len(row) <= at_key or not row[at_key].strip():
                    got = f"got {len(row)} fields" if len(row) <= at_key else "got nothing"
                    raise BadEvidence(str(path), f"expected a key, {got}", line=line, where="key")
                asked = row[at_op].strip().lower() if 0 <= at_op < len(row) else ""
                if asked not in KINDS:
                    known = ", ".join(sorted(kind for kind in KINDS if kind.isalpha()))
                    raise BadEvidence(
                        str(path), f"expected one of {known}, got {asked!r}", line=line, where="op"
                    )
                keys.append(row[at_key].strip())
                kinds[at] = KINDS[asked]
            done += len(batch)
            if keys:
                yield Block(places(keys), kinds)
    if not len(places):
        raise BadEvidence(str(path), "expected a request, got none", line=done + 1)


def _columns(path: Path, first: list[str]) -> tuple[int, int, int]:
    """(column of the key, of the operation or -1, lines of the header)."""
    names = [name.strip().lower() for name in first]
    key = next((names.index(name) for name in _KEYS if name in names), -1)
    if key >= 0:
        return key, next((names.index(name) for name in _OPERATIONS if name in names), -1), 1
    if names and not names[0].replace(".", "", 1).isdigit():
        raise BadEvidence(
            str(path), f"expected a time, or a header with one of {', '.join(_KEYS)}", line=1, where="time"
        )
    return 1, 3, 0


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    """Lines of a file of which none is longer than LONGEST, without blank ones at the end."""
    number, rest = 0, b""
    while data := file.read(1 << 20):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            number += 1
            yield _line(path, number, line)
        if len(rest) > LONGEST:
            _line(path, number + 1, rest)
    if rest.strip():
        yield _line(path, number + 1, rest)


def _line(path: Path, number: int, line: bytes) -> str:
    if len(line) > LONGEST or b'"' in line:
        raise BadEvidence(str(path), f"expected a line of up to {LONGEST} bytes, without quotes", line=number)
    try:
        return line.decode().rstrip("\r") or ","
    except UnicodeDecodeError as error:
        raise BadEvidence(str(path), "expected UTF-8", line=number) from error


def _of_lackey(path: Path, places: Numbering, anon: bool) -> Iterator[Block]:
    data = ANON if anon else MAPPED
    for words in read_lackey(path):
        yield Block(places.of_array(words >> 16), np.full(words.size, data, np.int64))


def write_oracle_general(path: Path, keys: Iterable[int]) -> None:
    """Write requests for keys, at times 0, 1, ...; sizes are a page, the next use is not said."""
    with path.open("wb") as file:
        for number, key in enumerate(keys):
            file.write(struct.pack("<IQIq", number & 0xFFFFFFFF, key, 4096, -1))
