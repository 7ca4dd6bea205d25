"""An implementation in a process of its own, spoken to over its standard input and output."""

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Self

from linuxmm.oracle.adapter.allocator import BrokenImplementation, Fault, Setup
from linuxmm.oracle.adapter.protocol import (
    MAX_LINE,
    AllocRequest,
    FreeRequest,
    Reply,
    Request,
    StateRequest,
    StatsRequest,
    decode,
    decode_errno,
    encode,
    highest_index,
    init_request,
)
from linuxmm.spec.alloc.gfp import gfp_zone_highest, parse_gfp
from linuxmm.spec.alloc.page_state import Layout
from linuxmm.spec.alloc.pages import Done, Failed, Granted
from linuxmm.spec.vocabulary import MigrateType


class LineProcess:
    """A child process that answers each line with a line.

    command  program and arguments
    timeout  seconds for one reply
    Errors   BrokenImplementation when it dies, hangs, or says what is no reply
    """

    def __init__(self, command: Sequence[str], timeout: float = 5.0) -> None:
        self.command = tuple(command)
        self.timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def spawn(self) -> None:
        """A new process."""
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        try:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, bufsize=0
            )
        except OSError as error:
            self.close()
            raise BrokenImplementation(
                Fault.NOT_STARTED, "", f"{self.command[0]}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Close the pipes and kill the process."""
        child, self._child = self._child, None
        self._received = b""
        if child is not None:
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    stream.close()
            child.kill()
            child.wait()
        if self._log is not None:
            self._log.close()
            self._log = None

    def exchange(self, line: bytes, text: str) -> bytes:
        """Send a line, which `text` shows in messages, and wait for the one that answers it."""
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise BrokenImplementation(Fault.NOT_STARTED, text, "start() was not called, or close() was")
        to, back = child.stdin.fileno(), child.stdout.fileno()
        end = time.monotonic() + self.timeout
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise self.broken(Fault.HUNG, text, f"{self.timeout:g} s")
            readable, writable, _ = select.select([back], [to] if line else [], [], left)
            if writable:
                try:
                    line = line[os.write(to, line[:4096]) :]
                except BrokenPipeError:
                    line = b""
            if readable:
                part = os.read(back, 1 << 16)
                self._received += part
                if not part:
                    raise self.broken(Fault.TORN if self._received else Fault.DIED, text)
            answer, newline, rest = self._received.partition(b"\n")
            if newline:
                self._received = b""
                if rest:
                    raise self.broken(Fault.SURPLUS, text, repr(rest[:80]))
                return answer
            if len(answer) > MAX_LINE:
                raise self.broken(Fault.TOO_LONG, text, f"over {MAX_LINE} bytes")

    def broken(self, fault: Fault, request: str, detail: str = "") -> BrokenImplementation:
        """What to raise for a fault; the process is gone after it."""
        said = ""
        if self._log is not None:
            size = self._log.seek(0, os.SEEK_END)
            self._log.seek(max(0, size - 500))
            said = self._log.read().decode("utf-8", "backslashreplace").strip()
        self.close()
        if said:
            detail = f"{detail}; its last words: {said}" if detail else f"its last words: {said}"
        return BrokenImplementation(fault, request, detail)


class ProcessAllocator(LineProcess):
    """A page allocator in a child process; a fresh one for every `start`."""

    def __init__(self, command: Sequence[str], timeout: float = 5.0) -> None:
        super().__init__(command, timeout)
        self._setup = Setup(Layout(()))

    def start(self, setup: Setup) -> None:
        """A new process, told of `setup`."""
        self.spawn()
        self._setup = setup
        reply = self._ask(init_request(setup))
        if reply.ok is not True:
            raise self.broken(Fault.GARBAGE, "init", f"{reply}, expected ok")

    def alloc(self, order: int, migratetype: MigrateType, gfp: str) -> Granted | Failed:
        """Ask for 2**order pages."""
        highest = highest_index(self._setup, gfp_zone_highest(parse_gfp(gfp)))
        reply = self._ask(AllocRequest(order, migratetype.name.lower(), gfp, highest))
        if reply.pfn is not None:
            return Granted(reply.pfn)
        return self._failed(reply, "alloc", "pfn or error")

    def free(self, pfn: int, order: int) -> Done | Failed:
        """Give a block back."""
        reply = self._ask(FreeRequest(pfn, order))
        return Done() if reply.ok is True else self._failed(reply, "free", "ok or error")

    def counts(self) -> tuple[int, ...] | None:
        """Free pages by zone, or None when the implementation answers ENOENT."""
        reply = self._ask(StatsRequest())
        if reply.counts is not None:
            return tuple(reply.counts)
        self._unsupported(reply, "stats", "counts")
        return None

    def lists(self) -> tuple[tuple[int, int], ...] | None:
        """Free blocks, or None when the implementation answers ENOENT."""
        reply = self._ask(StateRequest())
        if reply.free is not None:
            return tuple(reply.free)
        self._unsupported(reply, "state", "free")
        return None

    def _failed(self, reply: Reply, request: str, expected: str) -> Failed:
        if reply.error is None:
            raise self.broken(Fault.GARBAGE, request, f"{reply}, expected {expected}")
        try:
            return Failed(decode_errno(reply.error))
        except ValueError as error:
            raise self.broken(Fault.GARBAGE, request, str(error)) from error

    def _unsupported(self, reply: Reply, request: str, expected: str) -> None:
        if reply.error != "ENOENT":
            raise self.broken(Fault.GARBAGE, request, f"{reply}, expected {expected} or the error ENOENT")

    def _ask(self, request: Request) -> Reply:
        line = encode(request)
        text = line.decode().rstrip()
        answer = self.exchange(line, text)
        try:
            return decode(answer)
        except ValueError as error:
            raise self.broken(Fault.GARBAGE, text, str(error)) from error
