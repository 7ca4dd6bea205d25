"""The same references through reclaim of every era: what misses, and how much work it was.

`python -m linuxmm.oracle.eras FOLDER` counts, and writes the record, the page and the plot.

Linux: mm/vmscan.c, mm/swap.c, mm/workingset.c; 2.4.5 to 6.12.  Seed 2.4 (F042, F043, F046).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from linuxmm.fast.arena import Int64s
from linuxmm.fast.lru_trace import Block
from linuxmm.fast.numbering import Numbering
from linuxmm.model.reclaim.workload import ANON, MAPPED, READ, WRITE
from linuxmm.oracle.experiments.plot import draw
from linuxmm.oracle.reclaim_run import run_blocks
from linuxmm.spec.experiment import Curve

VERSIONS: Final = (
    "2.4.5", "2.4.9", "2.4.17", "2.4.32", "2.6.24", "2.6.28", "2.6.31", "2.6.34", "2.6.39", "3.5", "3.10",
    "3.16", "4.4", "4.9", "4.12", "4.20", "5.4", "5.8", "5.9", "5.15", "6.1", "6.12",
    "6.1 with lru_gen", "6.12 with lru_gen",
)  # fmt: skip
"""A release of each generation of the rules."""
BASELINES: Final = ("lru", "clock")
"""Plain policies, to hold the releases against."""
PAGES: Final = 4096
SWAP: Final = 8192
REFERENCES: Final = 200_000

Record = Mapping[str, Mapping[str, Mapping[str, int]]]
"""trace -> kernel -> counts."""


def _popular(rng: np.random.Generator, places: int, count: int) -> Int64s:
    weight = np.cumsum(1 / np.arange(1, places + 1))
    rank: Int64s = np.searchsorted(weight, rng.random(count) * weight[-1]).astype(np.int64)
    return rng.permutation(places)[rank]


def _of_reads(places: Int64s) -> Block:
    return Block(places, np.full(places.size, READ, np.int64))


def zipf(count: int) -> Block:
    """Reads of 32768 pages by Zipf's law, exponent 1."""
    return _of_reads(_popular(np.random.default_rng(1), 8 * PAGES, count))


