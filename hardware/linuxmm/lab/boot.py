"""One boot of a guest, from its first instruction to its power-off."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.machine import Machine, arguments, size_in_bytes
from linuxmm.lab.mailbox import SIZE, Mailbox, Request, RequestKind, files_in
from linuxmm.lab.places import work_folder
from linuxmm.lab.qemu import Qemu, started
from linuxmm.spec.errors import LinuxmmError

_POLL_SECONDS: Final = 0.0005
_END_SECONDS: Final = 15.0
_CONSOLE_LIMIT: Final = 1 << 20


class Freezer(Protocol):
    """Reads what it wants out of the memory of a guest that stands still."""

    def __call__(self, mark: str, folder: Path) -> None:
        """`folder` holds the files behind the guest's memory."""


class Sink(Protocol):
    """Where files from the guest go."""

    def write(self, name: str, part: bytes) -> None:
        """Append to a file."""


Note = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """How a boot went.

    up        seconds until the guest's first process spoke
    seconds   the whole boot
    marks     marks in order, and the files that the guest read at each
    freezes   seconds that each mark stopped the guest
    finished  whether the guest said that it was done
    """

    up: float = 0.0
    seconds: float = 0.0
    marks: dict[str, dict[str, bytes]] = field(default_factory=dict)
    freezes: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    arguments: tuple[str, ...] = ()
    finished: bool = False
    timed_out: bool = False
    console: str = ""


def boot(
    kernel: KernelImage,
    machine: Machine,
    initramfs: bytes,
    sink: Sink,
    *,
    freeze: Freezer | None = None,
    note: Note = lambda _: None,
    limit: float = 300.0,
    disks: Mapping[int, bytes] | None = None,
) -> Outcome:
    """Run a guest until it is done, or for `limit` seconds.

    Ensures   QEMU has ended and no file of the run is left
    Errors    LinuxmmError when QEMU does not start or the kernel never comes up; names the last words
    """
    outcome = Outcome()
    needed = size_in_bytes(machine.memory) + SIZE + sum(size_in_bytes(disk.size) for disk in machine.disks)
    with work_folder(needed + (64 << 20)) as folder:
        (folder / "initramfs").write_bytes(initramfs)
        for number, disk in enumerate(machine.disks):
            with (folder / f"disk{number}").open("wb") as file:
                file.write((disks or {}).get(number, b""))
                file.truncate(size_in_bytes(disk.size))
        words = arguments(machine, kernel.bits, kernel.image, folder / "initramfs", folder)
        homes = (f"{folder}/", f"{kernel.image.parent}/")
        outcome.arguments = tuple(word.replace(homes[0], "").replace(homes[1], "") for word in words)
        began = time.monotonic()
        with Mailbox(folder / "mailbox") as box, started(words, folder) as qemu:
            _Session(qemu, box, folder, outcome, sink, freeze, note, began).serve(limit)
        outcome.seconds = time.monotonic() - began
        console = folder / "console"
        if console.is_file():
            outcome.console = console.read_bytes()[-_CONSOLE_LIMIT:].decode("utf-8", "replace")
    if not outcome.up:
        last = outcome.console.strip()[-600:] or "nothing on the console"
        raise LinuxmmError(f"{kernel.name}: the guest did not come up in {limit:.0f} s: {last}")
    return outcome


@dataclass(slots=True)
class _Session:
    qemu: Qemu
    box: Mailbox
    folder: Path
    outcome: Outcome
    sink: Sink
    freeze: Freezer | None
    note: Note
    began: float

    def serve(self, limit: float) -> None:
        """Answer the guest until it powers off."""
        end = self.began + limit
        while self.qemu.running:
            if time.monotonic() > end:
                self.outcome.timed_out = not self.outcome.finished
                return
            request = self.box.poll()
            if request is None:
                time.sleep(_POLL_SECONDS)
                continue
            self._answer(request)
            if self.outcome.finished:
                end = min(end, time.monotonic() + _END_SECONDS)

    def _answer(self, request: Request) -> None:
        if not self.outcome.up:
            self.outcome.up = time.monotonic() - self.began
        status = 0
        match request.kind:
            case RequestKind.MARK:
                self._mark(request)
            case RequestKind.FILE_PART:
                self.sink.write(request.name, request.data)
            case RequestKind.MONITOR:
                status = self._monitor(request.name)
            case RequestKind.NOTE:
                self.outcome.notes.append(request.name)
                self.note(request.name)
            case RequestKind.DONE:
                self.outcome.finished = True
        self.box.answer(status)

    def _mark(self, request: Request) -> None:
        began = time.monotonic()
        self.note(f"mark {request.name}")
        with self.qemu.stopped():
            self.outcome.marks[request.name] = files_in(request.data)
            if self.freeze is not None:
                self.freeze(request.name, self.folder)
        self.outcome.freezes[request.name] = time.monotonic() - began

    def _monitor(self, command: str) -> int:
        """Run a command of QEMU's human monitor; what it says goes to the notes, 1 when it says something."""
        said = str(self.qemu.command("human-monitor-command", **{"command-line": command})).strip()
        if said:
            self.outcome.notes.append(f"{command}: {said}")
        return 1 if said else 0
