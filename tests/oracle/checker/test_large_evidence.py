"""vmalloc and CMA of real kernels against the clauses; each planted fault is found.

large_evidence/: recorded on Debian's 6.1.192 and on 6.1 built with CMA, in a QEMU guest; the areas before and
after, the probes of mm/vmalloc.c between them, and the cma events of a guest that took and gave back ranges.
"""

import gzip
import shutil
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.large import (
    Before,
    SeenArea,
    SeenCma,
    bitmap_of,
    judge_chunk,
    judge_cma,
    judge_placements,
    judge_vmalloc,
    predicted_chunk,
    read_vmallocinfo,
    reserved_area,
)
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.areas import VmallocState, area_state
from linuxmm.oracle.large_states import judge_vmalloc_state
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Kernel, kernel
from linuxmm.spec.verdict import Judgement, Verdict

REAL = Path(__file__).parents[2] / "real"
HERE = Path(__file__).parent / "large_evidence"
CMA_6_1 = SeenCma(113664, 16384)


def lines_of(file: Path) -> list[str]:
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def state_of(name: str, mark: str) -> tuple[VmallocState, Kernel]:
    capture = open_capture(REAL / "areas" / name)
    state = area_state(capture, mark, "vmalloc")
    assert isinstance(state, VmallocState)
    return state, kernel(capture.description.kernel.release)


@pytest.mark.parametrize("name", ["vm-space-6.1", "vm-space-6.12"])
@pytest.mark.parametrize("mark", ["A", "B", "C"])
def test_areas_of_real_kernels_keep_the_clauses(name: str, mark: str) -> None:
    state, profile = state_of(name, mark)
    judgement = Judgement()
    judge_vmalloc_state(judgement, state, profile, mark)
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["large.vmalloc.disjoint"].checked > 80
    assert judgement.clauses["large.vmalloc.pages"].checked > 200
    assert judgement.clauses["large.vmalloc.lowest"].checked > 3


def test_vmallocinfo_of_every_shipped_capture() -> None:
    judgement = Judgement()
    files = sorted(REAL.glob("**/marks/*/proc/vmallocinfo"))
    for file in [*files, HERE / "vmallocinfo-6.1.before", HERE / "vmallocinfo-6.1.after"]:
        busy, lazy = read_vmallocinfo(file.read_text(), str(file))
        judge_vmalloc(judgement, busy, lazy, None, file.name)
    assert judgement.divergences == []
    assert judgement.events > 3000


def test_a_real_kernel_takes_the_lowest_place_and_nothing_before_its_flush() -> None:
    judgement = Judgement()
    reused = judge_placements(judgement, lines_of(HERE / "vmalloc-6.1.txt.gz")).reused
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["large.vmalloc.lowest"].checked > 20
    assert reused >= 5


def test_planted_faults_of_placement_are_found() -> None:
    lines = lines_of(HERE / "vmalloc-6.1.txt.gz")
    late = "ret=0xffa000000058d000"
    last = max(number for number, line in enumerate(lines) if late in line)
    higher = [*lines[:last], lines[last].replace(late, "ret=0xffa0000009999000"), *lines[last + 1 :]]
    judgement = Judgement()
    judge_placements(judgement, higher)
    assert {each.clause for each in judgement.divergences} == {"large.vmalloc.lowest"}
    assert judgement.divergences[0].line == last + 1
    twice = [
        "a-1 x: vmnode: (f) size=1",
        "a-1 x: vaarea: (f) size=8192 align=1 vs=0x1000 ve=0x100000",
        "a-1 x: vmnode_r: (f) ret=0x2000",
    ]
    judgement = Judgement()
    judge_placements(judgement, twice * 2)
    assert [each.clause for each in judgement.divergences] == ["large.vmalloc.disjoint"]
    judgement = Judgement()
    judge_placements(judgement, [*twice, "a-1 x: freeva: (f) va=1 start=0x2000 end=0x4000", *twice])
    assert [each.clause for each in judgement.divergences] == ["large.vmalloc.flushed"]
    judgement = Judgement()
    freed = ["a-1 x: freeva: (f) va=1 start=0x2000 end=0x4000", "a-1 x: purge: (f) s=1 e=0"]
    assert judge_placements(judgement, [*twice, *freed, *twice]) == (1, 0, 0, ())
    assert judgement.verdict is Verdict.CONFORMS


