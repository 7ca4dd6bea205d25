"""Workloads of object allocators: what callers ask of kmalloc and of caches, as JSON lines.

The form is docs/formats/object-workload.md.  Seed 2.1.2.2 (F033).
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final, Literal

import msgspec
import numpy as np

from linuxmm.fast.slub import ALLOC, FLUSH, FREE, KMALLOC, many
from linuxmm.fast.slub_rare import BULK_ALLOC, BULK_FREE, DESTROY, KREALLOC, KREALLOC_ZERO, KSIZE, SHRINK
from linuxmm.oracle.object_run import Recording, read_recording
from linuxmm.spec.errors import BadEvidence

MOST_SLOTS: Final = 1 << 23
MOST_BYTES: Final = (1 << 24) - 1
MOST_CPUS: Final = 256
MOST_CACHES: Final = 4000
MOST_AT_ONCE: Final = 4095
LEAST_OBJECT: Final = 8

_CODES: Final = {
    "alloc": ALLOC,
    "free": FREE,
    "flush": FLUSH,
    "kmalloc": KMALLOC,
    "alloc_bulk": BULK_ALLOC,
    "free_bulk": BULK_FREE,
    "krealloc": KREALLOC,
    "ksize": KSIZE,
    "shrink": SHRINK,
    "destroy": DESTROY,
}
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "cache": ("name", "size"),
    "alloc": ("cache", "slot"),
    "free": ("slot",),
    "flush": ("cache",),
    "kmalloc": ("size", "slot"),
    "alloc_bulk": ("cache", "count", "slot"),
    "free_bulk": ("count", "slot"),
    "krealloc": ("size", "slot"),
    "ksize": ("slot",),
    "shrink": ("cache",),
    "destroy": ("cache",),
}


class ObjectLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line: an operation with the fields that it needs."""

    op: Literal[
        "cache",
        "alloc",
        "free",
        "flush",
        "kmalloc",
        "alloc_bulk",
        "free_bulk",
        "krealloc",
        "ksize",
        "shrink",
        "destroy",
    ]
    name: str | None = None
    size: int | None = None
    cache: str | None = None
    slot: int | None = None
    count: int | None = None
    cpu: int = 0
    zero: bool = False


_LIMITS: Final = (
    ("cpu", 0, MOST_CPUS - 1),
    ("size", 0, MOST_BYTES),
    ("slot", 0, MOST_SLOTS - 1),
    ("count", 1, MOST_AT_ONCE),
)


def read_workload(path: str, lines: Iterable[str]) -> Recording:
    """The operations of a workload.

    Errors    BadEvidence naming the line and the field
    """
    caches: dict[str, int] = {}
    sizes: list[int] = []
    rows: list[tuple[int, int, int, int]] = []
    slots, cpus = 1, 1
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=ObjectLine)
        except msgspec.MsgspecError as error:
            raise BadEvidence(path, f"expected an operation as JSON: {error}", line=number) from error
        _check(path, number, line)
        size, count, slot = line.size or 0, line.count or 1, line.slot or 0
        if line.op == "cache":
            _declare(path, number, line, caches, sizes)
            continue
        if line.cache is not None and line.cache not in caches:
            raise BadEvidence(path, f"no cache is called {line.cache!r} so far", line=number, where="cache")
        code, what = _CODES[line.op], caches.get(line.cache or "", 0)
        if line.op in ("kmalloc", "krealloc"):
            what = size
        elif line.op == "alloc_bulk":
            what = many(what, count)
        elif line.op == "free_bulk":
            what = count
        if line.zero:
            code = KREALLOC_ZERO
        slots, cpus = max(slots, slot + count), max(cpus, line.cpu + 1)
        rows.append((code, line.cpu, what, slot))
    if not rows:
        raise BadEvidence(path, "expected operations; there are none")
    return Recording(np.array(rows, np.int64), tuple(caches), tuple(sizes), slots, cpus, 0)


def _check(path: str, number: int, line: ObjectLine) -> None:
    """Refuse fields that are missing, that do not belong there, or are out of range."""
    needed = _FIELDS[line.op]
    for name in ("name", "size", "cache", "slot", "count"):
        if (getattr(line, name) is not None) != (name in needed):
            expected = f"{line.op} needs {', '.join(needed)}, and {name} is " + (
                "missing" if name in needed else "not for it"
            )
            raise BadEvidence(path, expected, line=number, where=name)
    if line.zero and line.op != "krealloc":
        raise BadEvidence(path, f"zero is for krealloc, not for {line.op}", line=number, where="zero")
    for name, least, most in _LIMITS:
        value = getattr(line, name)
        if value is not None and not least <= value <= most:
            raise BadEvidence(path, f"expected {least} to {most}, got {value}", line=number, where=name)
    if (line.slot or 0) + (line.count or 1) > MOST_SLOTS:
        raise BadEvidence(path, f"expected slots below {MOST_SLOTS}", line=number, where="slot")


def _declare(path: str, number: int, line: ObjectLine, caches: dict[str, int], sizes: list[int]) -> None:
    assert line.name is not None
    assert line.size is not None
    if line.name in caches or len(caches) == MOST_CACHES:
        raise BadEvidence(path, f"expected a new name, got {line.name!r}", line=number, where="name")
    if not LEAST_OBJECT <= line.size <= MOST_BYTES // 4 or line.size % LEAST_OBJECT:
        expected = f"expected a multiple of {LEAST_OBJECT} up to {MOST_BYTES // 4}, got {line.size}"
        raise BadEvidence(path, expected, line=number, where="size")
    caches[line.name] = len(caches)
    sizes.append(line.size)


def read_objects(path: str, lines: Iterable[str]) -> Recording:
    """The operations of a workload, or of an ftrace text with kmem events: told apart by the first line.

    Errors    BadEvidence
    """
    rest = iter(lines)
    first = next(rest, "")
    whole = chain([first], rest)
    return read_workload(path, whole) if first.lstrip().startswith("{") else read_recording(path, whole)
