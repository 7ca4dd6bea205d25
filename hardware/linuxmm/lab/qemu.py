"""One QEMU process: started, told what to do over its monitor, and ended whatever happens."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from linuxmm.lab.host import SET_PRIVILEGES, find
from linuxmm.spec.errors import LinuxmmError

_CONNECT_SECONDS: Final = 10.0
_REPLY_SECONDS: Final = 30.0


class Qemu:
    """A running QEMU with its monitor (QMP) connected."""

    def __init__(self, process: "subprocess.Popen[bytes]", monitor: socket.socket) -> None:
        self.process = process
        self._stream = monitor.makefile("rw")
        self._line()
        self.command("qmp_capabilities")

    def _line(self) -> dict[str, Any]:
        try:
            line = self._stream.readline()
        except OSError as error:
            raise LinuxmmError(f"QEMU's monitor does not answer: {error}") from error
        if not line:
            raise LinuxmmError("QEMU has ended")
        found: dict[str, Any] = json.loads(line)
        return found

    def command(self, name: str, **arguments: Any) -> Any:
        """Run a monitor command and return what it answers.

        Errors    LinuxmmError with QEMU's own words
        """
        self._stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._stream.flush()
        while True:
            answer = self._line()
            if "error" in answer:
                raise LinuxmmError(f"QEMU: {name}: {answer['error'].get('desc', answer['error'])}")
            if "return" in answer:
                return answer["return"]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The machine stands still inside."""
        self.command("stop")
        try:
            yield
        finally:
            self.command("cont")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None


def _ending_with_us() -> list[str]:
    """Words in front of a command that make the kernel end it when this process ends, however that ends."""
    found = find(SET_PRIVILEGES)
    return [found, "--pdeathsig", "KILL", "--"] if found is not None else []


@contextmanager
def started(arguments: list[str], folder: Path) -> Iterator[Qemu]:
    """Start QEMU; its process is gone when the context is left.

    folder   where its monitor's socket `qmp` is, and where `qemu.log` goes
    Errors   LinuxmmError when it does not start, with the end of its log
    """
    log = folder / "qemu.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_ending_with_us(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        with _connected(process, folder / "qmp", log) as monitor:
            yield Qemu(process, monitor)
    finally:
        process.kill()
        process.wait()


def _connected(process: "subprocess.Popen[bytes]", path: Path, log: Path) -> socket.socket:
    end = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        monitor = socket.socket(socket.AF_UNIX)
        try:
            monitor.connect(str(path))
        except OSError:
            monitor.close()
            time.sleep(0.02)
        else:
            monitor.settimeout(_REPLY_SECONDS)
            return monitor
    raise LinuxmmError(
        f"QEMU did not start: {log.read_text(errors='replace').strip()[-500:] or 'no message'}"
    )
