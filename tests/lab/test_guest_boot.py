"""The host's side of a boot: requests answered in turn, marks of a machine that stands still, time limits."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from linuxmm.lab import boot
from linuxmm.lab.introduce import FolderSink
from linuxmm.lab.mailbox import MAGIC, Mailbox, Request, RequestKind
from linuxmm.spec.errors import LinuxmmError


class StandIn:
    """A machine that runs until its guest has said that it is done."""

    def __init__(self, outcome: boot.Outcome) -> None:
        self.outcome = outcome
        self.still = False
        self.commands: list[dict[str, Any]] = []

    @property
    def running(self) -> bool:
        return not self.outcome.finished

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.still = True
        yield
        self.still = False

    def command(self, name: str, **arguments: Any) -> str:
        self.commands.append({"name": name, **arguments})
        return "no such device" if "bogus" in str(arguments) else ""


class Guest(Mailbox):
    """A guest that asks what it is told to ask; the host's answers are kept."""

    def __init__(self, path: Path, requests: list[Request]) -> None:
        super().__init__(path)
        self.requests = requests
        self.statuses: list[int] = []

    def poll(self) -> Request | None:
        return self.requests[0] if self.requests else None

    def answer(self, status: int = 0) -> None:
        self.requests.pop(0)
        self.statuses.append(status)


def mark(name: str, **files: str) -> Request:
    packed = (
        struct.pack("<II", len(f"/proc/{path}"), len(text)) + f"/proc/{path}{text}".encode()
        for path, text in files.items()
    )
    return Request(RequestKind.MARK, name, b"".join(packed))


def served(
    tmp_path: Path, requests: list[Request], limit: float = 5.0
) -> tuple[boot.Outcome, StandIn, Guest]:
    outcome = boot.Outcome()
    machine = StandIn(outcome)
    frozen = []

    def freeze(mark: str, folder: Path) -> None:
        assert machine.still, "the memory is read while the machine stands still"
        frozen.append(mark)

    with Guest(tmp_path / "box", requests) as guest:
        session = boot._Session(
            machine,  # type: ignore[arg-type]
            guest,
            tmp_path,
            outcome,
            FolderSink(tmp_path / "files"),
            freeze,
            lambda _: None,
            time.monotonic(),
        )
        session.serve(limit)
    assert frozen == list(outcome.marks)
    return outcome, machine, guest


def test_requests_are_answered_in_turn(tmp_path: Path) -> None:
    outcome, machine, guest = served(
        tmp_path,
        [
            Request(RequestKind.NOTE, "up after 2 s", b""),
            mark("A", buddyinfo="Node 0\n"),
            Request(RequestKind.MONITOR, "device_add pc-dimm", b""),
            Request(RequestKind.MONITOR, "bogus", b""),
            Request(RequestKind.FILE_PART, "data/x", b"one"),
            mark("B"),
            Request(RequestKind.DONE, "", b""),
        ],
    )
    assert guest.statuses == [0, 0, 0, 1, 0, 0, 0]
    assert outcome.marks == {"A": {"/proc/buddyinfo": b"Node 0\n"}, "B": {}}
    assert outcome.notes == ["up after 2 s", "bogus: no such device"]
    assert [command["command-line"] for command in machine.commands] == ["device_add pc-dimm", "bogus"]
    assert (tmp_path / "files/data/x").read_bytes() == b"one"
    assert (outcome.finished, outcome.timed_out) == (True, False)
    assert outcome.up > 0


def test_a_guest_that_never_ends_is_given_up(tmp_path: Path) -> None:
    outcome, _, _ = served(tmp_path, [Request(RequestKind.NOTE, "up", b"")], limit=0.05)
    assert (outcome.finished, outcome.timed_out) == (False, True)


def test_a_guest_that_sends_files_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LinuxmmError, match="the guest sent a file named"):
        served(tmp_path, [Request(RequestKind.FILE_PART, "../x", b"")])


def test_the_magic_word_is_the_guests() -> None:
    source = Path(boot.__file__).parent / "guest" / "mailbox.c"
    assert f"#define MAGIC 0x{MAGIC:x}u" in source.read_text()
