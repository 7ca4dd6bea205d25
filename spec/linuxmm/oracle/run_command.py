"""`linuxmm run` and `linuxmm diff`: a workload on the allocator of any version, and where versions part."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from linuxmm.fast.allocator import ALLOC, FastAllocator, Totals, fields
from linuxmm.model.alloc.boot import Booted
from linuxmm.oracle.object_run import lines_of, replay_objects, slabinfo
from linuxmm.oracle.object_workload import read_objects
from linuxmm.oracle.pc import LEAST, boot_pc
from linuxmm.oracle.reclaim_run import run_trace, table_of
from linuxmm.oracle.run_report import figures, printed
from linuxmm.oracle.workloads import Workload, workload
from linuxmm.spec.kernel import Arch, kernel
from linuxmm.spec.vocabulary import MigrateType, ZoneType

_CHUNK: Final = 4096

WorkloadName = Annotated[
    str, typer.Argument(help="uniform, fragmenting, network, high-order, or a path to a recording.")
]
Operations = Annotated[int, typer.Option("--ops", min=1, help="Operations of a named workload.")]
Megabytes = Annotated[int, typer.Option("--memory", min=LEAST, help="Memory of the machine in MiB.")]
Movable = Annotated[int, typer.Option("--movablecore", min=0, help="MiB of ZONE_MOVABLE.")]
Architecture = Annotated[Arch, typer.Option("--arch", help="Architecture of the machine.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of a named workload.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class _Machine(NamedTuple):
    """What the options say of the machine."""

    megabytes: int
    movablecore: int
    arch: Arch


class Run(NamedTuple):
    """A kernel that came up, and its allocator."""

    booted: Booted
    allocator: FastAllocator


def _run_on(version: str, load: Workload, on: _Machine) -> Run:
    booted = boot_pc(kernel(version, on.arch), on.megabytes, load.cpus, on.movablecore)
    allocator = FastAllocator(booted.rules, booted.machine, load.slots, gfps=load.gfps, counted=True)
    return Run(booted, allocator)


def run_command(
    name: WorkloadName,
    version: Annotated[str, typer.Option("--kernel", help="Kernel version.")] = "6.12.117",
    ops: Operations = 1_000_000,
    memory: Megabytes = 1024,
    movablecore: Movable = 0,
    arch: Architecture = Arch.X86_64,
    seed: Seed = 1,
    objects: Annotated[
        bool,
        typer.Option(
            "--objects",
            help="Run kmem events of a recording, or a workload of objects (JSON lines), on SLUB instead.",
        ),
    ] = False,
    reclaim: Annotated[
        bool,
        typer.Option(
            "--reclaim",
            help="Run a trace of references through reclaim instead: .csv, .oracleGeneral, .bin, .lackey; "
            "--memory is then in pages, and --kernel may name several, with commas; "
            "lru, clock and fifo are plain policies.",
        ),
    ] = False,
    swap: Annotated[int, typer.Option("--swap", min=0, help="Pages of swap, with --reclaim.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a workload on the page allocator of a kernel and report as that kernel would."""
    if reclaim:
        _run_reclaim(name, version, memory, swap, as_json)
        return
    if objects:
        _run_objects(name, version, memory, as_json)
        return
    load = workload(name, ops, memory << 8, seed)
    booted, allocator = _run_on(version, load, _Machine(memory, movablecore, arch))
    allocator.run(load.words)
    totals = allocator.totals._asdict()
    machine = allocator.machine
    if as_json:
        found = {
            "workload": load.name,
            "kernel": version,
            "operations": int(load.words.size),
            "totals": totals,
            **figures(machine, booted.areas, allocator.counts),
        }
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"{load.name}: {load.words.size} operations on {version}, {memory} MiB")
    for path, text in printed(booted.kernel, machine, booted.areas, allocator.counts):
        typer.echo(f"\n{path}\n{text}", nl=False)
    typer.echo("\ncounters of the run")
    for key, value in totals.items():
        typer.echo(f"{key} {value}")


def _run_reclaim(name: str, versions: str, pages: int, swap: int, as_json: bool) -> None:
    runs = run_trace(Path(name), versions.split(","), pages, swap)
    if as_json:
        found = {"workload": name, "pages": pages, "swap": swap, "kernels": [run.as_json() for run in runs]}
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"{name}: {runs[0].references} references, {pages} pages, {swap} pages of swap")
    typer.echo(table_of(runs))


def _run_objects(name: str, version: str, memory: int, as_json: bool) -> None:
    recording = read_objects(name, lines_of(name))
    done = replay_objects(recording, kernel(version), memory << 8)
    if as_json:
        found = {
            "workload": name,
            "kernel": version,
            "operations": len(recording.rows),
            "totals": done.totals._asdict(),
            "unknown_releases": recording.unknown,
            "pages": done.pages,
            "slabinfo": slabinfo(done.caches).splitlines(),
        }
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"{name}: {len(recording.rows)} operations on {version}, {memory} MiB")
    typer.echo(f"\n/proc/slabinfo\n{slabinfo(done.caches)}", nl=False)
    typer.echo(f"\ncounters of the run\nunknown_releases {recording.unknown}\npages {done.pages}")
    for key, value in done.totals._asdict().items():
        typer.echo(f"{key} {value}")


