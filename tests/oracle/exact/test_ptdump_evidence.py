"""The dump that a real kernel printed is that of its page tables; each planted fault is found."""

from pathlib import Path

import msgspec
import pytest

from linuxmm.oracle.check import check, shows
from linuxmm.oracle.exact.ptdump import judge_ptdump, memory_of
from linuxmm.oracle.faults_areas import area_fault, change_of
from linuxmm.oracle.faults_plant import plant_edits
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.areas import AddressMarker, TablesState, read_area
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Judgement, Verdict
from linuxmm.spec.vm.x86_format import FORMATS

CAPTURE = Path(__file__).parents[2] / "real" / "areas" / "debug-ptdump-6.12"
TEXT = tuple((CAPTURE / "marks/A/sys/kernel/debug/page_tables/kernel").read_text().splitlines())


def tables() -> TablesState:
    state = read_area(CAPTURE / "marks/A/tables.json.gz", "tables")
    assert isinstance(state, TablesState)
    return state


def judged(state: TablesState, text: tuple[str, ...] = TEXT) -> Judgement:
    judgement = Judgement()
    judge_ptdump(judgement, state, text, "tables")
    return judgement


def test_the_capture_conforms() -> None:
    assert shows(CAPTURE, "debug")
    report = check(CAPTURE, only="debug")
    assert report.verdict is Verdict.CONFORMS
    clauses = {clause: tally.checked for clause, tally in report.judgement.clauses.items()}
    both = 2 * len(TEXT)
    assert clauses == {"vm.ptdump.text": both, "vm.ptdump.partition": both}


def planted_text(name: str) -> tuple[str, ...]:
    return tuple(change_of("debug", name)("\n".join(TEXT).encode()).decode().splitlines())


def test_a_right_that_differs_is_found_at_its_line(tmp_path: Path) -> None:
    planted = plant_edits(open_capture(CAPTURE), area_fault("debug", "dump-executable").edits, tmp_path / "c")
    first = check(planted.path, only="debug").judgement.divergences[0]
    assert first.clause == "vm.ptdump.text"
    assert (" NX " in first.observed, " x  " in first.permitted) == (True, True)


@pytest.mark.parametrize("name", ["read-only", "not-global", "small", "level", "marker"])
def test_a_text_that_differs_is_found_at_its_line(name: str) -> None:
    text = planted_text(f"dump-{name}")
    (at,) = (number for number, (was, now) in enumerate(zip(TEXT, text, strict=True), 1) if was != now)
    assert [(d.clause, d.line) for d in judged(tables(), text).divergences] == [("vm.ptdump.text", at)]


def test_a_line_that_is_missing_breaks_the_partition_too() -> None:
    text = planted_text("dump-hole")
    at = next(number for number, (was, now) in enumerate(zip(TEXT, text, strict=False), 1) if was != now)
    judgement = judged(tables(), text)
    assert judgement.clauses["vm.ptdump.partition"].broken == 1
    assert judgement.divergences[0].line == at


def test_ranges_beyond_what_a_marker_shows_are_counted() -> None:
    state = tables()
    marker = next(one for one in state.markers if one.name == "vmalloc() Area")
    few = tuple(AddressMarker(one.start, one.name, 2) if one is marker else one for one in state.markers)
    judgement = judged(msgspec.structs.replace(state, markers=few))
    assert any("entries skipped ... " in d.permitted for d in judgement.divergences)


def test_documents_that_say_nothing_sound_are_refused() -> None:
    state = tables()
    with pytest.raises(BadEvidence, match=r"\$\.format: expected a format of i386, pae"):
        judged(msgspec.structs.replace(state, format="sparc"))
    with pytest.raises(BadEvidence, match="whose table is not there"):
        memory_of(msgspec.structs.replace(state, tables=()), FORMATS[state.format])
    with pytest.raises(BadEvidence, match=r"page_tables/kernel:1: a range such as"):
        judged(state, ("rubbish",))
