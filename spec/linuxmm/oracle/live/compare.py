"""What the kernel did, held against what the model says it does."""

import re
from dataclasses import replace
from typing import Final

from linuxmm.model.vm.process import Forked, Process, Result, resident, view
from linuxmm.model.vm.rules import Rules
from linuxmm.oracle.live.wire import Reply, State
from linuxmm.spec.step import Refusal
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.area import FileKind, Vma
from linuxmm.spec.vm.call_clauses import AREAS, COUNTS, PAGEMAP, RESULT
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.flags import VM_HUGEPAGE, VM_SHARED, flag_letters
from linuxmm.spec.vm.maps import maps_line
from linuxmm.spec.vm.page_layer import Read
from linuxmm.spec.vm.space import AddressSpace, area_at, overlapping
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SIZE

_PAIR: Final = re.compile(rb"([^\n]*)\nv ([^\n]*)\n")
_SOFT_DIRTY: Final = re.compile(rb"^(v [^\n]*?)sd ", re.M)
_HIGH: Final = re.compile(rb"^ff[0-9a-f]{14}-[^\n]*\nv [^\n]*\n", re.M)
_SHARED_LINE: Final = re.compile(rb" ([0-9a-f]+):([0-9a-f]+) (\d+) +/dev/zero \(deleted\)$")
_PRESENT, _SWAPPED, _OF_FILE = 8, 4, 2


class Comparison:
    """Compares the replies of one run with the model, and keeps what the kernel chose.

    witnessed  shmem object -> (device, inode) that the kernel gave it
    """

    def __init__(self, rules: Rules) -> None:
        self._is_heap = rules.is_heap
        self._bits = rules.bits
        self._unnamed = rules.unnamed()
        self._name_at = 49 if rules.bits == 32 else 73
        self.witnessed: dict[int, bytes] = {}
        self._text = b""
        self._printed: dict[Vma, bytes] = {}

    def judge(
        self, process: Process, call: SystemCall, expected: Result, reply: Reply
    ) -> tuple[Process, Refusal | None]:
        """The process once the reply is believed, or what is wrong with it."""
        wrong = _wrong_result(expected, reply)
        if wrong is not None:
            return process, wrong
        if isinstance(expected, Forked):
            assert reply.child is not None
            wrong = self.areas(expected.child.space, reply.child, other=True)
            wrong = wrong or counts(expected.child.space, reply.child)
            if wrong is not None:
                return process, Refusal(wrong.clause, f"in the child: {wrong.why}")
        wrong = self.areas(process.space, reply.state) or counts(process.space, reply.state)
        if wrong is not None:
            return process, wrong
        if isinstance(call, calls.Load) and isinstance(expected, Read):
            return _settled(process, call, bytes.fromhex(reply.payload.decode()))
        if isinstance(call, calls.Mincore) and not reply.error and reply.payload != b"-":
            return process, _wrong_residency(process, call, reply.payload)
        return process, None

    def areas(self, space: AddressSpace, state: State, *, other: bool = False) -> Refusal | None:
        """What is wrong with the areas of a state; other: of another process, whose text is not kept."""
        text = self._text
        if state.areas is not None:
            text = _HIGH.sub(b"", _SOFT_DIRTY.sub(rb"\1", state.areas))
            if not other:
                self._text = text
        if b"".join([self._print(space, area) for area in space.areas]) == text:
            return None
        return self._difference(space, text)

    def _print(self, space: AddressSpace, area: Vma) -> bytes:
        heap = area.start <= space.brk and area.end >= space.start_brk
        found = None if heap else self._printed.get(area)
        if found is None:
            found = self._printed[area] = self._lines(space, area)
        return found

    def _lines(self, space: AddressSpace, area: Vma) -> bytes:
        head = maps_line(space, area, self._is_heap, self._bits).encode("utf-8", "backslashreplace")
        if area.file is not None and area.file in self.witnessed:
            path = space.files[area.file].path.encode()
            prefix = head[: head.index(b" 00:00 ")]
            head = (prefix + b" " + self.witnessed[area.file] + b" ").ljust(self._name_at) + path
        letters = "".join(name + " " for name in flag_letters(area.flags, self._unnamed))
        return head + b"\nv " + letters.encode() + b"\n"

    def _difference(self, space: AddressSpace, text: bytes) -> Refusal | None:
        """The first area that differs; shmem objects that are new are believed."""
        seen = _PAIR.findall(text)
        for area, (head, letters) in zip(space.areas, seen, strict=False):
            self._witness(space, area, head)
            expected = self._print(space, area)
            found = head + b"\nv " + letters + b"\n"
            if expected != found:
                return Refusal(AREAS, f"expected {_readable(expected)}, found {_readable(found)}")
        if len(seen) < len(space.areas):
            missing = self._print(space, space.areas[len(seen)])
            return Refusal(AREAS, f"expected {_readable(missing)}, found nothing there")
        if len(seen) > len(space.areas):
            more = seen[len(space.areas)]
            return Refusal(AREAS, f"expected nothing there, found {_readable(more[0] + b' ' + more[1])}")
        return None

    def _witness(self, space: AddressSpace, area: Vma, head: bytes) -> None:
        if area.file is None or area.file in self.witnessed:
            return
        match = _SHARED_LINE.search(head)
        if match is None or space.files[area.file].kind is not FileKind.SHARED_ANONYMOUS:
            return
        number = match[1] + b":" + match[2] + b" " + match[3]
        if number not in self.witnessed.values():
            self.witnessed[area.file] = number
            self._printed.pop(area, None)


