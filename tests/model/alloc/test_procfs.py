"""The state of two real kernels, printed, is what these kernels printed."""

from dataclasses import replace
from pathlib import Path

import pytest

from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.procfs import (
    LISTED_AT_MOST,
    _counted,
    buddyinfo,
    extfrag_index,
    pagetypeinfo,
    unusable_index,
    vmstat,
    zoneinfo,
)
from linuxmm.oracle.exact.machine import kernel_of, machine_of, rules_of
from linuxmm.oracle.formats.capture import open_capture, read_state
from linuxmm.oracle.formats.state import MachineState
from linuxmm.spec.vocabulary import MigrateType

NAMES = ["alloc-churn-6.1", "alloc-churn-6.12"]


def at(name: str, mark: str) -> tuple[Machine, MachineState, Path]:
    capture = open_capture(Path(__file__).parents[2] / "real" / name)
    folder = capture.path / "marks" / mark
    state = read_state(folder / "state.json.gz")
    return machine_of(state, rules_of(kernel_of(capture.description, state), state)), state, folder / "proc"


@pytest.mark.parametrize("mark", ["A", "B"])
@pytest.mark.parametrize("name", NAMES)
def test_free_blocks_print_as_the_kernel_printed_them(name: str, mark: str) -> None:
    machine, state, proc = at(name, mark)
    types = [MigrateType[name] for name in state.migratetypes]
    assert buddyinfo(machine) == (proc / "buddyinfo").read_text()
    assert pagetypeinfo(machine, types) == (proc / "pagetypeinfo").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_zoneinfo_and_vmstat_is_the_kernels(name: str) -> None:
    machine, state, proc = at(name, "A")
    real = (proc / "zoneinfo").read_text().splitlines()
    reserves = [zone.lowmem_reserve for _, zone in state.zones() if zone.managed]
    printed = zoneinfo(machine, reserves).splitlines()
    strange = [line for line in printed if line not in real and "count:" not in line]
    assert strange == []
    assert all(line in (proc / "vmstat").read_text().splitlines() for line in vmstat(machine).splitlines())


def test_long_lists_are_not_counted_out() -> None:
    assert _counted(LISTED_AT_MOST) == ">100000 "
    assert _counted(LISTED_AT_MOST - 1) == " 99999 "


def test_fragmentation_prints_as_debugfs_does() -> None:
    machine = at("alloc-churn-6.1", "A")[0]
    assert extfrag_index(machine).splitlines()[0] == "Node 0, zone      DMA " + "-1.000 " * 11
    assert unusable_index(machine).splitlines()[0].startswith("Node 0, zone      DMA 0.000 0.000 0.000 ")
    lone = replace(machine.zones[0], lists=(*(((),) * 8 for _ in range(8)), ((0,), *((),) * 7)))
    few = replace(machine, zones=(replace(lone, lists=(*lone.lists, ((),) * 8)),))
    assert extfrag_index(few).endswith("-1.000  0.-500 \n")
    assert unusable_index(few).endswith("0.000 1.000 \n")
