"""SLUB debugging: what the kernel prints of a slab and of an object in it.

Linux: mm/slub.c:slab_err, object_err, print_trailer.  Seed 2.13.2 (F077).  5.14 to 6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.debug.slub_slab import TRACK, DebugSlab, Track, is_valid, link, read, slot_of
from linuxmm.spec.debug.slub_bytes import WARNING, bug, pointer_text, section
from linuxmm.spec.debug.slub_layout import TRACK_SIZE
from linuxmm.spec.vocabulary import PAGE_SIZE

NO_STACK: Final = "object allocation/free stack trace missing"


def say(slab: DebugSlab, *lines: str) -> DebugSlab:
    """The slab with more lines reported."""
    return replace(slab, log=(*slab.log, *lines))


def fix(slab: DebugSlab, message: str) -> DebugSlab:
    """The slab with a line that says what was mended."""
    return say(slab, f"FIX {slab.cache.name}: {message}")


def slab_line(slab: DebugSlab) -> str:
    """The line about a slab."""
    counts = f"objects={slab.objects} used={slab.inuse} fp={pointer_text(slab.freelist)}"
    return f"Slab {pointer_text(slab.names.page)} {counts} flags={slab.names.flags}"


def slab_err(slab: DebugSlab, message: str) -> DebugSlab:
    """A report about the slab.

    Source    mm/slub.c:slab_err
    """
    head = bug(slab.cache.name, slab.names.tainted, message)
    return say(slab, *head, slab_line(slab), slab.cache.style.end)


def object_err(slab: DebugSlab, pointer: int, message: str) -> DebugSlab:
    """A report about an object.

    Source    mm/slub.c:object_err
    """
    slab = say(slab, *bug(slab.cache.name, slab.names.tainted, message))
    if not pointer or not is_valid(slab, pointer):
        end = (WARNING,) if slab.cache.style.what_first else ()
        return say(slab, slab_line(slab), f"Invalid pointer {pointer_text(pointer)}", *end)
    return trailer(slab, pointer)


def tracking(slab: DebugSlab, pointer: int) -> tuple[str, ...]:
    """Who allocated and who freed an object, as a report says it.

    Source    mm/slub.c:print_tracking
    """
    if not slab.cache.options.store_user:
        return ()
    lines: list[str] = []
    place, names = slot_of(slab, pointer) + slab.cache.layout.tracks, slab.names
    for word, start in (("Allocated", place), ("Freed", place + TRACK_SIZE)):
        track = Track._make(TRACK.unpack(read(slab, start, TRACK_SIZE)))
        if not track.address:
            continue
        symbol = names.symbols.get(track.address, f"{track.address:#x}")
        age = (names.now - track.when) % (1 << 64)
        lines.append(f"{word} in {symbol} age={age} cpu={track.cpu} pid={track.pid}")
        lines += names.stacks.get(track.handle, ()) if track.handle else (NO_STACK,)
    return tuple(lines)


def trailer(slab: DebugSlab, pointer: int) -> DebugSlab:
    """The dump of an object.

    Source    mm/slub.c:print_trailer; 6.1, 6.12
    """
    cache, layout, slot = slab.cache, slab.cache.layout, slot_of(slab, pointer)
    offset = pointer - slab.base
    where = f"Object {pointer_text(pointer)} @offset={offset} fp={pointer_text(link(slab, pointer))}"
    lines = [*tracking(slab, pointer), slab_line(slab), where, ""]
    if cache.options.red_zone:
        lines += section("Redzone  ", slot, read(slab, slot, layout.object))
    elif offset > 16:
        lines += section("Bytes b4 ", pointer - 16, read(slab, pointer - 16, 16))
    shown = min(cache.object_size, PAGE_SIZE)
    lines += section("Object   ", pointer, read(slab, pointer, shown))
    if cache.options.red_zone:
        zone = pointer + cache.object_size
        lines += section("Redzone  ", zone, read(slab, zone, slot + layout.zone_end - zone))
    padding, end = slot + layout.padding, slot + layout.size
    lines += section("Padding  ", padding, read(slab, padding, end - padding))
    # the warning of the kernels that warn is of object_err, behind the dump
    return say(slab, *lines, cache.style.end)
