"""Every fault of the judged areas is caught in a copy of a real capture; every clause judged there breaks."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from linuxmm.oracle.check import AREAS, check, shows
from linuxmm.oracle.faults_areas import AREA_FAULTS, area_fault, change_of, looked_at, try_area
from linuxmm.oracle.faults_plant import Edit, dropped, fault, line, plant_edits, put, repeated
from linuxmm.oracle.faults_table import area_outcomes
from linuxmm.oracle.formats import absences, open_capture
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.verdict import Verdict

REAL = Path(__file__).parents[2] / "real"
CAPTURES = {
    "reclaim": (
        "alloc-numa-6.1",
        "areas/memcg-v2-6.12",
        "areas/reclaim-lru-6.1",
        "areas/reclaim-mglru-6.12",
        "areas/reclaim-mglru-6.1",
    ),
    "defrag": ("alloc-cma-6.12", "alloc-compaction-6.12", "alloc-compaction-6.1"),
    "memcg": ("areas/memcg-v1-6.12", "areas/memcg-v2-6.12"),
    "large": (
        "areas/large-vmalloc-6.12",
        "areas/large-vmalloc-6.1",
        "alloc-cma-6.12",
        "areas/vm-space-6.12",
        "areas/vm-space-6.1",
    ),
    "debug": (
        "areas/debug-slub-6.1",
        "areas/objects-slub-debug-6.12",
        "areas/debug-kasan-6.12",
        "areas/debug-leak-6.12",
        "areas/debug-ptdump-6.12",
        "areas/objects-slab-debug-6.1",
    ),
    "pmem": ("areas/pmem-dax-6.12",),
}
"""Of each area the shipped captures with all its clauses, those first that are judged soonest."""
EVERY = [(area, fault.name) for area, faults in AREA_FAULTS.items() for fault in faults]


@cache
def looked(area: str, capture: str) -> frozenset[str]:
    return looked_at(open_capture(REAL / capture), area)


@pytest.mark.parametrize(("area", "name"), EVERY)
def test_every_fault_is_caught(area: str, name: str, tmp_path: Path) -> None:
    fault = area_fault(area, name)
    for capture in CAPTURES[area]:
        outcome = try_area(
            open_capture(REAL / capture), area, fault, looked(area, capture), tmp_path / Path(capture).name
        )
        if outcome.caught is not None:
            break
    assert outcome.caught, outcome


def shipped() -> Iterator[Path]:
    return (file.parent for file in sorted(REAL.glob("**/capture.json")))


@pytest.mark.parametrize("area", AREA_FAULTS)
def test_every_clause_that_is_judged_is_broken_by_a_fault(area: str) -> None:
    faults = AREA_FAULTS[area]
    broken = {fault.clause for fault in faults if fault.clause}
    judged = {clause for capture in CAPTURES[area] for clause in looked(area, capture)}
    assert broken == judged
    assert sum(bool(fault.clause) for fault in faults) >= 8
    assert len({fault.name for fault in faults}) == len(faults)
    others = [capture for capture in shipped() if str(capture.relative_to(REAL)) not in CAPTURES[area]]
    for capture in others:
        if shows(capture, area):
            assert looked(area, str(capture.relative_to(REAL))) <= judged


def test_every_judged_area_has_faults() -> None:
    assert set(AREAS) - {"alloc", "objects"} == set(AREA_FAULTS)


def test_a_capture_without_a_place_for_a_fault(tmp_path: Path) -> None:
    capture = open_capture(REAL / "areas/memcg-v1-6.12")
    seen = looked("memcg", "areas/memcg-v1-6.12")
    outcome = try_area(capture, "memcg", area_fault("memcg", "swap-child-above"), seen, tmp_path / "a")
    assert (outcome.verdict, outcome.caught) == ("no place", None)
    outcome = try_area(capture, "memcg", area_fault("memcg", "stat-sum-off"), seen, tmp_path / "b")
    assert outcome.found == "the capture has nothing that memcg.stat.sums is about"
    assert list(tmp_path.iterdir()) == [], "nothing half-written"
    with pytest.raises(LinuxmmError, match="no fault 'x' of area memcg; there are activated-unrefaulted, "):
        area_fault("memcg", "x")


def test_rows_of_a_capture_are_those_of_what_it_shows() -> None:
    rows = list(area_outcomes(open_capture(REAL / "areas/debug-leak-6.12")))
    assert {row.judged for row in rows} == {"large", "debug"}
    found = [(row.fault, row.must, row.verdict, row.found, row.caught, row.alone) for row in rows]
    assert ("leak-text", "debug.kmemleak.dumped", "diverges", "debug.kmemleak.dumped", True, True) in found
    assert [row[:3] for row in found if row[0] == "list-removed"] == [
        ("list-removed", "incomplete", "incomplete")
    ]


# ---- edits -------------------------------------------------------------------------------------------------


def test_edits_of_lines() -> None:
    lines = b"one 1\ntwo 2\none 3\n"
    assert line("^one", r"\d", "9", 1)(lines) == b"one 1\ntwo 2\none 9\n"
    assert line("^one", r"\d", "9", 7)(lines) == b"one 1\ntwo 2\none 9\n", "the last"
    assert dropped("two")(lines) == b"one 1\none 3\n"
    assert repeated("one 3$")(b"one 1\none 3") == b"one 1\none 3one 3"
    with pytest.raises(LinuxmmError, match=r"^no line has three$"):
        dropped("three")(lines)
    with pytest.raises(LinuxmmError, match=r"^the line with two has no 7$"):
        line("two", "7", "8")(lines)


def test_two_edits_of_one_file_are_both_planted(tmp_path: Path) -> None:
    capture = open_capture(REAL / "areas/memcg-v1-6.12")
    file = "data/groups.txt"
    once, twice = (Edit(file, dropped("^## a held")), Edit(file, dropped("^## end")))
    planted = plant_edits(capture, fault("f", "s", "c", once, twice).edits, tmp_path / "c")
    before, after = (each.file(file).read_text().splitlines() for each in (capture, planted))
    assert [row for row in before if not row.startswith(("## a held", "## end"))] == after


def test_a_path_that_a_document_does_not_have() -> None:
    assert put(3, "a", 1)(b'{"a": [1, 2]}') == b'{"a": [1, 3]}'
    with pytest.raises(LinuxmmError, match="the document has no"):
        put(3, "a", 2)(b'{"a": [1, 2]}')


# ---- what is gone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("area", "name", "capture", "gap"),
    [
        (
            "large",
            "place-of-cma-removed",
            "alloc-cma-6.12",
            "trace alloc: where the area of CMA lies is not in logs/dmesg.txt",
        ),
        (
            "memcg",
            "counters-removed",
            "areas/memcg-v2-6.12",
            "mark A: memcg.json.gz stands at other marks, and not at this one",
        ),
        (
            "memcg",
            "files-removed",
            "areas/memcg-v2-6.12",
            "data/groups.txt: named in capture.json, and not in the capture",
        ),
        (
            "debug",
            "dump-removed",
            "areas/debug-ptdump-6.12",
            "mark A: the kernel's page tables were read, and not its own dump of them",
        ),
    ],
)
def test_what_is_gone_is_said(area: str, name: str, capture: str, gap: str, tmp_path: Path) -> None:
    planted = plant_edits(open_capture(REAL / capture), area_fault(area, name).edits, tmp_path / "c")
    report = check(planted.path, only=area)
    assert (report.verdict, report.judgement.gaps) == (Verdict.INCOMPLETE, {gap: 1})


def test_nothing_is_gone_of_the_shipped_captures() -> None:
    assert [each for capture in shipped() for each in absences(open_capture(capture))] == []


@pytest.mark.parametrize(
    ("area", "capture", "line_number"),
    [
        ("reclaim", "areas/reclaim-mglru-6.12", 25824),
        ("defrag", "alloc-compaction-6.12", 0),
    ],
)
def test_what_follows_lost_events_is_not_judged(
    area: str, capture: str, line_number: int, tmp_path: Path
) -> None:
    """Nothing adds up behind a loss; what was judged before it stays judged."""
    opened = open_capture(REAL / capture)
    planted = plant_edits(opened, area_fault(area, "events-lost").edits, tmp_path / "c")
    report = check(planted.path, only=area)
    (gap,) = report.judgement.gaps
    assert gap.startswith(f"trace {opened.traces[0]}: events were lost at line {line_number or ''}")
    assert report.judgement.divergences == []
    assert 0 < report.judgement.events < check(REAL / capture, only=area).judgement.events


def test_a_change_takes_what_its_file_says() -> None:
    text = (REAL / "areas/debug-leak-6.12/data/reports.txt").read_bytes()
    assert b"kmemleak: 4 new suspected" in change_of("debug", "leak-miscounted")(text)
