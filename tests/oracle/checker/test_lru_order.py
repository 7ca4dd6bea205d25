"""Lists of files are followed page by page: those of a real kernel come out right, planted faults do not."""

import gzip
import re
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from linuxmm.oracle.check import check
from linuxmm.oracle.checker.lru_order import ACTIVE, END, INACTIVE, LOST, ORDER, UNDECIDED, ListOrder, Lists
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.reclaim_evidence import lists_of, zones_of
from linuxmm.spec.verdict import Judgement, Verdict

CAPTURE = Path(__file__).parents[2] / "real" / "areas" / "reclaim-lru-6.1"
LINES = gzip.decompress((CAPTURE / "trace" / "lru.txt.gz").read_bytes()).decode().splitlines()
FIRST = next(at for at, line in enumerate(LINES) if "SYNC A end" in line)
UNTIL = next(at for at, line in enumerate(LINES) if "SYNC A1 begin" in line)
LISTS = lists_of(open_capture(CAPTURE))
ZONES = zones_of(open_capture(CAPTURE))


def followed(lines: list[str], lists: dict[str, Lists] | None = None) -> Judgement:
    judgement = Judgement()
    marks = dict.fromkeys(("A", "A1", "A2", "B"), 0)
    for _ in ListOrder(judgement, lists or LISTS, marks, ZONES).watch(lines):
        pass
    return judgement


def test_the_lists_of_a_real_kernel_are_known_page_by_page() -> None:
    report = check(CAPTURE, only="reclaim")
    clauses = report.judgement.clauses
    assert report.verdict is Verdict.CONFORMS
    assert (clauses[ORDER].checked, clauses[ORDER].broken) == (4, 0)
    assert (clauses[END].checked, clauses[END].broken) == (4460, 0)
    assert report.judgement.explained[LOST.format("MADV_FREE")] == 1
    assert [len(LISTS["A1"][name]) for name in (INACTIVE, ACTIVE)] == [1032, 989]


def edited(change: Callable[[str], str | None], which: str, number: int = 0) -> list[str]:
    """The trace with a line behind mark A that matches `which` changed, or left out when None comes."""
    at = [index for index in range(FIRST, UNTIL) if re.search(which, LINES[index])][number]
    new = change(LINES[at])
    return [*LINES[:at], *([] if new is None else [new]), *LINES[at + 1 : UNTIL + 1]]


INSERTED = "mm_lru_insertion.*lru=2"


@pytest.mark.parametrize(
    ("change", "which", "number"),
    [
        (lambda line: None, INSERTED, -3),
        (lambda line: line.replace("lru=2", "lru=3"), INSERTED, -3),
        (lambda line: None, f"mm_lru_activate.*pfn={LISTS['A1'][ACTIVE][300]:#x}", -1),
        (lambda line: re.sub("pfn=0x", "pfn=0x9", line), INSERTED, -3),
        (lambda line: re.sub(r"nr_(scanned|taken)=\d+", r"nr_\1=0", line), "lru_isolate.*active_file", 0),
    ],
)
def test_an_event_that_is_changed_or_gone_is_found(
    change: Callable[[str], str | None], which: str, number: int
) -> None:
    found = followed(edited(change, which, number))
    assert found.verdict is Verdict.DIVERGES or found.explained
    assert found.clauses.keys() <= {ORDER, END}


def test_two_pages_exchanged_are_found_and_named() -> None:
    pages = LISTS["A1"][INACTIVE]
    swapped = (*pages[:10], pages[11], pages[10], *pages[12:])
    lists: Lists = {**LISTS["A1"], INACTIVE: swapped}
    found = followed(LINES[: UNTIL + 1], {**LISTS, "A1": lists})
    (divergence,) = found.divergences
    assert divergence.clause == ORDER
    assert divergence.observed == f"{INACTIVE} at A1: 1032 pages, pfn {pages[11]:#x} at 10"
    assert divergence.permitted == f"1032 pages, pfn {pages[10]:#x} at 10"


def test_a_page_freed_out_of_turn_is_found() -> None:
    freed = "mm_filemap_delete_from_page_cache"
    head = f"pfn={LISTS['A1'][INACTIVE][0]:#x}"
    found = followed(edited(lambda line: re.sub("pfn=0x[0-9a-f]+", head, line), freed, -1))
    assert END in {divergence.clause for divergence in found.divergences}


# ---- small machines ----------------------------------------------------------------------------------------


