"""SLUB debugging: one slab of a cache, byte for byte.

Everything that a check looks at lies in the slab's memory: patterns, links of free objects, who allocated
and freed an object.  So misuse is a plain `write`, and what becomes of it follows from the bytes.

Linux: mm/slub.c:init_object, allocate_slab.  Seed 2.13.2 (F077).  2.6.28 to 6.12.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from immutables import Map

from linuxmm.spec.debug.slub_bytes import (
    POISON_END,
    POISON_FREE,
    POISON_INUSE,
    RED_ACTIVE,
    RED_INACTIVE,
    overwrite,
)
from linuxmm.spec.debug.slub_eras import BrokenFree, Counted
from linuxmm.spec.debug.slub_layout import AskedSize, SlotForm, SlubLayout, SlubOptions, slub_layout
from linuxmm.spec.debug.slub_words import DumpStyle, ReportStyle
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.objects.hardening import LINK_ENCODE
from linuxmm.spec.vocabulary import PAGE_SIZE

_DEPOT: Final = struct.Struct("<QIIi4xQ")
"""struct track with a number of the stack depot, CPU, pid, jiffies."""
_STACK: Final = struct.Struct("<Q16QIiQ")
"""struct track with sixteen return addresses."""
_PLAIN: Final = struct.Struct("<QIiQ")
_WORD: Final = struct.Struct("<Q")
MAX_OBJECTS: Final = 32767


class Track(NamedTuple):
    """Who allocated or freed an object: return address, CPU, pid, and when in jiffies.

    handle  of the stack in the depot; stack: the return addresses themselves, where kernels keep those (at
            most 16)
    """

    address: int
    handle: int = 1
    cpu: int = 0
    pid: int = 1
    when: int = 0
    stack: tuple[int, ...] = ()

    def pack(self, form: SlotForm) -> bytes:
        """The record in the slot."""
        who = (self.cpu, self.pid, self.when)
        if form.stack:
            addresses = (*self.stack[: form.stack], *(0,) * (form.stack - len(self.stack)))
            return _STACK.pack(self.address, *addresses, *who)
        if form.track == _PLAIN.size:
            return _PLAIN.pack(self.address, *who)
        return _DEPOT.pack(self.address, self.handle, *who)


def read_track(memory: bytes, form: SlotForm) -> Track:
    """A record in a slot; a stack ends before its first zero."""
    if form.stack:
        address, *stack, cpu, pid, when = _STACK.unpack(memory)
        ends = stack.index(0) if 0 in stack else len(stack)
        return Track(address, 0, cpu, pid, when, tuple(stack[:ends]))
    if form.track == _PLAIN.size:
        address, cpu, pid, when = _PLAIN.unpack(memory)
        return Track(address, 0, cpu, pid, when)
    return Track(*_DEPOT.unpack(memory))


class Names(NamedTuple):
    """What a report names and the slab does not hold.

    symbols  return address -> its name; others are printed as numbers
    stacks   stack depot handle -> lines; others are missing from the depot
    tainted  print_tainted(); page: address of struct slab; flags: its page flags, as printed
    now      jiffies
    """

    symbols: Map[int, str] = Map()
    stacks: Map[int, tuple[str, ...]] = Map()
    tainted: str = "Not tainted"
    page: int = 0
    flags: str = "0x0()"
    now: int = 0


class DebugCache(NamedTuple):
    """A cache with debugging.

    checks  slub_debug=F: SLAB_CONSISTENCY_CHECKS
    hardened  links are stored encoded with `secret`
    """

    kernel: Kernel
    name: str
    object_size: int
    align: int
    order: int
    options: SlubOptions
    checks: bool = True
    hardened: bool = False
    secret: int = 0

    @property
    def asked(self) -> AskedSize:
        """How the size asked for is kept."""
        return self.kernel.behaviour("debug.slub.asked-size").function()  # type: ignore[return-value]

    @property
    def layout(self) -> SlubLayout:
        """Where the parts of a slot lie."""
        return slub_layout(self.object_size, self.align, self.options, self.asked, self.form)

    @property
    def form(self) -> SlotForm:
        """How this kernel lays out slots."""
        return self.kernel.behaviour("debug.slub.slot").function()  # type: ignore[return-value]

    @property
    def objects(self) -> int:
        """Slots of a slab."""
        return min((PAGE_SIZE << self.order) // self.layout.size, MAX_OBJECTS)

    @property
    def style(self) -> ReportStyle:
        """How reports of this kernel are laid out."""
        return self.kernel.behaviour("debug.slub.report").function()  # type: ignore[return-value]

    @property
    def dumps(self) -> DumpStyle:
        """How this kernel shows bytes."""
        return self.kernel.behaviour("debug.slub.dump").function()  # type: ignore[return-value]

    @property
    def broken_free(self) -> BrokenFree:
        """What becomes of the free of a broken object."""
        return self.kernel.behaviour("debug.slub.broken-free").function()  # type: ignore[return-value]

    @property
    def counted(self) -> Counted:
        """What a slab's fields are while an object is checked that is handed out."""
        return self.kernel.behaviour("debug.slub.counted").function()  # type: ignore[return-value]

    def rest(self, start: int, length: int, fault: int, end: int) -> tuple[int, int]:
        """First byte shown, and first put right, of the bytes behind the last slot."""
        rule = self.kernel.behaviour("debug.slub.rest").function
        return rule(start, length, fault, end)  # type: ignore[return-value]

    def rule(self, name: str) -> bool:
        """Whether a yes-or-no behaviour of debug.slub holds."""
        return bool(self.kernel.behaviour(f"debug.slub.{name}").function())

    @property
    def padding_breaks(self) -> bool:
        """Whether every part counts and is checked."""
        return self.rule("parts-break")


