"""Exact states of other areas say what the kernel's own files say; each edit of a state is noticed."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from linuxmm.oracle.formats.agreement import disagreements
from linuxmm.oracle.formats.areas import AREAS, area_file, area_state, has_area, packed, read_area
from linuxmm.oracle.formats.capture import open_capture
from linuxmm.oracle.formats.kernel_files import Map, maps, numbers_by_name, slabinfo, vmallocinfo
from linuxmm.spec.errors import BadEvidence

REAL = Path(__file__).parents[2] / "real" / "areas"
CAPTURES = sorted(path.name for path in REAL.iterdir() if (path / "marks").is_dir())
Edit = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize("name", CAPTURES)
def test_states_say_what_the_kernel_says(name: str) -> None:
    capture = open_capture(REAL / name)
    assert capture.marks
    for mark in capture.marks:
        assert [str(found) for found in disagreements(capture, mark)] == []


def test_every_area_has_a_real_state() -> None:
    seen = {
        area
        for name in CAPTURES
        for mark in open_capture(REAL / name).marks
        for area in AREAS
        if has_area(open_capture(REAL / name), mark, area)
    }
    assert seen == set(AREAS)


@pytest.mark.parametrize(("name", "mark", "area"), [("vm-space-6.1", "C", a) for a in ("tasks", "cache")])
def test_a_state_is_written_as_it_was_read(name: str, mark: str, area: str, tmp_path: Path) -> None:
    state = area_state(open_capture(REAL / name), mark, area)
    file = tmp_path / "state.json.gz"
    file.write_bytes(packed(state))
    assert read_area(file, area) == state


def _with_space(state: dict[str, Any]) -> dict[str, Any]:
    """The address space with something of everything: the parent's."""
    found: dict[str, Any] = max(state["tasks"], key=lambda task: sum(task["mm"]["rss"]))["mm"]
    return found


def _drop_vma(state: dict[str, Any]) -> None:
    del _with_space(state)["vmas"][2]


def _widen_vma(state: dict[str, Any]) -> None:
    _with_space(state)["vmas"][3]["flags"] |= 2


def _lose_leaf(state: dict[str, Any]) -> None:
    leaves = _with_space(state)["leaves"]
    leaves.remove(next(run for run in leaves if run[2] & 1 and not run[2] & 1 << 9))


def _lose_table(state: dict[str, Any]) -> None:
    _with_space(state)["tables"][0] -= 1


def _lose_area(state: dict[str, Any]) -> None:
    del state["busy"][5]


def _lose_vmalloc_page(state: dict[str, Any]) -> None:
    next(area for area in state["busy"] if area["frames"])["frames"].pop()


def _lose_cached_page(state: dict[str, Any]) -> None:
    file = next(file for mount in state["mounts"] for file in mount["files"] if file["runs"])
    file["runs"][0][2] -= 1


def _forge_file(state: dict[str, Any]) -> None:
    mount = next(mount for mount in state["mounts"] if mount["files"])
    mount["files"].append({"inode": 999, "path": "x", "nrpages": 1, "runs": [[0, 77, 1]]})


def _lose_huge_page(state: dict[str, Any]) -> None:
    state["pools"]["hugepages-2048kB"]["free"]["0"].pop()


def _reserve_huge_page(state: dict[str, Any]) -> None:
    state["pools"]["hugepages-2048kB"]["resv_huge_pages"] += 1


def _lose_free_object(state: dict[str, Any]) -> None:
    cache = next(c for c in state["caches"].values() if c["nodes"]["0"]["partial"])
    cache["nodes"]["0"]["partial"][0]["free"].pop()


def _lose_slab(state: dict[str, Any]) -> None:
    next(c for c in state["caches"].values() if c["nodes"]["0"]["nr_slabs"])["nodes"]["0"]["nr_slabs"] -= 1


def _lose_sharer(state: dict[str, Any]) -> None:
    state["stable"][0]["sharers"] -= 1


def _lose_stable_page(state: dict[str, Any]) -> None:
    state["stable"].pop()


def _lose_stored(state: dict[str, Any]) -> None:
    state["stored"].pop()


def _charge(state: dict[str, Any]) -> None:
    state["groups"][-1]["counters"]["memory"]["usage"] += 1


