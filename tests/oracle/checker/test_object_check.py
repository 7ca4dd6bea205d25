"""`check` judges object allocators wherever a capture shows them; every planted fault is caught."""

import shutil
from pathlib import Path

import pytest

from linuxmm.oracle.check import AREAS, check
from linuxmm.oracle.checker.objects import judge_kmem, judge_limits, judge_slabinfo
from linuxmm.oracle.faults_objects import OBJECT_FAULTS, ObjectFault, try_objects
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.object_evidence import has_objects, kmem_traces, slabinfo_files
from linuxmm.oracle.trace_lines import text_lines
from linuxmm.spec.errors import BadEvidence, LinuxmmError
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement, Verdict

AREA_CAPTURES = Path(__file__).parents[2] / "real" / "areas"
SLUB = AREA_CAPTURES / "objects-slub-6.1"
SPACE = AREA_CAPTURES / "vm-space-6.12"


def test_objects_are_an_area_with_a_judge() -> None:
    assert AREAS == ("alloc", "objects", "large", "reclaim", "defrag", "memcg", "debug", "pmem")
    names = ", ".join(AREAS)
    with pytest.raises(LinuxmmError, match=f"area 'vm' has no judge yet; built: {names}"):
        check(SLUB, only="vm")
    with pytest.raises(LinuxmmError, match="give a capture folder"):
        check(SLUB / "trace/slub.txt.gz", only="objects")


def test_a_recording_of_objects_conforms() -> None:
    report = check(SLUB, only="objects")
    assert (report.verdict, report.areas, report.judgement.divergences) == (
        Verdict.CONFORMS,
        ("objects",),
        [],
    )
    assert {id: tally.checked for id, tally in report.judgement.clauses.items()} == {
        "objects.handed-out-once": 314,
        "objects.kmalloc.class": 58,
        "objects.slub.order": 400,
    }


@pytest.mark.parametrize("name", ["vm-space-6.12", "debug-leak-6.12", "objects-slub-debug-6.12"])
def test_states_of_slub_conform(name: str) -> None:
    report = check(AREA_CAPTURES / name, only="objects")
    assert (report.verdict, report.judgement.gaps) == (Verdict.CONFORMS, {})
    assert report.judgement.clauses["objects.slub.nr-partial"].checked > 100
    assert report.judgement.clauses["objects.slub.listed"].checked > 10


def test_by_default_objects_are_judged_where_a_capture_shows_them(tmp_path: Path) -> None:
    report = check(SLUB)
    assert (report.verdict, report.areas) == (Verdict.CONFORMS, ("alloc", "objects"))
    assert report.judgement.clauses["objects.kmalloc.class"].checked == 58
    shutil.copytree(SLUB, tmp_path / "c")
    files = ("data/slabinfo.txt", "data/slabinfo_after.txt", "trace/slub.events")
    for file in files:
        (tmp_path / "c" / file).unlink()
    assert not has_objects(open_capture(tmp_path / "c"))
    assert check(tmp_path / "c").areas == ("alloc",)
    alone = check(tmp_path / "c", only="objects")
    assert alone.verdict is Verdict.INCOMPLETE
    missing = {f"{file}: named in capture.json, and not in the capture": 1 for file in files}
    assert alone.judgement.gaps == {**missing, "the capture shows nothing of area 'objects'": 1}


def test_a_kernel_without_slub_leaves_a_gap() -> None:
    report = check(SLUB, version="2.6.21")
    assert report.verdict is Verdict.INCOMPLETE
    assert [gap for gap in report.judgement.gaps if gap.startswith("area objects: rule")]


@pytest.mark.parametrize("fault", OBJECT_FAULTS, ids=lambda fault: fault.name)
def test_every_planted_fault_is_caught(fault: ObjectFault, tmp_path: Path) -> None:
    outcomes = [try_objects(open_capture(folder), fault, tmp_path / folder.name) for folder in (SLUB, SPACE)]
    assert any(outcome.caught for outcome in outcomes)
    assert [outcome for outcome in outcomes if outcome.caught is False] == []