@dataclass(frozen=True, slots=True)
class DebugSlab:
    """A slab: the cache that its page belongs to, its address and bytes, and the fields of struct slab.

    freelist  address of the first free object; 0 for none
    frozen    given up after a failed check
    log       lines reported, oldest first
    """

    cache: DebugCache
    base: int
    memory: bytes
    freelist: int
    inuse: int
    objects: int
    frozen: bool = False
    names: Names = field(default_factory=Names)
    log: tuple[str, ...] = ()


# ---- bytes -----------------------------------------------------------------------------------------------


def write(slab: DebugSlab, address: int, value: bytes) -> DebugSlab:
    """The slab after somebody wrote there, rightly or not.

    Errors    LinuxmmError when the address is not in the slab
    """
    return replace(slab, memory=overwrite(slab.memory, slab.base, address, value))


def read(slab: DebugSlab, address: int, length: int) -> bytes:
    """Bytes of the slab."""
    return slab.memory[address - slab.base :][:length]


def objects_of(slab: DebugSlab) -> Iterator[int]:
    """The address of every object."""
    layout = slab.cache.layout
    return (slab.base + layout.object + number * layout.size for number in range(slab.objects))


def slot_of(slab: DebugSlab, pointer: int) -> int:
    """Where the slot of an object begins."""
    return pointer - slab.cache.layout.object


def _encoded(slab: DebugSlab, pointer: int, place: int) -> int:
    cache = slab.cache
    if not cache.hardened:
        return pointer
    encode = cache.kernel.behaviour(LINK_ENCODE).function
    word = encode(pointer, cache.secret, place)
    assert isinstance(word, int)
    return word


def link(slab: DebugSlab, pointer: int) -> int:
    """The free object behind a free one, as its link says."""
    place = slot_of(slab, pointer) + slab.cache.layout.free_pointer
    return _encoded(slab, _WORD.unpack(read(slab, place, 8))[0], place)


