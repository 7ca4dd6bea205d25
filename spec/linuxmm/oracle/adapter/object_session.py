"""One run of an object allocator under judgement: calls go in, every answer is held against the clauses.

The driver writes into every object that it is handed, and reads it again: after each call one object, and
before an object comes back that one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from linuxmm.oracle.adapter.allocator import NO_ANSWER, BrokenImplementation
from linuxmm.oracle.adapter.objects import ObjectAllocator
from linuxmm.spec.objects.heap import (
    CONTENTS,
    COUNTED,
    ZEROED,
    Answer,
    Create,
    Destroy,
    Get,
    Memory,
    Op,
    Put,
    Resize,
    Usable,
    apply,
    permits,
    permits_slab,
    permits_spans,
)
from linuxmm.spec.objects.sizes import ZERO_SIZE_PTR
from linuxmm.spec.step import Errno, Refusal

T = TypeVar("T")
START: Final = 1 << 16
BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class ObjectCall:
    """One call.

    kind    kmalloc, kfree, krealloc, ksize, create, destroy, alloc or free (of a cache)
    of      number of the call that was granted the object; offset: bytes into it
    """

    kind: str
    of: int = -1
    size: int = 0
    cache: str = ""
    align: int = 0
    zero: bool = False
    offset: int = 0


class ObjectsDiverged(AssertionError):
    """An answer that the specification forbids, with the calls that led to it."""

    def __init__(self, refusal: Refusal, calls: tuple[ObjectCall, ...], log: tuple[str, ...]) -> None:
        steps = "".join(f"\n  {number}. {line}" for number, line in enumerate(log, 1))
        super().__init__(f"{refusal.clause}: {refusal.why}{steps}")
        self.refusal = refusal
        self.calls = calls
        self.log = log


class ObjectSession:
    """One allocator on one range of memory.

    Errors    ObjectsDiverged, from every call, when an answer is forbidden
    """

    def __init__(self, allocator: ObjectAllocator) -> None:
        self.calls: list[ObjectCall] = []
        self.granted: dict[int, int] = {}
        self.memory = Memory(START, BYTES)
        self._written: dict[int, int] = {}
        self._allocator = allocator
        self._log: list[str] = []
        self._answered(lambda: allocator.start(START, BYTES))

    def call(self, call: ObjectCall) -> bool:
        """Make a call and judge its answer; False when it refers to what was never granted or made."""
        op = self._operation(call)
        if op is None:
            return False
        self.calls.append(call)
        self._log.append(describe(op, call.zero))
        if isinstance(op, Put | Resize) and op.address in self.memory.held:
            self._keeps(op.address)
        answer = self._answered(lambda: self._allocator.do(op, call.zero))
        self._log[-1] += f" -> {_shown(op, answer)}"
        if refusal := permits(self.memory, op, answer):
            self._diverge(refusal)
        before, self.memory = self.memory, apply(self.memory, op, answer)
        if isinstance(op, Get | Resize) and isinstance(answer, int):
            self.granted[len(self.calls) - 1] = answer
            self._handed_out(before, op, answer, call.zero)
        self._look()
        return True

    def _operation(self, call: ObjectCall) -> Op | None:
        address = self.granted.get(call.of)
        known = call.cache in self.memory.caches
        if call.kind == "kmalloc":
            return Get(call.size)
        if call.kind == "create":
            return Create(call.cache, call.size, call.align)
        if call.kind == "alloc":
            return Get(0, call.cache) if known else None
        if call.kind == "destroy":
            return Destroy(call.cache) if known else None
        if address is None or (call.kind == "free" and not known):
            return None
        of_cache = (held := self.memory.held.get(address)) is not None and held.cache
        if call.kind == "free":
            return Put(address + call.offset, call.cache)
        if of_cache or address == ZERO_SIZE_PTR:
            return None
        if call.kind == "kfree":
            return Put(address + call.offset)
        return Resize(address, call.size) if call.kind == "krealloc" else Usable(address)

    def _handed_out(self, before: Memory, op: Get | Resize, answer: int, zero: bool) -> None:
        """Look at what an object holds, and write into it."""
        if answer not in self.memory.held:
            return
        size = self.memory.held[answer].size
        if isinstance(op, Get) and zero:
            asked = before.caches[op.cache][0] if op.cache else op.size
            if any(self._answered(lambda: self._allocator.read(answer, asked))):
                self._diverge(Refusal(ZEROED, f"{asked} bytes at {answer:#x} are not zero"))
        if isinstance(op, Resize):
            value = self._written.pop(op.address)
            kept = min(before.held[op.address].size, size)
            if self._answered(lambda: self._allocator.read(answer, kept)) != bytes([value]) * kept:
                self._diverge(Refusal(CONTENTS, f"the first {kept} bytes are not what {op.address:#x} held"))
        if not self.memory.held[answer].cache:
            usable = Usable(answer)
            if refusal := permits(self.memory, usable, self._answered(lambda: self._allocator.do(usable))):
                self._diverge(refusal)
        self._written[answer] = value = len(self.calls) * 37 % 251 + 1
        self._answered(lambda: self._allocator.fill(answer, size, value))

    def _keeps(self, address: int) -> None:
        size, value = self.memory.held[address].size, self._written[address]
        if self._answered(lambda: self._allocator.read(address, size)) != bytes([value]) * size:
            self._diverge(Refusal(CONTENTS, f"the object at {address:#x} is not what its holder wrote"))

    def _look(self) -> None:
        """What can be seen after every call."""
        self._written = {at: value for at, value in self._written.items() if at in self.memory.held}
        if self._written:
            self._keeps(sorted(self._written)[len(self.calls) % len(self._written)])
        count = self._answered(self._allocator.count)
        if count != len(self.memory.held):
            self._diverge(Refusal(COUNTED, f"counts {count} objects, {len(self.memory.held)} are held"))
        slabs = self._answered(self._allocator.slabs) or ()
        for slab in slabs:
            if refusal := permits_slab(self.memory, slab.address, slab.size, slab.objects, slab.free):
                self._diverge(refusal)
        spans = tuple((slab.address, slab.size * slab.objects) for slab in slabs)
        if refusal := permits_spans(self.memory, spans):
            self._diverge(refusal)

    def _answered(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except BrokenImplementation as error:
            refusal = Refusal(NO_ANSWER, str(error))
            raise ObjectsDiverged(refusal, tuple(self.calls), tuple(self._log)) from error

    def _diverge(self, refusal: Refusal) -> None:
        raise ObjectsDiverged(refusal, tuple(self.calls), tuple(self._log))


def describe(op: Op, zero: bool) -> str:
    """One line for an operation."""
    flags = ", __GFP_ZERO" if zero else ""
    if isinstance(op, Get):
        return f"kmem_cache_alloc({op.cache}{flags})" if op.cache else f"kmalloc({op.size}{flags})"
    if isinstance(op, Put):
        return f"kmem_cache_free({op.cache}, {op.address:#x})" if op.cache else f"kfree({op.address:#x})"
    if isinstance(op, Resize):
        return f"krealloc({op.address:#x}, {op.size})"
    if isinstance(op, Usable):
        return f"ksize({op.address:#x})"
    if isinstance(op, Create):
        return f"kmem_cache_create({op.cache}, size={op.size}, align={op.align})"
    return f"kmem_cache_destroy({op.cache})"


def _shown(op: Op, answer: Answer) -> str:
    if isinstance(answer, Errno):
        return answer.name
    if answer is None:
        return "done"
    return str(answer) if isinstance(op, Usable) else f"{answer:#x}"
