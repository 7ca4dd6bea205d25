"""Compaction's searches turn lists round as predicted, in every recording that shows when they happen."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from linuxmm.model.defrag.search import MOVABLE
from linuxmm.oracle.exact.check import predict_capture, replays
from linuxmm.oracle.exact.gaps import REORDERED
from linuxmm.oracle.exact.machine import kernel_of
from linuxmm.oracle.exact.replay import Prediction, Replay
from linuxmm.oracle.faults_exact import ExactFault, plant
from linuxmm.oracle.formats import Capture, open_capture
from linuxmm.oracle.formats.kinds import Kind

REAL = Path(__file__).parents[2] / "real"
SHOWN = frozenset({Kind.COMPACTALLOC, Kind.ISOLMIGRATE})


def windows(capture: Capture) -> Iterator[Replay]:
    states = {mark: capture.state(mark) for mark in capture.marks}
    profile = kernel_of(capture.description, next(iter(states.values())))
    return (window.replay for window in replays(capture, states, profile))


def heads_seen(capture: Capture) -> dict[int, dict[int, int]]:
    """By line of a trace, the first block of each MOVABLE list, as a probe of compaction read it."""
    file = capture.file(capture.info(capture.traces[0]).file)
    base = capture.state(capture.marks[0]).vmemmap
    assert base is not None
    found: dict[int, dict[int, int]] = {}
    with gzip.open(file, "rt") as lines:
        for number, line in enumerate(lines, 1):
            if ": compactalloc:" in line or ": isolmigrate:" in line:
                words = re.findall(r"head(\d+)=0x([0-9a-f]+)", line)
                found[number] = {int(order): (int(word, 16) - 8 - base) // 64 for order, word in words}
    return found


@pytest.mark.parametrize("name", ["alloc-fallback-6.1", "alloc-compaction-6.12"])
def test_each_list_begins_with_the_block_that_the_kernel_saw(name: str) -> None:
    capture = open_capture(REAL / name)
    seen = heads_seen(capture)
    compared = 0
    for replay in windows(capture):
        for row in replay.rows:
            if row.kind not in SHOWN:
                continue
            replay.advance(row.number + (row.kind == Kind.ISOLMIGRATE))
            zone = replay.addresses.zones[row.a]
            for order, head in seen[row.line].items():
                ours = replay.engine.free_list(zone, order, MOVABLE)
                if ours:
                    assert (row.line, order, head) == (row.line, order, ours[0])
                    compared += 1
    assert compared > 7000


@pytest.mark.parametrize("name", ["alloc-fallback-6.1"])
def test_no_order_of_a_list_is_taken_from_the_evidence(name: str) -> None:
    capture = open_capture(REAL / name)
    _, results = predict_capture(capture, {mark: capture.state(mark) for mark in capture.marks})
    assert [(result.unexplained, result.state_equal) for result in results] == [(0, True)]
    assert all(REORDERED not in result.explained for result in results)


def spoiled(name: str, pattern: str, by: str, folder: Path, nth: int = 0) -> Prediction:
    """The first difference of a capture of which one line is edited."""

    def edit(lines: list[str]) -> list[str]:
        at = [number for number, line in enumerate(lines) if re.search(pattern, line)][nth]
        lines[at] = re.sub(pattern, by, lines[at])
        return lines

    fault = ExactFault("search", "a search is told otherwise", trace=edit)
    (replay,) = windows(plant(open_capture(REAL / name), fault, folder / "planted"))
    return replay.run(1)


@pytest.mark.parametrize(
    ("pattern", "by", "what"),
    [
        (r"(isolmigrate: .* failed=)1 ", r"\g<1>5 ", "fast_find_migrateblock"),
        (r"(isolmigrate: .* low=)10240 (.* failed=0)", r"\g<1>9728 \g<2>", "fast_find_migrateblock"),
        (r"(compactalloc: .* failed=)8 ", r"\g<1>7 ", "compaction_alloc"),
        (r"(compactalloc: .* search=)9 (.* nrfree=0)", r"\g<1>3 \g<2>", "fast_isolate_freepages"),
    ],
)
def test_a_search_that_went_otherwise_is_noticed(pattern: str, by: str, what: str, tmp_path: Path) -> None:
    found = spoiled("alloc-fallback-6.1", pattern, by, tmp_path)
    assert what in {difference.what for difference in found.differences}
