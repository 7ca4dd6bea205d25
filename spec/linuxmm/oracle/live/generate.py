"""Random system calls, drawn so that what was seen least comes next.

A few calls are drawn at a time and tried on the model; the one whose outcomes (refusals, ways to merge or
split) were met least often is made.  The same seed makes the same calls.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Final

from linuxmm.model.vm.process import Process, Result
from linuxmm.model.vm.process import call as make
from linuxmm.model.vm.rules import Rules
from linuxmm.oracle.live.wire import FIRST_FILE
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.step import Event, Step
from linuxmm.spec.vm import effects
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.effects import Denied, Merged, Split
from linuxmm.spec.vm.space import window_of
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SIZE

ARENA: Final = 0x10000000000
ARENA_32: Final = 0x60000000
ARENA_PAGES: Final = 96
MOST_AREAS: Final = 90
MOST_POPULATED: Final = 700
HEAP_PAGES: Final = 40
_RIGHTS: Final = (3, 3, 3, 3, 3, 1, 1, 0, 5, 7, 2, 4)
_ADVICE: Final = (*range(26), 102, 102, 103, 99, 100, 101, 8, 4, 23, 23, 18)
_BY_PAGE: Final = frozenset(
    {
        vm.MADV_POPULATE_READ,
        vm.MADV_POPULATE_WRITE,
        vm.MADV_PAGEOUT,
        vm.MADV_GUARD_INSTALL,
        vm.MADV_GUARD_REMOVE,
    }
)
_EXTRA: Final = (
    (vm.MAP_GROWSDOWN, 20),
    (vm.MAP_LOCKED, 20),
    (vm.MAP_NORESERVE, 12),
    (vm.MAP_POPULATE, 8),
    (vm.MAP_STACK, 30),
    (vm.MAP_NONBLOCK, 40),
    (vm.MAP_DENYWRITE, 60),
    (vm.MAP_SYNC, 60),
    (vm.MAP_32BIT, 40),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A call, and what the model says comes of it."""

    call: SystemCall
    step: Step[Process, Result]
    outcomes: tuple[str, ...]


def outcomes_of(call: SystemCall, result: Result, events: Iterable[Event]) -> tuple[str, ...]:
    """What coverage counts: the call with its refusal or success, and each way to merge or split."""
    name = type(call).__name__.lower()
    if isinstance(call, calls.Madvise):
        name = f"madvise-{call.advice}"
    how = f"{result.errno.name}:{result.why}" if isinstance(result, Denied) else "done"
    found = [f"{name} {how}"]
    for event in events:
        if isinstance(event, Merged):
            found.append(f"{name} merge-{event.case}")
        elif isinstance(event, Split):
            found.append(f"{name} split")
    return tuple(dict.fromkeys(found))


def _takes_every_page(call: SystemCall) -> int:
    """Bytes that the call goes through page by page: too many would take memory, or for ever."""
    match call:
        case calls.Mmap() if call.flags & (vm.MAP_POPULATE | vm.MAP_LOCKED):
            return call.length
        case calls.Madvise() if call.advice in _BY_PAGE:
            return call.length
    return 0