def loop(count: int) -> Block:
    """Reads of 5120 pages in order, again and again: a quarter more than there is memory."""
    return _of_reads(np.arange(count) % (PAGES + PAGES // 4))


def scan(count: int) -> Block:
    """Half of the reads are of 2048 hot pages at random, half go once through a file without end."""
    rng = np.random.default_rng(2)
    hot = rng.integers(0, PAGES // 2, count)
    return _of_reads(np.where(np.arange(count) % 2 == 0, hot, PAGES // 2 + np.arange(count) // 2))


def mixed(count: int) -> Block:
    """Reads, writes and mapped accesses of files and of 3072 pages of anonymous memory, by Zipf's law."""
    rng = np.random.default_rng(3)
    anon = PAGES * 3 // 4
    how = rng.choice([READ, WRITE, MAPPED, ANON], count, p=[0.4, 0.15, 0.15, 0.3])
    return Block(
        np.where(how == ANON, _popular(rng, anon, count), anon + _popular(rng, 4 * PAGES, count)),
        how.astype(np.int64),
    )


TRACES: Final[dict[str, Callable[[int], Block]]] = {"zipf": zipf, "loop": loop, "scan": scan, "mixed": mixed}


def run(versions: Sequence[str] = (*VERSIONS, *BASELINES)) -> Record:
    """Every trace on every kernel, from empty memory."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for name, make in TRACES.items():
        block, places = make(REFERENCES), Numbering()
        numbered = Block(places.of_array(block.places), block.how)
        runs = run_blocks([numbered], places, versions, PAGES, SWAP if name == "mixed" else 0)
        found[name] = {
            one.kernel: {
                "references": one.references,
                "misses": one.misses,
                "refused": one.refused,
                **one.figures,
            }
            for one in runs
        }
    return found


def page(record: Record) -> str:
    """The page of a record."""
    parts = [_HEAD]
    for name, rows in record.items():
        text = (TRACES[name].__doc__ or "").strip()
        parts.append(f"\n## {name}\n\n{text}\n\n")
        head = ("kernel", "miss ratio", "scanned", "reclaimed", "active scanned", "deactivated", "activated",
                "refaults", "of them active at once")  # fmt: skip
        parts.append(f"| {' | '.join(head)} |\n|{'---|' * len(head)}\n")
        for version, row in rows.items():
            cells = [row[key] for key in _COLUMNS]
            ratio = row["misses"] / row["references"]
            parts.append(f"| {version} | {ratio:.4f} | {' | '.join(str(cell) for cell in cells)} |\n")
    return "".join(parts)


_COLUMNS: Final = (
    "scanned", "reclaimed", "active_scanned", "deactivated", "activated", "refaults", "refaults_activated",
)  # fmt: skip
_HEAD: Final = f"""# The same references through every era

{REFERENCES} references run on the lists of every generation of reclaim, over {PAGES} pages that are free at
first.  What runs is the model itself, compiled; a test counts anew and compares.  Watermarks are the kernel's
defaults, swappiness is 60, and a flusher keeps dirty pages below a tenth of memory.

`python -m linuxmm.oracle.eras docs/guide` writes this page.  For a trace of your own:
`linuxmm run TRACE --reclaim --memory PAGES --kernel 2.4.32,3.16,6.12`.

![Miss ratio and pages looked at, by release](eras.svg)

`lru` and `clock` are the textbook's policies on the same pages, without watermarks: every reference counts as
an access, and a page goes only when another needs its place.

What the figures leave out: before 3.15 a kernel does not know of refaults, so none are counted; readahead,
concurrent reclaimers and cgroups take no part.  With lru_gen, pages looked at and moved to another
generation are told as active ones scanned; 6.1 counts recent refaults alone, and as activated the pages that
tiers spare.  Ageing walks every entry; beside a used entry lie those of places with neighbouring numbers.

Up to 2.4.9 pages have ages; a turn of the daemon counts as a second there, and pages scanned are those that
it launders.

What one sees: 2.4.9 makes active only what is read twice, and looks at a 64th of a list at a time: it loses
less of a hot set to a scan than the releases after it.  2.4 has no reverse map; from 2.4.14 on it walks
address spaces once it meets many pages in use, and frees 32 pages at a time.  From 2.6.31 on the active list
of files is spared while it is the shorter one, and a hot set
survives a scan.  Since 4.11 (4.12 here) a refault that is activated lets the next pass take active pages
down; where the daemon never rests, as here, part of the hot set is lost again.  It is this rule: 4.12 with
that of 4.9 in its place has the misses of 4.9, to the last one, in zipf, loop and scan.  A loop that is
longer than memory by a quarter misses always, in every era: with nothing on the active list no refault
distance is short enough.  Lists by generation lose nothing of the hot set to a scan: uses through file
descriptors only count, and pages of a higher tier are spared when the oldest generation is sorted.
"""


def curves(record: Record) -> tuple[Curve, ...]:
    """Miss ratio, and pages scanned for each one reclaimed, by release."""
    found = []
    for panel, figure in (("miss ratio", _ratio), ("pages scanned for each reclaimed", _work)):
        for name, every in record.items():
            rows = {release: row for release, row in every.items() if release not in BASELINES}
            numbers = tuple(float(at) for at in range(len(rows)))
            ys = tuple(figure(row) for row in rows.values())
            found.append(
                Curve(panel, name, f"release, {next(iter(rows))} to {list(rows)[-1]}", panel, numbers, ys)
            )
    return tuple(found)


def _ratio(row: Mapping[str, int]) -> float:
    return row["misses"] / row["references"]


def _work(row: Mapping[str, int]) -> float:
    return (row["scanned"] + row["active_scanned"]) / max(row["reclaimed"], 1)


def main(folder: str) -> None:
    """Count, and write record, page and plot."""
    record = run()
    target = Path(folder)
    (target / "eras.json").write_text(json.dumps(record, indent=1) + "\n")
    (target / "eras.md").write_text(page(record))
    (target / "eras.svg").write_bytes(draw(curves(record), "The same references through every era", ".svg"))


if __name__ == "__main__":
    main(sys.argv[1])
