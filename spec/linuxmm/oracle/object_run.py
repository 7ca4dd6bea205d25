"""Replay the kmem events of an ftrace text on the SLUB of any version, and print /proc/slabinfo as it would.

Linux: include/trace/events/kmem.h; mm/slub.c:get_slabinfo, mm/slab_common.c:cache_show.  Seed 2.1.2.2 (F033).
"""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from linuxmm.fast.arena import Int64s
from linuxmm.fast.slub import ALLOC, FREE, KMALLOC, FastSlub, Totals, kmalloc_sizes, operations
from linuxmm.model.objects.pages import Heap
from linuxmm.model.objects.slub import empty_cache
from linuxmm.model.objects.slub_state import Cache
from linuxmm.oracle.formats import Capture, open_evidence
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Kernel

_EVENT: Final = re.compile(
    r"\[(\d+)\] .*?: "
    r"(kmalloc|kmalloc_node|kfree|kmem_cache_alloc|kmem_cache_alloc_node|kmem_cache_free): (.*)"
)
_FIELD: Final = re.compile(r"\b(ptr|bytes_req|bytes_alloc|name)=(\S+)")
_MOST: Final = (1 << 24) - 1


class Recording(NamedTuple):
    """What a trace asked of object allocators.

    rows     columns of `linuxmm.fast.slub.operations`: code, CPU, cache or bytes, slot
    names    of the caches that are not kmalloc's; sizes: from one object to the next
    unknown  releases of what was handed out before the trace began; left out
    """

    rows: Int64s
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    slots: int
    cpus: int
    unknown: int


def lines_of(path: str) -> Iterator[str]:
    """The lines of an ftrace text, packed or not, or of a capture's traces.

    Errors    BadEvidence when the file cannot be read
    """
    if Path(path).is_dir():
        capture = open_evidence(path)
        if not isinstance(capture, Capture):
            raise BadEvidence(path, "expected a capture folder or an ftrace text")
        for name in capture.traces:
            yield from lines_of(str(capture.file(capture.info(name).file)))
        return
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", errors="replace") as text:
            yield from text
    except (OSError, EOFError) as error:
        raise BadEvidence(path, f"cannot be read: {error}") from error


def read_recording(path: str, lines: Iterable[str]) -> Recording:
    """The operations of a trace.  A cache is known by its name, or before 6.3 by the bytes that it hands out.

    Errors    BadEvidence for an event without its fields, a request that is too large, and for no event
    """
    rows: list[tuple[int, int, int, int]] = []
    caches: dict[str, tuple[int, int]] = {}
    slots: dict[str, int] = {}
    spare: list[int] = []
    unknown = cpus = 0
    for number, line in enumerate(lines, 1):
        if (event := _EVENT.search(line)) is None:
            continue
        values = dict(_FIELD.findall(event[3]))
        pointer = values.get("ptr", "").removeprefix("0x").lstrip("0")
        cpu = int(event[1])
        cpus = max(cpus, cpu + 1)
        if event[2] in ("kfree", "kmem_cache_free"):
            if not pointer:
                continue
            if pointer not in slots:
                unknown += 1
                continue
            spare.append(slots.pop(pointer))
            rows.append((FREE, cpu, 0, spare[-1]))
            continue
        asked, granted = (_bytes(path, number, values, name) for name in ("bytes_req", "bytes_alloc"))
        if not pointer or asked == 0:
            continue
        if pointer in slots:  # its release is not in the trace
            rows.append((FREE, cpu, 0, slots[pointer]))
        else:
            slots[pointer] = spare.pop() if spare else len(slots)
        if event[2].startswith("kmalloc"):
            rows.append((KMALLOC, cpu, asked, slots[pointer]))
            continue
        name = values.get("name", f"size-{granted}")
        which, _ = caches.setdefault(name, (len(caches), max(granted, 8)))
        rows.append((ALLOC, cpu, which, slots[pointer]))
    if not rows:
        raise BadEvidence(path, "expected kmem events, such as kmalloc and kfree; there are none")
    sizes = tuple(size for _, size in caches.values())
    most = 1 + max(row[3] for row in rows)
    return Recording(np.array(rows, np.int64), tuple(caches), sizes, most, cpus, unknown)


def _bytes(path: str, number: int, values: dict[str, str], name: str) -> int:
    text = values.get(name, "")
    if not text.isdigit() or int(text) > _MOST:
        raise BadEvidence(path, f"expected a number up to {_MOST}, got {text!r}", line=number, where=name)
    return int(text)


class ObjectRun(NamedTuple):
    """A replay: the caches with their names, what was done, and the pages held in the end."""

    caches: tuple[tuple[str, Cache], ...]
    totals: Totals
    pages: int


def replay_objects(recording: Recording, kernel: Kernel, frames: int) -> ObjectRun:
    """Run a recording from empty caches on a machine of one node with `frames` page frames."""
    node_of = (0,) * recording.cpus
    classes = kmalloc_sizes(kernel)
    sizes = (*recording.sizes, *classes)
    names = (*recording.names, *(f"kmalloc-{_short(size)}" for size in classes))
    empty = [empty_cache(kernel, size, node_of, 1) for size in sizes]
    fast = FastSlub(kernel, empty, Heap(frames), recording.slots, kmalloc=len(recording.sizes))
    fast.run(operations(*recording.rows.T))
    return ObjectRun(tuple(zip(names, fast.caches, strict=True)), fast.totals, fast.pages.held)


def _short(size: int) -> str:
    return f"{size >> 20}M" if size >= 1 << 20 else f"{size >> 10}k" if size >= 1024 else str(size)


def slabinfo(caches: Iterable[tuple[str, Cache]]) -> str:
    """/proc/slabinfo, version 2.1, of the caches that have slabs."""
    text = [
        "slabinfo - version: 2.1\n",
        "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> "
        "<batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n",
    ]
    for name, cache in caches:
        if not cache.slabs:
            continue
        listed = [cache.slabs[pfn] for node in cache.nodes for pfn in node]
        free = sum(slab.objects - slab.inuse for slab in listed)
        whole = sum(slab.objects for slab in cache.slabs.values())
        slabs = len(cache.slabs)
        text.append(
            f"{name:<17} {whole - free:6} {whole:6} {cache.size:6} {cache.objects:4} {1 << cache.order:4} "
            f": tunables {0:4} {0:4} {0:4} : slabdata {slabs:6} {slabs:6} {0:6}\n"
        )
    return "".join(text)
