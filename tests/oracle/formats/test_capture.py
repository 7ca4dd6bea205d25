"""Capture folders and the states in them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.oracle.formats import (
    Capture,
    MachineState,
    concat,
    findings,
    losses,
    open_capture,
    write_capture,
)
from linuxmm.oracle.formats.capture import read_state
from linuxmm.oracle.formats.state import counters, pcp_list_order
from linuxmm.spec.errors import BadEvidence, LinuxmmError

REAL = Path(__file__).parents[2] / "real"
CAPTURES = ["alloc-churn-6.1", "alloc-churn-6.12"]
STATE: dict[str, Any] = json.loads(
    gzip.decompress((REAL / CAPTURES[0] / "marks/A/state.json.gz").read_bytes())
)


def decoded(change: Callable[[dict[str, Any]], object]) -> MachineState:
    """The real state with a change made to its JSON."""
    raw = json.loads(json.dumps(STATE))
    change(raw)
    return msgspec.convert(raw, MachineState)


@pytest.mark.parametrize("name", CAPTURES)
def test_real_captures_are_whole_and_consistent(name: str) -> None:
    capture = open_capture(REAL / name)
    assert (capture.marks, capture.traces, list(losses(capture))) == (("A", "B"), ("buddy",), [])
    for mark in capture.marks:
        state = capture.state(mark)
        assert capture.has_state(mark)
        assert findings(state) == ()
        printed = capture.text(mark, "proc/buddyinfo").splitlines()
        for (node, zone), line in zip(state.zones(), printed, strict=True):
            counts = " ".join(str(area.nr_free) for area in zone.free_area)
            assert " ".join(line.split()) == f"Node {node.nid}, zone {zone.name} {counts}"
    entries = sum(buffer.entries for buffer in capture.info("buddy").buffers.values())
    assert len(concat(capture.trace("buddy"))) == entries


def test_free_pages_printed_are_those_counted() -> None:
    capture = open_capture(REAL / CAPTURES[0])
    free = sum(counters(capture.state("A"), "NR_FREE_PAGES").values())
    printed = dict(line.split() for line in capture.text("A", "proc/vmstat").splitlines())
    assert abs(free - int(printed["nr_free_pages"])) < 512


def test_no_path_of_a_machine_is_shipped() -> None:
    for file in REAL.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            text = gzip.decompress(raw) if file.suffix == ".gz" else raw
            assert not any(place in text for place in (b"/home/", b"/root/", b"/.cache/", b"/kernels/"))


def zone(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = state["nodes"][0]["zones"][1]
    return found


def longest(state: dict[str, Any]) -> list[int]:
    """The longest list of single free pages."""
    return max(zone(state)["free_area"][0]["lists"], key=len)


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], list[str]]] = {
    "a block less": (
        lambda s: longest(s).pop(),
        ["order 0: expected nr_free", "DMA32: expected NR_FREE_PAGES"],
    ),
    "a counter more": (
        lambda s: zone(s)["vm_stat"].update(NR_FREE_PAGES=1),
        ["DMA32: expected NR_FREE_PAGES"],
    ),
    "a count of a CPU": (
        lambda s: zone(s)["pcp"]["0"].update(count=7),
        ["cpu 0: expected count 7 pages"],
    ),
    "outside the zone": (
        lambda s: longest(s).__setitem__(0, 1 << 40),
        ["expected pages 4096 to"],
    ),
    "twice": (
        lambda s: longest(s).__setitem__(0, longest(s)[1]),
        ["expected each page on one list"],
    ),
    "a digit less": (
        lambda s: zone(s).update(pageblock_mt=zone(s)["pageblock_mt"][1:]),
        ["pageblock_mt: expected 120 digits, found 119"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_planted_fault_is_found(fault: str) -> None:
    change, expected = FAULTS[fault]
    found = [str(finding) for finding in findings(decoded(change))]
    assert len(found) == len(expected), found
    assert all(part in text for part, text in zip(expected, found, strict=True)), found


def test_misaligned_block_is_found() -> None:
    state = decoded(lambda s: s)
    node, dma32 = list(state.zones())[1]
    order = next(o for o, area in enumerate(dma32.free_area) if o > 2 and any(area.lists))
    raw = json.loads(json.dumps(STATE))
    lists = zone(raw)["free_area"][order]["lists"]
    mt = next(k for k, frames in enumerate(lists) if frames)
    lists[mt][0] += 1
    found = [str(f) for f in findings(msgspec.convert(raw, MachineState))]
    assert any(f"a head aligned to order {order}" in text for text in found)
    assert node.nid == 0


def test_pcp_lists_have_the_orders_of_the_kernel() -> None:
    assert [pcp_list_order(index, 9) for index in range(14)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 9, 9]


def description(capture: Capture, **changes: object) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((capture.path / "capture.json").read_text())
    return raw | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "linuxmm-capture/2"},
            "$.format: expected 'linuxmm-capture/1', found 'linuxmm-capture/2'",
        ),
        ({"area": 3}, "$.area: expected `str`, got `int`"),
        ({"marks": ["A", "A"]}, "$.marks: expected different names"),
        ({"marks": [".."]}, "$.marks: expected a name, found dots"),
        ({"marks": ["../x"]}, "$.marks[0]: expected `str` matching regex '^[A-Za-z0-9_.-]{1,64}$'"),
        ({"kernel": {}}, "$.kernel: object missing required field `release`"),
        ({"traces": [{"name": "b", "file": 1}]}, "$.traces[0].file: expected `str`, got `int`"),
    ],
)
def test_bad_descriptions_are_refused_by_json_path(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    file = tmp_path / "capture.json"
    file.write_text(json.dumps(description(open_capture(REAL / CAPTURES[0]), **changes)))
    with pytest.raises(BadEvidence) as caught:
        open_capture(tmp_path)
    assert str(caught.value) == f"{file}: {message}"


def test_bad_states_are_refused_by_json_path(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    raw = json.loads(json.dumps(STATE))
    raw["nodes"][0]["zones"][1]["free_area"][3]["lists"][0] = [-1]
    file.write_text(json.dumps(raw))
    with pytest.raises(BadEvidence) as caught:
        read_state(file)
    where = "$.nodes[0].zones[1].free_area[3].lists[0][0]"
    assert str(caught.value) == f"{file}: {where}: expected `int` >= 0"
    file.write_text("{")
    with pytest.raises(BadEvidence, match="expected JSON"):
        read_state(file)
    file.write_bytes(gzip.compress(b"{}")[:-4])
    with pytest.raises(BadEvidence, match="ends before its end"):
        read_state(file)


@pytest.mark.parametrize("place", ["../secret", "/etc/hostname", "a/../../b"])
def test_files_outside_the_folder_are_not_read(tmp_path: Path, place: str) -> None:
    raw = description(open_capture(REAL / CAPTURES[0]), traces=[{"name": "b", "file": place}])
    (tmp_path / "capture.json").write_text(json.dumps(raw))
    capture = open_capture(tmp_path)
    with pytest.raises(BadEvidence) as caught:
        capture.trace("b")
    assert caught.value.expected == f"expected a path inside the capture, found {place!r}"


def test_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    raw = description(open_capture(REAL / CAPTURES[0]), traces=[{"name": "b", "file": "link"}])
    (tmp_path / "c").mkdir()
    (tmp_path / "c/capture.json").write_text(json.dumps(raw))
    (tmp_path / "c/link").symlink_to(tmp_path)
    with pytest.raises(BadEvidence, match="inside the capture"):
        open_capture(tmp_path / "c").trace("b")


def test_names_that_a_capture_does_not_have_are_refused() -> None:
    capture = open_capture(REAL / CAPTURES[0])
    with pytest.raises(BadEvidence, match="expected a trace named 'x'"):
        capture.trace("x")
    with pytest.raises(BadEvidence, match="expected a mark named 'x'"):
        capture.state("x")


def test_losses_are_read_from_the_description(tmp_path: Path) -> None:
    raw = description(open_capture(REAL / CAPTURES[0]), timed_out=True)
    raw["traces"][0]["buffers"]["cpu0"].update(overrun=3, dropped_events=1)
    raw["traces"][0]["probe_misses"] = {"commit": 8, "isol": 0}
    (tmp_path / "capture.json").write_text(json.dumps(raw))
    assert list(losses(open_capture(tmp_path))) == [
        "trace buddy: cpu0 overrun 3",
        "trace buddy: cpu0 dropped_events 1",
        "trace buddy: probe commit missed 8 hits",
        "the workload was stopped before its end",
    ]


def test_what_is_written_is_what_was_read(tmp_path: Path) -> None:
    capture = open_capture(REAL / CAPTURES[0])
    states = {mark: capture.state(mark) for mark in capture.marks}
    files: dict[str, Any] = {
        name: capture.file(name) for name in ("trace/buddy.txt.gz", "trace/buddy.events")
    }
    files["trace/buddy.probes"] = b""
    files["notes.txt"] = lambda place: place.write_text("x")
    target = tmp_path / "new" / "copy"
    written = write_capture(target, capture.description, states=states, files=files)
    assert written.description == capture.description
    assert {mark: written.state(mark) for mark in written.marks} == states
    assert [p.name for p in target.parent.iterdir()] == ["copy"]
    with pytest.raises(LinuxmmError, match="nothing is yet"):
        write_capture(target, capture.description, states=states, files=files)


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    capture = open_capture(REAL / CAPTURES[0])

    def fails(place: Path) -> None:
        raise OSError("no space")

    names = ("trace/buddy.txt.gz", "trace/buddy.events", "trace/buddy.probes")
    with pytest.raises(OSError, match="no space"):
        write_capture(tmp_path / "c", capture.description, states={}, files=dict.fromkeys(names, fails))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(LinuxmmError, match="which is not among the files"):
        write_capture(tmp_path / "c", capture.description, states={}, files={})


SEED = json.dumps({**STATE, "nodes": []}).encode()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SEED)), st.binary(max_size=6)), max_size=4))
def test_changed_states_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]]
) -> None:
    raw = bytearray(SEED)
    for at, new in changes:
        raw[at : at + len(new)] = new
    file = tmp_path_factory.getbasetemp() / "state.json"
    file.write_bytes(raw)
    refused = None
    try:
        findings(read_state(file))
    except BadEvidence as error:
        refused = str(error)
    assert refused is None or refused.startswith(str(file))
