"""What any object allocator may answer: kmalloc, krealloc, ksize and named caches over one range of memory.

The state is who holds which bytes.  An operation is judged with its answer: `permits` names what is
forbidden, `apply` gives the state after an answer that is not.

Linux: mm/slab_common.c, mm/slub.c; Documentation/core-api/memory-allocation.rst.  Seed 2.1.2 (F033).
"""

from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.spec.invariant import clause
from linuxmm.spec.objects.sizes import (
    PAGE_SIZE,
    POINTER,
    SLUB_LEAST,
    ZERO_SIZE_PTR,
    calculate_alignment,
    kmalloc_granted,
)
from linuxmm.spec.step import Errno, Refusal

LARGEST: Final = 2 * PAGE_SIZE
"""The largest class of kmalloc; beyond it whole pages are granted."""
_F: Final = ("F033",)


def _clause(name: str, sentence: str, source: str) -> str:
    return clause(f"objects.heap.{name}", sentence, features=_F, source=source, seed="2.1.2").id


DOUBLE: Final = _clause(
    "overlap", "No byte of an object belongs to another that somebody holds.", "mm/slub.c:slab_alloc_node"
)
OUTSIDE: Final = _clause("outside", "An object lies inside the memory of its allocator.", "mm/slub.c")
ALIGNED: Final = _clause(
    "aligned",
    "An object is aligned as its cache asks, one of kmalloc to 8 bytes, or to its class if a power of two.",
    "mm/slab_common.c:create_kmalloc_cache",
)
ZERO_SIZE: Final = _clause(
    "zero-size", "kmalloc of no bytes answers ZERO_SIZE_PTR.", "include/linux/slab.h:ZERO_SIZE_PTR"
)
GRANTED: Final = _clause(
    "granted", "ksize answers what kmalloc reserves for the size that was asked.", "mm/slab_common.c:ksize"
)
DOUBLE_FREE: Final = _clause(
    "double-free", "Only what somebody holds, by its first byte, can come back.", "mm/slub.c:slab_free"
)
WRONG_CACHE: Final = _clause(
    "wrong-cache", "An object comes back to the cache that it is from.", "mm/slub.c:cache_from_obj"
)
UNJUSTIFIED: Final = _clause(
    "unjustified-refusal", "What is in order is not refused.", "mm/slub.c:slab_free, mm/slab_common.c"
)
UNJUSTIFIED_FAILURE: Final = _clause(
    "unjustified-failure",
    "While nobody holds anything, a request for an eighth of the memory or less succeeds.",
    "mm/slub.c:new_slab",
)
CONTENTS: Final = _clause(
    "contents", "What its holder wrote into an object stays, krealloc included.", "mm/slab_common.c:krealloc"
)
ZEROED: Final = _clause("zeroed", "With __GFP_ZERO an object is zero.", "mm/slub.c:slab_post_alloc_hook")
COUNTED: Final = _clause(
    "counted", "As many objects are in use as were handed out and did not come back.", "mm/slub.c:slabinfo"
)
BUSY: Final = _clause(
    "busy-destroyed",
    "A cache of which somebody holds an object stays.",
    "mm/slab_common.c:kmem_cache_destroy",
)


@dataclass(frozen=True, slots=True)
class Held:
    """An object in somebody's hands: its bytes, and its cache, "" for one of kmalloc."""

    size: int
    cache: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Who holds what.

    start, bytes  the memory of the allocator
    held          address -> object
    caches        name -> (bytes of an object, alignment)
    """

    start: int
    bytes: int
    held: Map[int, Held] = Map()  # noqa: RUF009 - immutable
    caches: Map[str, tuple[int, int]] = Map()  # noqa: RUF009 - immutable


@dataclass(frozen=True, slots=True)
class Get:
    """kmalloc of `size` bytes, or an object of a cache."""

    size: int
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """kfree, or kmem_cache_free to a cache."""

    address: int
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Resize:
    """krealloc."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Usable:
    """ksize."""

    address: int


@dataclass(frozen=True, slots=True)
class Create:
    """kmem_cache_create."""

    cache: str
    size: int
    align: int


@dataclass(frozen=True, slots=True)
class Destroy:
    """kmem_cache_destroy."""

    cache: str


Op = Get | Put | Resize | Usable | Create | Destroy
Answer = int | Errno | None
"""An address or a size, an error, or None when it was done."""


def granted(size: int) -> int:
    """Bytes that kmalloc reserves; none for no bytes."""
    return kmalloc_granted(size, SLUB_LEAST, LARGEST) if size else 0


def permits(memory: Memory, op: Op, answer: Answer) -> Refusal | None:
    """What is wrong with an answer, or None."""
    if isinstance(op, Get):
        size, align = memory.caches[op.cache] if op.cache else (granted(op.size), kmalloc_align(op.size))
        return _placed(memory, memory.held, size, align, answer)
    if isinstance(op, Create):
        taken = op.cache in memory.caches
        return _done(answer, Errno.EEXIST if taken else None, UNJUSTIFIED, f"cache {op.cache!r}")
    if isinstance(op, Destroy):
        users = sum(held.cache == op.cache for held in memory.held.values())
        expected = Errno.EBUSY if users else None
        return _done(answer, expected, BUSY, f"{users} objects of cache {op.cache!r} are held")
    if isinstance(op, Put):
        if op.address == ZERO_SIZE_PTR and not op.cache:
            return _done(answer, None, DOUBLE_FREE, "ZERO_SIZE_PTR may always come back")
        held = memory.held.get(op.address)
        if held is not None and held.cache != op.cache:
            why = f"{op.address:#x} is of cache {held.cache!r}"
            return _done(answer, Errno.EINVAL, WRONG_CACHE, why)
        expected = None if held else Errno.EINVAL
        what = "is held" if held else "is no object that anybody holds"
        return _done(answer, expected, DOUBLE_FREE, f"{op.address:#x} {what}")
    return _of_held(memory, op, answer)


