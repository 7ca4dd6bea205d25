"""Theorems about shadow entries: nothing is lost in packing, and distances survive the wrap of the clock."""

from typing import Annotated, Final

from linuxmm.proofs.domain import SignedWord, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.reclaim.workingset import (
    Layout,
    Shadow,
    distance,
    layout_of_node,
    layout_of_zone,
    layout_of_zone_and_group,
    layout_with_flag,
    nodes_to_free,
    owner_bits,
    pack,
    time_after_eviction,
    time_before_eviction,
    time_mask,
    unpack,
)

LAYOUTS: Final[tuple[Layout, ...]] = tuple(
    layout(word, node, zone, memcg)
    for layout in (layout_of_zone, layout_of_zone_and_group, layout_of_node, layout_with_flag)
    for word, node, zone, memcg in ((64, 10, 3, 16), (64, 6, 2, 0), (32, 0, 2, 16), (32, 0, 1, 0))
)
"""Every era, with the widths of a large and a small 64-bit machine and of two 32-bit ones."""

Which = Annotated[int, each(range(len(LAYOUTS)))]
Number = Annotated[int, Word(64)]
Long = Annotated[int, SignedWord(128)]


@theorem(
    "reclaim.shadow.pack",
    "Unpacking a packed shadow gives its owner, its mark and its time back, the time as far as it "
    "fits; the word fits a machine word and is never a pointer.",
    proves=(pack, unpack, time_mask, owner_bits),
    features=("F046",),
    bounds="every value; the layouts of all eras for 64-bit and 32-bit words, 16-bit cgroup numbers",
    witness={"which": 12, "time": 5, "memcg": 3, "node": 2, "zone": 0, "workingset": 1},
    mutants=(
        Mutant(pack, "forgets the node", "word << layout.node | shadow.node", "word << layout.node"),
        Mutant(pack, "lets the time run over", "shadow.time & time_mask(layout)", "shadow.time"),
        Mutant(unpack, "reads the zone first", "word >>= layout.flag", "word >>= layout.zone"),
        Mutant(pack, "looks like a pointer", " | layout.mark", ""),
    ),
)
def packs(which: Which, time: Number, memcg: Number, node: Number, zone: Number, workingset: Number) -> bool:
    layout = LAYOUTS[which]
    assume((memcg < 1 << layout.memcg) & (node < 1 << layout.node))
    assume((zone < 1 << layout.zone) & (workingset < 1 << layout.flag))
    word = pack(layout, Shadow(time, memcg, node, zone, workingset))
    found = unpack(layout, word)
    same = (found.memcg == memcg) & (found.node == node) & (found.zone == zone)
    marked = (word & ((1 << layout.tag) - 1) == layout.mark) & (word <= (1 << layout.word) - 1)
    return same & (found.workingset == workingset) & (found.time == time & time_mask(layout)) & marked


@theorem(
    "reclaim.shadow.distance",
    "The distance of a refault is what happened since the eviction, up to one bucket, however the "
    "clock wrapped meanwhile, while it fits the bits of the time.",
    proves=(distance, pack, unpack, time_after_eviction, time_before_eviction),
    features=("F046",),
    bounds="every clock and distance; the layouts of all eras; buckets of 1 and of 64 evictions",
    witness={"which": 12, "before": 5, "passed": 9, "bucket": 0, "early": 1},
    mutants=(
        Mutant(distance, "forgets to cut", " & time_mask(layout)", ""),
        Mutant(distance, "forgets the bucket", "time << bucket", "time"),
        Mutant(time_after_eviction, "counts the page twice", "return clock + pages, ", "return clock + 2, "),
    ),
)
def measures(
    which: Which,
    before: Long,
    passed: Long,
    bucket: Annotated[int, each((0, 6))],
    early: Annotated[int, each((0, 1))],
) -> bool:
    layout = LAYOUTS[which]
    limit = 1 << layout.word
    assume((before >= 0) & (before < limit - 1) & (passed >= 0))
    assume(passed <= time_mask(layout) - (1 << bucket))
    noted, clock = time_before_eviction(before, 1) if early else time_after_eviction(before, 1)
    word = pack(layout, Shadow(noted >> bucket, 0, 0, 0, 0))
    now = (clock + passed) & (limit - 1)
    found = distance(layout, now, unpack(layout, word).time, bucket)
    meant = passed + 1 if early else passed
    return (meant <= found) & (found < meant + (1 << bucket))


@theorem(
    "reclaim.shadow.nodes",
    "The shrinker of shadow nodes never offers more than there are, and leaves as many as may stay.",
    proves=(nodes_to_free,),
    features=("F046",),
    witness={"nodes": 5, "kept": 3},
    mutants=(
        Mutant(nodes_to_free, "offers all", "nodes - kept", "nodes"),
        Mutant(nodes_to_free, "offers none", "max(nodes - kept, 0)", "0"),
    ),
)
def offers(nodes: Long, kept: Long) -> bool:
    assume((nodes >= 0) & (kept >= 0) & (nodes < 1 << 64) & (kept < 1 << 64))
    offered = nodes_to_free(nodes, kept)
    left = nodes - offered
    few = (nodes <= kept) & (offered == 0)
    return (offered >= 0) & (offered <= nodes) & (few | (left == kept))
