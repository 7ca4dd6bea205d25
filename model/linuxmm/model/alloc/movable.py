"""Where ZONE_MOVABLE begins on each node: kernelcore=, movablecore=, movable_node, kernelcore=mirror.

Linux: mm/mm_init.c:find_zone_movable_pfns_for_nodes (mm/page_alloc.c up to 6.3).  Seed 2 intro (F001, F003,
F006).  2.6.23 to 6.12; percent forms since 4.17, mirror since 4.6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from linuxmm.spec.arith import align_up
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SHIFT

_4G: Final = 4 << 30 >> PAGE_SHIFT


@dataclass(frozen=True, slots=True)
class MemoryRange:
    """Present memory: pfns from `start` up to, not including, `end`."""

    node: int
    start: int
    end: int
    hotpluggable: bool = False
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class MovableOptions:
    """What the command line says of ZONE_MOVABLE; pages or percent, 0 when not given.

    mirror  kernelcore=mirror: memory that is not mirrored becomes MOVABLE, above 4 GiB
    node    movable_node: memory that can be taken out becomes MOVABLE
    """

    kernelcore: int = 0
    kernelcore_percent: int = 0
    movablecore: int = 0
    movablecore_percent: int = 0
    mirror: bool = False
    node: bool = False


def check_options(kernel: Kernel, options: MovableOptions) -> None:
    """Refuse options that the kernel did not have.

    Errors    ImpossibleProfile
    """
    first = {
        "kernelcore=": (options.kernelcore or options.movablecore, Version(2, 6, 23)),
        "kernelcore=nn%": (options.kernelcore_percent or options.movablecore_percent, Version(4, 17)),
        "kernelcore=mirror": (options.mirror, Version(4, 6)),
        "movable_node": (options.node, Version(3, 8)),
    }
    for name, (given, since) in first.items():
        if given and kernel.version < since:
            raise ImpossibleProfile(f"{name} came with {since}; kernel {kernel.version} does not have it")
    if max(options.kernelcore_percent, options.movablecore_percent) > 100:
        raise ImpossibleProfile("kernelcore=nn% and movablecore=nn% take 0 to 100")


@verb("F001", "F003", "F006", source="mm/mm_init.c:find_zone_movable_pfns_for_nodes; 2.6.23 to 6.12")
def movable_starts(
    memory: Sequence[MemoryRange], options: MovableOptions, usable_start: int, max_order_pages: int
) -> dict[int, int]:
    """First pfn of ZONE_MOVABLE by node; a node without it is missing.

    usable_start     first pfn of the highest zone that addresses decide: lower memory is always kernelcore
    max_order_pages  pages of the largest block; the start is rounded up to it
    """
    if options.node:
        found = _lowest(r for r in memory if r.hotpluggable)
    elif options.mirror:
        if not any(r.mirrored for r in memory):
            return {}
        found = _lowest(r for r in memory if not r.mirrored and r.start >= _4G)
    else:
        found = _spread(memory, _required(memory, options, max_order_pages), usable_start)
    ends = {r.node: max(s.end for s in memory if s.node == r.node) for r in memory}
    rounded = {node: align_up(pfn, max_order_pages) for node, pfn in found.items()}
    return {node: pfn for node, pfn in rounded.items() if pfn < ends[node]}


def _lowest(ranges: Iterable[MemoryRange]) -> dict[int, int]:
    found: dict[int, int] = {}
    for r in ranges:
        found[r.node] = min(r.start, found.get(r.node, r.start))
    return found


def _required(memory: Sequence[MemoryRange], options: MovableOptions, max_order_pages: int) -> int:
    """Pages that must stay outside ZONE_MOVABLE; 0 when nothing was asked for."""
    total = sum(r.end - r.start for r in memory)
    kernelcore = options.kernelcore
    if options.kernelcore_percent:
        kernelcore = total * 100 * options.kernelcore_percent // 10000
    movablecore = options.movablecore
    if options.movablecore_percent:
        movablecore = total * 100 * options.movablecore_percent // 10000
    if movablecore:
        movablecore = min(total, align_up(movablecore, max_order_pages))
        kernelcore = max(kernelcore, total - movablecore)
    return kernelcore if kernelcore < total else 0


def _spread(memory: Sequence[MemoryRange], required: int, usable_start: int) -> dict[int, int]:
    """Spread `required` pages over the nodes, again with one node less while some are left."""
    starts: dict[int, int] = {}
    nodes = sorted({r.node for r in memory})
    usable = len(nodes)
    while required:
        per_node = required // usable
        for node in nodes:
            per_node = required // usable if required < per_node else per_node
            required = _take_from_node(memory, node, per_node, required, usable_start, starts)
        usable -= 1
        if not usable or required <= usable:
            break
    return starts


def _take_from_node(
    memory: Sequence[MemoryRange],
    node: int,
    share: int,
    required: int,
    usable_start: int,
    starts: dict[int, int],
) -> int:
    """Count up to `share` pages of a node as kernelcore; what is still required."""
    for r in sorted((r for r in memory if r.node == node), key=lambda r: r.start):
        start = max(r.start, starts.get(node, 0))
        if start >= r.end:
            continue
        if start < usable_start:
            low = min(r.end, usable_start) - start
            share -= min(low, share)
            required -= min(low, required)
            if r.end <= usable_start:
                starts[node] = r.end
                continue
            start = usable_start
        size = min(r.end - start, share)
        starts[node] = start + size
        required -= min(required, size)
        share -= size
        if not share:
            break
    return required
