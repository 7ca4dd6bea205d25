"""SLUB debugging: the checks at every allocation and free, and on request.

Linux: mm/slub.c:alloc_debug_processing, free_debug_processing, validate_slab.  Seed 2.13.2 (F077).
2.6.28 to 6.12.
"""

from dataclasses import replace

from linuxmm.model.debug.slub_report import (
    fix,
    head,
    object_err,
    place,
    say,
    slab_err,
    slab_line,
    tracking,
    trailer,
)
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
    Overwritten,
    Part,
    bytes_line,
    first_and_last,
    overwritten,
    parts,
    pointer_text,
    restoring_line,
)
from linuxmm.spec.debug.slub_eras import BrokenFree, Counted
from linuxmm.spec.debug.slub_words import SHORT_NAMES, WARNING, section
from linuxmm.spec.errors import LinuxmmError, Unmodelled
from linuxmm.spec.registry import verb

# ---- checks ----------------------------------------------------------------------------------------------


def _report_bytes(slab: DebugSlab, pointer: int, found: Overwritten, dump: bool) -> DebugSlab:
    slot, style, told = slot_of(slab, pointer), slab.cache.style, slab.cache.rule("offset")
    what = found.part.what if slab.cache.dumps.sided else SHORT_NAMES.get(found.part.what, found.part.what)
    line = bytes_line(slab.base, slot, found, slab.memory[slot - slab.base + found.first], told)
    if style.what_first:
        slab = say(slab, f"[{what} overwritten] {line}")
        if dump:
            slab = object_err(slab, pointer, "Object corrupt")
    else:
        slab = trailer(say(slab, *head(slab, f"{what} overwritten"), style.info + line), pointer)
    return _restore(slab, slot + found.first, slot + found.end, found.part.value, what)


def _restore(slab: DebugSlab, first: int, end: int, value: int, what: str) -> DebugSlab:
    told = slab.cache.style.told
    slab = fix(slab, restoring_line(first, end, value, what if told else ""))
    return filled(slab if told else say(slab, ""), first, end - first, value)


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
    if slab.frozen and slab.cache.rule("guards"):
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
    fault, end = start + span[0], start + span[1]
    where = f" @offset={fault - slab.base}" if slab.cache.rule("offset") else ""
    message = f"Padding overwritten. {pointer_text(fault)}-{pointer_text(end - 1)}{where}"
    shown, first = slab.cache.rest(start, rest, fault, end)
    dumps = slab.cache.dumps if slab.cache.dumps.right else slab.cache.dumps._replace(width=0)
    dump = section("Padding", shown, read(slab, shown, rest), dumps)
    if slab.cache.style.what_first:
        slab = say(slab, *head(slab, message), *dump, slab_line(slab), WARNING)
    else:
        slab = say(slab_err(slab, message), *dump)
    return _restore(slab, first, end, POISON_INUSE, "slab padding")


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
    most, stop = slab.cache.objects, slab.cache.style.stop
    if slab.objects != most:
        slab = slab_err(slab, f"Wrong number of objects. Found {slab.objects} but should be {most}")
        slab = fix(replace(slab, objects=most), f"Number of objects adjusted{stop}")
    if slab.inuse != slab.objects - seen:
        counted = slab.objects - seen
        slab = slab_err(slab, f"Wrong object count. Counter is {slab.inuse} but counted were {counted}")
        slab = fix(replace(slab, inuse=counted), f"Object count adjusted{stop}")
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
    pointer, inuse = slab.freelist, slab.inuse + 1
    following = link(slab, pointer) if is_valid(slab, pointer) else 0
    match slab.cache.counted:
        case Counted.AFTER:
            slab = replace(slab, freelist=following, inuse=inuse)
        case Counted.FULL:
            slab = replace(slab, freelist=0, inuse=slab.objects)
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
    slab = replace(slab, freelist=following, inuse=inuse)
    slab = init_object(with_asked(slab, pointer, size), pointer, in_use=True)
    return with_track(slab, pointer, False, track), pointer


@verb("F077", source="mm/slub.c:free_to_partial_list")
def free(slab: DebugSlab, pointer: int, track: Track, to: str = "") -> tuple[DebugSlab, bool]:
    """Give an object back; False when a check fails, and then it stays in use.

    to       name of the cache that the caller gives it to; none: its own
    Errors   LinuxmmError when the link of the object would lie outside the slab
    Source   mm/slub.c:cache_from_obj, free_to_partial_list, free_debug_processing; 6.1, 6.12
    """
    cache, sound = slab.cache, True
    checks = cache.checks
    if checks and to and to != cache.name:
        slab = _wrong_cache(slab, pointer, to)
    if cache.rule("free-unlinks"):
        slab = with_link(slab, pointer, 0)
    if checks:
        slab, sound = check_slab(slab)
    if sound and slab.inuse < 1 and cache.rule("guards"):
        # the kernel's own text ends with a line break of its own
        slab, sound = slab_err(slab, "Slab has 0 allocated objects but 1 are to be freed\n"), False
    broken = False
    if sound and checks:
        slab, sound, broken = _check_free(slab, pointer)
    if broken and cache.broken_free is BrokenFree.FREED:
        slab = with_link(slab, pointer, slab.freelist)
        return replace(slab, freelist=pointer, inuse=slab.inuse - 1), True
    if not sound:
        silent = broken and cache.broken_free is BrokenFree.KEPT
        return (slab if silent else fix(slab, f"Object at {place(slab, pointer)} not freed")), False
    slab = with_track(slab, pointer, True, track)
    slab = init_object(slab, pointer, in_use=False)
    slab = with_link(slab, pointer, slab.freelist)
    return replace(slab, freelist=pointer, inuse=slab.inuse - 1), True


def _wrong_cache(slab: DebugSlab, pointer: int, to: str) -> DebugSlab:
    if slab.cache.style.info:
        raise Unmodelled("an object given to another cache before 5.14, whose layout then decides")
    wrong = f"cache_from_obj: Wrong slab cache. {to} but object is from {slab.cache.name}"
    return say(slab, wrong, WARNING, *(tracking(slab, pointer) if is_valid(slab, pointer) else ()))


def _check_free(slab: DebugSlab, pointer: int) -> tuple[DebugSlab, bool, bool]:
    """The slab, whether the object may be freed, and whether its bytes are the reason that it may not."""
    if not is_valid(slab, pointer):
        return slab_err(slab, f"Invalid object pointer {place(slab, pointer)}"), False, False
    slab, already = on_freelist(slab, pointer)
    if already:
        return object_err(slab, pointer, "Object already free"), False, False
    slab, sound = check_object(slab, pointer, in_use=True)
    return slab, sound, not sound


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
    pointers = list(objects_of(slab))
    if slab.cache.rule("validate"):
        pointers.sort(key=lambda pointer: pointer not in free_objects)
    for pointer in pointers:
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

    Errors    Unmodelled before 5.2
    Source    mm/slub.c:list_slab_objects; 5.10, 6.1, 6.12.117
    """
    style = slab.cache.style
    message = slab.cache.kernel.behaviour("debug.slub.remaining").function(slab.cache.name)
    assert isinstance(message, str)
    slab = say(slab, *head(slab, message)) if style.what_first else slab_err(slab, message)
    free_objects = _free_objects(slab)
    for pointer in objects_of(slab):
        if pointer not in free_objects:
            where = f"{style.info}Object {place(slab, pointer)} @offset={pointer - slab.base}"
            slab = say(slab, where, *tracking(slab, pointer))
    return say(slab, slab_line(slab), WARNING) if style.what_first else slab
