"""Every vector holds on the model of each version that it is for, and on the kernel at hand."""

from pathlib import Path

import pytest

from linuxmm.oracle.live.session import CannotRun, Executor, executor_command
from linuxmm.oracle.live.start import Start, read_start
from linuxmm.oracle.live.vectors import (
    calls_of,
    expected,
    is_for,
    on_kernel,
    on_model,
    read_vectors,
)
from linuxmm.oracle.live.wire import decode, encode
from linuxmm.spec.errors import BadEvidence

FOLDER = Path(__file__).parents[2] / "vectors" / "vm"
VECTORS = read_vectors(FOLDER / "errno.json")
VERSIONS = ("2.6.24", "3.5", "4.4.155", "4.17", "5.4", "5.10", "5.15", "6.1.192", "6.12.117", "6.18.44")


def start_of(version: str) -> Start:
    """A process of a kernel of a version, with nothing mapped but its program."""
    text = (FOLDER / "process.txt").read_bytes().replace(b"RELEASE", version.encode())
    return read_start(text.splitlines(keepends=True), "process.txt")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_model_gives_what_the_vectors_say(version: str) -> None:
    start = start_of(version)
    wanted = [vector for vector in VECTORS if is_for(vector, start)]
    assert len(wanted) >= 100
    heap = start.process.space.brk
    found = {vector.id: on_model(vector, start) for vector in wanted}
    assert found == {vector.id: expected(vector, heap) for vector in wanted}


def test_the_kernel_at_hand_gives_what_the_vectors_say() -> None:
    try:
        with Executor(executor_command()) as executor:
            executor.start()
    except CannotRun as error:
        pytest.skip(str(error))
    judged = {vector.id: on_kernel(vector) for vector in VECTORS}
    answers = {id: both for id, both in judged.items() if both is not None}
    assert len(answers) >= 150
    assert {id: said for id, (said, _) in answers.items()} == {id: must for id, (_, must) in answers.items()}


def test_every_vector_is_for_some_version() -> None:
    starts = [start_of(version) for version in (*VERSIONS, "4.9", "5.7", "6.13", "6.16")]
    assert [vector.id for vector in VECTORS if not any(is_for(vector, start) for start in starts)] == []


def test_the_calls_of_vectors_can_be_written_and_read() -> None:
    for vector in VECTORS:
        for call in calls_of(vector, 0x1000000):
            assert decode(encode(call)) == call


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"format": "other", "vectors": []}',
            r"^v.json: format: expected linuxmm-vm-vectors/1, got 'other'$",
        ),
        ('{"format": "linuxmm-vm-vectors/1"}', r"^v.json: Object missing required field `vectors`$"),
    ],
)
def test_a_file_that_holds_no_vectors_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(BadEvidence, match=message):
        read_vectors(tmp_path / "v.json")
