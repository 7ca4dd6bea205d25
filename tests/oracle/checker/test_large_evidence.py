"""vmalloc and CMA of real kernels against the clauses; each planted fault is found.

large_evidence/: recorded on Debian's 6.1.192 and on 6.1 built with CMA, in a QEMU guest; the areas before and
after, the probes of mm/vmalloc.c between them, and the cma events of a guest that took and gave back ranges.
"""

import gzip
from pathlib import Path

import pytest

from linuxmm.oracle.checker.large import (
    SeenCma,
    bitmap_of,
    judge_cma,
    judge_placements,
    judge_vmalloc,
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
    reused = judge_placements(judgement, lines_of(HERE / "vmalloc-6.1.txt.gz"))
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
    assert judge_placements(judgement, [*twice, *freed, *twice]) == 1
    assert judgement.verdict is Verdict.CONFORMS


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