def test_what_is_judged_of_a_capture() -> None:
    slub, space = open_capture(SLUB), open_capture(SPACE)
    assert list(kmem_traces(slub)) == ["slub"]
    assert list(kmem_traces(space)) == []
    assert [where for where, _ in slabinfo_files(slub)] == ["data/slabinfo.txt", "data/slabinfo_after.txt"]
    assert [where for where, _ in slabinfo_files(space)] == ["mark A", "mark C", "mark B"]


def test_orders_set_by_the_command_line_are_not_judged(tmp_path: Path) -> None:
    shutil.copytree(SLUB, tmp_path / "c")
    file = tmp_path / "c" / "capture.json"
    file.write_text(file.read_text().replace("slab_nomerge", "slub_max_order=0"))
    report = check(tmp_path / "c", only="objects")
    assert report.judgement.gaps == {
        "the command line sets slub_max_order=0: orders of slabs are not judged": 1
    }
    assert "objects.slub.order" not in report.judgement.clauses


def test_slabinfo_of_slab_and_of_nothing() -> None:
    judgement = Judgement()
    row = "size-8 1 2 8 113 1 : tunables 120 60 0 : slabdata 1 1 0"
    judge_slabinfo(judgement, f"a\nb\n{row}\n", kernel("3.18"), 1, "mark A")
    why = "rule 'objects.slab-layout' has no behaviour registered for kernel 3.18"
    assert judgement.gaps == {f"slabs of SLAB: {why}": 1}
    assert judgement.clauses == {}
    empty = "size-8 1 2 0 113 1 : tunables 0 0 0 : slabdata 1 1 0"
    with pytest.raises(BadEvidence, match="info:3: expected a size, objects and pages above 0"):
        judge_slabinfo(judgement, f"a\nb\n{empty}\n", kernel("6.1"), 1, "mark A", "info")


def test_a_release_in_bulk_that_is_seen_ends_what_is_known() -> None:
    grant = "t-1 [000] ..... 1.0: kmem_cache_alloc: call_site=f ptr=40 bytes_req=8 bytes_alloc=8"
    judgement = Judgement()
    judge_kmem(
        judgement, [grant, "t-1 [000] ..... 1.1: rcu_invoke_kfree_bulk_callback: x", grant], kernel("6.1")
    )
    assert (judgement.divergences, judgement.gaps) == ([], {})
    judge_kmem(
        judgement, [grant.replace("kmem_cache_alloc", "kmalloc").replace("bytes_req=8", "")], kernel("6.1")
    )
    assert judgement.gaps == {"a kmalloc event without its sizes": 1}


def test_a_text_without_an_end(tmp_path: Path) -> None:
    judgement = Judgement()
    file = tmp_path / "t"
    file.write_bytes(b"one\ntwo\nthr")
    assert list(text_lines(judgement, file)) == ["one", "two"]
    assert judgement.gaps == {"the text is torn: the last line has no end": 1}
    file.write_bytes(b"one\n" + b"x" * (1 << 17))
    assert list(text_lines(judgement, file)) == ["one"]
    assert judgement.gaps["the text is torn: a line has more than 65536 bytes"] == 1


def test_a_watched_cache_keeps_no_slabs_for_cpus() -> None:
    """Flags as 6.1 and as 6.12 number them: red zones and poison, and none of the kind."""
    for version, watched, plain in (("6.1", 0xC00, 0x42000), ("6.12.117", 0x187, 0x52100)):
        for flags, kept, holds in ((watched, 0, True), (watched, 120, False), (plain, 120, True)):
            judgement = Judgement()
            judge_limits(judgement, "here", kernel(version), 64, 5, kept, flags)
            assert (judgement.clauses["objects.slub.limits"].broken == 0) == holds
    judgement = Judgement()
    judge_limits(judgement, "here", kernel("6.1"), 64, None, 120, None)
    assert judgement.clauses["objects.slub.limits"].checked == 1
