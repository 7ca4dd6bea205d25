"""H01: how many external fragmentation events the fragmentation-avoidance series removes.

The adverse workload of the series: four threads write small files, half again as many as memory holds, so
that page cache and slab mix; then they read while another process fills memory with huge pages.

Linux: commits 6bb154504f8b, 1c30844d2dfe (5.0).  Seed 2.1.1.5 (F018, F029, F030).
"""

import statistics
from typing import Final, NamedTuple

import numpy as np

from linuxmm.fast.allocator import ALLOC, FastAllocator, operations
from linuxmm.fast.arena import Int64s
from linuxmm.model.alloc.sizes import Sysctls
from linuxmm.oracle.experiments.kswapd import Kswapd, Stream
from linuxmm.oracle.pc import boot_pc
from linuxmm.spec.alloc.gfp import GFP_HIGHUSER_MOVABLE, GFP_NOFS, GFP_RECLAIMABLE_BIT, GFP_TRANSHUGE_LIGHT
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel

REPORTED: Final = 0.94
MANY: Final = 100_000
THREADS: Final = 4
WAVES: Final = 12
CREST: Final = 4
"""Metadata comes in waves, in the first quarter of each."""
PAGES_A_FILE: Final = 16
REREAD: Final = 0.25
"""Mean time by which reading again puts off the reclaim of a page, in allocations per page of memory."""
_UNMOVABLE, _RECLAIMABLE, _MOVABLE, _HUGE = range(4)
_GFPS: Final = (GFP_NOFS, GFP_NOFS | GFP_RECLAIMABLE_BIT, GFP_HIGHUSER_MOVABLE, GFP_TRANSHUGE_LIGHT)


class Case(NamedTuple):
    """One machine and mix.

    megabytes   memory
    slab        slab blocks for every file, in hundredths
    """

    megabytes: int
    slab: int
    seed: int = 1

    @property
    def setting(self) -> str:
        """In words."""
        return f"{self.megabytes} MiB, {self.slab / 100:g} slab blocks a file, seed {self.seed}"


class Kind(NamedTuple):
    """A kernel, and whether its boost is on."""

    label: str
    version: str
    boost: bool = True


BEFORE: Final = Kind("4.20", "4.20")
AFTER: Final = Kind("5.2", "5.2")
BOOST_ALONE: Final = Kind("5.0 (boost alone)", "5.0")
KINDS: Final = (
    BEFORE,
    BOOST_ALONE,
    Kind("5.2, no boost (NOFRAGMENT alone)", "5.2", False),
    AFTER,
)
QUICK: Final = (Case(3328, 100),)
FULL: Final = (
    *QUICK,
    *(Case(megabytes, slab) for megabytes in (2048, 4096, 8192) for slab in (50, 100, 200)),
    *(Case(4096, 100, seed) for seed in range(2, 5)),
)


