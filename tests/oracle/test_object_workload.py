"""Workloads of objects as JSON lines: what they mean, and what is refused."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.cli.application import main
from linuxmm.oracle.object_run import replay_objects
from linuxmm.oracle.object_workload import read_objects, read_workload
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel

LINES = [
    '{"op": "cache", "name": "dentry", "size": 192}',
    "",
    '{"op": "cache", "name": "inode", "size": 640}',
    '{"op": "alloc_bulk", "cache": "inode", "slot": 0, "count": 16, "cpu": 1}',
    '{"op": "alloc", "cache": "dentry", "slot": 20}',
    '{"op": "kmalloc", "slot": 16, "size": 100}',
    '{"op": "krealloc", "slot": 16, "size": 300, "zero": true}',
    '{"op": "krealloc", "slot": 16, "size": 400, "zero": true}',
    '{"op": "ksize", "slot": 16}',
    '{"op": "destroy", "cache": "inode"}',
    '{"op": "free_bulk", "slot": 0, "count": 16}',
    '{"op": "destroy", "cache": "inode"}',
    '{"op": "flush", "cache": "dentry"}',
    '{"op": "shrink", "cache": "dentry"}',
    '{"op": "free", "slot": 20}',
]


def test_lines_become_operations() -> None:
    found = read_workload("w", LINES)
    assert found.rows.tolist() == [
        [4, 1, 1 | 16 << 12, 0],
        [0, 0, 0, 20],
        [3, 0, 100, 16],
        [7, 0, 300, 16],
        [7, 0, 400, 16],
        [8, 0, 0, 16],
        [10, 0, 1, 0],
        [5, 0, 16, 0],
        [10, 0, 1, 0],
        [2, 0, 0, 0],
        [9, 0, 0, 0],
        [1, 0, 0, 20],
    ]
    assert found[1:] == (("dentry", "inode"), (192, 640), 21, 2, 0)
    totals = replay_objects(found, kernel("6.12.117"), 1 << 10).totals._asdict()
    assert totals | {"checksum": 0} == {
        "checksum": 0,
        "allocated": 19,
        "failed": 0,
        "freed": 18,
        "moved": 1,
        "copied": 128,
        "cleared": 512 + 112,
        "destroyed": 1,
        "busy": 1,
    }


def test_the_command_runs_a_workload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "objects.jsonl"
    file.write_text("\n".join(LINES) + "\n")
    arguments = ["run", str(file), "--objects", "--kernel", "6.12.117", "--memory", "64", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operations"], found["totals"]["moved"]) == (12, 1)
    rows = [line.split()[:2] for line in found["slabinfo"][2:]]
    assert rows == [["dentry", "0"], ["kmalloc-128", "32"], ["kmalloc-512", "16"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "w:1: expected an operation as JSON"),
        ('{"op": "steal", "slot": 1}', "w:1: expected an operation as JSON"),
        ('{"op": "free"}', "w:1: slot: free needs slot, and slot is missing"),
        ('{"op": "free", "slot": 1, "size": 2}', "w:1: size: free needs slot, and size is not for it"),
        ('{"op": "alloc", "slot": 1, "cache": "c"}', "w:1: cache: no cache is called 'c' so far"),
        ('{"op": "kmalloc", "slot": 1, "size": -1}', "w:1: size: expected 0 to 16777215, got -1"),
        ('{"op": "kmalloc", "slot": 8388608, "size": 1}', "w:1: slot: expected 0 to 8388607, got 8388608"),
        ('{"op": "kmalloc", "slot": 1, "size": 1, "zero": true}', "w:1: zero: zero is for krealloc"),
        ('{"op": "kmalloc", "slot": 1, "size": 1, "cpu": 256}', "w:1: cpu: expected 0 to 255, got 256"),
        ('{"op": "free_bulk", "slot": 8388600, "count": 9}', "w:1: slot: expected slots below 8388608"),
        ('{"op": "free_bulk", "slot": 0, "count": 0}', "w:1: count: expected 1 to 4095, got 0"),
        ('{"op": "cache", "name": "c", "size": 12}', "w:1: size: expected a multiple of 8"),
        ("", "w: expected operations; there are none"),
    ],
)
def test_what_is_no_workload_is_refused(line: str, message: str) -> None:
    with pytest.raises(BadEvidence) as caught:
        read_workload("w", [line])
    assert str(caught.value).startswith(message)


def test_names_are_given_once_and_forms_are_told_apart() -> None:
    with pytest.raises(BadEvidence, match="w:2: name: expected a new name, got 'c'"):
        read_workload("w", ['{"op": "cache", "name": "c", "size": 8}'] * 2)
    with pytest.raises(BadEvidence, match="expected kmem events"):
        read_objects("w", ["# tracer: nop"])
    assert len(read_objects("w", LINES).rows) == 12
