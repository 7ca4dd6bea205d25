"""`python -m benchmarks [--only AREA] [--json]`: a table, or {kernel: figures}."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks import (
    bench_allocator,
    bench_checker,
    bench_faults,
    bench_policies,
    bench_reclaim,
    bench_slub,
    bench_traces,
    bench_translate,
)

Figures = Mapping[str, float | dict[str, float]]

AREAS: Final[dict[str, Callable[[], Mapping[str, Figures]]]] = {
    "alloc": bench_allocator.run,
    "slub": bench_slub.run,
    "reclaim": bench_reclaim.run,
    "policies": bench_policies.run,
    "traces": bench_traces.run,
    "checker": bench_checker.run,
    "vm": lambda: {**bench_translate.run(), **bench_faults.run()},
}
"""What `--only` names."""


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=sorted(AREAS), help="measure one area")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    found: dict[str, Figures] = {}
    for area, measure in AREAS.items():
        if options.only in (None, area):
            print(f"measuring {area} ...", file=sys.stderr)
            found.update(measure())
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
    return 0


def _print(found: dict[str, Figures]) -> None:
    table = Table(title="medians of paired, interleaved rounds")
    table.add_column("kernel")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for kernel, figures in found.items():
        for at, (name, value) in enumerate(_flat(figures)):
            table.add_row("" if at else kernel, name.replace("_", " "), f"{value:,.4g}")
    Console().print(table)


def _flat(figures: Figures) -> list[tuple[str, float]]:
    """Figures by name; those of several peers each on a line."""
    rows: list[tuple[str, float]] = []
    for name, value in figures.items():
        if isinstance(value, dict):
            rows += [(f"{name}: {peer}", ratio) for peer, ratio in value.items()]
        else:
            rows.append((name, value))
    return rows


if __name__ == "__main__":
    sys.exit(main())
