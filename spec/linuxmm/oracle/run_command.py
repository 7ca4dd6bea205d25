"""`linuxmm run` and `linuxmm diff`: a workload on the allocator of any version, and where versions part."""

import json
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from linuxmm.fast.allocator import ALLOC, FastAllocator, fields
from linuxmm.fast.plain import plain_machine
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.profile import rules_for
from linuxmm.oracle.workloads import Workload, workload
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.vocabulary import MigrateType, ZoneType

_CHUNK: Final = 4096
_NAMES: Final = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "Isolate", "CMA", "Reserve")

WorkloadName = Annotated[
    str, typer.Argument(help="uniform, fragmenting, network, high-order, or a path to a recording.")
]
Operations = Annotated[int, typer.Option("--ops", min=1, help="Operations of a named workload.")]
Megabytes = Annotated[int, typer.Option("--memory", min=16, help="Memory of the machine in MiB.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of a named workload.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _frames(megabytes: int) -> int:
    if megabytes % 16:
        raise LinuxmmError(f"--memory {megabytes}: expected a multiple of 16")
    return megabytes << 8


def _allocator(profile: Kernel, load: Workload, frames: int) -> FastAllocator:
    rules = rules_for(profile)
    machine = plain_machine(profile, rules, frames, 1, frames // 4 & -(1 << rules.max_order))
    return FastAllocator(rules, machine, load.slots, gfps=load.gfps, counted=True)


def run_command(
    name: WorkloadName,
    version: Annotated[str, typer.Option("--kernel", help="Kernel version.")] = "6.12.117",
    ops: Operations = 1_000_000,
    memory: Megabytes = 1024,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Run a workload on the page allocator of a kernel and report as that kernel would."""
    frames = _frames(memory)
    load = workload(name, ops, frames, seed)
    allocator = _allocator(kernel(version), load, frames)
    allocator.run(load.words)
    totals = allocator.totals._asdict()
    machine = allocator.machine
    if as_json:
        found = {
            "workload": load.name,
            "kernel": version,
            "operations": int(load.words.size),
            "totals": totals,
            "buddyinfo": {_zone_name(z.kind): [sum(map(len, row)) for row in z.lists] for z in machine.zones},
            "pageblocks": {_zone_name(z.kind): _pageblocks(z.types) for z in machine.zones},
        }
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"{load.name}: {load.words.size} operations on {version}, {memory} MiB")
    for title, lines in (
        ("/proc/buddyinfo", buddyinfo(machine)),
        ("/proc/pagetypeinfo", pagetypeinfo(machine)),
        ("counters", [f"{key} {value}" for key, value in totals.items()]),
    ):
        typer.echo(f"\n{title}")
        for line in lines:
            typer.echo(line)


def diff_command(
    first: Annotated[str, typer.Argument(help="Kernel version.")],
    second: Annotated[str, typer.Argument(help="Kernel version.")],
    name: WorkloadName,
    ops: Operations = 1_000_000,
    memory: Megabytes = 1024,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Run one workload on two kernels; the first operation that they answer apart, and what adds up."""
    frames = _frames(memory)
    load = workload(name, ops, frames, seed)
    one, two = (_allocator(kernel(version), load, frames) for version in (first, second))
    apart = first_apart(one, two, load)
    totals = {version: a.totals._asdict() for version, a in ((first, one), (second, two))}
    if as_json:
        event = None
        if apart is not None:
            event = {"operation": apart.number, "asked": apart.asked, first: apart.one, second: apart.two}
        found = {"workload": load.name, "first_difference": event, "totals": totals}
        typer.echo(json.dumps(found, indent=1))
        return
    if apart is None:
        typer.echo(f"{first} and {second} answer all {load.words.size} operations of {load.name} alike")
    else:
        typer.echo(f"operation {apart.number}: {apart.asked}")
        typer.echo(f"  {first:>10}  {apart.one}")
        typer.echo(f"  {second:>10}  {apart.two}")
    typer.echo(f"\n{'':14}{first:>16}{second:>16}")
    for key in one.totals._fields:
        if key != "checksum":
            typer.echo(f"{key:14}{getattr(one.totals, key):>16}{getattr(two.totals, key):>16}")


@dataclass(frozen=True, slots=True)
class Apart:
    """An operation that two kernels answer differently."""

    number: int
    asked: str
    one: str
    two: str


def first_apart(one: FastAllocator, two: FastAllocator, load: Workload) -> Apart | None:
    """Run a workload on both to its end; the first operation with different answers."""
    found: Apart | None = None
    for start in range(0, load.words.size, _CHUNK):
        part = load.words[start : start + _CHUNK]
        if found is not None:
            one.run(part)
            two.run(part)
            continue
        before = [(a, [array.copy() for array in a.state]) for a in (one, two)]
        one.run(part)
        two.run(part)
        if one.totals.checksum == two.totals.checksum:
            continue
        for a, kept in before:
            for array, old in zip(a.state, kept, strict=True):
                array[:] = old
        for at in range(part.size):
            one.run(part[at : at + 1])
            two.run(part[at : at + 1])
            if found is None and one.totals.checksum != two.totals.checksum:
                found = _apart(one, two, start + at, int(part[at]))
    return found


def _apart(one: FastAllocator, two: FastAllocator, number: int, word: int) -> Apart:
    code, order, gfp, _, slot = fields(word)
    asked = MigrateType(int(one.gfp_rows[3 * gfp + 1])).name
    what = "allocate" if code == ALLOC else "free"
    return Apart(number, f"{what} order {order}, {asked}", *(_answer(a, slot) for a in (one, two)))


def _answer(allocator: FastAllocator, slot: int) -> str:
    held = int(allocator.slots[slot])
    if held < 0:
        return "refused"
    pfn = held >> 4
    zone = next(z for z in allocator.machine.zones if z.start <= pfn < z.end)
    block = MigrateType(zone.types[(pfn - zone.start) >> zone.pageblock_order]).name
    return f"pfn {pfn:#x} in {_zone_name(zone.kind)}, pageblock {block}"


# ---- the kernel's formats --------------------------------------------------------------------------------


def buddyinfo(machine: Machine) -> list[str]:
    """/proc/buddyinfo.

    Source    mm/vmstat.c:frag_show_print
    """
    return [
        f"Node {zone.node}, zone {_zone_name(zone.kind):>8} "
        + "".join(f"{sum(map(len, row)):6d} " for row in zone.lists)
        for zone in machine.zones
    ]


def pagetypeinfo(machine: Machine) -> list[str]:
    """/proc/pagetypeinfo: free blocks by type, then pageblocks by type.

    Source    mm/vmstat.c:pagetypeinfo_showfree_print, pagetypeinfo_showblockcount_print
    """
    lines = []
    for zone in machine.zones:
        for number in range(3):
            counts = "".join(f"{len(row[number]):6d} " for row in zone.lists)
            lines.append(
                f"Node {zone.node:4d}, zone {_zone_name(zone.kind):>8}, type {_NAMES[number]:>12} {counts}"
            )
    lines.append("")
    lines.append("Number of blocks type " + "".join(f"{name:>12} " for name in _NAMES[:3]))
    for zone in machine.zones:
        counts = "".join(f"{zone.types.count(number):12d} " for number in range(3))
        lines.append(f"Node {zone.node}, zone {_zone_name(zone.kind):>8} {counts}")
    return lines


def _zone_name(kind: int) -> str:
    return ZoneType(kind).printed


def _pageblocks(types: tuple[int, ...]) -> dict[str, int]:
    return {MigrateType(number).name: types.count(number) for number in sorted(set(types))}