PLACED = ("large-vmalloc-6.1", "large-vmalloc-6.12")
STACK = 16384


def between(name: str) -> tuple[list[str], Before, VmallocState]:
    """The trace of a capture between its marks, and the areas at both."""
    lines = lines_of(REAL / "areas" / name / "trace" / "vmalloc.txt.gz")
    first = next(number for number, line in enumerate(lines) if "SYNC A end" in line)
    last = next(number for number, line in enumerate(lines) if "SYNC B begin" in line)
    before, after = state_of(name, "A")[0], state_of(name, "B")[0]
    busy = tuple(SeenArea(area.start, area.end) for area in before.busy)
    return lines[first + 1 : last], Before(busy, tuple(before.lazy)), after


@pytest.mark.parametrize(("name", "placed"), [("large-vmalloc-6.1", 59), ("large-vmalloc-6.12", 61)])
def test_every_placement_is_predicted_whatever_its_alignment(name: str, placed: int) -> None:
    lines, before, after = between(name)
    asked = [line for line in lines if ": vaarea: " in line]
    assert sum(f"align={STACK} " in line for line in asked) == 20  # kernel stacks
    assert sum("align=2097152 " in line for line in asked) == 1  # a huge area
    judgement = Judgement()
    found = judge_placements(judgement, lines, before)
    assert (judgement.verdict, judgement.gaps) == (Verdict.CONFORMS, {})
    assert (found.predicted, found.among) == (placed, 0) == (len(asked), 0)
    assert found.known == tuple(sorted([*((a.start, a.end) for a in after.busy), *after.lazy]))


@pytest.mark.parametrize("name", PLACED)
def test_an_aligned_area_elsewhere_is_found_with_states_and_without(name: str) -> None:
    lines, before, _ = between(name)
    asked = [number for number, line in enumerate(lines) if f"align={STACK} " in line][-1]
    number = next(at for at in range(asked, len(lines)) if ": vaarea_r: " in lines[at])
    start = lines[number].rpartition("start=0x")[2]
    for moved in (STACK, -STACK, 4096):
        wrong = list(lines)
        wrong[number] = lines[number].replace(start, f"{int(start, 16) + moved:x}")
        judgement = Judgement()
        judge_placements(judgement, wrong, before)
        assert "large.vmalloc.lowest" in {each.clause for each in judgement.divergences}
        assert judgement.divergences[0].line == number + 1
    unaligned = Judgement()
    judge_placements(unaligned, wrong)
    assert "large.vmalloc.lowest" in {each.clause for each in unaligned.divergences}


def test_without_states_an_aligned_area_stands_at_no_higher_than_a_hole_that_surely_serves() -> None:
    asked = "a-1 x: vaarea: (f) size=0x5000 align=16384 vs=0x100000 ve=0xf00000"
    holes = ["a-1 x: freeva: (f) start=0x101000 end=0x120000", "a-1 x: purge: (f) s=1 e=0"]
    for start, right in (("0x104000", True), ("0x100000", True), ("0x108000", False), ("0xf04000", False)):
        judgement = Judgement()
        judge_placements(judgement, [*holes, asked, f"a-1 x: vaarea_r: (f) start={start}"])
        assert (judgement.divergences == []) is right, start
    judgement = Judgement()
    lines = [asked, "a-1 x: vaarea_r: (f) start=(fault)", asked, "a-1 x: vaarea_r: (f) va=0xff11"]
    found = judge_placements(judgement, lines, Before((), ()))
    assert (found.known, list(judgement.gaps)) == (
        (),
        ["the answer to a request for an area is not in the trace"],
    )


