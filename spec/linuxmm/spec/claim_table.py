"""The 18 headline claims of the seed, each as an experiment that can fail."""

from typing import Final

from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature import Claim

_SEED: Final = "the seed alone"
_COVER: Final = "the seed, and the series' cover letter"

CLAIMS: Final[tuple[Claim, ...]] = (
    Claim("H01", "2.1.1.5",
          "Fragmentation avoidance removes over 94 per cent of external fragmentation events.",
          "Count the events of one workload without and with ALLOC_NOFRAGMENT and boosting.",
          ("F018", "F029", "F030"), _SEED),
    Claim("H02", "2.1.1.4",
          "Lists per CPU outside interrupts cost about 30 per cent less per allocation and release.",
          "Count lock operations and interrupt toggles of one workload with and without.", ("F023",), _COVER),
    Claim("H03", "2.1.1.4", "The bulk allocator about halves the overhead for networking.",
          "Compare the counted cost of n single requests with one bulk request for n.", ("F026",), _SEED),
    Claim("H04", "2.1.2.2",
          "SLAB's queues grow with the square of the number of nodes, SLUB's with the number.",
          "Evaluate both memory formulas for growing machines.", ("F032", "F033"), _SEED),
    Claim("H05", "2.1.2", "SLUB wastes least at page granularity; SLOB has the smallest footprint.",
          "Place mixes of objects in all three and count bytes.", ("F032", "F033", "F034"), _SEED),
    Claim("H06", "2.13.5", "kmemcheck shadows memory one to one, KASAN one to eight.",
          "Compare the sizes of the shadows.", ("F079", "F081"), _SEED),
    Claim("H07", "2.7.1", "A huge page needs one TLB entry and one fault instead of 512.",
          "Count faults and entries over the same range.", ("F055", "F056"), _SEED),
    Claim("H08", "2.2", "Lumpy reclaim evicts hot pages; compaction does not.",
          "Count refaults of a hot set while large blocks are asked for.", ("F037", "F039"), _SEED),
    Claim("H09", "2.4.2", "With swappiness 0 the anonymous lists are not scanned.",
          "Count scanned anonymous pages.", ("F043",), _SEED),
    Claim("H10", "2.4.1, 2.4.4", "Reading a file once from end to end does not evict the active set.",
          "Count refaults of the active set during a stream.", ("F042", "F045"), _SEED),
    Claim("H11", "2.4.5", "Refault detection stops thrashing when the working set fits both lists.",
          "Compare hit ratios with and without, as the set grows.", ("F046",), _SEED),
    Claim("H12", "2.5.1",
          "Limits per device shield a fast device from a slow one and end the stacking deadlock.",
          "Measure the fast device's throughput and the progress of a stack.", ("F049",), _SEED),
    Claim("H13", "2.5.3",
          "A writer's rate converges to the device's bandwidth and dirty pages to the set point.",
          "Simulate the control loop.", ("F052",), _SEED),
    Claim("H14", "2.6.2", "On-demand readahead opens its window in steps and serves two interleaved readers.",
          "Read the sequence of I/O sizes.", ("F054",), _SEED),
    Claim("H15", "2.1.3.2", "CMA gets its range back by migration, and the memory is useful meanwhile.",
          "Fill the range with movable pages, then ask for it.", ("F036",), _SEED),
    Claim("H16", "2.14.3", "process_vm copies once where a pipe or shared memory copies twice.",
          "Count copies.", ("F086",), _SEED),
    Claim("H17", "2.11", "zswap avoids most writes to the disk; zram cannot write back before 4.14.",
          "Count writes to the disk under pressure.", ("F070", "F071"), _SEED),
    Claim("H18", "2.12.2", "DAX reads without a copy in the page cache.",
          "Count copies per read.", ("F074",), _SEED),
)  # fmt: skip
_BY_ID: Final = {claim.id: claim for claim in CLAIMS}


def find_claim(id: str) -> Claim:
    """The claim called `id` (either case).

    Errors    LinuxmmError, with the range of ids
    """
    claim = _BY_ID.get(id.upper())
    if claim is None:
        raise LinuxmmError(f"no claim is called {id!r}: expected {CLAIMS[0].id} to {CLAIMS[-1].id}")
    return claim
