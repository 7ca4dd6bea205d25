"""Hold SLUB's caches of a real kernel against the formulas and clauses: states, /proc/slabinfo, kmem events.

Linux: mm/slub.c, include/trace/events/kmem.h.  Seed 2.1.2.2 (F033).  States of 5.17 to 6.12.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from linuxmm.oracle.checker.slabinfo import judge_slab_cache
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.objects import (
    HANDED_OUT_ONCE,
    counted,
    freelist_once,
    frozen_alone,
    listed_has_free,
)
from linuxmm.spec.objects.sizes import SLUB_LEAST, kmalloc_granted
from linuxmm.spec.objects.slub import MAX_OBJECTS, objects_of
from linuxmm.spec.verdict import Divergence, Judgement

ORDER: Final = clause(
    "objects.slub.order",
    "The slabs of a cache have the order, and so many objects, as the objects' size and the CPUs ask for.",
    features=("F033",),
    source="mm/slub.c:calculate_order",
    seed="2.1.2.2",
).id
LIMITS: Final = clause(
    "objects.slub.limits",
    "A cache keeps as many partial slabs as its objects' size says.",
    features=("F033",),
    source="mm/slub.c:set_cpu_partial",
    seed="2.1.2.2",
).id
CLASS: Final = clause(
    "objects.kmalloc.class",
    "kmalloc grants the size of a class, or whole pages beyond the largest one.",
    features=("F033",),
    source="mm/slab_common.c:kmalloc_size_roundup",
    seed="2.1.2",
).id
PARTIAL: Final = clause(
    "objects.slub.nr-partial",
    "A node counts the slabs on its list.",
    features=("F033",),
    source="mm/slub.c:add_partial, remove_partial",
    seed="2.1.2.2",
).id
_ONCE: Final = "objects.freelist.once"
_COUNT: Final = "objects.slab.count"
_FROZEN: Final = "objects.slub.frozen"
_LISTED: Final = "objects.slub.listed"
TOP_ORDER: Final = 10


class SeenSlab(NamedTuple):
    """One slab as a state shows it.

    free, cached  numbers of the free objects on its own list, and on its CPU's
    holders       CPUs that use it or have it on their list
    """

    objects: int
    inuse: int
    free: tuple[int, ...]
    cached: tuple[int, ...]
    frozen: bool
    holders: int
    on_node: bool


def judge_slab(judgement: Judgement, slab: SeenSlab, where: str) -> None:
    """Whether a slab keeps the clauses."""
    once = freelist_once((*slab.free, *slab.cached), slab.objects)
    _require(judgement, _ONCE, once, where, f"free {slab.free}, on its CPU's list {slab.cached}")
    holds = counted(slab.inuse, slab.free, slab.objects)
    _require(judgement, _COUNT, holds, where, f"{slab.inuse} in use, {len(slab.free)} free")
    alone = frozen_alone(slab.frozen, slab.on_node, slab.holders)
    held = f"frozen: {slab.frozen}, CPUs: {slab.holders}, on a node's list: {slab.on_node}"
    _require(judgement, _FROZEN, alone, where, held)
    if slab.on_node:
        right = listed_has_free(True, len(slab.free), slab.holders > 0)
        _require(judgement, _LISTED, right, where, "a node's list has a slab without free objects")


def judge_partial(judgement: Judgement, counted_as: int, listed: int, where: str) -> None:
    """Whether a node counts what its list has."""
    _require(judgement, PARTIAL, counted_as == listed, where, f"counts {counted_as}", f"{listed} listed")


def judge_slabinfo(
    judgement: Judgement, text: str, kernel: Kernel, cpus: int, where: str, file: str = "slabinfo"
) -> None:
    """Whether the columns objsize, objperslab and pagesperslab of /proc/slabinfo follow from one another.

    Of SLAB, whose caches have tunables, these too.
    Errors    BadEvidence for a line that is not of version 2.1 of the file
    """
    counted_too = "(statistics)" in text.partition("\n")[0]
    for number, line in enumerate(text.splitlines()[2:], 3):
        words = line.split()
        if counted_too and len(words) == 33:
            words = words[:16]
        if len(words) != 16 or not all(word.isdigit() and len(word) < 19 for word in (*words[1:6], words[8])):
            raise BadEvidence(file, f"expected 16 words, the numbers of a cache, found {line!r}", line=number)
        size, per_slab, pages = map(int, words[3:6])
        if not size or not per_slab or not pages:
            raise BadEvidence(
                file, f"expected a size, objects and pages above 0, found {line!r}", line=number
            )
        if words[8] != "0":
            tunables = tuple(int(word) if word.isdigit() else -1 for word in words[8:11])
            judge_slab_cache(
                judgement, f"{where}, cache {words[0]}", kernel, (size, per_slab, pages), tunables, cpus
            )
            judgement.events += 1
            continue
        judge_order(judgement, f"{where}, cache {words[0]}", kernel, size, cpus, (per_slab, pages))
        judgement.events += 1


def judge_order(
    judgement: Judgement, where: str, kernel: Kernel, size: int, cpus: int, found: tuple[int, int]
) -> None:
    """Compare (objects of a slab, pages of a slab) with the formula."""
    order = _ask(kernel, "objects.slub-order", size, _ask(kernel, "objects.slub-cpus", cpus, cpus), TOP_ORDER)
    expected = objects_of(order, size), 1 << order
    right = expected == found and expected[0] <= MAX_OBJECTS
    _require(
        judgement,
        ORDER,
        right,
        f"{where}, size {size}",
        f"{found[0]} objects in {found[1]} pages",
        str(expected),
    )


def judge_limits(
    judgement: Judgement,
    where: str,
    kernel: Kernel,
    size: int,
    min_partial: int | None,
    cpu_partial: int | None,
    flags: int | None,
) -> None:
    """Compare min_partial and cpu_partial with the formulas, where the state has them.

    flags    of the cache; one that is watched (slub_debug) keeps nothing for CPUs
    """
    watched = flags is not None and flags & _ask(kernel, "objects.slub-debug-flags")
    for name, value in (("min-partial", min_partial), ("cpu-partial", cpu_partial)):
        if value is not None:
            expected = _ask(kernel, f"objects.slub-{name}", size)
            if watched and name == "cpu-partial":
                expected = 0
            _require(judgement, LIMITS, value == expected, where, f"{name} {value}", str(expected))


_EVENT: Final = re.compile(
    r": (kmalloc|kmalloc_node|kfree|kmem_cache_alloc|kmem_cache_alloc_node|kmem_cache_free): "
)
BULK: Final = ("kmem_cache_free_bulk", "rcu_invoke_kfree_bulk_callback")
"""Events and probes that say that many objects came back at once, without saying which."""
_MANY: Final = re.compile(r"\b(?:number|nr_records)=(\d+)")
_FIELD: Final = re.compile(r"\b(ptr|bytes_req|bytes_alloc)=([0-9a-fx]+)")


_LOST: Final = re.compile(r"^CPU:\d+ \[LOST (?:\d+ )?EVENTS\]")


def judge_kmem(judgement: Judgement, lines: Iterable[str], kernel: Kernel, *, bulk_seen: bool = True) -> None:
    """Whether the kmem events of an ftrace text hand every object out once, and kmalloc grants classes.

    What was handed out before the trace began may come back in it.  A release in bulk tells how many objects
    came back and not which: so many may be handed out again.
    bulk_seen  releases in bulk, which have no kmem event, would show in the trace; if not, an object that is
               handed out twice may have come back by one of them: a gap
    """
    live: dict[str, int] = {}
    unnamed = 0  # objects that came back in bulk and were not handed out again
    largest = _ask(kernel, "objects.slub-kmalloc-largest", TOP_ORDER)
    for number, line in enumerate(lines, 1):
        if _LOST.match(line):
            judgement.gap("events were lost: what objects are in use is not known any more")
            live.clear()
        event = _EVENT.search(line)
        if event is None:
            if any(probe in line for probe in BULK):
                many = _MANY.search(line)
                unnamed += int(many[1]) if many else 0
                if many is None:
                    live.clear()
            continue
        fields = dict(_FIELD.findall(line))
        judgement.events += 1
        pointer = fields.get("ptr", "0").removeprefix("0x").lstrip("0")
        if event[1] in ("kfree", "kmem_cache_free"):
            live.pop(pointer, None)
            continue
        if not pointer:
            continue
        judgement.checked(HANDED_OUT_ONCE.id)
        if pointer in live and unnamed:
            unnamed -= 1
        elif pointer in live and not bulk_seen:
            judgement.gap("an object was handed out again, and releases in bulk have no event")
        elif pointer in live:
            why = f"{pointer} was handed out at line {live[pointer]}"
            judgement.broken(
                Divergence(HANDED_OUT_ONCE.id, judgement.events - 1, number, line, "another", why)
            )
        live[pointer] = number
        if event[1].startswith("kmalloc"):
            if not all(fields.get(name, "").isdigit() for name in ("bytes_req", "bytes_alloc")):
                judgement.gap("a kmalloc event without its sizes")
                continue
            asked, granted = int(fields["bytes_req"]), int(fields["bytes_alloc"])
            expected = kmalloc_granted(asked, SLUB_LEAST, largest)
            judgement.checked(CLASS)
            if granted != expected:
                why = f"{asked} bytes asked for"
                place = judgement.events - 1
                judgement.broken(
                    Divergence(CLASS, place, number, f"{granted} bytes", f"{expected} bytes", why)
                )


def _require(
    judgement: Judgement, id: str, holds: bool, where: str, observed: str, permitted: str = "the clause"
) -> None:
    judgement.require(id, holds, f"{where}: {observed}", permitted, where)


def _ask(kernel: Kernel, rule: str, *arguments: int) -> int:
    found = kernel.behaviour(rule).function(*arguments)
    if not isinstance(found, int):
        raise TypeError(f"{rule}: {found!r}")
    return found
