"""SLUB debugging: what the kernel prints of a slab and of an object in it.

Linux: mm/slub.c:slab_err, object_err, print_trailer.  Seed 2.13.2 (F077).  2.6.23 to 6.12.
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.debug.slub_slab import DebugSlab, Track, is_valid, link, read, read_track, slot_of
from linuxmm.spec.debug.slub_bytes import bug, pointer_text
from linuxmm.spec.debug.slub_words import WARNING, section
from linuxmm.spec.errors import Unmodelled

NO_STACK: Final = "object allocation/free stack trace missing"


def say(slab: DebugSlab, *lines: str) -> DebugSlab:
    """The slab with more lines reported."""
    return replace(slab, log=(*slab.log, *lines))


def fix(slab: DebugSlab, message: str) -> DebugSlab:
    """The slab with a line that says what was mended."""
    return say(slab, f"FIX {slab.cache.name}: {message}")


def head(slab: DebugSlab, message: str) -> tuple[str, ...]:
    """The head of a report."""
    tainted = slab.names.tainted if slab.cache.style.tainted else ""
    return bug(slab.cache.name, tainted, message)


def place(slab: DebugSlab, address: int) -> str:
    """An address as this kernel prints it."""
    return pointer_text(address, str(slab.cache.kernel.behaviour("debug.slub.null").function()))


def slab_line(slab: DebugSlab) -> str:
    """The line about a slab."""
    objects = f"objects={slab.objects} " if slab.cache.style.objects else ""
    counts = f"{objects}used={slab.inuse} fp={place(slab, slab.freelist)}"
    info = slab.cache.style.info
    return f"{info}Slab {place(slab, slab.names.page)} {counts} flags={slab.names.flags}"


def slab_err(slab: DebugSlab, message: str) -> DebugSlab:
    """A report about the slab.

    Errors    Unmodelled before 2.6.26 for a message with numbers: what is printed was never passed
    Source    mm/slub.c:slab_err
    """
    if not slab.cache.style.passed and any(letter.isdigit() for letter in message):
        raise Unmodelled("the numbers of a report about a slab before 2.6.26: whatever the stack held")
    return say(slab, *head(slab, message), slab_line(slab), slab.cache.style.end)


def object_err(slab: DebugSlab, pointer: int, message: str) -> DebugSlab:
    """A report about an object.

    Errors    Unmodelled before 5.14 for a pointer that is not to an object: what is there is dumped
    Source    mm/slub.c:object_err
    """
    slab = say(slab, *head(slab, message))
    if not pointer or not is_valid(slab, pointer):
        if slab.cache.style.info:
            raise Unmodelled(f"the dump of memory at {pointer:#x}, which is not of the slab, before 5.14")
        end = (WARNING,) if slab.cache.style.what_first else ()
        return say(slab, slab_line(slab), f"Invalid pointer {pointer_text(pointer)}", *end)
    return trailer(slab, pointer)


def tracking(slab: DebugSlab, pointer: int) -> tuple[str, ...]:
    """Who allocated and who freed an object, as a report says it.

    Source    mm/slub.c:print_tracking
    """
    if not slab.cache.options.store_user:
        return ()
    form, names, info = slab.cache.form, slab.names, slab.cache.style.info
    start = slot_of(slab, pointer) + slab.cache.layout.tracks
    lines: list[str] = []
    for word, at in (("Allocated", start), ("Freed", start + form.track)):
        track = read_track(read(slab, at, form.track), form)
        if not track.address:
            continue
        age = (names.now - track.when) % (1 << 64)
        who = f"cpu={track.cpu} pid={track.pid}"
        lines.append(f"{info}{word} in {symbol(slab, track.address)} age={age} {who}")
        lines += _stack(slab, track)
    return tuple(lines)


def symbol(slab: DebugSlab, address: int) -> str:
    """A return address as %pS prints it."""
    return slab.names.symbols.get(address, f"{address:#x}")


def _stack(slab: DebugSlab, track: Track) -> tuple[str, ...]:
    if slab.cache.style.info:
        return tuple(f"\t{symbol(slab, address)}" for address in track.stack)
    if slab.cache.form.stack:
        return tuple(f" {symbol(slab, address)}" for address in track.stack)
    return slab.names.stacks.get(track.handle, ()) if track.handle else (NO_STACK,)


def trailer(slab: DebugSlab, pointer: int) -> DebugSlab:
    """The dump of an object.

    Source    mm/slub.c:print_trailer; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12
    """
    cache, layout, slot, dumps = slab.cache, slab.cache.layout, slot_of(slab, pointer), slab.cache.dumps
    offset = pointer - slab.base
    where = f"Object {place(slab, pointer)} @offset={offset} fp={place(slab, link(slab, pointer))}"
    lines = [*tracking(slab, pointer), slab_line(slab), cache.style.info + where, ""]
    if layout.object:
        lines += section("Redzone", slot, read(slab, slot, layout.object), dumps)
    elif offset > 16:
        lines += section("Bytes b4", pointer - 16, read(slab, pointer - 16, 16), dumps)
    most = cache.kernel.behaviour("debug.slub.shown").function()
    assert isinstance(most, int)
    lines += section("Object", pointer, read(slab, pointer, min(cache.object_size, most)), dumps)
    if cache.options.red_zone:
        zone = pointer + cache.object_size
        lines += section("Redzone", zone, read(slab, zone, slot + layout.zone_end - zone), dumps)
    padding, end = slot + layout.padding, slot + layout.size
    lines += section("Padding", padding, read(slab, padding, end - padding), dumps)
    # the warning of the kernels that warn is of object_err, behind the dump
    return say(slab, *lines, cache.style.end)