def diff_command(
    first: Annotated[str, typer.Argument(help="Kernel version.")],
    second: Annotated[str, typer.Argument(help="Kernel version.")],
    name: WorkloadName,
    ops: Operations = 1_000_000,
    memory: Megabytes = 1024,
    movablecore: Movable = 0,
    arch: Architecture = Arch.X86_64,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Run one workload on two kernels; the first operations that they answer apart, and what adds up."""
    load = workload(name, ops, memory << 8, seed)
    on = _Machine(memory, movablecore, arch)
    one, two = (_run_on(version, load, on) for version in (first, second))
    parted = first_apart(one.allocator, two.allocator, load)
    found = {first: _all_figures(one), second: _all_figures(two)}
    if as_json:
        typer.echo(json.dumps(_diff_json(first, second, load, parted, found), indent=1))
        return
    for title, apart in (("another page", parted.page), ("another outcome", parted.outcome)):
        if apart is None:
            typer.echo(f"{title}: none of the {load.words.size} operations of {load.name}")
            continue
        typer.echo(f"{title}: first at operation {apart.number}, {apart.asked}")
        typer.echo(f"  {first:>10}  {apart.one}\n  {second:>10}  {apart.two}")
    typer.echo(f"\n{'':24}{first:>16}{second:>16}")
    for key, value in found[first].items():
        if value != found[second][key]:
            typer.echo(f"{key:24}{value:>16}{found[second][key]:>16}")


def _diff_json(
    first: str, second: str, load: Workload, parted: "Parted", found: dict[str, dict[str, int]]
) -> dict[str, object]:
    def event(apart: Apart | None) -> dict[str, object] | None:
        if apart is None:
            return None
        return {"operation": apart.number, "asked": apart.asked, first: apart.one, second: apart.two}

    return {
        "workload": load.name,
        "first_difference": event(parted.page),
        "first_other_outcome": event(parted.outcome),
        "totals": found,
    }


def _all_figures(run: Run) -> dict[str, int]:
    """Every figure of a run under one name; what is the same on both sides is not printed."""
    totals: dict[str, int] = run.allocator.totals._asdict()
    del totals["checksum"]
    counts = run.allocator.counts
    for zone in run.allocator.machine.zones:
        name = ZoneType(zone.kind).printed
        totals[f"pgalloc {name}"] = counts.allocated[zone.kind]
        totals[f"free {name}"] = zone.nr_free
        totals[f"low mark {name}"] = zone.watermark[1]
        totals[f"boost {name}"] = zone.boost
        for kind in MigrateType:
            if kind in zone.types or kind <= MigrateType.RECLAIMABLE:
                totals[f"{kind.name} blocks {name}"] = zone.types.count(kind)
    return totals


@dataclass(frozen=True, slots=True)
class Apart:
    """An operation that two kernels answer differently."""

    number: int
    asked: str
    one: str
    two: str


class Parted(NamedTuple):
    """Where two kernels part.

    page     the first operation answered with another page
    outcome  the first after which what happened differs: refused or not, above the low watermark or not, the
             zone, a fallback to another migratetype
    """

    page: Apart | None
    outcome: Apart | None


def first_apart(one: FastAllocator, two: FastAllocator, load: Workload) -> Parted:
    """Run a workload on both to its end; the first operations with different answers."""
    found: list[Apart | None] = [None, None]
    for start in range(0, load.words.size, _CHUNK):
        part = load.words[start : start + _CHUNK]
        before = [(a, [array.copy() for array in a.state]) for a in (one, two)] if None in found else []
        one.run(part)
        two.run(part)
        if not any(now and seen is None for now, seen in zip(_differ(one, two), found, strict=True)):
            continue
        for a, kept in before:
            for array, old in zip(a.state, kept, strict=True):
                array[:] = old
        for at in range(part.size):
            one.run(part[at : at + 1])
            two.run(part[at : at + 1])
            for which, now in enumerate(_differ(one, two)):
                if now and found[which] is None:
                    found[which] = _apart(one, two, start + at, int(part[at]))
    return Parted(*found)


def _differ(one: FastAllocator, two: FastAllocator) -> tuple[bool, bool]:
    """Whether the pages handed out so far differ, and whether what happened does."""
    return one.totals.checksum != two.totals.checksum, _outcomes(one) != _outcomes(two)


def _outcomes(a: FastAllocator) -> tuple[int | tuple[int, ...], ...]:
    totals: Totals = a.totals
    return totals.failed, totals.below_low, totals.extfrag, totals.fragmenting, a.counts.allocated


def _apart(one: FastAllocator, two: FastAllocator, number: int, word: int) -> Apart:
    code, order, gfp, _, slot = fields(word)
    asked = MigrateType(int(one.gfp_rows[3 * gfp + 1])).name
    what = f"allocate order {order}, {asked}" if code == ALLOC else "free"
    return Apart(number, what, *(_answer(a, slot) for a in (one, two)))


def _answer(allocator: FastAllocator, slot: int) -> str:
    held = int(allocator.slots[slot])
    totals = allocator.totals
    fallbacks = f"; {totals.extfrag} fallbacks so far, {totals.below_low} below low, {totals.failed} refused"
    if held < 0:
        return f"nothing{fallbacks}"
    pfn = held >> 4
    zone = next(z for z in allocator.machine.zones if z.start <= pfn < z.end)
    first = zone.start >> zone.pageblock_order
    block = MigrateType(zone.types[(pfn >> zone.pageblock_order) - first]).name
    return f"pfn {pfn:#x} in {ZoneType(zone.kind).printed}, pageblock {block}{fallbacks}"
