"""Find a case in which an object allocator breaks a clause, and make it as short as can be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from linuxmm.oracle.adapter.object_session import ObjectCall, ObjectsDiverged, ObjectSession
from linuxmm.oracle.adapter.objects import ObjectAllocator
from linuxmm.oracle.adapter.search import UNSTEADY, first_failure, shortest
from linuxmm.spec.errors import LinuxmmError

Make = Callable[[], ObjectAllocator]
_SIZES: Final = (
    0, 1, 8, 9, 16, 24, 64, 65, 90, 96,
    97, 128, 180, 192, 193, 500, 2048, 3000, 4096, 8192, 8193,
)  # fmt: skip
_LARGE: Final = 1 << 17
_KINDS: Final = (
    *("kmalloc",) * 4,
    *("kfree",) * 4,
    *("krealloc", "ksize", "create", "destroy", "again", "inside"),
    *("alloc",) * 3,
    *("free", "free", "foreign"),
)
_NAMES: Final = ("a", "b")


@dataclass(frozen=True, slots=True)
class ObjectFinding:
    """The shortest case found that breaks a clause; the last call breaks it."""

    clause: str
    why: str
    calls: tuple[ObjectCall, ...]
    operations: tuple[str, ...]
    report: str


class ObjectMachine(RuleBasedStateMachine):
    """Requests, releases and misuse of an object allocator; a subclass says in `make` how to get one."""

    make: ClassVar[Make]

    def __init__(self) -> None:
        super().__init__()
        self.allocator = type(self).make()
        self.session: ObjectSession

    @initialize()
    def start(self) -> None:
        """The implementation begins with nothing handed out."""
        self.session = ObjectSession(self.allocator)

    @rule(
        kind=st.sampled_from(_KINDS),
        which=st.integers(0, 15),
        size=st.sampled_from((*_SIZES, _LARGE, _LARGE)),
        cache=st.sampled_from(_NAMES),
        zero=st.booleans(),
    )
    def call(self, kind: str, which: int, size: int, cache: str, zero: bool) -> None:
        """Any call, in order or not."""
        session = self.session
        of = list(session.granted)[-1 - which % len(session.granted)] if session.granted else -1
        live = [n for n, at in session.granted.items() if at in session.memory.held]
        if live and kind in ("kfree", "krealloc", "ksize", "free", "foreign", "inside"):
            of = live[which % len(live)]
        offset = 8 if kind == "inside" else 0
        held = session.memory.held.get(session.granted.get(of, -1))
        if kind in ("free", "again") and held is not None and held.cache:
            cache = held.cache
        kind = {"foreign": "free", "again": "kfree", "inside": "kfree"}.get(kind, kind)
        if kind == "kfree" and held is not None and held.cache:
            kind, cache = "free", held.cache
        if kind == "create":
            size = max(size, 1) if size <= 2048 else 40
        session.call(ObjectCall(kind, of, size, cache, 8 << which % 4, zero, offset))

    def teardown(self) -> None:
        """Let the implementation go."""
        self.allocator.close()


def judge_objects(
    make: Make, *, examples: int = 100, steps: int = 40, random_seed: int | None = None
) -> ObjectFinding | None:
    """Drive allocators and return the shortest case that breaks a clause, or None.

    make         gives a fresh allocator for every example
    random_seed  None for the same cases every time
    Errors       LinuxmmError when an allocator answers the same calls differently
    """

    class Machine(ObjectMachine):
        pass

    Machine.make = staticmethod(make)
    found = first_failure(Machine, ObjectsDiverged, examples, steps, random_seed)
    if found is None:
        return None
    best = reduce(make, found)
    return ObjectFinding(best.refusal.clause, best.refusal.why, best.calls, best.log, str(best))


def replay(make: Make, calls: Iterable[ObjectCall | None]) -> ObjectsDiverged | None:
    """Make the calls on a fresh allocator, and say where it diverges; None stands for a call left out."""
    allocator = make()
    try:
        session = ObjectSession(allocator)
        place: dict[int, int] = {-1: -1}
        for number, call in enumerate(calls):
            if call is not None and call.of in place:
                at = len(session.calls)
                if session.call(replace(call, of=place[call.of])):
                    place[number] = at
    except ObjectsDiverged as error:
        return error
    finally:
        allocator.close()
    return None


def reduce(make: Make, found: ObjectsDiverged) -> ObjectsDiverged:
    """A shorter case that breaks the same clause: fewer calls, simpler arguments.

    Ensures   no single call can be left out of the result
    Errors    LinuxmmError when the case does not repeat: the implementation is not deterministic
    """
    best = replay(make, found.calls)
    if best is None or best.refusal.clause != found.refusal.clause:
        raise LinuxmmError(f"{UNSTEADY}; the first was\n{found}")
    return shortest(best, lambda found: _simpler(found.calls), lambda calls: replay(make, calls), same_clause)


def same_clause(one: ObjectsDiverged, other: ObjectsDiverged) -> bool:
    """Whether two cases break the same clause."""
    return one.refusal.clause == other.refusal.clause


def _simpler(calls: tuple[ObjectCall, ...]) -> Iterable[tuple[ObjectCall | None, ...]]:
    size = len(calls)
    while size:
        for start in range(len(calls) - size, -1, -size):
            yield calls[:start] + (None,) * size + calls[start + size :]
        size //= 2
    for number, call in enumerate(calls):
        for simpler in _simpler_calls(call):
            yield (*calls[:number], simpler, *calls[number + 1 :])


def _simpler_calls(call: ObjectCall) -> Iterable[ObjectCall]:
    """The same call with less: no flag, a smaller size, nothing that its kind does not use."""
    plain = ObjectCall(call.kind)
    uses = {
        "kmalloc": ("size", "zero"),
        "kfree": ("of", "offset"),
        "krealloc": ("of", "size"),
        "ksize": ("of",),
        "create": ("cache", "size", "align"),
        "destroy": ("cache",),
        "alloc": ("cache", "zero"),
        "free": ("of", "cache", "offset"),
    }[call.kind]
    bare = replace(plain, **{name: getattr(call, name) for name in uses})
    if bare != call:
        yield bare
    if call.zero:
        yield replace(call, zero=False)
    if call.kind in ("kmalloc", "krealloc", "create"):
        for size in _SIZES[1:]:
            if size < call.size:
                yield replace(call, size=size)
    if call.kind == "create" and call.align > 8:
        yield replace(call, align=8)
