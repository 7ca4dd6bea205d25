"""SLUB and SLAB debugging as detectors: histories run on slabs of the kmalloc caches, byte for byte.

Large requests go to the page allocator, which neither tool watches; nor do they see reads.

Linux: mm/slub.c, mm/slab.c.  Seed 2.13.2 (F077).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol, TypeVar

from immutables import Map

from linuxmm.model.debug import slab as slab_debug
from linuxmm.model.debug import slub as slub_debug
from linuxmm.model.debug import slub_slab
from linuxmm.model.debug.placement import CLASSES, SLAB_SPAN, SLABS, class_of
from linuxmm.spec.debug.history import Alloc, Free, History, Kind, Report, Store, Write
from linuxmm.spec.debug.slub_layout import SlubOptions
from linuxmm.spec.kernel import kernel
from linuxmm.spec.registry import verb


class _Slab(Protocol):
    @property
    def base(self) -> int: ...
    @property
    def memory(self) -> bytes: ...
    @property
    def log(self) -> tuple[str, ...]: ...


S = TypeVar("S", bound=_Slab)
CALLER: Final = 0x1000


@dataclass(frozen=True, slots=True)
class Debugging(Generic[S]):
    """A tool: a fresh slab of a size class at an address; whether it can serve; alloc, free, write.

    head  the beginning of the line of a report that names its kind, and what is cut off before the kind
    """

    fresh: Callable[[int, int], S]
    serves: Callable[[S], bool]
    alloc: Callable[[S, int], tuple[S, int]]
    free: Callable[[S, int], S]
    write: Callable[[S, int, bytes], S]
    stopped: Callable[[S], bool]
    head: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _State(Generic[S]):
    slabs: tuple[S, ...] = ()
    places: Map[str, int] = field(default_factory=Map)


def _options() -> SlubOptions:
    return SlubOptions(red_zone=True, poison=True, store_user=True, kmalloc=True)


def _fresh_slub(room: int, base: int) -> slub_slab.DebugSlab:
    align = room if room & (room - 1) == 0 else 8
    order = 0 if room <= 1024 else 3
    cache = slub_slab.DebugCache(kernel("6.12"), f"kmalloc-{room}", room, align, order, _options())
    return slub_slab.new_slab(cache, base, slub_slab.Names())


def _alloc_slub(slab: slub_slab.DebugSlab, size: int) -> tuple[slub_slab.DebugSlab, int]:
    return slub_debug.alloc(slab, size, slub_slab.Track(CALLER))


def _free_slub(slab: slub_slab.DebugSlab, pointer: int) -> slub_slab.DebugSlab:
    return slub_debug.free(slab, pointer, slub_slab.Track(CALLER))[0]


def _fresh_slab(room: int, base: int) -> slab_debug.CheckedSlab:
    return slab_debug.new_slab(slab_debug.CheckedCache(f"kmalloc-{room}", room, order=3), base)


def _alloc_slab(slab: slab_debug.CheckedSlab, size: int) -> tuple[slab_debug.CheckedSlab, int]:
    return slab_debug.alloc(slab, CALLER)


def _free_slab(slab: slab_debug.CheckedSlab, pointer: int) -> slab_debug.CheckedSlab:
    return slab_debug.free(slab, pointer, CALLER)


SLUB: Final = Debugging(
    _fresh_slub,
    lambda slab: slab.freelist != 0,
    _alloc_slub,
    _free_slub,
    slub_slab.write,
    lambda slab: False,
    ("BUG kmalloc-",),
)
SLAB: Final = Debugging(
    _fresh_slab,
    lambda slab: bool(slab.free),
    _alloc_slab,
    _free_slab,
    slab_debug.write,
    lambda slab: slab.stopped,
    ("Slab corruption", "slab error", slab_debug.BUG),
)


@verb("F077", source="mm/slub.c")
def slub_reports(history: History) -> tuple[Report, ...]:
    """What slub_debug=FZPU reports of a history; 6.12."""
    return _reports(SLUB, history)


@verb("F077", source="mm/slab.c")
def slab_reports(history: History) -> tuple[Report, ...]:
    """What CONFIG_DEBUG_SLAB reports of a history; 6.1."""
    return _reports(SLAB, history)


def _reports(tool: Debugging[S], history: History) -> tuple[Report, ...]:
    state: _State[S] = _State()
    found: list[Report] = []
    for index, event in enumerate(history):
        before = {slab.base: len(slab.log) for slab in state.slabs}
        if isinstance(event, Alloc):
            if event.kind is Kind.SLAB and class_of(event.size):
                state = _requested(tool, state, event)
        elif isinstance(event, Free):
            pointer = state.places.get(event.name)
            if pointer is not None:
                state = _changed(state, pointer, _Freeing(tool, pointer + event.offset))
        elif isinstance(event, Write | Store):
            state = _written(tool, state, event)
        for slab in state.slabs:
            lines = slab.log[before.get(slab.base, 0) :]
            name = getattr(event, "name", "")
            found += [Report(index, _kind(line), name) for line in lines if line.startswith(tool.head)]
        if any(tool.stopped(slab) for slab in state.slabs):
            break
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Freeing(Generic[S]):
    tool: Debugging[S]
    pointer: int

    def __call__(self, slab: S) -> S:
        return self.tool.free(slab, self.pointer)


def _kind(line: str) -> str:
    """The words that say what is wrong, without the addresses."""
    words = (
        line.rsplit(": ", 1)[-1] if line.startswith(("BUG kmalloc", "slab error")) else line.split(" (")[0]
    )
    return words.split(" 0x")[0]


def _requested(tool: Debugging[S], state: _State[S], event: Alloc) -> _State[S]:
    room = class_of(event.size)
    start = SLABS + CLASSES.index(room) * SLAB_SPAN
    own = [slab for slab in state.slabs if start <= slab.base < start + SLAB_SPAN]
    pointer = 0
    while not pointer:
        slab = next((each for each in own if tool.serves(each)), None)
        if slab is None:
            slab = tool.fresh(room, start + sum(len(each.memory) for each in own))
            state, own = replace(state, slabs=(*state.slabs, slab)), [*own, slab]
        after, pointer = tool.alloc(slab, event.size)
        if event.zeroed and pointer:
            after = tool.write(after, pointer, bytes(event.size))
        state = _swapped(state, slab, after)
        own = [after if each is slab else each for each in own]
    return replace(state, places=state.places.set(event.name, pointer))


def _swapped(state: _State[S], old: S, new: S) -> _State[S]:
    return replace(state, slabs=tuple(new if slab is old else slab for slab in state.slabs))


def _changed(state: _State[S], address: int, change: Callable[[S], S]) -> _State[S]:
    for slab in state.slabs:
        if slab.base <= address < slab.base + len(slab.memory):
            return _swapped(state, slab, change(slab))
    return state


def _written(tool: Debugging[S], state: _State[S], event: Write | Store) -> _State[S]:
    if isinstance(event, Store):
        name, value = event.name, _stored(state, event)
    else:
        name, value = event.onto or event.name, bytes([event.value & 0xFF]) * event.length
    pointer = state.places.get(name)
    if pointer is None:
        return state
    for at, byte in enumerate(value):  # byte by byte: a stray write may cross from slab to slab
        address = pointer + event.offset + at
        for slab in state.slabs:
            if slab.base <= address < slab.base + len(slab.memory):
                state = _swapped(state, slab, tool.write(slab, address, bytes([byte])))
    return state


def _stored(state: _State[S], event: Store) -> bytes:
    target = state.places.get(event.target, 0) + event.target_offset if event.target else 0
    return ((target ^ event.mask) % (1 << 64)).to_bytes(8, "little")
