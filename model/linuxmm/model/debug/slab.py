"""SLAB debugging: one slab of a cache, byte for byte, and what the kernel says of it.

Which objects are free is kept outside the slab, as SLAB does with off-slab management.

Linux: mm/slab.c:cache_alloc_debugcheck_after, cache_free_debugcheck.  Seed 2.13.2 (F077).  2.6.24 to 6.4;
the words are those of 6.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from linuxmm.spec.debug.slab_layout import (
    RED_ACTIVE,
    RED_INACTIVE,
    SlabLayout,
    changed_lines,
    is_single_bit,
    poisoned,
    slab_layout,
    verdict_at_alloc,
    verdict_at_free,
)
from linuxmm.spec.debug.slub_bytes import POISON_FREE, POISON_INUSE, overwrite
from linuxmm.spec.debug.slub_words import STACK, WARNING, dump_row
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.registry import verb
from linuxmm.spec.vocabulary import PAGE_SIZE

_WORD: Final = struct.Struct("<Q")
BUG: Final = "kernel BUG at mm/slab.c"
BAD_RAM: Final = (
    "Single bit error detected. Probably bad RAM.",
    "Run memtest86+ or a similar memory test tool.",
)


class CheckedCache(NamedTuple):
    """A cache with CONFIG_DEBUG_SLAB.

    keeps     SLAB_TYPESAFE_BY_RCU: the objects are not poisoned
    hardened  CONFIG_SLAB_FREELIST_HARDENED (5.9 to 6.7): what comes back twice in a row is listed once
    """

    name: str
    object_size: int
    align: int = 8
    order: int = 0
    keeps: bool = False
    hardened: bool = False

    @property
    def layout(self) -> SlabLayout:
        """Where the parts of a slot lie."""
        return slab_layout(self.object_size, self.align)

    @property
    def objects(self) -> int:
        """Slots of a slab, its management kept elsewhere."""
        return (PAGE_SIZE << self.order) // self.layout.size


@dataclass(frozen=True, slots=True)
class CheckedSlab:
    """A slab: its address and bytes, its free objects (the next to be handed out last), lines reported.

    stopped  a BUG was hit: the kernel, or at least this task, is no more
    """

    cache: CheckedCache
    base: int
    memory: bytes
    free: tuple[int, ...]
    log: tuple[str, ...] = ()
    stopped: bool = False
    tainted: str = "Not tainted"


# ---- bytes -----------------------------------------------------------------------------------------------


def write(slab: CheckedSlab, address: int, value: bytes) -> CheckedSlab:
    """The slab after somebody wrote there, rightly or not.

    Errors    LinuxmmError when the address is not in the slab
    """
    return replace(slab, memory=overwrite(slab.memory, slab.base, address, value))


def objects_of(slab: CheckedSlab) -> Iterator[int]:
    """The address of every object."""
    layout = slab.cache.layout
    return (slab.base + number * layout.size + layout.object for number in range(slab.cache.objects))


def _object(slab: CheckedSlab, pointer: int) -> bytes:
    return slab.memory[pointer - slab.base :][: slab.cache.object_size]


def _word(slab: CheckedSlab, address: int) -> int:
    value = _WORD.unpack_from(slab.memory, address - slab.base)[0]
    assert isinstance(value, int)
    return value


def _red(slab: CheckedSlab, pointer: int) -> tuple[int, int]:
    slot, layout = pointer - slab.cache.layout.object, slab.cache.layout
    return _word(slab, slot + layout.first_red), _word(slab, slot + layout.second_red)


def _with_red(slab: CheckedSlab, pointer: int, value: int) -> CheckedSlab:
    slot, layout = pointer - slab.cache.layout.object, slab.cache.layout
    for place in (layout.first_red, layout.second_red):
        slab = write(slab, slot + place, _WORD.pack(value))
    return slab


def _with_user(slab: CheckedSlab, pointer: int, caller: int) -> CheckedSlab:
    slot = pointer - slab.cache.layout.object
    return write(slab, slot + slab.cache.layout.last_user, _WORD.pack(caller))


def new_slab(cache: CheckedCache, base: int) -> CheckedSlab:
    """A slab of free objects.

    Source    mm/slab.c:cache_init_objs_debug; 6.1
    """
    slab = CheckedSlab(cache, base, bytes(PAGE_SIZE << cache.order), ())
    for pointer in list(objects_of(slab)):
        if cache.layout.debugged:
            slab = _with_red(_with_user(slab, pointer, 0), pointer, RED_INACTIVE)
        if not cache.keeps:
            slab = write(slab, pointer, poisoned(cache.object_size))
    return replace(slab, free=tuple(reversed(list(objects_of(slab)))))


# ---- reports ---------------------------------------------------------------------------------------------


def _say(slab: CheckedSlab, *lines: str) -> CheckedSlab:
    return replace(slab, log=(*slab.log, *lines))


def _slab_error(slab: CheckedSlab, function: str, message: str) -> CheckedSlab:
    return _say(slab, f"slab error in {function}(): cache `{slab.cache.name}': {message}", STACK)


def _red_line(slab: CheckedSlab, pointer: int) -> str:
    first, second = _red(slab, pointer)
    return f"{pointer - slab.cache.layout.object:016x}: redzone 1:{first:#x}, redzone 2:{second:#x}"


def _about(slab: CheckedSlab, pointer: int, lines: int) -> tuple[str, ...]:
    """What is known of an object.

    Source    mm/slab.c:print_objinfo; 6.1
    """
    found: list[str] = []
    if slab.cache.layout.debugged:
        first, second = _red(slab, pointer)
        user = _word(slab, pointer - slab.cache.layout.object + slab.cache.layout.last_user)
        found += [f"Redzone: {first:#x}/{second:#x}", f"Last user: ({user:#x})"]
    for at in range(0, slab.cache.object_size, 16)[:lines]:
        found += _dump(slab, pointer, at)
    return tuple(found)


def _dump(slab: CheckedSlab, pointer: int, at: int) -> tuple[str, ...]:
    line = _object(slab, pointer)[at : at + 16]
    shown = f"{at:03x}: {dump_row(line)}"
    return (shown, *BAD_RAM) if is_single_bit(line) else (shown,)


def _check_poison(slab: CheckedSlab, pointer: int) -> CheckedSlab:
    """Look whether a free object was changed.

    Source    mm/slab.c:check_poison_obj; 6.1
    """
    lines = changed_lines(_object(slab, pointer))
    if not lines:
        return slab
    size, layout = slab.cache.object_size, slab.cache.layout
    head = f"Slab corruption ({slab.tainted}): {slab.cache.name} start={pointer:016x}, len={size}"
    found = [head, *_about(slab, pointer, 0)]
    for at in lines:
        found += _dump(slab, pointer, at)
    everything = tuple(objects_of(slab))
    for name, other in (("Prev", pointer - layout.size), ("Next", pointer + layout.size)):
        if other in everything:
            found += [f"{name} obj: start={other:016x}, len={size}", *_about(slab, other, 2)]
    return _say(slab, *found)


# ---- steps -----------------------------------------------------------------------------------------------


@verb("F077", source="mm/slab.c:cache_alloc_debugcheck_after")
def alloc(slab: CheckedSlab, caller: int) -> tuple[CheckedSlab, int]:
    """Hand out an object; what is wrong with it is told, and it is handed out all the same.

    Requires  the slab has a free object
    Source    cache_alloc_debugcheck_after; 6.1
    """
    if not slab.free:
        raise LinuxmmError(f"the slab at {slab.base:#x} has no free object")
    pointer = slab.free[-1]
    slab = replace(slab, free=slab.free[:-1])
    if not slab.cache.keeps:
        slab = write(_check_poison(slab, pointer), pointer, poisoned(slab.cache.object_size, POISON_INUSE))
    if slab.cache.layout.debugged:
        slab = _with_user(slab, pointer, caller)
        message = verdict_at_alloc(*_red(slab, pointer))
        if message:
            slab = _slab_error(slab, "cache_alloc_debugcheck_after", message)
            slab = _say(slab, _red_line(slab, pointer))
        slab = _with_red(slab, pointer, RED_ACTIVE)
    return slab, pointer


@verb("F077", source="mm/slab.c:cache_free_debugcheck")
def free(slab: CheckedSlab, pointer: int, caller: int, to: str = "") -> CheckedSlab:
    """Take an object back, whatever its red words say: freed twice, it may be handed out twice.

    to        name of the cache that the caller gives it to; none: its own
    Ensures   a wrong cache, and a pointer into an object, stop the kernel
    Errors    LinuxmmError when the words around the pointer are not in the slab
    Source    cache_free_debugcheck, verify_redzone_free, __free_one; 6.1
    """
    if to and to != slab.cache.name:
        return replace(_say(slab, BUG), stopped=True)
    if slab.cache.layout.debugged:
        message = verdict_at_free(*_red(slab, pointer))
        if message:
            slab = _say(_slab_error(slab, "verify_redzone_free", message), _red_line(slab, pointer))
        slab = _with_red(slab, pointer, RED_INACTIVE)
        slab = _with_user(slab, pointer, caller)
    if pointer not in tuple(objects_of(slab)):
        return replace(_say(slab, BUG), stopped=True)
    if not slab.cache.keeps:
        slab = write(slab, pointer, poisoned(slab.cache.object_size, POISON_FREE))
    if slab.cache.hardened and slab.free[-1:] == (pointer,):
        return slab if WARNING in slab.log else _say(slab, WARNING)  # WARN_ON_ONCE
    return replace(slab, free=(*slab.free, pointer))


@verb("F077", source="mm/slab.c:slab_destroy_debugcheck")
def destroy(slab: CheckedSlab) -> CheckedSlab:
    """Check a slab whose pages go back: every object must be free and as it was left.

    Source    slab_destroy_debugcheck; 6.1
    """
    for pointer in list(objects_of(slab)):
        if not slab.cache.keeps:
            slab = _check_poison(slab, pointer)
        if slab.cache.layout.debugged:
            ends = zip(("start", "end"), _red(slab, pointer), strict=True)
            for end in [name for name, value in ends if value != RED_INACTIVE]:
                message = f"{end} of a freed object was overwritten"
                slab = _slab_error(slab, "slab_destroy_debugcheck", message)
    return slab