def _of_held(memory: Memory, op: Resize | Usable, answer: Answer) -> Refusal | None:
    held = memory.held.get(op.address)
    if held is None or held.cache:
        return _done(answer, Errno.EINVAL, DOUBLE_FREE, f"nobody holds {op.address:#x} from kmalloc")
    if isinstance(op, Usable):
        right = answer == held.size
        return None if right else Refusal(GRANTED, f"ksize answers {_shown(answer)}, granted {held.size}")
    if op.size == 0:
        return _placed(memory, memory.held, 0, 1, answer)
    if granted(op.size) <= held.size and answer == op.address:
        return None
    if granted(op.size) <= held.size and isinstance(answer, Errno):
        return Refusal(UNJUSTIFIED, f"{op.size} bytes fit where they are, and the answer is {answer.name}")
    return _placed(memory, memory.held, granted(op.size), kmalloc_align(op.size), answer)


def kmalloc_align(size: int) -> int:
    """The alignment of what kmalloc grants: 8 bytes, or the class if it is a power of two."""
    found = granted(size)
    whole = found and found & (found - 1) == 0
    return min(found, PAGE_SIZE) if whole else POINTER


def _placed(memory: Memory, held: Map[int, Held], size: int, align: int, answer: Answer) -> Refusal | None:
    """Whether an object of `size` bytes may be where the answer says."""
    if size == 0:
        right = answer == ZERO_SIZE_PTR
        return None if right else Refusal(ZERO_SIZE, f"expected {ZERO_SIZE_PTR}, got {_shown(answer)}")
    if answer is Errno.ENOMEM:
        if held or size > memory.bytes // 8:
            return None
        return Refusal(UNJUSTIFIED_FAILURE, f"nothing is held of {memory.bytes} bytes")
    if answer is None or isinstance(answer, Errno):
        return Refusal(UNJUSTIFIED, f"expected an address, got {_shown(answer)}")
    if answer < memory.start or answer + size > memory.start + memory.bytes:
        return Refusal(OUTSIDE, f"{answer:#x} with {size} bytes")
    for address, other in held.items():
        if answer < address + other.size and address < answer + size:
            return Refusal(
                DOUBLE, f"{answer:#x} with {size} bytes; {address:#x} with {other.size} bytes is held"
            )
    if answer % align:
        return Refusal(ALIGNED, f"{answer:#x} is no multiple of {align}")
    return None


def _done(answer: Answer, expected: Errno | None, id: str, why: str) -> Refusal | None:
    if answer == expected:
        return None
    if expected is None:
        return Refusal(UNJUSTIFIED, f"refused with {_shown(answer)}: {why}")
    return Refusal(id, f"expected {expected.name}, got {_shown(answer)}: {why}")


def _shown(answer: Answer) -> str:
    if isinstance(answer, Errno):
        return answer.name
    return "done" if answer is None else f"{answer:#x}"


def apply(memory: Memory, op: Op, answer: Answer) -> Memory:
    """The state after an answer.

    Requires  permits(memory, op, answer) is None
    """
    if isinstance(answer, Errno):
        return memory
    if isinstance(op, Create):
        align = calculate_alignment(op.size, op.align, POINTER, False)
        return replace(memory, caches=memory.caches.set(op.cache, (op.size, align)))
    if isinstance(op, Destroy):
        return replace(memory, caches=memory.caches.delete(op.cache))
    if isinstance(op, Put):
        gone = op.address in memory.held
        return replace(memory, held=memory.held.delete(op.address)) if gone else memory
    if isinstance(op, Usable) or answer is None:
        return memory
    held = memory.held
    if isinstance(op, Resize):
        if answer == op.address:
            return memory
        held = held.delete(op.address)
    if answer == ZERO_SIZE_PTR:
        return replace(memory, held=held)
    size = memory.caches[op.cache][0] if isinstance(op, Get) and op.cache else granted(op.size)
    return replace(memory, held=held.set(answer, Held(size, op.cache if isinstance(op, Get) else "")))


def permits_slab(
    memory: Memory, address: int, size: int, objects: int, free: tuple[int, ...]
) -> Refusal | None:
    """Whether the objects of a slab are each held or on its list, once."""
    if len(set(free)) != len(free) or not all(0 <= number < objects for number in free):
        return Refusal("objects.freelist.once", f"slab {address:#x} of {objects} objects lists {free}")
    live = {n for n in range(objects) if address + n * size in memory.held}
    if both := live & set(free):
        return Refusal("objects.slab.apart", f"objects {sorted(both)} of {address:#x} are held and listed")
    if len(free) + len(live) != objects:
        gone = sorted(set(range(objects)) - live - set(free))
        return Refusal("objects.slab.apart", f"objects {gone} of slab {address:#x} are neither held nor free")
    return None


def permits_spans(memory: Memory, slabs: tuple[tuple[int, int], ...]) -> Refusal | None:
    """Whether slabs, (address, bytes of all objects), lie in the memory and share no byte."""
    end = memory.start
    for address, size in sorted(slabs):
        if address < end:
            return Refusal(
                DOUBLE, f"the slab at {address:#x} begins before {end:#x}, the end of what is below"
            )
        end = address + size
    if end > memory.start + memory.bytes:
        return Refusal(OUTSIDE, f"a slab ends at {end:#x}")
    return None
