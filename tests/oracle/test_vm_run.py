"""Workloads, snapshots, and the references of a trace: what is read, what is refused, what comes of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from linuxmm.oracle.cli.application import main
from linuxmm.oracle.live.wire import FIRST_FILE
from linuxmm.oracle.vm_run import (
    FileLine,
    References,
    TouchLine,
    Workload,
    anonymous_everywhere,
    from_maps,
    process_on,
    read_workload,
    run,
)
from linuxmm.spec.errors import BadEvidence, LinuxmmError
from linuxmm.spec.kernel import Arch
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls

MAPS = """\
00400000-00402000 r-xp 00000000 08:01 77                                 /bin/true
00402000-00403000 rw-p 00001000 08:01 77                                 /bin/true
01000000-01021000 rw-p 00000000 00:00 0                                  [heap]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""
WORKLOAD = """\
{"file": {"size": 8192}}
{"file": {"size": 5000, "shared_memory": true}}
{"call": "mmap 10000000 4000 3 32 ff 0"}

{"touch": {"address": 268435456, "pages": 4, "kind": "write"}}
{"references": 2}
{"call": "munmap 10000000 4000"}
"""
TRACE = "I  10000000,3\n L 10001000,8\n L 10002000,8\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("maps", MAPS), ("calls", WORKLOAD), ("trace", TRACE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_workload_is_read(folder: Path) -> None:
    assert read_workload(folder / "calls") == Workload(
        (FileLine(8192), FileLine(5000, shared_memory=True)),
        (
            calls.Mmap(0x10000000, 0x4000, 3, 0x32),
            TouchLine(268435456, 4, "write"),
            2,
            calls.Munmap(0x10000000, 0x4000),
        ),
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("mmap", "calls:2: expected a step as JSON: JSON is malformed: invalid character"),
        ('{"call": "mmap 1"}', "calls:2: expected a call and its words, got 'mmap 1'"),
        ("{}", "calls:2: expected one of file, call, references, touch"),
        ('{"references": 1, "call": "fork"}', "calls:2: expected one of file, call, references, touch"),
        ('{"references": -1}', "calls:2: references: expected a number of references"),
        (
            '{"touch": {"address": -4}}',
            "calls:2: touch: expected an address below 2**59 and 1 to 2**28 pages",
        ),
        ('{"file": {"size": -1}}', "calls:2: size: expected a size of 0 to 2**40 bytes"),
        ('{"fly": 1}', "calls:2: expected a step as JSON: Object contains unknown field `fly`"),
    ],
)
def test_what_is_no_step_is_named(line: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_text('{"call": "fork"}\n' + line + "\n")
    with pytest.raises(BadEvidence) as caught:
        read_workload(path)
    assert why in str(caught.value)


def test_a_snapshot_becomes_areas(folder: Path) -> None:
    space, objects = (begin := from_maps(Arch.X86_64, folder / "maps")).space, begin.objects
    text, data, heap, stack = space.areas
    assert (text.flags & vm.VM_ACCESS, text.file, text.pgoff) == (5, FIRST_FILE, 0)
    assert (data.flags & vm.VM_ACCOUNT, data.file, data.pgoff) == (vm.VM_ACCOUNT, FIRST_FILE, 1)
    assert (heap.file, heap.pgoff) == (None, 0x1000)
    assert (space.start_brk, space.brk) == (0x1000000, 0x1021000)
    assert stack.flags & vm.VM_GROWSDOWN
    assert (space.total, space.stack) == (2 + 1 + 33 + 33, 33)
    assert {number: held.size for number, held in objects.items()} == {FIRST_FILE: 8192}


def test_areas_out_of_order_and_none_at_all(tmp_path: Path) -> None:
    path = tmp_path / "maps"
    path.write_text("".join(MAPS.splitlines(keepends=True)[1::-1]))
    with pytest.raises(BadEvidence, match="maps:2: expected areas in order, apart, and not empty"):
        from_maps(Arch.X86_64, path)
    path.write_text(MAPS.replace("00001000 08:01", "10000000000 08:01"))
    with pytest.raises(BadEvidence, match=r"maps:2: offset: expected files of up to 2\*\*40 bytes"):
        from_maps(Arch.X86_64, path)
    path.write_text(MAPS.splitlines(keepends=True)[-1])
    with pytest.raises(BadEvidence, match="maps: expected areas; there are none"):
        from_maps(Arch.X86_64, path)


def test_references_come_so_many_at_a_time() -> None:
    references = References(iter([np.arange(5), np.arange(5, 8)]))
    assert [part.tolist() for part in references.take(6)] == [[0, 1, 2, 3, 4], [5]]
    assert list(references.take(0)) == []
    assert [part.tolist() for part in references.take(None)] == [[6, 7]]
    assert list(references.take(3)) == []


def test_five_levels_are_refused_before_4_14() -> None:
    with pytest.raises(LinuxmmError, match=r"4\.4 has no tables of five levels: expected 4\.14 or later"):
        process_on("4.4", "x86-64-la57", 64, None, None)


def test_calls_and_references_in_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two references find what the touches left; the last is made after munmap."""
    asked = ["translate", str(folder / "trace"), "--calls", str(folder / "calls"), "--format", "x86-64"]
    assert main([*asked, "--memory", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trace"] == "trace"
    assert found["kernels"]["6.12.117"]["x86-64"] == {
        "references": 7, "first_hits": 1, "second_hits": 0, "table_walks": 0, "full_walks": 4,
        "minor": 4, "major": 0, "cow": 0, "stack": 0, "segv": 2, "bus": 0, "refused": 0,
        "resident": 0, "peak": 4, "tables": [0, 0, 0, 0, 1], "tables_peak": 4,
        "faults": 6, "refused_calls": 0,
    }  # fmt: skip
    assert main([*asked, "--memory", "16"]) == 0
    assert "6.12.117 x86-64" in capsys.readouterr().out


def test_a_snapshot_and_anonymous_memory(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["translate", str(folder / "trace"), "--format", "x86-64", "--memory", "16", "--json"]
    assert main([*asked, "--maps", str(folder / "maps")]) == 0
    report = json.loads(capsys.readouterr().out)["kernels"]["6.12.117"]["x86-64"]
    assert (report["segv"], report["resident"]) == (3, 0)
    assert main([*asked, "--kernel", "6.12.117"]) == 0
    report = json.loads(capsys.readouterr().out)["kernels"]["6.12.117"]["x86-64"]
    assert (report["segv"], report["minor"], report["resident"]) == (0, 3, 0)
    assert anonymous_everywhere(Arch.I386).space.total == (0xC0000000 >> 12) - 16


def test_what_does_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = ["translate", "--maps", str(folder / "maps"), "--calls", str(folder / "calls")]
    assert main(both) == 2
    assert "--maps and --calls: expected one of the two" in capsys.readouterr().err
    assert main(["translate", "--kernel", "6.12"]) == 2
    assert "expected a trace, or --calls with a workload" in capsys.readouterr().err
    assert main(["translate"]) == 2


def test_shared_and_private_files(folder: Path) -> None:
    workload = Workload(
        (FileLine(8192), FileLine(8192, shared_memory=True)),
        (
            calls.Mmap(0x10000000, 0x3000, 3, vm.MAP_PRIVATE | vm.MAP_FIXED, FIRST_FILE),
            calls.Mmap(0x20000000, 0x2000, 3, vm.MAP_SHARED | vm.MAP_FIXED, FIRST_FILE + 1),
            TouchLine(0x10000000, 3, "write"),
            TouchLine(0x20000000, 2, "write"),
            calls.Mprotect(0x1, 1, 1),
        ),
    )
    machine = process_on("6.12.117", "x86-64", 16, None, workload)
    run((machine,), workload, References(iter(())))
    report = machine.process.report
    assert (report.major, report.minor, report.bus, report.resident) == (2, 2, 1, 4)
    assert machine.refused_calls == 1