def _lift_limit(state: dict[str, Any]) -> None:
    state["groups"][1]["counters"]["memory"]["max"] += 1


EDITS: list[tuple[str, str, str, Edit, str]] = [
    ("vm-space-6.1", "C", "tasks", _drop_vma, "map_count"),
    ("vm-space-6.12", "C", "tasks", _widen_vma, "of the VMAs, found no such among the maps"),
    ("vm-space-6.1", "C", "tasks", _lose_leaf, "resident pages"),
    ("vm-space-6.12", "C", "tasks", _lose_table, "VmPTE in kB"),
    ("vm-space-6.1", "C", "vmalloc", _lose_area, "/proc/vmallocinfo pages"),
    ("vm-space-6.12", "C", "vmalloc", _lose_vmalloc_page, "expected pages"),
    ("vm-space-6.1", "C", "cache", _lose_cached_page, "nrpages"),
    ("vm-space-6.12", "C", "cache", _forge_file, "NR_FILE_PAGES"),
    ("vm-space-6.1", "C", "hugetlb", _lose_huge_page, "free_huge_pages on its lists"),
    ("vm-space-6.12", "C", "hugetlb", _reserve_huge_page, "resv_hugepages"),
    ("vm-space-6.1", "C", "slab", _lose_free_object, "free objects"),
    ("vm-space-6.12", "C", "slab", _lose_slab, "/proc/slabinfo"),
    ("dedup-ksm-6.12", "C", "ksm", _lose_sharer, "pages_shared and pages_sharing"),
    ("dedup-ksm-6.12", "C", "ksm", _lose_stable_page, "pages_shared"),
    ("tmem-zswap-6.12", "C", "zswap", _lose_stored, "stored_pages"),
    ("memcg-v2-6.12", "C", "memcg", _charge, "memory.current"),
    ("memcg-v1-6.12", "C", "memcg", _lift_limit, "memory.limit_in_bytes"),
]


@pytest.mark.parametrize(
    ("name", "mark", "area", "edit", "said"), EDITS, ids=lambda x: getattr(x, "__name__", "")
)
def test_an_edit_is_noticed(name: str, mark: str, area: str, edit: Edit, said: str, tmp_path: Path) -> None:
    copy = tmp_path / name
    shutil.copytree(REAL / name, copy)
    file = copy / area_file(mark, area)
    state = json.loads(gzip.decompress(file.read_bytes()))
    edit(state)
    file.write_bytes(gzip.compress(json.dumps(state).encode()))
    found = [str(finding) for finding in disagreements(open_capture(copy), mark)]
    assert any(said in finding for finding in found), found


def test_a_state_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "vmalloc.json.gz"
    file.write_bytes(gzip.compress(b'{"busy": [{"start": 1}]}'))
    with pytest.raises(BadEvidence, match=r"\$\.busy\[0\]: object missing required field `end`"):
        read_area(file, "vmalloc")
    file.write_bytes(gzip.compress(b"{"))
    with pytest.raises(BadEvidence, match="expected JSON"):
        read_area(file, "vmalloc")


def test_files_of_the_kernel() -> None:
    text = "0xff00-0xff04 4 a+0x1/0x2 pages=3 vmalloc\n0xff08-0xff0c 4 unpurged vm_area\nno area\n"
    assert vmallocinfo(text) == ({(0xFF00, 0xFF04): 3}, [(0xFF08, 0xFF0C)])
    assert numbers_by_name("MemFree:  12 kB\nanon 4096\nBad line here\n") == {"MemFree": 12, "anon": 4096}
    row = "dentry 10 21 192 21 1 : tunables 0 0 0 : slabdata 1 1 0"
    assert slabinfo(
        f"version\n# name\n{row}\n{row.replace('dentry', 'a')}\n{row.replace('dentry', 'a')}\n"
    ) == {"dentry": (21, 1, 21, 1)}
    smaps = "00001000-00003000 rw-s 00002000 00:02 6 /x\nRss:  8 kB\nSwap:  4 kB\n"
    vsyscall = "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n"
    assert maps(smaps + vsyscall) == [Map(0x1000, 0x3000, 0x83, 0x2000, 6, 8, 4)]
