"""The order in which a node's requests fall back to other nodes and zones.

Linux: mm/page_alloc.c:build_zonelists, find_next_best_node.  Seed 2 intro (F002, F003).  2.5 to 6.12.
"""

from collections.abc import Sequence

from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.registry import verb

Distances = Sequence[Sequence[int]]


@verb("F002", source="mm/page_alloc.c:find_next_best_node, build_zonelists; 2.6.11 to 6.12")
def fallback_orders(
    kernel: Kernel, with_memory: Sequence[int], cpu_nodes: Sequence[int], distances: Distances
) -> tuple[tuple[int, ...], ...]:
    """For every node, the nodes that have memory in the order of its zonelist.

    with_memory   nodes with memory, increasing
    cpu_nodes     the node of each CPU
    distances     square matrix of SLIT distances
    Ensures   a node with memory comes first in its own order; every node in `with_memory` comes once
    """
    score = kernel.behaviour("alloc.node-score").function
    new_load = kernel.behaviour("alloc.node-load").function
    nr_nodes = len(distances)
    loads = [0] * nr_nodes
    orders = []
    for local in range(nr_nodes):
        order: list[int] = []
        previous = local
        while len(order) < len(with_memory):
            best = _next_best(local, with_memory, order, cpu_nodes, distances, loads, score)
            if distances[local][best] != distances[local][previous]:
                load = new_load(loads[best], len(order), nr_nodes)
                assert isinstance(load, int)
                loads[best] = load
            previous = best
            order.append(best)
        orders.append(tuple(order))
    return tuple(orders)


def _next_best(
    local: int,
    with_memory: Sequence[int],
    used: list[int],
    cpu_nodes: Sequence[int],
    distances: Distances,
    loads: list[int],
    score: object,
) -> int:
    assert callable(score)
    if local in with_memory and local not in used:
        return local
    nr_nodes = len(distances)
    return min(
        (n for n in with_memory if n not in used),
        key=lambda n: score(distances[local][n], n < local, n in cpu_nodes, loads[n], nr_nodes),
    )


def zonelists(
    kernel: Kernel,
    zones: Sequence[tuple[int, int]],
    orders: Sequence[Sequence[int]],
    zone_order: bool = False,
) -> tuple[tuple[int, ...], ...]:
    """ZONELIST_FALLBACK of every node, as indices into `zones`.

    zones       (node, ZoneType number) of every populated zone
    zone_order  numa_zonelist_order=zone: all nodes' highest zones first, so that low memory is used last
    Errors    ImpossibleProfile for zone order before 2.6.23 or since 4.14
    Source    mm/page_alloc.c:build_zonelists_in_node_order, build_zonelists_in_zone_order
    """
    if zone_order and not Version(2, 6, 23) <= kernel.version < Version(4, 14):
        raise ImpossibleProfile(
            f"numa_zonelist_order=zone existed from 2.6.23 to 4.13, not in {kernel.version}"
        )
    lists = []
    for order in orders:
        rank = {node: at for at, node in enumerate(order)}
        if zone_order:
            keys = {i: (-kind, rank[node]) for i, (node, kind) in enumerate(zones)}
        else:
            keys = {i: (rank[node], -kind) for i, (node, kind) in enumerate(zones)}
        lists.append(tuple(sorted(keys, key=lambda i: keys[i])))
    return tuple(lists)


def nofallback_lists(zones: Sequence[tuple[int, int]], nr_nodes: int) -> tuple[tuple[int, ...], ...]:
    """ZONELIST_NOFALLBACK of every node, for __GFP_THISNODE: its own zones, the highest first.

    Source    mm/page_alloc.c:build_thisnode_zonelists; 2.6.24 to 6.12
    """
    return tuple(
        tuple(sorted((i for i, z in enumerate(zones) if z[0] == node), key=lambda i: -zones[i][1]))
        for node in range(nr_nodes)
    )
