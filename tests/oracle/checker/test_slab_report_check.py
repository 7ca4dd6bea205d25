"""Reports of SLAB's debugging, and its /proc/slabinfo, against the clauses; each planted fault is found."""

from pathlib import Path

import pytest

from linuxmm.model.debug.slab import CheckedCache, alloc, free, new_slab, write
from linuxmm.oracle.check import check
from linuxmm.oracle.checker.objects import judge_slabinfo
from linuxmm.oracle.checker.slab_reports import judge_slab_reports
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import kernel
from linuxmm.spec.verdict import Judgement, Verdict

FOLDER = Path(__file__).parents[2] / "real" / "areas" / "objects-slab-debug-6.1"
REPORTS = (FOLDER / "data" / "reports.txt").read_text()
SLABINFO = (FOLDER / "data" / "slabinfo-B.txt").read_text()


def reports(text: str) -> Judgement:
    judgement = Judgement()
    judge_slab_reports(judgement, text.splitlines())
    return judgement


def test_reports_of_a_real_kernel_conform() -> None:
    judgement = reports(REPORTS)
    assert (judgement.verdict, judgement.events, judgement.gaps) == (Verdict.CONFORMS, 6, {})
    assert {clause: tally.checked for clause, tally in judgement.clauses.items()} == {
        "debug.slab.red-words": 4,
        "debug.slab.lines": 2,
        "debug.slab.single-bit": 10,
        "debug.slab.neighbours": 4,
    }
    report = check(FOLDER, only="debug")
    assert (report.verdict, report.judgement.events) == (Verdict.CONFORMS, 6)


@pytest.mark.parametrize(
    ("old", "new", "clause", "observed", "permitted"),
    [
        (
            "memory outside object was overwritten",
            "double free detected",
            "debug.slab.red-words",
            "double free detected",
            "memory outside object was overwritten",
        ),
        (
            "redzone 2:0xd84156c563568811",
            "redzone 2:0xd84156c5635688c0",
            "debug.slab.red-words",
            "memory outside object was overwritten",
            "no report",
        ),
        ("33 6b 6b 6b 6b 6b 6b 6b ", "6b 6b 6b 6b 6b 6b 6b 6b ", "debug.slab.lines", "0x20", ""),
        (
            "020: 6b 6b 6b 6b 6b 6b 6b 6b 33",
            "028: 6b 6b 6b 6b 6b 6b 6b 6b 33",
            "debug.slab.lines",
            "0x28+16",
            "whole lines of the object",
        ),
        (
            "33 6b 6b 6b 6b 6b 6b 6b ",
            "6a 6b 6b 6b 6b 6b 6b 6b ",
            "debug.slab.single-bit",
            "line 0x20: nothing suspected",
            "6b 6b 6b 6b 6b 6b 6b 6b 6a 6b 6b 6b 6b 6b 6b 6b",
        ),
        (
            "Next obj: start=ff11000002862588",
            "Next obj: start=ff11000002862580",
            "debug.slab.neighbours",
            "Next at 0xff11000002862580, lines 0x0, 0x10",
            "at 0xff11000002862588, lines 0x0, 0x10",
        ),
    ],
)
def test_planted_faults_are_found(old: str, new: str, clause: str, observed: str, permitted: str) -> None:
    assert old in REPORTS
    judgement = reports(REPORTS.replace(old, new, 1))
    assert [(d.clause, d.observed, d.permitted) for d in judgement.divergences] == [
        (clause, observed, permitted)
    ]


def test_what_the_model_says_conforms_bad_memory_included() -> None:
    cache = CheckedCache("lab", 40)
    slab, pointer = alloc(new_slab(cache, 0xFF11000000001000), 1)
    slab = free(slab, pointer, 1)
    slab, _ = alloc(write(slab, pointer + 5, b"\x6a"), 1)  # one bit
    slab = write(free(slab, pointer, 1), pointer - 3, b"\x00")
    slab, _ = alloc(slab, 1)
    judgement = reports("\n".join(slab.log))
    assert (judgement.verdict, judgement.events) == (Verdict.CONFORMS, 2)
    unsuspected = [line for line in slab.log if not line.startswith(("Single", "Run"))]
    assert [d.clause for d in reports("\n".join(unsuspected)).divergences] == ["debug.slab.single-bit"]


def test_a_log_that_ends_within_a_report_is_incomplete() -> None:
    lines = REPORTS.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("slab error"))
    corrupt = next(number for number, line in enumerate(lines) if line.startswith("Slab corruption"))
    assert reports("\n".join(lines[: first + 3])).gaps == {"SLAB reports that do not show the red words": 1}
    torn = reports("\n".join(lines[: corrupt + 2]))
    assert (torn.verdict, torn.gaps) == (
        Verdict.INCOMPLETE,
        {"SLAB reports that do not show the object": 1},
    )


# ---- /proc/slabinfo ----------------------------------------------------------------------------------------


def slabinfo(text: str, version: str = "6.1.192") -> Judgement:
    judgement = Judgement()
    judge_slabinfo(judgement, text, kernel(version), 1, "B")
    return judgement


def test_caches_of_slab_have_the_slabs_and_arrays_of_the_formulas() -> None:
    judgement = slabinfo(SLABINFO)
    assert (judgement.verdict, judgement.events) == (Verdict.CONFORMS, 122)
    assert judgement.clauses["objects.slab.layout"].checked == 122


@pytest.mark.parametrize(
    ("old", "new", "clause"),
    [
        (" 88   46    1 ", " 88   45    1 ", "objects.slab.layout"),
        (" 88   46    1 ", " 88   93    2 ", "objects.slab.layout"),
        ("tunables   32   16    0", "tunables   54   16    0", "objects.slab.arrays"),
        ("tunables   32   16    0", "tunables   32   16    8", "objects.slab.arrays"),
    ],
)
def test_faults_planted_in_slabinfo_are_found(old: str, new: str, clause: str) -> None:
    assert old in SLABINFO
    assert [d.clause for d in slabinfo(SLABINFO.replace(old, new, 1)).divergences] == [clause]


def test_a_torn_slabinfo_is_refused() -> None:
    with pytest.raises(BadEvidence, match="expected 16 words"):
        slabinfo(SLABINFO.rstrip("\n").rsplit(" ", 3)[0])
