"""The lines between judge and executor (docs/formats/vm-calls.md).

A request is a name and hexadecimal words.  A reply is `= RESULT ERRNO PAYLOAD`, then the areas (two lines
each) or `~` when they are those of the reply before, then `c SIZE LOCKED DATA STACK` in kB, then `.`.
"""

from dataclasses import dataclass
from typing import Final

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.system_calls import SystemCall

FIRST_FILE: Final = 1000
"""Identity of the first file of the executor; the n-th has FIRST_FILE + n."""
NO_FILE: Final = 0xFF


@dataclass(frozen=True, slots=True)
class State:
    """The areas as text (None: as before), and the counters in kB: size, locked, data, stack."""

    areas: bytes | None
    counters: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one call; child: the state of the child of a fork."""

    result: int
    error: int
    payload: bytes
    state: State
    child: State | None = None


def encode(call: SystemCall) -> str:
    """The request for a call."""
    match call:
        case calls.Mmap():
            file = call.file - FIRST_FILE if call.file >= FIRST_FILE else NO_FILE
            return (
                f"mmap {call.address:x} {call.length:x} {call.prot:x} {call.flags:x} {file:x} {call.offset:x}"
            )
        case calls.Munmap() | calls.Munlock():
            return f"{type(call).__name__.lower()} {call.address:x} {call.length:x}"
        case calls.Mprotect():
            return f"mprotect {call.address:x} {call.length:x} {call.prot:x}"
        case calls.Mremap():
            return (
                f"mremap {call.address:x} {call.old_length:x} {call.new_length:x} {call.flags:x} "
                f"{call.new_address:x}"
            )
        case calls.Brk():
            return f"brk {call.address:x}"
        case calls.Madvise():
            return f"madvise {call.address:x} {call.length:x} {call.advice:x}"
        case calls.Mlock():
            if call.second:
                return f"mlock2 {call.address:x} {call.length:x} {call.flags:x}"
            return f"mlock {call.address:x} {call.length:x}"
        case calls.Mlockall():
            return f"mlockall {call.flags:x}"
        case calls.Munlockall():
            return "munlockall"
        case calls.Mincore():
            return f"mincore {call.address:x} {call.length:x} {call.vector:x}"
        case calls.Msync():
            return f"msync {call.address:x} {call.length:x} {call.flags:x}"
        case calls.SetName():
            name = "-" if call.name is None else "=" + call.name.encode("latin-1").hex()
            return f"name {call.address:x} {call.length:x} {name}"
        case calls.Mseal():
            return f"mseal {call.address:x} {call.length:x} {call.flags:x}"
        case calls.Store():
            return f"store {call.address:x} {call.data.hex()}"
        case calls.Load():
            return f"load {call.address:x} {call.length:x}"
        case calls.SetLimit():
            return f"limit {call.limit} {call.value:x}"
        case calls.Fork():
            return "fork"


def decode(line: str, number: int = 0, file: str = "calls") -> SystemCall:
    """The call of a request.

    Errors    BadEvidence
    """
    name, *words = line.split()
    try:
        return _decode(name, words)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise BadEvidence(file, f"expected a call and its words, got {line!r}", line=number) from error


_PLAIN: Final[dict[str, type]] = {
    "munmap": calls.Munmap,
    "munlock": calls.Munlock,
    "mprotect": calls.Mprotect,
    "mremap": calls.Mremap,
    "brk": calls.Brk,
    "madvise": calls.Madvise,
    "mlock": calls.Mlock,
    "mlockall": calls.Mlockall,
    "munlockall": calls.Munlockall,
    "msync": calls.Msync,
    "mseal": calls.Mseal,
    "fork": calls.Fork,
}


def _decode(name: str, words: list[str]) -> SystemCall:
    if name == "limit":
        return calls.SetLimit(words[0], int(words[1], 16))
    if name == "store":
        return calls.Store(int(words[0], 16), bytes.fromhex(words[1]))
    if name == "name":
        text = None if words[2] == "-" else bytes.fromhex(words[2][1:]).decode("latin-1")
        return calls.SetName(int(words[0], 16), int(words[1], 16), text)
    numbers = [int(word, 16) for word in words]
    if name == "mmap":
        file = -1 if numbers[4] == NO_FILE else numbers[4] + FIRST_FILE
        address, length, prot, flags, _, offset = numbers
        return calls.Mmap(address, length, prot, flags, file, offset)
    if name == "mlock2":
        return calls.Mlock(numbers[0], numbers[1], numbers[2], second=True)
    if name == "mincore":
        return calls.Mincore(numbers[0], numbers[1], bool(numbers[2]))
    if name == "load":
        return calls.Load(*numbers)
    made: SystemCall = _PLAIN[name](*numbers)
    return made


def read_state(lines: list[bytes], number: int = 0, file: str = "executor") -> State:
    """The state that lines before a `.` say.

    Errors    BadEvidence
    """
    if not lines or not lines[-1].startswith(b"c "):
        raise BadEvidence(file, "expected the counters: c SIZE LOCKED DATA STACK", line=number)
    counters = tuple(int(word) for word in lines[-1].split()[1:])
    if len(counters) != 4:
        raise BadEvidence(file, f"expected four counters, got {len(counters)}", line=number)
    size, data, stack, locked = counters[0], counters[2], counters[3], counters[1]
    same = lines[0] == b"~\n"
    return State(None if same else b"".join(lines[:-1]), (size, locked, data, stack))


def read_reply(lines: list[bytes], number: int = 0, file: str = "executor") -> Reply:
    """The reply that lines say; those of a fork hold two states.

    Errors    BadEvidence
    """
    head = lines[0].split()
    if len(head) != 4 or head[0] != b"=":
        raise BadEvidence(file, f"expected = RESULT ERRNO PAYLOAD, got {lines[0][:80]!r}", line=number)
    child: State | None = None
    rest = lines[1:]
    if rest and rest[0] == b"|\n":
        end = rest.index(b".\n")
        child, rest = read_state(rest[1:end], number, file), rest[end + 1 :]
    state = read_state([line for line in rest if line != b".\n"], number, file)
    return Reply(int(head[1], 16), int(head[2]), head[3], state, child)
