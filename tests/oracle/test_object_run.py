"""`linuxmm run --objects`: recorded kmem events on SLUB of any version."""

import json
from pathlib import Path

import pytest

from linuxmm.oracle.cli.application import main
from linuxmm.oracle.object_run import lines_of, read_recording, replay_objects, slabinfo
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel

KMEM = Path(__file__).parent / "checker/kmem-6.1.txt.gz"
LINE = "t-1 [{}] ..... 1.0: {}: call_site=f ptr={:016x}"
SIZES = " bytes_req={} bytes_alloc={} gfp_flags=GFP_KERNEL"


def _line(event: str, pointer: int, asked: int = -1, granted: int = -1, cpu: str = "000") -> str:
    return LINE.format(cpu, event, pointer) + (SIZES.format(asked, granted) if asked >= 0 else "")


def test_events_become_operations() -> None:
    lines = [
        "# tracer: nop",
        _line("kmalloc", 0x40, 90, 96),
        _line("kmem_cache_alloc", 0x80, 200, 208, "001"),
        _line("kmem_cache_alloc", 0x100, 10, 16) + " name=dentry",
        _line("kfree", 0x40, cpu="001"),
        _line("kfree", 0xDEAD),
        _line("kfree", 0),
        _line("kmalloc", 0x40, 9000, 16384),
        _line("kmalloc", 0x40, 8, 8),
        _line("kmalloc", 0, 8, 8),
    ]
    found = read_recording("t", lines)
    assert found.rows.tolist() == [
        [3, 0, 90, 0],
        [0, 1, 0, 1],
        [0, 0, 1, 2],
        [1, 1, 0, 0],
        [3, 0, 9000, 0],
        [1, 0, 0, 0],
        [3, 0, 8, 0],
    ]
    assert found[1:] == (("size-208", "dentry"), (208, 16), 3, 2, 1)
    done = replay_objects(found, kernel("6.1.192"), 1 << 10)
    assert done.totals[1:] == (5, 0, 2, 0, 0, 0, 0, 0)
    rows = [line.split()[:6] for line in slabinfo(done.caches).splitlines()[2:]]
    assert rows == [
        ["size-208", "19", "19", "208", "19", "1"],
        ["dentry", "256", "256", "16", "256", "1"],
        ["kmalloc-8", "512", "512", "8", "512", "1"],
        ["kmalloc-96", "42", "42", "96", "42", "1"],
    ]


@pytest.mark.parametrize("version", ["3.4", "6.1.192", "6.12.117"])
def test_a_recording_of_a_real_kernel_runs_on_any_version(
    version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(KMEM), "--objects", "--kernel", version, "--json", "--memory", "64"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["totals"]["failed"] == 0
    assert found["operations"] == found["totals"]["allocated"] + found["totals"]["freed"] > 300
    assert found["slabinfo"][0] == "slabinfo - version: 2.1"
    pages = sum(int(row.split()[5]) * int(row.split()[14]) for row in found["slabinfo"][2:])
    assert pages == found["pages"]
    assert main(["run", str(KMEM), "--objects", "--kernel", version, "--memory", "64"]) == 0
    assert f"allocated {found['totals']['allocated']}\n" in capsys.readouterr().out


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEvidence, match="expected kmem events"):
        read_recording("t", ["# nothing"])
    with pytest.raises(BadEvidence, match="t:1: bytes_req: expected a number up to 16777215, got ''"):
        read_recording("t", [_line("kmalloc", 1)])
    torn = tmp_path / "torn.gz"
    torn.write_bytes(KMEM.read_bytes()[:100])
    for path in (torn, tmp_path / "absent.txt"):
        with pytest.raises(BadEvidence, match="cannot be read"):
            list(lines_of(str(path)))
