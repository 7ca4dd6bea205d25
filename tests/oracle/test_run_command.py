"""`linuxmm run` and `linuxmm diff`."""

import json
from pathlib import Path

import pytest

from linuxmm.fast.allocator import GFPS
from linuxmm.oracle.cli.application import main
from linuxmm.oracle.pc import boot_pc
from linuxmm.oracle.run_report import classes_of, migratetypes_of
from linuxmm.oracle.workloads import NAMED, recorded, workload
from linuxmm.spec.alloc.gfp import GFP_ATOMIC
from linuxmm.spec.kernel import Arch, kernel
from linuxmm.spec.vocabulary import MigrateType, ZoneType

TRACE = Path(__file__).parents[1] / "real/alloc-churn-6.1"


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("name", sorted(NAMED))
def test_named_workloads_are_the_same_for_the_same_seed(name: str) -> None:
    one, two, other = (workload(name, 2000, 1 << 12, seed) for seed in (1, 1, 2))
    assert (one.words == two.words).all()
    assert (one.words != other.words).any()
    assert one.words.size == 2000


def test_a_run_accounts_for_every_page(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "run", "uniform", "--kernel", "6.1.192", "--ops", "5000", "--memory", "64")
    totals, vmstat, zones = found["totals"], found["vmstat"], found["zoneinfo"]
    assert isinstance(totals, dict)
    assert isinstance(vmstat, dict)
    assert isinstance(zones, dict)
    assert totals["allocated"] + totals["failed"] + totals["freed"] == found["operations"] == 5000
    assert list(found["buddyinfo"]) == list(zones) == ["DMA", "DMA32"]  # type: ignore[call-overload]
    held = sum(vmstat["pgalloc"].values()) - vmstat["pgfree"]
    cached = sum(p["count"] for zone in zones.values() for p in zone["pagesets"])
    assert held + cached + vmstat["nr_free_pages"] == sum(zone["managed"] for zone in zones.values())


def test_the_formats_are_the_kernels(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("run", "high-order", "--kernel", "6.1.192", "--ops", "1000", "--memory", "64")
    assert main(arguments) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert any(line.startswith("Node 0, zone    DMA32 ") and len(line.split()) == 15 for line in lines)
    assert any(line.startswith("Node    0, zone    DMA32, type    Unmovable ") for line in lines)
    assert "        present  3998\n        managed  3998\n        protection: (0, 48, 48, 48, 48)\n" in out
    assert "\npgalloc_normal 0\n" in out


def test_the_zones_are_those_of_kernel_memory_and_architecture() -> None:
    def zones(version: str, megabytes: int, arch: Arch = Arch.X86_64, movable: int = 0) -> list[str]:
        booted = boot_pc(kernel(version, arch), megabytes, movablecore=movable)
        return [ZoneType(zone.kind).printed for zone in booted.machine.zones]

    assert zones("6.12", 256) == ["DMA", "DMA32"]
    assert zones("6.12", 4096) == ["DMA", "DMA32", "Normal"]
    assert zones("2.6.11", 256) == ["DMA", "Normal"]
    assert zones("2.6.32", 1024, Arch.I386) == ["DMA", "Normal", "HighMem"]
    assert zones("6.12", 4096, movable=512) == ["DMA", "DMA32", "Normal", "Movable"]


def test_reserve_and_highatomic_have_their_eras() -> None:
    old, new = kernel("4.0"), kernel("4.4")
    assert migratetypes_of(old)[:4] == (0, 2, 1, MigrateType.RESERVE)
    assert migratetypes_of(new)[:4] == (0, 1, 2, MigrateType.HIGHATOMIC)
    assert migratetypes_of(kernel("2.6.22")) == ()
    assert MigrateType.RESERVE in boot_pc(old, 64).machine.zones[1].types
    assert MigrateType.RESERVE not in boot_pc(new, 64).machine.zones[1].types
    assert classes_of(kernel("2.6.32", Arch.I386)) == (0, 2, 3, 4)


def test_a_recorded_capture_becomes_operations() -> None:
    load = recorded(TRACE)
    assert load.words.size > 10000
    assert load.slots < load.words.size


@pytest.mark.slow
def test_a_recorded_capture_runs_on_another_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "run", str(TRACE), "--kernel", "6.12.117", "--memory", "256")
    totals = found["totals"]
    assert isinstance(totals, dict)
    assert totals["failed"] == 0
    assert totals["allocated"] > 10000


def test_recorded_operations_keep_cpu_and_type(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        '{"op": "header", "format": "linuxmm-operations/1"}\n'
        '{"op": "zone", "name": "Normal", "start_pfn": 0, "spanned": 64}\n'
        '{"op": "alloc", "order": 2, "pfn": 8, "migratetype": "movable", "cpu": 1}\n'
        '{"op": "alloc", "order": 9, "pfn": null}\n'
        '{"op": "alloc", "order": 0, "pfn": 0, "gfp": "GFP_ATOMIC"}\n'
        '{"op": "free", "pfn": 8, "order": 2, "cpu": 1}\n'
        '{"op": "free", "pfn": 32, "order": 0}\n'
    )
    load = recorded(file)
    assert (load.words.size, load.slots, load.cpus) == (3, 2, 2)
    assert load.gfps == (GFPS[1], GFP_ATOMIC)


def test_diff_names_the_first_operation_answered_apart(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--ops", "30000", "--memory", "32")
    found = _json(capsys, "diff", "6.1.192", "6.12.117", "fragmenting", *options)
    event, totals = found["first_difference"], found["totals"]
    assert isinstance(event, dict)
    assert isinstance(totals, dict)
    assert event["6.1.192"] != event["6.12.117"]
    assert totals["6.1.192"] != totals["6.12.117"]
    assert _json(capsys, "diff", "6.1.192", "6.1.192", "fragmenting", *options)["first_difference"] is None


def test_diff_prints_only_the_figures_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "6.1.192", "6.12.117", "fragmenting", "--ops", "30000", "--memory", "32"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("another page: first at operation ")
    rows = [line.split() for line in out.partition("6.12.117\n")[2].splitlines() if line]
    assert all(row[-1] != row[-2] for row in rows[2:] if row[-1].isdigit() and row[-2].isdigit())


def test_unknown_workloads_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nonsense"]) == 2
    assert "workload 'nonsense': expected one of uniform, fragmenting" in capsys.readouterr().err
    assert main(["run", "uniform", "--memory", "5000", "--arch", "i386", "--ops", "1"]) == 2
    assert "5000 MiB of memory on i386: expected 3072 or less" in capsys.readouterr().err
