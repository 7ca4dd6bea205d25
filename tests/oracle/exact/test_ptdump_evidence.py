"""The dump that a real kernel printed is that of its page tables; each planted fault is found."""

from pathlib import Path

import msgspec
import pytest

from linuxmm.oracle.check import check, shows
from linuxmm.oracle.exact.ptdump import judge_ptdump, memory_of
from linuxmm.oracle.formats.areas import AddressMarker, TablesState, read_area
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Judgement, Verdict
from linuxmm.spec.vm.x86_entry import NX, WRITABLE
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


def changed(state: TablesState, at: int, **fields: int) -> TablesState:
    runs = list(state.leaves)
    runs[at] = msgspec.structs.replace(runs[at], **fields)
    return msgspec.structs.replace(state, leaves=tuple(runs))


def test_a_right_that_differs_is_found_at_its_line() -> None:
    state = tables()
    at = next(n for n, run in enumerate(state.leaves) if run.entry & NX and run.entry & WRITABLE)
    judgement = judged(changed(state, at, entry=state.leaves[at].entry ^ NX))
    assert judgement.verdict is Verdict.DIVERGES
    first = judgement.divergences[0]
    assert first.clause == "vm.ptdump.text"
    assert (" NX " in first.observed, " x  " in first.permitted) == (True, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [(" RW ", " ro "), ("GLB", "   "), ("PSE", "   "), ("pte", "pmd"), ("vmalloc() Area", "Vmemmap")],
)
def test_a_text_that_differs_is_found(old: str, new: str) -> None:
    at = next(n for n, line in enumerate(TEXT) if old in line)
    text = (*TEXT[:at], TEXT[at].replace(old, new, 1), *TEXT[at + 1 :])
    judgement = judged(tables(), text)
    assert [(d.clause, d.line) for d in judgement.divergences] == [("vm.ptdump.text", at + 1)]


def test_a_line_that_is_missing_breaks_the_partition_too() -> None:
    at = next(n for n, line in enumerate(TEXT) if "pte" in line)
    judgement = judged(tables(), (*TEXT[:at], *TEXT[at + 1 :]))
    assert judgement.clauses["vm.ptdump.partition"].broken == 1
    assert judgement.divergences[0].line == at + 1


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