class Generator:
    """Draws the calls of one run.

    seen     how often each outcome was met, over all runs
    foreign  ranges that must stay as they are; foreign_areas of them
    """

    def __init__(
        self,
        random: Random,
        seen: Counter[str],
        rules: Rules,
        foreign: tuple[tuple[int, int], ...],
        foreign_areas: int,
    ) -> None:
        self._random = random
        self._seen = seen
        self._rules = rules
        self._foreign = foreign
        self._foreign_areas = foreign_areas
        self._arena = ARENA if rules.bits == 64 else ARENA_32
        self._word = (1 << rules.bits) - 1
        self._count = 0

    def next(self, process: Process, heap: int, choices: int = 3) -> Drawn:
        """The next call; `heap` is where the heap ended at the start."""
        best: Drawn | None = None
        rarest = 0.0
        tried = 0
        while best is None or tried < choices:
            tried += 1
            call = self._draw(process, heap)
            drawn = self._try(process, call)
            if drawn is None:
                continue
            score = min(self._seen[outcome] for outcome in drawn.outcomes)
            if best is None or score < rarest:
                best, rarest = drawn, score
        self._seen.update(best.outcomes)
        self._count += 1
        return best

    def _try(self, process: Process, call: SystemCall) -> Drawn | None:
        """The call on the model; None when it may not be made here."""
        if isinstance(call, calls.Mseal) and not self._rules.seals():
            return None
        if isinstance(call, calls.Mlock) and call.second and not self._rules.lock_flags():
            return None
        if _takes_every_page(call) > MOST_POPULATED * PAGE_SIZE:
            return None
        try:
            step = make(self._rules, process, call)
        except Unmodelled:
            return None
        if not isinstance(call, calls.Mlockall | calls.Munlockall) and self._harms(process, step):
            return None
        if self._looks_at_foreign(call):
            return None
        return Drawn(call, step, outcomes_of(call, step.result, step.events))

    def _harms(self, process: Process, step: Step[Process, Result]) -> bool:
        """Whether areas that are not ours change, or too much memory is taken."""
        for event in step.events:
            if isinstance(event, effects.Move) and self._is_foreign(event.old, event.old + event.length):
                return True
            start, end = getattr(event, "start", 0), getattr(event, "end", 0)
            if self._is_foreign(start, end):
                return True
            if isinstance(event, effects.Populate) and end - start > MOST_POPULATED * PAGE_SIZE:
                return True
        before = process.space.areas
        after = step.state.space.areas
        if before is after:
            return False
        kept = set(after)
        return any(area not in kept and self._is_foreign(area.start, area.end) for area in before)

    def _looks_at_foreign(self, call: SystemCall) -> bool:
        """Whether the call depends on what areas hold that are not ours."""
        match call:
            case calls.Load() | calls.Mincore():
                return self._is_foreign(call.address, call.address + call.length)
            case calls.Store():
                return self._is_foreign(call.address, call.address + len(call.data))
        return False

    def _is_foreign(self, start: int, end: int) -> bool:
        return any(low < end and start < high for low, high in self._foreign)

    # ---- arguments ---------------------------------------------------------------------------------------

    def _one_in(self, n: int) -> bool:
        return self._random.randrange(n) == 0

    def _address(self, process: Process) -> int:
        """A page of the arena, the bounds or the inside of an area of ours, or something odd."""
        random = self._random
        kind = random.randrange(20)
        if kind < 8:
            return self._arena + random.randrange(ARENA_PAGES) * PAGE_SIZE
        if kind < 18:
            ours = [a for a in process.space.areas if not self._is_foreign(a.start, a.end)]
            if not ours:
                return self._arena
            area = random.choice(ours)
            if kind < 12:
                return area.start
            if kind < 14:
                return area.end
            return area.start + random.randrange(area.pages) * PAGE_SIZE
        if kind == 18:
            size, window = process.space.task_size, window_of(process.space)
            odd = [0, PAGE_SIZE, size, size - PAGE_SIZE, 0x8000]
            if window < size:
                odd += [window, window - PAGE_SIZE, window + PAGE_SIZE, size >> 4, size >> 1 & -PAGE_SIZE]
            return random.choice((*odd, self._word & -PAGE_SIZE, 1 << (self._rules.bits - 1)))
        return self._arena + random.randrange(ARENA_PAGES * PAGE_SIZE)

    def _length(self) -> int:
        random = self._random
        kind = random.randrange(24)
        if kind < 18:
            return random.randrange(1, 9) * PAGE_SIZE
        if kind < 20:
            return random.randrange(1, 3 * PAGE_SIZE)
        if kind == 20:
            return 0
        if kind == 21:
            return random.choice((512, 1024, 600, 40)) * PAGE_SIZE
        if kind == 22 and self._one_in(3):
            top = 1 << self._rules.bits
            return random.choice((top - 1, top - PAGE_SIZE, top >> 1, 1 << 46 & self._word, top - 5000))
        return PAGE_SIZE

    def _draw(self, process: Process, heap: int) -> SystemCall:
        if len(process.space.areas) - self._foreign_areas > MOST_AREAS:
            start = self._arena + self._random.randrange(ARENA_PAGES) * PAGE_SIZE
            return calls.Munmap(start, 40 * PAGE_SIZE)
        weight = self._random.randrange(100)
        for limit, draw in _DRAWS:
            if weight < limit:
                return draw(self, process, heap)
        raise AssertionError(weight)

    def _mmap(self, process: Process, heap: int) -> SystemCall:
        random = self._random
        address = self._address(process) if random.randrange(5) else 0
        flags = random.choice((2, 2, 2, 2, 1, 1, 3)) if random.randrange(25) else random.choice((0, 4, 8, 8))
        file, offset = -1, 0
        if random.randrange(3):
            flags |= vm.MAP_ANONYMOUS
        else:
            file = FIRST_FILE + random.choice((0, 0, 0, 1, 1, 2, 3, 4, 5)) if random.randrange(20) else -1
            offset = random.randrange(6) * PAGE_SIZE
            if self._one_in(20):
                offset = random.choice((7, self._word & -PAGE_SIZE, self._word >> 1 & -PAGE_SIZE))
        if self._rules.bits == 32:
            offset &= -PAGE_SIZE
        if address and random.randrange(4):
            flags |= vm.MAP_FIXED if random.randrange(4) else vm.MAP_FIXED_NOREPLACE
        for extra, rarity in _EXTRA:
            if self._one_in(rarity):
                flags |= extra
        if flags & vm.MAP_32BIT and self._rules.bits == 32:
            flags &= ~vm.MAP_32BIT
        return calls.Mmap(address, self._length(), random.choice(_RIGHTS), flags, file, offset)

    def _munmap(self, process: Process, heap: int) -> SystemCall:
        return calls.Munmap(self._address(process), self._length())

    def _mprotect(self, process: Process, heap: int) -> SystemCall:
        prot = self._random.choice(_RIGHTS)
        if self._one_in(12):
            prot |= self._random.choice(
                (vm.PROT_GROWSDOWN, vm.PROT_GROWSDOWN, vm.PROT_GROWSUP, 0x03000000, 8, 0x100)
            )
        return calls.Mprotect(self._address(process), self._length(), prot)

    def _mremap(self, process: Process, heap: int) -> SystemCall:
        random = self._random
        address, old = self._address(process), self._length()
        ours = [a for a in process.space.areas if not self._is_foreign(a.start, a.end)]
        if ours and random.randrange(3):
            area = random.choice(ours)
            inside = random.randrange(area.pages) * PAGE_SIZE if self._one_in(2) else 0
            address, old = area.start + inside, area.end - area.start - inside
            if self._one_in(3):
                old = random.randrange(old // PAGE_SIZE + 1) * PAGE_SIZE
        new = old if random.randrange(3) == 0 else self._length()
        flags, target = random.choice((0, 1, 1, 1)), 0
        kind = random.randrange(6)
        if kind < 2:
            flags, target = 3, self._address(process)
        elif kind == 2:
            flags, target = random.choice((5, 5, 7, 4, 2)), self._address(process)
            new = old if random.randrange(4) else new
        elif self._one_in(20):
            flags |= 8
        return calls.Mremap(address, old, new, flags, target)

    def _brk(self, process: Process, heap: int) -> SystemCall:
        if self._one_in(20):
            return calls.Brk(self._random.choice((0, process.space.start_brk - 1, process.space.task_size)))
        top = (heap + PAGE_SIZE - 1) & -PAGE_SIZE
        at = top + self._random.randrange(HEAP_PAGES * PAGE_SIZE)
        return calls.Brk(at if self._one_in(3) else at & -PAGE_SIZE)

    def _madvise(self, process: Process, heap: int) -> SystemCall:
        return calls.Madvise(self._address(process), self._length(), self._random.choice(_ADVICE))

    def _lock(self, process: Process, heap: int) -> SystemCall:
        kind = self._random.randrange(16)
        address, length = self._address(process), self._length()
        if kind < 5:
            return calls.Mlock(address, length)
        if kind < 8:
            return calls.Mlock(address, length, self._random.choice((0, 1, 1, 2)), second=True)
        if kind < 14:
            return calls.Munlock(address, length)
        if kind == 14:
            return calls.Mlockall(self._random.choice((0, 1, 2, 2, 3, 4, 5, 6, 8)))
        return calls.Munlockall()

    def _ask(self, process: Process, heap: int) -> SystemCall:
        if self._one_in(2):
            flags = self._random.choice((1, 2, 4, 4, 5, 6, 0, 8))
            return calls.Msync(self._address(process), self._length(), flags)
        length = self._length()
        vector = length <= 4096 * PAGE_SIZE and not self._one_in(20)
        return calls.Mincore(self._address(process), length, vector)

    def _store(self, process: Process, heap: int) -> SystemCall:
        at = self._touched(process)
        return calls.Store(at, self._random.randbytes(min(8, PAGE_SIZE - at % PAGE_SIZE)))

    def _load(self, process: Process, heap: int) -> SystemCall:
        at = self._touched(process)
        return calls.Load(at, min(8, PAGE_SIZE - at % PAGE_SIZE))

    def _touched(self, process: Process) -> int:
        """An address to touch; often just below an area that grows."""
        page = self._address(process) & -PAGE_SIZE
        if self._one_in(6):
            growing = [a for a in process.space.areas if a.flags & vm.VM_GROWSDOWN]
            ours = [a for a in growing if not self._is_foreign(a.start, a.end)]
            if ours:
                page = self._random.choice(ours).start - self._random.choice((1, 1, 2, 9)) * PAGE_SIZE
        return max(page, 0) + self._random.choice((0, 8, 2048, 4088))

    def _rare(self, process: Process, heap: int) -> SystemCall:
        random = self._random
        kind = random.randrange(10)
        if kind < 4:
            return calls.Fork()
        if kind < 5 and self._count % 4 == 0:
            return calls.Mseal(self._address(process), self._length(), random.choice((0, 0, 0, 1)))
        if kind < 8:
            total = process.space.total * PAGE_SIZE
            data = process.space.data * PAGE_SIZE
            limit, value = random.choice(
                (
                    ("address_space", total + random.randrange(64) * PAGE_SIZE),
                    ("address_space", (1 << 64) - 1),
                    ("data", data + random.randrange(64) * PAGE_SIZE),
                    ("data", (1 << 64) - 1),
                    ("stack", random.randrange(1, 64) * PAGE_SIZE),
                    ("stack", 8 << 20),
                    ("locked", random.choice((0, 8, 64, 2048)) * PAGE_SIZE),
                    ("locked", 8 << 20),
                )
            )
            return calls.SetLimit(limit, value)
        name = random.choice((None, "one", "two", "two", "", "bad$", "x" * 79, "x" * 80, "tab\t"))
        return calls.SetName(self._address(process), self._length(), name)


Draw = Callable[[Generator, Process, int], SystemCall]
_DRAWS: Final[tuple[tuple[int, Draw], ...]] = (
    (24, Generator._mmap),
    (31, Generator._munmap),
    (43, Generator._mprotect),
    (54, Generator._mremap),
    (58, Generator._brk),
    (70, Generator._madvise),
    (77, Generator._lock),
    (82, Generator._ask),
    (91, Generator._store),
    (96, Generator._load),
    (100, Generator._rare),
)
