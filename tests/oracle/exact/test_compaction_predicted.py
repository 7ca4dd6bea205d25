"""The model makes the scans that recorded kernels made, as far as what it is told of the machine goes."""

import gzip
from pathlib import Path

import pytest

from linuxmm.oracle.exact.compaction import Compared, Scan, compare, predict, scans_of
from linuxmm.oracle.formats.capture import read_state
from linuxmm.spec.kernel import kernel

REAL = Path(__file__).parents[2] / "real"


@pytest.mark.parametrize(
    ("capture", "version", "zone", "compared"),
    [
        ("alloc-compaction-6.1", "6.1.192", "DMA", Compared(7, 7, 7, 7)),
        ("alloc-compaction-6.12", "6.12.117", "DMA", Compared(7, 7, 7, 7)),
        ("alloc-compaction-6.1", "6.1.192", "DMA32", Compared(114, 109, 15, 92)),
        ("alloc-compaction-6.12", "6.12.117", "DMA32", Compared(101, 55, 54, 54)),
    ],
)
def test_scans_of_a_whole_zone(capture: str, version: str, zone: str, compared: Compared) -> None:
    state = read_state(REAL / capture / "marks/A/state.json.gz")
    seen = next(each for _, each in state.zones() if each.name == zone)
    with gzip.open(REAL / capture / "trace/alloc.txt.gz", "rt") as file:
        observed = scans_of(file, seen.start_pfn)
    assert compare(predict(kernel(version), state, seen), observed) == compared


def test_a_scan_that_differs_ends_what_is_equal() -> None:
    one, other, third = Scan("free", 1, 2), Scan("free", 1, 3), Scan("migrate", 5, 6)
    assert compare((one, other, third), (one, third)) == Compared(2, 3, 1, 2)