@pytest.mark.parametrize("name", PLACED)
def test_check_holds_the_second_state_against_the_events(name: str, tmp_path: Path) -> None:
    report = check(REAL / "areas" / name, only="large")
    assert (report.verdict, report.judgement.gaps) == (Verdict.CONFORMS, {})
    assert report.judgement.clauses["large.vmalloc.accounted"].checked == 1
    copy = Path(shutil.copytree(REAL / "areas" / name, tmp_path / "c"))
    file = copy / "trace" / "vmalloc.txt.gz"
    lines = lines_of(file)
    end = next(number for number, line in enumerate(lines) if "SYNC B begin" in line)
    asked = max(number for number, line in enumerate(lines[:end]) if f"align={STACK} " in line)
    answer = next(number for number in range(asked, end) if ": vaarea_r: " in lines[number])
    kept = [line for number, line in enumerate(lines) if number not in (asked, answer)]
    file.write_bytes(gzip.compress("\n".join([*kept, ""]).encode()))
    planted = check(copy, only="large").judgement.divergences
    assert "large.vmalloc.accounted" in {each.clause for each in planted}


def test_chunks_of_every_shipped_capture_stand_at_the_highest_base() -> None:
    seen = 0
    for file in sorted(REAL.glob("**/marks/*/proc/vmallocinfo")):
        busy, _ = read_vmallocinfo(file.read_text(), str(file))
        found = predicted_chunk(busy)
        if found is not None:
            assert found[0] == found[1], file
            seen += 1
    assert seen > 60


def test_a_chunk_above_its_room_is_found() -> None:
    top = 0xFFD1_FFFF_FFC0_0000
    for start, right in ((top, True), (top - (1 << 22), True), (top + (1 << 21), False), (top + 4096, False)):
        judgement = Judgement()
        judge_chunk(judgement, [SeenArea(start, start + (1 << 21), chunk=True)], 1, "w")
        assert (judgement.divergences == []) is right
        judge_chunk(judgement, [SeenArea(start, start + (1 << 21), chunk=True)], 2, "w")
        assert judgement.clauses["large.vmalloc.top-down"].checked == 1


def test_lines_that_are_none_of_vmallocinfo_are_refused() -> None:
    with pytest.raises(BadEvidence, match="info:1: expected 0xSTART-0xEND BYTES"):
        read_vmallocinfo("0x0-0x1000 17 f\n", "info")


def test_cma_of_6_12_hands_out_lowest_and_takes_back() -> None:
    capture = open_capture(REAL / "alloc-cma-6.12")
    dmesg = capture.file("logs/dmesg.txt")
    area = reserved_area(dmesg.read_text(), str(dmesg))
    judgement = Judgement()
    lines = lines_of(capture.file("trace/alloc.txt.gz"))
    bitmap = judge_cma(judgement, lines, area, kernel("6.12.117"))
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.events == 7
    assert area.base == 0x7E00
    assert bitmap.bit_count() == 100 + 1000 + 2048 - 1100


def test_cma_of_6_1_ends_with_the_bitmap_that_the_kernel_shows() -> None:
    judgement = Judgement()
    lines = lines_of(HERE / "cma-6.1.txt.gz")
    first = [line for line in lines if ": cma_" in line][:2]
    assert judge_cma(Judgement(), first, CMA_6_1, kernel("6.1")) == bitmap_of(
        "4294967295 4294967295 4294967295 15"
    )
    judge_cma(judgement, lines, CMA_6_1, kernel("6.1"))
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["large.cma.lowest"].checked >= 3


START = "x: cma_alloc_start: name=r count=4 align=2"


def test_a_busy_place_is_passed_over() -> None:
    clean = Judgement()
    right = [
        START,
        "x: cma_alloc_busy_retry: name=r pfn=0x40 page=1 count=4 align=2",
        "x: cma_alloc_finish: name=r pfn=0x44 page=1 count=4 align=2 errorno=0",
        "x: cma_release: name=r pfn=0x44 page=1 count=4",
        START,
        "x: cma_alloc_finish: name=r pfn=0x0 page=0 count=4 align=2 errorno=-16",
    ]
    assert judge_cma(clean, right, SeenCma(0x40, 64), kernel("6.12")) == 0
    assert clean.verdict is Verdict.CONFORMS
    with pytest.raises(BadEvidence, match="expected a line: cma: Reserved"):
        reserved_area("", "dmesg")
