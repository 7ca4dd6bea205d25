"""Faults of object allocators, planted in copies of real captures: each clause has one that breaks it alone.

A SLUB that lost an object, linked one twice or counted wrongly would have left what these edits leave.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from linuxmm.oracle.faults_judge import Outcome, judge_area, no_place
from linuxmm.oracle.faults_plant import (
    Change,
    Document,
    Lines,
    document,
    events_lost,
    first_of,
    text,
    torn,
    unpacked,
    write_copy,
)
from linuxmm.oracle.formats.areas import area_file, has_area
from linuxmm.oracle.formats.capture import DESCRIPTION, Capture
from linuxmm.oracle.object_evidence import kmem_traces, slabinfo_files
from linuxmm.spec.errors import LinuxmmError

_GRANT: Final = re.compile(r": (?:kmalloc|kmem_cache_alloc): .*\bptr=(?!0+ )([0-9a-f]+)")
_KMALLOC: Final = re.compile(r": kmalloc: .*\bptr=(?!0+ )[0-9a-f]+ .*bytes_alloc=(\d+)")
_RELEASE: Final = re.compile(r": (?:kfree|kmem_cache_free): .*\bptr=([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class ObjectFault:
    """One way to spoil a capture.

    clause       the clause that must break, alone; "" where evidence is gone and the verdict must say so
    state        edits slab.json of the first mark that has one
    slabinfo     edits the lines of the first /proc/slabinfo
    trace        edits the lines of the first trace with kmem events
    description  edits capture.json; the trace's name is its second argument
    listing      a probe that the trace is said to have
    """

    name: str
    sentence: str
    clause: str
    state: Callable[[Document], None] | None = None
    slabinfo: Callable[[Lines], Lines] | None = None
    trace: Callable[[Lines], Lines] | None = None
    description: Callable[[Document, str], None] | None = None
    listing: str = ""


def plant(capture: Capture, fault: ObjectFault, target: Path) -> Capture:
    """Write a copy of a capture with one fault.

    Errors    LinuxmmError when the evidence offers no place for the fault
    """
    changed: dict[str, bytes | None] = {}

    def change(name: str, by: Change) -> None:
        changed[name] = by(unpacked(capture.file(name)))

    if fault.state is not None:
        change(first_of(_states(capture)), document(fault.state))
    if fault.slabinfo is not None:
        file = first_of(file for _, file in slabinfo_files(capture))
        change(str(file.relative_to(capture.path)), text(fault.slabinfo))
    if fault.trace is not None:
        change(capture.info(first_of(kmem_traces(capture))).file, text(fault.trace))
    if fault.description is not None:
        edit, trace = fault.description, first_of(kmem_traces(capture))
        change(DESCRIPTION, document(lambda found: edit(found, trace)))
    if fault.listing:
        listing = capture.info(first_of(kmem_traces(capture))).events or ""
        change(listing, text(lambda lines: [*lines, f"{fault.listing}\n"]))
    return write_copy(capture, changed, target)


def _states(capture: Capture) -> Iterator[str]:
    return (area_file(mark, "slab") for mark in capture.marks if has_area(capture, mark, "slab"))


def try_objects(capture: Capture, fault: ObjectFault, target: Path) -> Outcome:
    """Plant a fault and judge the copy: its clause must break alone."""
    try:
        planted = plant(capture, fault, target)
    except LinuxmmError as error:
        return no_place(fault.name, capture, error)
    outcome = judge_area(fault.name, fault.clause, planted, "objects")
    if outcome.caught and outcome.alone is False:
        return replace(outcome, caught=False)
    return outcome


# ---- edits of a state ------------------------------------------------------------------------------------


def _listed(state: Document, free: int) -> Document:
    """A slab on a node's list with at least `free` free objects."""
    for cache in state["caches"].values():
        for node in cache["nodes"].values():
            for slab in node["partial"]:
                if len(slab["free"]) >= free:
                    found: Document = slab
                    return found
    raise LinuxmmError(f"no listed slab has {free} free objects")


def _twice(state: Document) -> None:
    slab = _listed(state, 2)
    slab["free"][-1] = slab["free"][0]


def _beyond(state: Document) -> None:
    slab = _listed(state, 1)
    slab["free"][-1] = slab["objects"]


def _in_two_lists(state: Document) -> None:
    """A free object is on its slab's list and on the list of the CPU that uses the slab."""
    for cache in state["caches"].values():
        for held in cache["cpus"].values():
            if held["slab"] is not None and held["free"]:
                held["slab"]["free"].append(held["free"][0])
                held["slab"]["inuse"] -= 1
                return
    raise LinuxmmError("no CPU has a slab with free objects")


def _lost(state: Document) -> None:
    _listed(state, 2)["free"].pop()


def _miscounted(state: Document) -> None:
    _listed(state, 1)["inuse"] += 1


def _frozen(state: Document) -> None:
    _listed(state, 1)["frozen"] = 1