def _readable(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "backslashreplace").split())


def counts(space: AddressSpace, state: State) -> Refusal | None:
    """What is wrong with the counters of a state."""
    expected = tuple(pages << 2 for pages in (space.total, space.locked, space.data, space.stack))
    for name, wanted, found in zip(
        ("VmSize", "VmLck", "VmData", "VmStk"), expected, state.counters, strict=True
    ):
        if wanted != found:
            return Refusal(COUNTS, f"{name}: expected {wanted} kB, found {found} kB")
    return None


def describe(result: Result) -> str:
    """A result in words."""
    if isinstance(result, Denied):
        return f"{result.errno.name} ({result.why})"
    if isinstance(result, Read):
        return f"{result.length} bytes"
    return "a child" if isinstance(result, Forked) else f"{result:#x}"


def _wrong_result(expected: Result, reply: Reply) -> Refusal | None:
    if isinstance(expected, Denied):
        if reply.error == expected.errno.value:
            return None
    elif not reply.error:
        wanted = expected.length if isinstance(expected, Read) else expected
        if isinstance(expected, Forked) or wanted == reply.result:
            return None
    found = f"error {reply.error}" if reply.error else f"{reply.result:#x}"
    return Refusal(RESULT, f"expected {describe(expected)}, found {found}")


def _settled(process: Process, call: calls.Load, seen: bytes) -> tuple[Process, Refusal | None]:
    def find(address: int) -> "object":
        area = area_at(process.space, address)
        return None if area is None else view(process.space, area)

    layer, refusal = process.layer.observe(1, find, call.address, seen)  # type: ignore[arg-type]
    return replace(process, layer=layer), refusal


def _wrong_residency(process: Process, call: calls.Mincore, payload: bytes) -> Refusal | None:
    """mincore's answer and pagemap's."""
    vector, _, tops = payload.partition(b":")
    found, entries = bytes.fromhex(vector.decode()), bytes.fromhex(tops.decode())
    end = call.address + len(found) * PAGE_SIZE
    expected = resident(process, call.address, end)
    for area in overlapping(process.space, call.address, end):
        if area.flags & VM_HUGEPAGE and area.end - area.start >= 1 << 21:
            return None
    for number, (wanted, seen) in enumerate(zip(expected, found, strict=True)):
        address = call.address + number * PAGE_SIZE
        if wanted is not None and wanted != bool(seen):
            state = "resident" if wanted else "not resident"
            return Refusal("vm.contents.resident", f"page {address:#x} was expected to be {state}")
        held = area_at(process.space, address)
        if held is None or held.file is not None or held.flags & VM_SHARED or number >= len(entries):
            continue
        present = bool(entries[number] & _PRESENT)
        if wanted is not None and (present != wanted or entries[number] & _OF_FILE):
            return Refusal(PAGEMAP, f"page {address:#x}: pagemap's upper bits are {entries[number]:#x}")
    return None
