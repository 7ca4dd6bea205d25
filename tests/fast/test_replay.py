"""What a replay counts, worked out by hand."""

from pathlib import Path

import numpy as np

from linuxmm.fast.lackey import read_lackey
from linuxmm.fast.replay import ReplayReport, replay
from linuxmm.fast.translate import stream
from linuxmm.spec.vm.x86_format import I386, X86_64, X86_64_LA57


def test_two_passes_over_two_tables_of_pages(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    lines = [f" L {0x1FF000 + page * 4096:08x},8" for page in (0, 1, 0, 1)]
    path.write_text("\n".join(["I  00400abc,3", *lines, " S 100000000,4"]) + "\n")
    assert replay(read_lackey(path), X86_64) == ReplayReport(
        references=6,
        first_hits=2,
        second_hits=0,
        table_walks=0,
        full_walks=4,
        faults=4,
        refused=0,
        pages=4,
        tables=1 + 3 + 2 + 2,
    )


def test_deeper_tables_cost_a_frame_a_level_and_no_more_misses() -> None:
    pages = np.tile(np.arange(40), 3) << 12
    words = stream(np.zeros(pages.size, np.int64), pages)
    four, five = replay([words], X86_64), replay([words], X86_64_LA57)
    assert (four.tables, five.tables) == (4, 5)
    assert four.table_bytes == 4 * 4096
    assert (four.misses, four.faults, four.pages) == (five.misses, five.faults, five.pages) == (40, 40, 40)


def test_addresses_beyond_a_format_are_counted_as_refused() -> None:
    report = replay([stream(np.zeros(2, np.int64), np.array([0, 1 << 32]))], I386)
    assert (report.pages, report.refused, report.tables) == (1, 1, 2)
