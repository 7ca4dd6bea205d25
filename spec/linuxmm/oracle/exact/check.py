"""Predict every window between two marks of a capture, and compare the after-state list for list."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from linuxmm.fast.engine import Engine
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.rules import Rules
from linuxmm.oracle.check import ExactResult, probes_of
from linuxmm.oracle.exact.addresses import Addresses, addresses_of
from linuxmm.oracle.exact.machine import kernel_of, machine_of, rules_of
from linuxmm.oracle.exact.replay import Prediction, Replay
from linuxmm.oracle.exact.searches import PROBES as SEARCH_PROBES
from linuxmm.oracle.exact.searches import Searches
from linuxmm.oracle.exact.windows import windows
from linuxmm.oracle.formats import Capture, concat, rows
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.state import MachineState
from linuxmm.oracle.observations import numbering
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.vocabulary import MigrateType, ZoneType

FIRST_SEARCHES: Final = Version(5, 1)
_NUMA_ARGUMENT: Final = re.compile(
    r"node,nodeid=(?P<node>\d+),cpus=(?P<first>\d+)(?:-(?P<last>\d+))?(?:,.*)?"
)


def predict_capture(
    capture: Capture, states: Mapping[str, MachineState], version: str | None = None
) -> tuple[str, list[ExactResult]]:
    """(kernel profile, one result per window between neighbouring marks with states)."""
    profile = kernel_of(capture.description, next(iter(states.values())), version)
    return str(profile.version), list(predict_windows(capture, states, profile))


def predict_windows(
    capture: Capture, states: Mapping[str, MachineState], profile: Kernel, limit: int | None = None
) -> Iterator[ExactResult]:
    """One result per window between neighbouring marks with states, as kernel `profile` would have chosen.

    limit: stop a window after so many unexplained differences
    """
    for window in replays(capture, states, profile):
        found = window.replay.run(limit)
        after = _machine(profile, states[window.end])[1]
        differences = (
            tuple(compare(window.replay.engine.machine, after))
            if found.complete
            else ("not replayed to its end",)
        )
        yield _result(f"{window.trace} {window.begin}..{window.end}", found, differences)


class Window(NamedTuple):
    """A replay from one mark of a trace to the next."""

    trace: str
    begin: str
    end: str
    replay: Replay


def replays(capture: Capture, states: Mapping[str, MachineState], profile: Kernel) -> Iterator[Window]:
    """The replays of a capture's windows between neighbouring marks with states, none of them begun."""
    unreserve = profile.behaviour("alloc.unreserve").function
    for name in capture.traces:
        if not capture.file(capture.info(name).file).is_file():
            continue  # a gap of the evidence, which the judgement names
        events = concat(capture.trace(name))
        probes = probes_of(capture, name)
        balanced = int(Kind.BALANCE) in probes
        searched = probes >= SEARCH_PROBES and profile.version >= FIRST_SEARCHES
        engines = {mark: Engine(*_machine(profile, state)) for mark, state in states.items()}
        for begin, end, part in windows(events, engines):
            names = numbering(states[begin].migratetypes)
            addresses = addresses_of(states[begin], cpu_nodes(capture))
            part_of = rows(events, part)
            searches = _searches(engines[begin], addresses, states[begin]) if searched else None
            replay = Replay(
                engines[begin], part_of, names, addresses, profile.version, unreserve, balanced, searches
            )
            yield Window(name, begin, end, replay)


def _searches(engine: Engine, addresses: Addresses, state: MachineState) -> Searches:
    zones = tuple(zone for _, zone in state.zones() if zone.managed)
    return Searches(engine, addresses.zones, zones)


def _machine(profile: Kernel, state: MachineState) -> tuple[Rules, Machine]:
    rules = rules_of(profile, state)
    return rules, machine_of(state, rules)


def _result(window: str, found: Prediction, differences: tuple[str, ...]) -> ExactResult:
    unexplained = (
        f"line {d.line}: {d.what}: predicted {d.predicted}, observed {d.observed}"
        for d in found.differences
        if not d.gap
    )
    return ExactResult(
        window,
        found.operations,
        found.predicted,
        found.steps_checked,
        {gap: count for gap, count in sorted(found.gaps.items()) if count},
        found.unexplained,
        not differences,
        tuple(unexplained)[:20] + differences[:20],
    )


def cpu_nodes(capture: Capture) -> dict[int, int]:
    """The NUMA node of each CPU, from the guest's sysfs or the emulator's arguments; node 0 otherwise."""
    nodes: dict[int, int] = {}
    for argument in capture.description.machine.arguments:
        stated = _NUMA_ARGUMENT.fullmatch(argument)
        if stated:
            first, last = int(stated["first"]), int(stated["last"] or stated["first"])
            nodes.update(dict.fromkeys(range(first, last + 1), int(stated["node"])))
    for mark in capture.marks:
        folder = capture.file(f"marks/{mark}/sys/devices/system/node")
        for entry in sorted(folder.glob("node*/cpulist")):
            node = int(entry.parent.name.removeprefix("node"))
            nodes.update((cpu, node) for cpu in _cpulist(entry.read_text()))
    return nodes


def _cpulist(text: str) -> Iterator[int]:
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            yield from range(int(first), int(last or first) + 1)


def compare(predicted: Machine, real: Machine) -> Iterator[str]:
    """Every list, pageblock type and counter in which two machines differ, one sentence each."""
    for ours, theirs in zip(predicted.zones, real.zones, strict=True):
        where = f"node {theirs.node} zone {ZoneType(theirs.kind).printed}"
        for order, (row, other) in enumerate(zip(ours.lists, theirs.lists, strict=True)):
            for migratetype, (mine, real_list) in enumerate(zip(row, other, strict=True)):
                if mine != real_list:
                    name = MigrateType(migratetype).name
                    yield f"{where}: free list order {order} {name}: {_list_difference(mine, real_list)}"
        for cpu, (pcp, other_pcp) in enumerate(zip(ours.pcps, theirs.pcps, strict=True)):
            for index, (mine, real_list) in enumerate(zip(pcp.lists, other_pcp.lists, strict=True)):
                if mine != real_list:
                    yield f"{where}: cpu {cpu} list {index}: {_list_difference(mine, real_list)}"
        for block, (mine_type, real_type) in enumerate(zip(ours.types, theirs.types, strict=True)):
            if mine_type != real_type:
                names = f"{MigrateType(mine_type).name}, real {MigrateType(real_type).name}"
                yield f"{where}: pageblock {block}: predicted {names}"
        if ours.nr_free != theirs.nr_free:
            yield f"{where}: NR_FREE_PAGES: predicted {ours.nr_free}, real {theirs.nr_free}"


def _list_difference(mine: tuple[int, ...], real: tuple[int, ...]) -> str:
    if sorted(mine) == sorted(real):
        at = next(i for i, (a, b) in enumerate(zip(mine, real, strict=True)) if a != b)
        return f"same {len(real)} blocks, another order from position {at} on"
    only, missing = set(mine) - set(real), set(real) - set(mine)
    return f"{len(only)} blocks only predicted, {len(missing)} only real"
