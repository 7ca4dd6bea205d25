"""One run: an executor in a process of its own, its calls predicted, made and compared."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linuxmm.oracle.live.start import Start, read_start
from linuxmm.oracle.live.wire import Reply, encode, read_reply
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.vm.system_calls import Fork, SystemCall

EXECUTOR: Final = Path(__file__).with_name("executor.py")


class ExecutorGone(LinuxmmError):
    """The executor ended or did not answer in time."""


class CannotRun(LinuxmmError):
    """The executor says that it cannot run here, and why."""


def executor_command() -> tuple[str, ...]:
    """The executor in Python, on the kernel at hand."""
    return (sys.executable, "-I", "-S", "-B", str(EXECUTOR))


class Executor:
    """An executor: program and arguments, seconds to wait for a reply."""

    def __init__(self, command: Sequence[str], timeout: float = 10.0) -> None:
        self._timeout = timeout
        self._received = b""
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=_environment()
        )
        self.number = 0

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Start:
        """The run before its first call.

        Errors    CannotRun, ExecutorGone, BadEvidence
        """
        lines = self._lines(1)
        if lines[0].startswith(b"!"):
            raise CannotRun(lines[0][2:].decode().strip())
        return read_start(lines)

    def send(self, call: SystemCall) -> None:
        """Ask for a call; the reply is for `receive`."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(encode(call).encode() + b"\n")
        except BrokenPipeError as error:
            raise ExecutorGone("the executor ended") from error

    def receive(self, call: SystemCall) -> Reply:
        """The reply to a call that was asked for.

        Errors    ExecutorGone, BadEvidence
        """
        self.number += 1
        return read_reply(self._lines(2 if isinstance(call, Fork) else 1), self.number)

    def close(self) -> None:
        """End the executor."""
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        self._child.kill()
        self._child.wait()

    def _lines(self, states: int) -> list[bytes]:
        assert self._child.stdout is not None
        source = self._child.stdout.fileno()
        end = time.monotonic() + self._timeout
        while self._received.count(b"\n.\n") < states:
            if self._received.startswith(b"!") and self._received.endswith(b"\n"):
                break
            if not select.select([source], [], [], max(end - time.monotonic(), 0))[0]:
                raise ExecutorGone(f"no answer within {self._timeout} seconds")
            more = os.read(source, 1 << 16)
            if not more:
                status = self._child.wait()
                raise ExecutorGone(f"the executor ended with status {status}")
            self._received += more
        at = 0
        for _ in range(states):
            at = self._received.find(b"\n.\n", at) + 3
        taken, self._received = self._received[:at], self._received[at:]
        return taken.splitlines(keepends=True)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "PYTHONMALLOC": "malloc"} | {
        name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ
    }
