"""The page of evidence from real kernels: what `linuxmm lab check --json` printed, as tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

RECORDS: Final = Path(__file__).parents[1] / "evidence"
"""What `linuxmm lab check --kernel NAME --json` printed, as lab-NAME.json."""

_HEADER: Final = """# Real kernels

What `linuxmm lab check` found on kernels of the distribution, booted under QEMU: each workload was captured
between exact states read from the machine's memory, judged by the specification, and predicted by the model
step by step. [](../guide/lab.md) says how to repeat it, on these kernels or on your own.

*Events*: observations judged. *Predicted*: pages whose choice the model predicted. *Explained*: choices that
the recording cannot decide, each counted under a name; *unexplained*: any other difference. *After-state*:
whether the state at every next mark was predicted list for list, in order.
"""


def lab_page(folder: Path = RECORDS) -> str:
    """The page, from the records in a folder."""
    parts = [_HEADER]
    for file in sorted(folder.glob("lab-*.json"), key=lambda path: path.name):
        parts += _kernel(json.loads(file.read_text()))
    return "\n".join(parts)


def _kernel(record: dict[str, Any]) -> Iterator[str]:
    package = record["package"]
    yield f"## {record['kernel']}\n"
    where = f", package `{package['package']}` {package['version']}" if package else ""
    yield f"`{record['uname']}`{where}\n"
    columns = (
        "area",
        "workload",
        "verdict",
        "events",
        "predicted",
        "explained",
        "unexplained",
        "after-state",
        "s",
    )
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|---:|---:|---:|---:|---|---:|"
    for area in record["areas"]:
        for row in area["workloads"]:
            after = {True: "equal", False: "differs", None: "-"}[row["state_equal"]]
            counts = (row["events"], row["predicted"], row["explained"], row["unexplained"])
            shown = " | ".join(f"{count:,}" if row["events"] else "-" for count in counts)
            yield (
                f"| {area['area']} | {row['workload']} | {row['verdict']} | {shown} | {after} "
                f"| {row['seconds']:.0f} |"
            )
    total = sum(area["seconds"] for area in record["areas"])
    events = sum(area["events"] for area in record["areas"])
    yield f"\n{events:,} events in {total / 60:.1f} minutes.\n"
