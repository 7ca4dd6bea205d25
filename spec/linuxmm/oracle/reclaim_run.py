"""Run a trace of references through the reclaim of several kernels, side by side.

Linux: mm/vmscan.c, mm/swap.c, mm/workingset.c.  Seed 2.4 (F042, F043, F046).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from linuxmm.fast.lru import FastLru, Machine, words_of
from linuxmm.fast.lru_plain import FastPlain
from linuxmm.fast.lru_trace import Block, read_references
from linuxmm.fast.numbering import Numbering
from linuxmm.model.reclaim.plain import POLICIES
from linuxmm.spec.kernel import kernel

FIGURES: Final = {
    "scanned": ("pgscan_kswapd", "pgscan_direct"),
    "reclaimed": ("pgsteal_kswapd", "pgsteal_direct"),
    "deactivated": ("pgdeactivate",),
    "activated": ("pgactivate",),
    "refaults": ("workingset_refault", "workingset_refault_anon", "workingset_refault_file"),
    "refaults_activated": ("workingset_activate", "workingset_activate_anon", "workingset_activate_file"),
    "active_scanned": ("pgrefill",),
}
"""Figure -> the counters of /proc/vmstat that add up to it."""
WITH_GENERATIONS: Final = " with lru_gen"
"""Behind a version: lists by generation are built in, and on."""


class ReclaimRun(NamedTuple):
    """What one kernel made of a trace.

    misses   references that no page held, `refused` among them
    figures  see FIGURES
    """

    kernel: str
    references: int
    misses: int
    refused: int
    figures: dict[str, int]

    @property
    def miss_ratio(self) -> float:
        """Misses of all references."""
        return self.misses / self.references if self.references else 0.0

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "kernel": self.kernel,
            "references": self.references,
            "misses": self.misses,
            "refused": self.refused,
            "miss_ratio": round(self.miss_ratio, 6),
            **self.figures,
        }


def run_blocks(
    blocks: Iterable[Block], places: Numbering, versions: Sequence[str], pages: int, swap: int
) -> tuple[ReclaimRun, ...]:
    """Run blocks of references on each kernel, or on a plain policy: lru, clock, fifo.

    `6.12 with lru_gen` is a kernel whose lists are by generation.

    Errors    Unmodelled, ImpossibleProfile for a kernel or a machine that cannot be
    """
    machines = [_machine(version, pages, swap) for version in versions]
    for block in blocks:
        words = words_of(block.places, block.how)
        for machine in machines:
            machine.reserve(len(places))
            machine.run(words)
    return tuple(_result(version, machine) for version, machine in zip(versions, machines, strict=True))


def run_trace(path: Path, versions: Sequence[str], pages: int, swap: int) -> tuple[ReclaimRun, ...]:
    """Run a trace on each kernel, with so many page frames and pages of swap.

    Errors    BadEvidence naming the record and the field
    """
    places = Numbering()
    return run_blocks(read_references(path, places, anon=swap > 0), places, versions, pages, swap)


def _machine(name: str, pages: int, swap: int) -> Machine:
    """The lists of a kernel, or a plain policy by its name."""
    if name in POLICIES:
        return FastPlain(name, pages, 1)
    version = name.removesuffix(WITH_GENERATIONS)
    return FastLru(kernel(version), pages, 1, swap=swap, generations=version != name)


def _result(version: str, machine: Machine) -> ReclaimRun:
    counters = machine.counters
    figures = {name: sum(counters.get(one, 0) for one in parts) for name, parts in FIGURES.items()}
    return ReclaimRun(version, *machine.totals, figures)


def table_of(runs: Sequence[ReclaimRun]) -> str:
    """A line for each kernel."""
    head = f"{'kernel':>10}{'miss ratio':>12}{'misses':>12}{'refused':>9}" + "".join(
        f"{name:>20}" for name in FIGURES
    )
    lines = [
        f"{run.kernel:>10}{run.miss_ratio:>12.4f}{run.misses:>12}{run.refused:>9}"
        + "".join(f"{run.figures[name]:>20}" for name in FIGURES)
        for run in runs
    ]
    return "\n".join([head, *lines])