def stream_of(case: Case) -> Stream:
    """The allocations of a case: writing, then reading beside huge pages.

    Ensures   the same for every kernel
    """
    rng = np.random.default_rng(case.seed)
    memory = case.megabytes << 8
    written = _file_pages(rng, memory * 3 // 2, case.slab)
    read = _file_pages(rng, memory // 2, case.slab)
    huge = memory * 2 // 5 >> 9
    at = np.sort(rng.integers(0, read.size, huge))
    kinds = np.concatenate([written, np.insert(read, at, _HUGE)])
    sizes = np.where(kinds == _HUGE, 512, 1)
    slot = np.cumsum(sizes) - sizes
    orders = np.zeros(kinds.size, np.int64)
    is_slab = kinds < _MOVABLE
    orders[is_slab] = rng.choice(np.array([0, 0, 1, 2, 2]), int(is_slab.sum()))
    orders[kinds == _HUGE] = 9
    gfp = np.where(kinds == _HUGE, _MOVABLE + 1, kinds)
    words = operations(ALLOC, orders, gfp, rng.integers(0, THREADS, kinds.size), slot)
    cache, age = _by_age(slot[kinds == _MOVABLE], rng, memory * REREAD)
    slab, after = _by_age(slot[is_slab], rng, memory * REREAD * 2)
    return Stream(words, cache, age, slab, after, slot[kinds == _HUGE], int(sizes.sum()))


def _by_age(slots: Int64s, rng: np.random.Generator, spread: float) -> tuple[Int64s, Int64s]:
    """Slots in the order in which reclaim comes to them, and that order as a key that grows.

    Requires  slots in the order of allocation
    """
    keys = slots + rng.exponential(spread, slots.size).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    return slots[order], keys[order]


def _file_pages(rng: np.random.Generator, pages: int, slab: int) -> Int64s:
    """Kinds of the allocations that writing or reading `pages` pages of small files makes.

    A file needs inode, dentry and tree nodes (reclaimable) and log items and buffers (unmovable), 3 to 1;
    they come in waves, as files are created and only filled by turns.
    """
    kinds = np.full(pages, _MOVABLE, np.int64)
    blocks = pages // PAGES_A_FILE * slab // 100
    metadata = np.where(rng.random(blocks) < 0.25, _UNMOVABLE, _RECLAIMABLE)
    wave = pages // WAVES
    at = rng.integers(0, WAVES, blocks) * wave + rng.integers(0, max(wave // CREST, 1), blocks)
    return np.insert(kinds, np.sort(at), metadata)


class Result(NamedTuple):
    """What one kernel did with a case."""

    events: int
    huge: int
    huge_failed: int
    boost_reclaims: int
    reclaimed: int
    stalls: int


def run_case(kind: Kind, case: Case, stream: Stream) -> Result:
    """One kernel, one case."""
    sysctls = Sysctls(
        min_free_kbytes=_recommended_min_free(case.megabytes),
        watermark_boost_factor=15000 if kind.boost else 0,
    )
    booted = boot_pc(kernel(kind.version), case.megabytes, THREADS, sysctls=sysctls)
    allocator = FastAllocator(booted.rules, booted.machine, stream.slots, gfps=_GFPS, counted=True)
    environment = Kswapd(allocator, stream)
    environment.run()
    return Result(
        allocator.totals.fragmenting,
        environment.huge,
        environment.huge_failed,
        environment.boost_reclaims,
        environment.reclaimed,
        environment.stalls,
    )


def _recommended_min_free(megabytes: int) -> int:
    """min_free_kbytes as transparent huge pages raise it on a machine of up to three zones.

    Source    mm/khugepaged.c:set_recommended_min_free_kbytes; 2.6.38 to 6.12
    """
    zones = 3 if megabytes > 3 << 10 else 2
    pages = 512 * zones * 2 + 512 * zones * 3 * 3
    return min(pages, (megabytes << 8) // 20) << 2


@experiment(
    "H01",
    title="Fragmentation avoidance",
    reported="over 94 per cent fewer external fragmentation events",
    versions="4.20 before; 5.0 has the boost (its ALLOC_NOFRAGMENT is never set); 5.2 has both",
    workload="four threads write 64 KiB files of 150 per cent of memory, then read while 40 per cent of it "
    "is asked for in huge pages; how long a page stays is random, and slab blocks stay twice as long",
    left_out=(
        "compaction: kcompactd, which a boost wakes at the end, does not run",
        "pages that the boot left in use, writeback, and the timing of kswapd, which here acts at once",
        "patch 5 of the series, stalls of movable requests",
    ),
    source="mm/page_alloc.c:alloc_flags_nofragment, boost_watermark; commits 6bb154504f8b, 1c30844d2dfe",
)
def fragmentation(scale: Scale) -> Outcome:
    """Fragmenting fallbacks of one workload on the kernels around the series."""
    cases = QUICK if scale is Scale.QUICK else FULL
    kinds = (BEFORE, AFTER) if scale is Scale.QUICK else KINDS
    figures: list[Figure] = []
    fewer: dict[tuple[Case, Kind], float] = {}
    events: dict[Case, tuple[int, int]] = {}
    for case in cases:
        stream = stream_of(case)
        results = {kind: run_case(kind, case, stream) for kind in kinds}
        before = results[BEFORE].events
        if before:
            events[case] = before, results[AFTER].events
        for kind, result in results.items():
            figures += _figures(case, kind, result)
            if kind is not BEFORE and before:
                fewer[case, kind] = 1 - result.events / before
                figures.append(
                    Figure("fewer events", case.setting, kind.label, round(100 * fewer[case, kind], 1), "%")
                )
    alone = {case: share for (case, kind), share in fewer.items() if kind is BOOST_ALONE}
    return Outcome(tuple(figures), _curves(fewer, kinds), *_judged(events, alone))


def _figures(case: Case, kind: Kind, result: Result) -> list[Figure]:
    served = 100 * (1 - result.huge_failed / result.huge)
    return [
        Figure("external fragmentation events", case.setting, kind.label, result.events),
        Figure("huge pages served", case.setting, kind.label, round(served, 1), "%"),
        Figure("reclaims for a boost", case.setting, kind.label, result.boost_reclaims),
    ]


def _judged(
    events: dict[Case, tuple[int, int]], boost_alone: dict[Case, float] | None = None
) -> tuple[Standing, str]:
    """The verdict from the events of each case before and after, and what the boost alone removes."""
    fewer = {case: 1 - after / before for case, (before, after) in events.items()}
    shares = sorted(share for case, share in fewer.items() if case.megabytes > 3 << 10)
    reached = sum(share >= REPORTED for share in shares)
    words = (
        f"With a NORMAL zone above DMA32 the events fall by {shares[0]:.0%} to {shares[-1]:.0%}, in the "
        f"middle by {statistics.median(shares):.0%}; {reached} of {len(shares)} cases reach the 94 per cent. "
    )
    adverse = [case for case, (before, _) in events.items() if before >= MANY]
    if adverse:
        words += (
            f"The more a workload mixes, the more is removed: {_span(fewer, adverse)} where 4.20 has {MANY} "
            "events or more, as the reported run has. "
        )
    if boost_alone and adverse:
        words += f"The boost alone removes {_span(boost_alone, adverse)} of these. "
    below = [case for case in events if case.megabytes <= 3 << 10]
    if below:
        words += (
            "Where all memory lies below 4 GiB there is no second zone to spread to and ALLOC_NOFRAGMENT is "
            f"not set; what is removed there, {_span(fewer, below)}, is the boost's. "
        )
    words += (
        "The changelog of 1c30844d2dfe reports 804694 events before, and 408912 (49 per cent fewer) after "
        "the first patch alone, on one machine."
    )
    if reached == len(shares):
        return Standing.CONFIRMED, words
    return (Standing.PARTLY if statistics.median(shares) >= 0.25 else Standing.NOT_CONFIRMED), words


def _span(shares: dict[Case, float], cases: list[Case]) -> str:
    """The least and the largest share among some cases."""
    return f"{min(shares[case] for case in cases):.0%} to {max(shares[case] for case in cases):.0%}"


def _curves(fewer: dict[tuple[Case, Kind], float], kinds: tuple[Kind, ...]) -> tuple[Curve, ...]:
    curves = []
    slabs = sorted({case.slab for case, _ in fewer})
    for slab in slabs:
        for kind in kinds:
            points = sorted(
                (case.megabytes / 1024, 100 * share)
                for (case, of), share in fewer.items()
                if of is kind and case.slab == slab and case.seed == 1
            )
            if points:
                xs, ys = zip(*points, strict=True)
                panel = f"{slab / 100:g} slab blocks a file"
                curves.append(
                    Curve(panel, kind.label, "memory, GiB", "fewer events than 4.20, per cent", xs, ys)
                )
    return tuple(curves)