def told(*events: str, before: Lists, after: Lists, migrated: int = 0) -> Judgement:
    """Follow events of task 1 from mark A to mark B; pages below 8 are of the lower zone."""
    numbers = count(1)
    lines = [
        f"              mm-1   [000] .....  {next(numbers)}.0: {each}"
        for each in ("tracing_mark_write: SYNC A end", *events, "tracing_mark_write: SYNC B begin")
    ]
    judgement = Judgement()
    order = ListOrder(
        judgement, {"A": before, "B": after}, {"A": 0, "B": migrated}, lambda pfn: int(pfn >= 8)
    )
    assert list(order.watch(lines)) == lines
    return judgement


def scan(of: str, taken: int, skipped: int = 0, zone: int = 1) -> str:
    scanned = taken + skipped
    return (
        f"mm_vmscan_lru_isolate: classzone={zone} order=0 nr_requested={taken} nr_scanned={scanned} "
        f"nr_skipped={skipped} nr_taken={taken} lru={of}"
    )


def shrunk(activated: int = 0, dirty: int = 0) -> str:
    return f"mm_vmscan_lru_shrink_inactive: nr_dirty={dirty} nr_activate_anon=0 nr_activate_file={activated}"


TWO = {INACTIVE: (9, 3, 10, 4), ACTIVE: (20, 21)}
FREED = "mm_filemap_delete_from_page_cache: dev 0:1 ino 1 pfn=0x4 ofs=0 order=0"


@pytest.mark.parametrize(
    ("events", "inactive", "active"),
    [
        ((scan("inactive_file", 2), FREED, shrunk()), (10, 9, 3), (20, 21)),
        ((scan("inactive_file", 2), shrunk(activated=2)), (9, 3), (10, 4, 20, 21)),
        ((scan("active_file", 1), "mm_vmscan_lru_shrink_active: nr_active=0"), (21, 9, 3, 10, 4), (20,)),
        ((scan("active_file", 1), "mm_vmscan_lru_shrink_active: nr_active=1"), (9, 3, 10, 4), (21, 20)),
        ((scan("inactive_file", 2, 1, zone=0), shrunk()), (3, 4, 10, 9), (20, 21)),
        (("mm_lru_activate: folio=0 pfn=0xa",), (9, 3, 4), (10, 20, 21)),
        (("mm_lru_insertion: folio=0 pfn=0x5 lru=2 flags=",), (5, 9, 3, 10, 4), (20, 21)),
    ],
)  # fmt: skip
def test_what_each_event_does(
    events: tuple[str, ...], inactive: tuple[int, ...], active: tuple[int, ...]
) -> None:
    found = told(*events, before=TWO, after={INACTIVE: inactive, ACTIVE: active})
    assert (found.verdict, found.divergences, found.explained) == (Verdict.CONFORMS, [], {})


def test_pages_whose_place_is_not_known_are_left_out() -> None:
    events = (scan("inactive_file", 2), shrunk(activated=1))
    for after in ({INACTIVE: (4, 9, 3), ACTIVE: (10, 20, 21)}, {INACTIVE: (10, 9, 3), ACTIVE: (4, 20, 21)}):
        found = told(*events, before=TWO, after=after)
        assert (found.verdict, found.explained) == (Verdict.CONFORMS, {UNDECIDED: 2})
    assert told(*events, before=TWO, after=TWO | {INACTIVE: (3, 9)}).verdict is Verdict.DIVERGES


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (("lazyfree: (x) folio=0x1",), "MADV_FREE"),
        (("deactivate: (x) folio=0x1",), "a deactivation"),
        (("isolate: (x) folio=0x1",), "an isolation by someone else"),
        (
            (scan("inactive_file", 3).replace("nr_taken=3", "nr_taken=2"),),
            "a scan that passed pages over, or may have taken one whose place is not known",
        ),
        (
            (scan("inactive_file", 4), shrunk(activated=1), scan("inactive_file", 1)),
            "a scan that passed pages over, or may have taken one whose place is not known",
        ),
    ],
)
def test_what_ends_what_is_known(events: tuple[str, ...], why: str) -> None:
    found = told(*events, before=TWO, after={INACTIVE: (), ACTIVE: ()})
    assert (found.divergences, found.explained) == ([], {LOST.format(why): 1})


def test_nothing_is_known_between_marks_with_a_migration() -> None:
    found = told(before=TWO, after={INACTIVE: (), ACTIVE: ()}, migrated=3)
    assert (found.divergences, found.explained) == ([], {LOST.format("a migration"): 1})
