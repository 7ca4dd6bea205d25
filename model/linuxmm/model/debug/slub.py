"""SLUB debugging: the checks at every allocation and free, and on request.

Linux: mm/slub.c:alloc_debug_processing, free_debug_processing, validate_slab.  Seed 2.13.2 (F077).
5.14 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.debug.slub_report import fix, object_err, say, slab_err, slab_line, tracking, trailer
from linuxmm.model.debug.slub_slab import (
    DebugSlab,
    Track,
    asked_size,
    filled,
    init_object,
    is_valid,
    link,
    objects_of,
    read,
    slot_of,
    with_asked,
    with_link,
    with_track,
)
from linuxmm.spec.debug.slub_bytes import (
    POISON_INUSE,
    WARNING,
    Overwritten,
    Part,
    bug,
    bytes_line,
    first_and_last,
    overwritten,
    parts,
    pointer_text,
    restoring_line,
    section,
)
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.registry import verb

# ---- checks ----------------------------------------------------------------------------------------------


def _report_bytes(slab: DebugSlab, pointer: int, found: Overwritten, dump: bool) -> DebugSlab:
    slot, style = slot_of(slab, pointer), slab.cache.style
    line = bytes_line(slab.base, slot, found, slab.memory[slot - slab.base + found.first])
    if style.what_first:
        slab = say(slab, f"[{found.part.what} overwritten] {line}")
        if dump:
            slab = object_err(slab, pointer, "Object corrupt")
    else:
        head = bug(slab.cache.name, slab.names.tainted, f"{found.part.what} overwritten")
        slab = trailer(say(slab, *head, line), pointer)
    slab = fix(slab, restoring_line(slot, found))
    return filled(slab, slot + found.first, found.end - found.first, found.part.value)


def check_object(slab: DebugSlab, pointer: int, in_use: bool) -> tuple[DebugSlab, bool]:
    """Check every part of an object and its link; report and put right what is wrong.

    Ensures   (slab, whether the object is sound); a second check of a sound object says nothing
    Source    mm/slub.c:check_object; 6.1, 6.12
    """
    cache, sound = slab.cache, True
    for part in _parts(slab, pointer, in_use):
        slot = read(slab, slot_of(slab, pointer), cache.layout.size)
        for found in overwritten(slot, (part,)):
            slab = _report_bytes(slab, pointer, found, dump=sound)
            sound = sound and not part.breaks
        if not sound and not cache.padding_breaks:
            return slab, False
    if (cache.layout.outside or not in_use) and not is_valid(slab, link(slab, pointer)):
        slab = with_link(object_err(slab, pointer, "Freepointer corrupt"), pointer, 0)
        sound = False
    return slab, sound


def _parts(slab: DebugSlab, pointer: int, in_use: bool) -> tuple[Part, ...]:
    cache = slab.cache
    size = asked_size(slab, pointer)
    return parts(cache.layout, cache.options, cache.asked, in_use, size, cache.padding_breaks)


def check_slab(slab: DebugSlab) -> tuple[DebugSlab, bool]:
    """Check the counts of a slab and the bytes behind its last slot.

    Source    mm/slub.c:check_slab, slab_pad_check; 6.1, 6.12
    """
    most = slab.cache.objects
    if slab.objects > most:
        return slab_err(slab, f"objects {slab.objects} > max {most}"), False
    if slab.inuse > slab.objects:
        return slab_err(slab, f"inuse {slab.inuse} > max {slab.objects}"), False
    if slab.frozen:
        return slab_err(slab, "Slab disabled since SLUB metadata consistency check failed"), False
    return _check_rest(slab), True


def _check_rest(slab: DebugSlab) -> DebugSlab:
    if not slab.cache.options.poison:
        return slab
    rest = len(slab.memory) % slab.cache.layout.size
    start = slab.base + len(slab.memory) - rest
    span = first_and_last(read(slab, start, rest), POISON_INUSE)
    if span is None:
        return slab
    first, last = start + span[0], start + span[1] - 1
    message = f"Padding overwritten. {pointer_text(first)}-{pointer_text(last)} @offset={first - slab.base}"
    dump = section("Padding ", start, read(slab, start, rest))
    if slab.cache.style.what_first:
        head = bug(slab.cache.name, slab.names.tainted, message)
        slab = say(slab, *head, *dump, slab_line(slab), WARNING)
    else:
        slab = say(slab_err(slab, message), *dump)
    slab = fix(slab, f"Restoring slab padding {pointer_text(first)}-{pointer_text(last)}={POISON_INUSE:#x}")
    return filled(slab, first, last + 1 - first, POISON_INUSE)


def on_freelist(slab: DebugSlab, pointer: int) -> tuple[DebugSlab, bool]:
    """Follow the free list: whether it meets `pointer`; for 0, whether it ends and its counts are right.

    Source    mm/slub.c:on_freelist; 6.1, 6.12
    """
    following, previous, seen = slab.freelist, 0, 0
    while following and seen <= slab.objects:
        if following == pointer:
            return slab, True
        if not is_valid(slab, following):
            if previous:
                slab = with_link(object_err(slab, previous, "Freechain corrupt"), previous, 0)
                break
            slab = replace(slab_err(slab, "Freepointer corrupt"), freelist=0, inuse=slab.objects)
            return fix(slab, "Freelist cleared"), False
        previous, following, seen = following, link(slab, following), seen + 1
    most = slab.cache.objects
    if slab.objects != most:
        slab = slab_err(slab, f"Wrong number of objects. Found {slab.objects} but should be {most}")
        slab = fix(replace(slab, objects=most), "Number of objects adjusted")
    if slab.inuse != slab.objects - seen:
        counted = slab.objects - seen
        slab = slab_err(slab, f"Wrong object count. Counter is {slab.inuse} but counted were {counted}")
        slab = fix(replace(slab, inuse=counted), "Object count adjusted")
    return slab, pointer == 0


# ---- steps -----------------------------------------------------------------------------------------------


@verb("F077", source="mm/slub.c:alloc_single_from_partial")
def alloc(slab: DebugSlab, size: int, track: Track) -> tuple[DebugSlab, int]:
    """Hand out the first free object; 0 when a check fails, and then no more of this slab is.

    size      bytes asked for
    Requires  the slab has a free object
    Source    mm/slub.c:alloc_single_from_partial, alloc_debug_processing; 6.1, 6.12
    """
    if not slab.freelist:
        raise LinuxmmError(f"the slab at {slab.base:#x} has no free object")
    pointer = slab.freelist
    following = link(slab, pointer) if is_valid(slab, pointer) else 0
    slab = replace(slab, freelist=following, inuse=slab.inuse + 1)
    sound = True
    if slab.cache.checks:
        slab, sound = check_slab(slab)
        if sound and not is_valid(slab, pointer):
            slab, sound = object_err(slab, pointer, "Freelist Pointer check fails"), False
        if sound:
            slab, sound = check_object(slab, pointer, in_use=False)
    if not sound:
        slab = fix(slab, "Marking all objects used")
        return replace(slab, inuse=slab.objects, freelist=0, frozen=True), 0
    slab = init_object(with_asked(slab, pointer, size), pointer, in_use=True)
    return with_track(slab, pointer, False, track), pointer


@verb("F077", source="mm/slub.c:free_to_partial_list")
def free(slab: DebugSlab, pointer: int, track: Track, to: str = "") -> tuple[DebugSlab, bool]:
    """Give an object back; False when a check fails, and then it stays in use.

    to       name of the cache that the caller gives it to; none: its own
    Errors   LinuxmmError when the link of the object would lie outside the slab
    Source   mm/slub.c:cache_from_obj, free_to_partial_list, free_debug_processing; 6.1, 6.12
    """
    checks, sound = slab.cache.checks, True
    if checks and to and to != slab.cache.name:
        wrong = f"cache_from_obj: Wrong slab cache. {to} but object is from {slab.cache.name}"
        slab = say(slab, wrong, WARNING, *(tracking(slab, pointer) if is_valid(slab, pointer) else ()))
    if slab.cache.kernel.behaviour("debug.slub.free-unlinks").function():
        slab = with_link(slab, pointer, 0)
    if checks:
        slab, sound = check_slab(slab)
    if sound and slab.inuse < 1:
        # the kernel's own text ends with a line break of its own
        slab, sound = slab_err(slab, "Slab has 0 allocated objects but 1 are to be freed\n"), False
    if sound and checks:
        slab, sound = _check_free(slab, pointer)
    if not sound:
        return fix(slab, f"Object at {pointer_text(pointer)} not freed"), False
    slab = with_track(slab, pointer, True, track)
    slab = init_object(slab, pointer, in_use=False)
    slab = with_link(slab, pointer, slab.freelist)
    return replace(slab, freelist=pointer, inuse=slab.inuse - 1), True


def _check_free(slab: DebugSlab, pointer: int) -> tuple[DebugSlab, bool]:
    if not is_valid(slab, pointer):
        return slab_err(slab, f"Invalid object pointer {pointer_text(pointer)}"), False
    slab, already = on_freelist(slab, pointer)
    if already:
        return object_err(slab, pointer, "Object already free"), False
    return check_object(slab, pointer, in_use=True)


@verb("F077", source="mm/slub.c:validate_slab")
def validate(slab: DebugSlab) -> DebugSlab:
    """Check a slab and its objects up to the first broken one (/sys/kernel/slab/CACHE/validate).

    Source    mm/slub.c:validate_slab; 6.1, 6.12
    """
    slab, sound = check_slab(slab)
    if not sound:
        return slab
    slab, sound = on_freelist(slab, 0)
    if not sound:
        return slab
    free_objects = _free_objects(slab)
    for pointer in list(objects_of(slab)):
        slab, sound = check_object(slab, pointer, pointer not in free_objects)
        if not sound:
            break
    return slab


def _free_objects(slab: DebugSlab) -> frozenset[int]:
    found: list[int] = []
    following = slab.freelist
    while following and len(found) <= slab.objects:
        found.append(following)
        following = link(slab, following)
    return frozenset(found)


@verb("F077", source="mm/slub.c:__free_slab")
def discard(slab: DebugSlab) -> DebugSlab:
    """Check a slab whose pages go back: every object must be free.

    Source    mm/slub.c:__free_slab; 6.1, 6.12
    """
    slab = _check_rest(slab)
    for pointer in list(objects_of(slab)):
        slab, _ = check_object(slab, pointer, in_use=False)
    return slab


@verb("F077", source="mm/slub.c:list_slab_objects")
def remaining(slab: DebugSlab) -> DebugSlab:
    """Report the objects that are still in use when their cache is destroyed.

    Source    mm/slub.c:list_slab_objects; 6.1, 6.12.117
    """
    name, first = slab.cache.name, slab.cache.style.what_first
    if first:
        message = "Objects remaining on __kmem_cache_shutdown()"
        slab = say(slab, *bug(name, slab.names.tainted, message))
    else:
        slab = slab_err(slab, f"Objects remaining in {name} on __kmem_cache_shutdown()")
    free_objects = _free_objects(slab)
    for pointer in objects_of(slab):
        if pointer not in free_objects:
            where = f"Object {pointer_text(pointer)} @offset={pointer - slab.base}"
            slab = say(slab, where, *tracking(slab, pointer))
    return say(slab, slab_line(slab), WARNING) if first else slab
