"""Calls that are drawn first and made later, somewhere else: lists for an executor, and its log judged.

A list has sections, each for a process of its own; the log has what each process said.
"""

from collections import Counter
from collections.abc import Sequence
from random import Random

from linuxmm.model.vm.process import call as make
from linuxmm.oracle.live.compare import Comparison, describe
from linuxmm.oracle.live.generate import Generator
from linuxmm.oracle.live.run import RUN_LENGTH, Divergence
from linuxmm.oracle.live.start import Start, read_start
from linuxmm.oracle.live.wire import encode, read_reply
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.call_clauses import ANSWERED
from linuxmm.spec.vm.system_calls import Fork, SystemCall

Section = tuple[SystemCall, ...]


def draw(start: Start, operations: int, seed: int, seen: Counter[str]) -> tuple[Section, ...]:
    """Sections of calls, drawn by the model from the state that `start` describes."""
    sections: list[Section] = []
    left = operations
    while left > 0:
        random = Random(f"{seed}:{len(sections) + 1}")
        generator = Generator(random, seen, start.rules, start.foreign, len(start.process.space.areas))
        process, heap = start.process, start.process.space.brk
        calls: list[SystemCall] = []
        for _ in range(min(RUN_LENGTH, left)):
            drawn = generator.next(process, heap)
            calls.append(drawn.call)
            process = drawn.step.state
        sections.append(tuple(calls))
        left -= len(calls)
    return tuple(sections)


def list_text(sections: Sequence[Section]) -> str:
    """The list as an executor reads it."""
    return "".join("new\n" + "".join(encode(call) + "\n" for call in section) for section in sections)


def sections_of(log: bytes) -> list[list[bytes]]:
    """The lines of each process in a log."""
    found: list[list[bytes]] = []
    for line in log.splitlines(keepends=True):
        if line.startswith(b"linuxmm-vm/"):
            found.append([])
        if found:
            found[-1].append(line)
    return found


class LogReader:
    """Reads a section of a log block by block; a block ends with a line `.`."""

    def __init__(self, lines: Sequence[bytes], file: str) -> None:
        self._lines = lines
        self._at = 0
        self._file = file

    def block(self, states: int) -> list[bytes] | None:
        """The next lines with so many states; None at the end."""
        begin, ends = self._at, 0
        while ends < states:
            if self._at == len(self._lines):
                return None
            ends += self._lines[self._at] == b".\n"
            self._at += 1
        return list(self._lines[begin : self._at])


def judge_section(calls: Section, lines: Sequence[bytes], file: str) -> tuple[int, Divergence | None]:
    """Judge what one process said: (calls judged, the first divergence).

    Errors    BadEvidence
    """
    reader = LogReader(lines, file)
    hello = reader.block(1)
    if hello is None:
        raise BadEvidence(file, "expected the description of a process")
    start = read_start(hello, file)
    process = start.process
    comparison = Comparison(start.rules)
    comparison.areas(process.space, start.state)
    for number, call in enumerate(calls, 1):
        step = make(start.rules, process, call)
        block = reader.block(2 if isinstance(call, Fork) else 1)
        if block is None or block[0].startswith(b"!"):
            gone = Refusal(ANSWERED, "the process ended" if block is None else block[0].decode().strip())
            return number, Divergence(calls[:number], gone, describe(step.result))
        reply = read_reply(block, number, file)
        process, wrong = comparison.judge(step.state, call, step.result, reply)
        if wrong is not None:
            return number, Divergence(calls[:number], wrong, describe(step.result))
    return len(calls), None
