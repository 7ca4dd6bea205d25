"""The model makes the scans that recorded kernels made when they compacted whole zones."""

from pathlib import Path
from typing import Any

import pytest

from linuxmm.oracle.exact.compaction import (
    SLABS_UNKNOWN,
    Compared,
    Predicted,
    Scan,
    compare,
    predict_compactions,
    scans_of,
)
from linuxmm.oracle.exact.searches import Start, order_of, start_of
from linuxmm.oracle.faults_exact import ExactFault, plant
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.observations import Row

REAL = Path(__file__).parents[2] / "real"


def whole(zone: str, line: int, scans: int, *gaps: str) -> Predicted:
    """A compaction of which every scan was predicted."""
    return Predicted(zone, line, Compared(scans, scans, scans, scans), gaps)


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        (
            "alloc-compaction-6.1",
            (whole("DMA", 44655, 7, SLABS_UNKNOWN), whole("DMA32", 44688, 114, SLABS_UNKNOWN)),
        ),
        ("alloc-compaction-6.12", (whole("DMA", 51272, 7), whole("DMA32", 51305, 59))),
    ],
)
def test_every_scan_of_whole_zones(capture: str, expected: tuple[Predicted, ...]) -> None:
    assert tuple(predict_compactions(open_capture(REAL / capture))) == expected


def _hide_a_page(state: dict[str, Any]) -> None:
    """The first migratable page of the second zone is none."""
    runs = state["nodes"][0]["zones"][1]["migratable"]
    runs[0][0] += 1
    runs[0][1] -= 1


def _forget_slabs(state: dict[str, Any]) -> None:
    for zone in state["nodes"][0]["zones"]:
        del zone["migratable"]


def test_a_page_that_the_state_hides_is_missed(tmp_path: Path) -> None:
    fault = ExactFault("hidden", "a migratable page is hidden", state=_hide_a_page, mark=0)
    planted = plant(open_capture(REAL / "alloc-compaction-6.12"), fault, tmp_path / "planted")
    _, found = predict_compactions(planted)
    assert found.compared.equal < found.compared.scans == 59


def test_slabs_that_look_movable_are_a_gap(tmp_path: Path) -> None:
    """They have the mark of a driver's page; the kernel looks twice, an older state does not."""
    fault = ExactFault("slabs", "an older state", state=_forget_slabs, mark=0)
    planted = plant(open_capture(REAL / "alloc-compaction-6.12"), fault, tmp_path / "planted")
    _, found = predict_compactions(planted)
    assert found.gaps == (SLABS_UNKNOWN,)


def test_a_scan_that_differs_ends_what_is_equal() -> None:
    one, other, third = Scan("free", 1, 2), Scan("free", 1, 3), Scan("migrate", 5, 6)
    assert compare((one, other, third), (one, third)) == Compared(2, 3, 1, 2)


def test_scans_are_those_of_one_task_until_its_compaction_ends() -> None:
    def event(task: str, text: str) -> str:
        return f"  {task} [000] ..... 1.0: {text}"

    scan = "mm_compaction_isolate_freepages: range=(0x1000 ~ 0x1200) nr_scanned=1 nr_taken=1"
    lines = (
        event("sh-7", scan.replace("0x1000", "0x1")),
        event("sh-7", "compactzone: (compact_zone+0x5/0x1)"),
        event("kcompactd0-9", scan.replace("0x1000", "0x2")),
        event("sh-7", scan),
        event("sh-7", "mm_compaction_end: zone_start=0x1"),
        event("sh-7", scan.replace("0x1000", "0x3")),
    )
    assert scans_of(lines, 2) == (Scan("free", 0x1000, 0x1200),)


def test_where_scanners_go_on_is_read_of_the_row_or_the_mark() -> None:
    """What a zone says of its scanners moves with every compaction: the mark's is old after the first."""
    zone = open_capture(REAL / "alloc-compaction-6.12").state("A").nodes[0].zones[0]
    row = Row(0, Kind.COMPACTZONE, 0, 9, 0, 1, 0x1200, 0, -1, 0, 0x9000 << 32 | 9, 0x1400 << 24 | 1)
    assert start_of(row, zone) == (Start(0x1200, 0x1400, 0x9000), True)
    assert order_of(row) == 9
    start, said = start_of(row._replace(pfn=-1, b=0xFFFF_FFFF), zone)
    assert (start.migrate_async, said) == (zone.compact_cached_migrate_pfn[0], False)
    assert order_of(row._replace(b=0xFFFF_FFFF)) == -1
