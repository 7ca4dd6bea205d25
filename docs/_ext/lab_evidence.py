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
*Alone*: how often no other clause broke. *No place*: captures that have no event or list for the fault.
"""

_JUDGED: Final = {
    "permitted": "pages, by the clauses",
    "exact": "pages, by the prediction",
    "objects": "objects",
    "reclaim": "reclaim: passes, generations, swap, the OOM killer",
    "defrag": "compaction",
    "memcg": "control groups",
    "large": "vmalloc and CMA",
    "debug": "KASAN, slub_debug, kmemleak, ptdump",
    "pmem": "persistent memory",
}
"""What a fault is judged by -> its heading."""

Row = dict[str, Any]


def _faults(rows: list[Row]) -> Iterator[str]:
    yield _FAULTS
    captures = sorted({row["capture"] for row in rows})
    yield f"Captures: {', '.join(f'`{name}`' for name in captures)}.\n"
    judged = [(area, [row for row in rows if row["judged"] == area]) for area in _in_order(rows)]
    yield "| judged | faults | captures | planted | caught |"
    yield "|---|---:|---:|---:|---:|"
    for area, same in [*judged, ("", rows)]:
        planted, caught = _planted(same)
        faults = len({(row["judged"], row["fault"]) for row in same})
        places = len({row["capture"] for row in same if row["caught"] is not None})
        title = _JUDGED.get(area, area) if area else "all"
        yield f"| {title} | {faults} | {places} | {planted} | {caught} |"
    for area, same in judged:
        yield f"\n### {_JUDGED.get(area, area)}\n"
        yield from _faults_of(same)
    missed = [row for row in rows if row["caught"] is False]
    if missed:
        yield "\n### Not caught as they must be\n"
        for row in missed:
            yield f"- {row['fault']} in `{row['capture']}`: {row['verdict']} {row['found']}"
    yield ""


def _in_order(rows: list[Row]) -> list[str]:
    found = dict.fromkeys(row["judged"] for row in rows)
    return [area for area in _JUDGED if area in found] + [area for area in found if area not in _JUDGED]


def _planted(rows: list[Row]) -> tuple[int, int]:
    """How many faults were planted, and caught."""
    return sum(row["caught"] is not None for row in rows), sum(row["caught"] is True for row in rows)


def _faults_of(rows: list[Row]) -> Iterator[str]:
    tells_alone = any(row.get("alone") is not None for row in rows)
    head = ["fault", "what the kernel did, or what is gone", "must", "planted", "caught", "no place"]
    if tells_alone:
        head.insert(5, "alone")
    yield f"| {' | '.join(head)} |"
    yield f"|---|---|---|{'---:|' * (len(head) - 3)}"
    for name in dict.fromkeys(row["fault"] for row in rows):
        same = [row for row in rows if row["fault"] == name]
        planted, caught = _planted(same)
        counts = [planted, caught, len(same) - planted]
        if tells_alone:
            counts.insert(2, sum(row.get("alone") is True for row in same))
        shown = " | ".join(str(count) for count in counts)
        yield f"| {name} | {same[0]['sentence']} | `{same[0]['must']}` | {shown} |"
