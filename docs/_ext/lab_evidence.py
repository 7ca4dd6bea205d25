"""The page of evidence from real kernels: what `linuxmm lab check --json` printed, as tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

RECORDS: Final = Path(__file__).parents[1] / "evidence"
"""What `linuxmm lab check --kernel NAME --json` printed, as lab-NAME.json; and faults.json."""

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
    faults = folder / "faults.json"
    if faults.is_file():
        parts += _faults(json.loads(faults.read_text()))
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


_FAULTS: Final = """## Planted faults

Each fault was planted in copies of shipped captures, one for each kind of machine and workload, as a broken
kernel would have written it, and judged. *Must*: the clause that must break; `diverges`: a clause or the
prediction must differ; `incomplete`: evidence was removed, and the verdict must say so; `either`: an event is
gone without a word, which shows as a difference or as a page that changed hands unseen.
*No place*: captures that have no event or list for the fault.
"""


def _faults(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield _FAULTS
    captures = sorted({row["capture"] for row in rows})
    yield f"Captures: {', '.join(f'`{name}`' for name in captures)}.\n"
    yield "| fault | what the kernel did, or what is gone | judged | must | planted | caught | no place |"
    yield "|---|---|---|---|---:|---:|---:|"
    order = list(dict.fromkeys((row["judged"], row["fault"]) for row in rows))
    for key in order:
        same = [row for row in rows if (row["judged"], row["fault"]) == key]
        planted = [row for row in same if row["caught"] is not None]
        caught = sum(row["caught"] for row in planted)
        first = same[0]
        yield (
            f"| {first['fault']} | {first['sentence']} | {first['judged']} | `{first['must']}` "
            f"| {len(planted)} | {caught} | {len(same) - len(planted)} |"
        )
    missed = [row for row in rows if row["caught"] is False]
    if missed:
        yield "\nNot caught as they must be:\n"
        for row in missed:
            yield f"- {row['fault']} in `{row['capture']}`: {row['verdict']} {row['found']}"
    planted = [row for row in rows if row["caught"] is not None]
    yield f"\n{len(planted)} faults planted, {sum(row['caught'] for row in planted)} caught.\n"