def _held_and_listed(state: Document) -> None:
    """A slab is on a CPU's list and on its node's."""
    for cache in state["caches"].values():
        for node in cache["nodes"].values():
            for slab in node["partial"]:
                next(iter(cache["cpus"].values()))["partial"].append(slab)
                return
    raise LinuxmmError("no node has a partial slab")


def _full_listed(state: Document) -> None:
    slab = _listed(state, 1)
    slab["free"], slab["inuse"] = [], slab["objects"]


def _list_shorter(state: Document) -> None:
    for cache in state["caches"].values():
        for node in cache["nodes"].values():
            if node["partial"]:
                node["partial"].pop()
                return
    raise LinuxmmError("no node has a partial slab")


def _order(state: Document) -> None:
    next(iter(state["caches"].values()))["order"] += 1


def _min_partial(state: Document) -> None:
    next(iter(state["caches"].values()))["min_partial"] = 99


# ---- edits of /proc/slabinfo and of a trace --------------------------------------------------------------


def _one_less(lines: Lines) -> Lines:
    """A cache has one object less in a slab."""
    words = lines[2].split()
    words[4] = str(int(words[4]) - 1)
    return [*lines[:2], " ".join(words) + "\n", *lines[3:]]


def _handed_out_twice(lines: Lines) -> Lines:
    live: dict[str, int] = {}
    for number, line in enumerate(lines):
        if (seen := _RELEASE.search(line)) is not None:
            live.pop(seen[1], None)
        elif (seen := _GRANT.search(line)) is not None:
            if live:
                victim = next(reversed(live))
                edited = line.replace(f"ptr={seen[1]}", f"ptr={victim}", 1)
                return [*lines[:number], edited, *lines[number + 1 :]]
            live[seen[1]] = number
    raise LinuxmmError("no request while another object is held")


def _class(lines: Lines) -> Lines:
    for number, line in enumerate(lines):
        if (seen := _KMALLOC.search(line)) is not None:
            edited = line.replace(f"bytes_alloc={seen[1]}", f"bytes_alloc={int(seen[1]) + 8}", 1)
            return [*lines[:number], edited, *lines[number + 1 :]]
    raise LinuxmmError("no kmalloc in the trace")


def _overrun(description: Document, trace: str) -> None:
    for info in description["traces"]:
        if info["name"] == trace:
            next(iter(info["buffers"].values()))["overrun"] = 5


def _removed(description: Document, trace: str) -> None:
    for info in description["traces"]:
        if info["name"] == trace:
            info["file"] = "trace/not-there.txt.gz"


OBJECT_FAULTS: Final[tuple[ObjectFault, ...]] = (
    ObjectFault("free-twice", "an object is twice on its slab's list", "objects.freelist.once", _twice),
    ObjectFault("free-beyond", "a list has an object that no slab has", "objects.freelist.once", _beyond),
    ObjectFault(
        "free-in-two-lists",
        "an object is free on its slab and on the CPU's list",
        "objects.freelist.once",
        _in_two_lists,
    ),
    ObjectFault("object-lost", "a free object is on no list", "objects.slab.count", _lost),
    ObjectFault("inuse", "a slab counts one object in use too many", "objects.slab.count", _miscounted),
    ObjectFault("frozen-listed", "a node's list has a frozen slab", "objects.slub.frozen", _frozen),
    ObjectFault(
        "held-and-listed", "a slab is on a CPU's list and its node's", "objects.slub.frozen", _held_and_listed
    ),
    ObjectFault("full-listed", "a node's list has a full slab", "objects.slub.listed", _full_listed),
    ObjectFault(
        "partial-lost", "a slab left its node's list uncounted", "objects.slub.nr-partial", _list_shorter
    ),
    ObjectFault("slab-order", "slabs are twice as large as they should be", "objects.slub.order", _order),
    ObjectFault("min-partial", "a node keeps 99 partial slabs", "objects.slub.limits", _min_partial),
    ObjectFault("slabinfo-objects", "a slab has an object less", "objects.slub.order", slabinfo=_one_less),
    ObjectFault(
        "object-handed-out-twice",
        "kmalloc grants what somebody holds",
        "objects.handed-out-once",
        trace=_handed_out_twice,
        listing="kprobes:kmem_cache_free_bulk",
    ),
    ObjectFault(
        "object-handed-out-bulk-unseen",
        "the same, where releases in bulk have no event",
        "",
        trace=_handed_out_twice,
    ),
    ObjectFault("wrong-class", "kmalloc grants no class", "objects.kmalloc.class", trace=_class),
    ObjectFault("kmem-lost", "kmem events were lost, and the trace says so", "", trace=events_lost),
    ObjectFault("kmem-torn", "the trace ends in the middle of a line", "", trace=torn),
    ObjectFault("kmem-overrun", "a ring buffer overran", "", description=_overrun),
    ObjectFault("kmem-removed", "the trace is not in the folder", "", description=_removed),
)