def with_link(slab: DebugSlab, pointer: int, following: int) -> DebugSlab:
    """The slab with another link in a free object."""
    place = slot_of(slab, pointer) + slab.cache.layout.free_pointer
    return write(slab, place, _WORD.pack(_encoded(slab, following, place)))


def filled(slab: DebugSlab, start: int, length: int, value: int) -> DebugSlab:
    """The slab with `length` bytes set."""
    return write(slab, start, bytes([value]) * length)


def asked_size(slab: DebugSlab, pointer: int) -> int:
    """Bytes that the kmalloc of an object asked for; the object's size where that is not kept."""
    cache = slab.cache
    if not _keeps_asked(cache):
        return cache.object_size
    place = slot_of(slab, pointer) + cache.layout.asked_size
    return int.from_bytes(read(slab, place, cache.asked.bytes), "little")


def _keeps_asked(cache: DebugCache) -> bool:
    return cache.options.store_user and cache.options.kmalloc and cache.asked.bytes > 0


def with_asked(slab: DebugSlab, pointer: int, size: int) -> DebugSlab:
    """The slab with the size that the kmalloc of an object asked for, where that is kept."""
    cache = slab.cache
    if not _keeps_asked(cache):
        return slab
    place = slot_of(slab, pointer) + cache.layout.asked_size
    return write(slab, place, size.to_bytes(cache.asked.bytes, "little"))


def init_object(slab: DebugSlab, pointer: int, in_use: bool) -> DebugSlab:
    """Set red zones and poison.

    Source    mm/slub.c:init_object; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12
    """
    cache, value = slab.cache, RED_ACTIVE if in_use else RED_INACTIVE
    layout, options, size = cache.layout, cache.options, cache.object_size
    if options.red_zone:
        slab = filled(slab, slot_of(slab, pointer), layout.object, value)
        if in_use and cache.asked.red_zone:
            size = asked_size(slab, pointer)
    if options.poison and not options.keeps:
        slab = write(slab, pointer, bytes([POISON_FREE]) * (size - 1) + bytes([POISON_END]))
    if options.red_zone:
        end = slot_of(slab, pointer) + layout.zone_end
        slab = filled(slab, pointer + size, end - pointer - size, value)
    return slab


def with_track(slab: DebugSlab, pointer: int, freed: bool, track: Track) -> DebugSlab:
    """The slab with who allocated or freed an object, where that is kept."""
    if not slab.cache.options.store_user:
        return slab
    form = slab.cache.form
    place = slot_of(slab, pointer) + slab.cache.layout.tracks + (form.track if freed else 0)
    return write(slab, place, track.pack(form))


def new_slab(cache: DebugCache, base: int, names: Names) -> DebugSlab:
    """A slab of free objects, chained in the order of their addresses.

    Requires  base is a multiple of the slab's size
    Source    mm/slub.c:allocate_slab, setup_slab_debug, setup_object_debug; 6.1 without FREELIST_RANDOM
    """
    fill = POISON_INUSE if cache.options.poison else 0
    slab = DebugSlab(
        cache, base, bytes([fill]) * (PAGE_SIZE << cache.order), 0, 0, cache.objects, names=names
    )
    following = 0
    for pointer in reversed(list(objects_of(slab))):
        slab = init_object(slab, pointer, in_use=False)
        if cache.options.store_user:
            slab = filled(slab, slot_of(slab, pointer) + cache.layout.tracks, 2 * cache.form.track, 0)
            slab = with_asked(slab, pointer, 0)
        slab = with_link(slab, pointer, following)
        following = pointer
    return replace(slab, freelist=following)


def is_valid(slab: DebugSlab, pointer: int) -> bool:
    """Whether a pointer is null or to the start of an object of the slab.

    Source    mm/slub.c:check_valid_pointer; 6.1, 6.12
    """
    offset, size = slot_of(slab, pointer) - slab.base, slab.cache.layout.size
    return pointer == 0 or (0 <= offset < slab.objects * size and offset % size == 0)
