"""Vectors: a few calls, the one that matters, and what must come of it (docs/formats/vm-calls.md).

Addresses may be relative to the end of the heap at the start: `heap`, `heap+1000`.
"""

import re
from pathlib import Path

import msgspec

from linuxmm.model.vm.process import call as make
from linuxmm.oracle.live.compare import describe
from linuxmm.oracle.live.session import Executor, executor_command
from linuxmm.oracle.live.start import Start
from linuxmm.oracle.live.wire import decode
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.step import Errno
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.system_calls import SystemCall

FORMAT = "linuxmm-vm-vectors/1"
_HEAP = re.compile(r"\bheap(?:\+([0-9a-f]+))?")


class Vector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vector.

    expect        the name of an error number, or = and the result
    why           what the case is
    since, until  releases that it is for ("" while it lasts)
    needs         "names" or "advice N": what the kernel must have built in
    """

    id: str
    call: str
    expect: str
    why: str
    since: str
    before: tuple[str, ...] = ()
    until: str = ""
    needs: str = ""

    @property
    def name(self) -> str:
        """The system call."""
        return self.id.split(".")[0]


class Vectors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of vectors."""

    format: str
    vectors: tuple[Vector, ...]


def read_vectors(path: Path) -> tuple[Vector, ...]:
    """The vectors of a file.

    Errors    BadEvidence
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Vectors)
    except msgspec.MsgspecError as error:
        raise BadEvidence(path.name, str(error)) from error
    if found.format != FORMAT:
        raise BadEvidence(path.name, f"expected {FORMAT}, got {found.format!r}", where="format")
    return found.vectors


def is_for(vector: Vector, start: Start) -> bool:
    """Whether the vector is for the kernel of a run."""
    branch = start.kernel.version.branch
    if branch < parse_version(vector.since).branch:
        return False
    if vector.until and branch > parse_version(vector.until).branch:
        return False
    if vector.needs == "names":
        return start.rules.nameable(None) is not None
    if vector.needs.startswith("advice "):
        return int(vector.needs.split()[1]) in start.rules.advice()
    return True


def calls_of(vector: Vector, heap: int) -> tuple[SystemCall, ...]:
    """The calls, the one that matters last."""

    def placed(text: str) -> str:
        return _HEAP.sub(lambda match: f"{heap + int(match[1] or '0', 16):x}", text)

    return tuple(decode(placed(text), file=vector.id) for text in (*vector.before, vector.call))


def expected(vector: Vector, heap: int) -> str:
    """What must come of it, with addresses as they are."""
    return _HEAP.sub(lambda match: f"{heap + int(match[1] or '0', 16):x}", vector.expect)


def on_model(vector: Vector, start: Start) -> str:
    """What the model says comes of it, as `expect` has it."""
    process = start.process
    result: object = None
    for what in calls_of(vector, start.process.space.brk):
        step = make(start.rules, process, what)
        process, result = step.state, step.result
    if isinstance(result, Denied):
        return result.errno.name
    return f"={result:x}" if isinstance(result, int) else describe(result)  # type: ignore[arg-type]


def on_kernel(vector: Vector) -> tuple[str, str] | None:
    """What the kernel at hand says comes of it, and what must; None when the vector is not for it.

    Errors    CannotRun
    """
    with Executor(executor_command()) as executor:
        start = executor.start()
        if not is_for(vector, start):
            return None
        heap, said = start.process.space.brk, ""
        for what in calls_of(vector, heap):
            executor.send(what)
            reply = executor.receive(what)
            said = Errno(reply.error).name if reply.error else f"={reply.result:x}"
        return said, expected(vector, heap)
