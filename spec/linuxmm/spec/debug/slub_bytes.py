"""SLUB debugging: what every byte of a slab must be, and the words in which a kernel reports that it is not.

The red zones of a free object hold 0xbb, those of one in use 0xcc; a free object that nobody may look at
holds 0x6b and ends with 0xa5; padding holds 0x5a.  A check finds the first and the last byte that differ,
reports them, and puts the pattern back.

Linux: mm/slub.c:check_bytes_and_report, check_object, print_trailer.  Seed 2.13.2 (F077).  2.6.23 to 6.12.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from linuxmm.spec.debug.slub_layout import AskedSize, SlubLayout, SlubOptions
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

RED_INACTIVE: Final = 0xBB
RED_ACTIVE: Final = 0xCC
POISON_INUSE: Final = 0x5A
POISON_FREE: Final = 0x6B
POISON_END: Final = 0xA5


class Part(NamedTuple):
    """Bytes of a slot that must all have one value.

    what      the kernel's name for them
    start     offset in the slot
    reported  whether a difference makes the object count as broken, apart from being reported
    """

    what: str
    start: int
    length: int
    value: int
    breaks: bool = True


class Overwritten(NamedTuple):
    """Where a part differs: offsets in the slot of the first byte that does, and behind the last."""

    part: Part
    first: int
    end: int


@formula("F077", source="mm/slub.c:check_bytes_and_report")
def first_and_last(memory: Sequence[int], value: int) -> tuple[int, int] | None:
    """Index of the first byte that is not `value`, and behind the last; None when every byte is.

    Ensures   None exactly when every byte is `value`; else both ends of the span differ from it
    Source    check_bytes_and_report; 2.6.22 to 6.12
    """
    first = 0
    while first < len(memory) and memory[first] == value:
        first += 1
    if first == len(memory):
        return None
    end = len(memory)
    while memory[end - 1] == value:
        end -= 1
    return first, end


# ---- the parts of a slot ---------------------------------------------------------------------------------


@behaviour(
    "debug.slub.parts-break",
    since="2.6.23",
    until="6.10",
    features=("F077",),
    source="mm/slub.c:check_object; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1 (6.2 to 6.10 unconfirmed)",
)
def padding_is_forgiven() -> bool:
    """Whether changed padding makes an object broken: no; and the first broken part ends the check."""
    return False


@behaviour(
    "debug.slub.parts-break",
    since="6.11",
    features=("F077",),
    source="mm/slub.c:check_object; 6.12 (6.11 unconfirmed)",
)
def padding_breaks() -> bool:
    """Whether changed padding makes an object broken: yes; and every part is checked and put right."""
    return True


@formula("F077", source="mm/slub.c:check_object, check_pad_bytes")
def parts(
    layout: SlubLayout,
    options: SlubOptions,
    asked: AskedSize,
    in_use: bool,
    asked_size: int,
    padding_breaks: bool,
) -> tuple[Part, ...]:
    """The parts of a slot that are checked, in the kernel's order.

    asked_size  bytes that the kmalloc asked for; ignored where kernels do not keep it
    Ensures   parts are disjoint and inside the slot
    Source    check_object, check_pad_bytes; 6.1, 6.12
    """
    object_size = layout.right_red_zone - layout.object
    zone = RED_ACTIVE if in_use else RED_INACTIVE
    right, zone_end = layout.right_red_zone, layout.zone_end
    found: list[Part] = []
    if options.red_zone:
        found.append(Part("Left Redzone", 0, layout.object, zone))
        found.append(Part("Right Redzone", right, zone_end - right, zone))
        if in_use and asked.red_zone and options.kmalloc and options.store_user and asked_size < object_size:
            start = layout.object + asked_size
            found.append(Part("kmalloc Redzone", start, right - start, zone))
    elif options.poison and right < zone_end:
        found.append(Part("Alignment padding", right, zone_end - right, POISON_INUSE, padding_breaks))
    if options.poison and not in_use and not options.keeps:
        found.append(Part("Poison", layout.object, object_size - 1, POISON_FREE))
        found.append(Part("End Poison", right - 1, 1, POISON_END))
    if options.poison and layout.padding < layout.size:
        length = layout.size - layout.padding
        found.append(Part("Object padding", layout.padding, length, POISON_INUSE, padding_breaks))
    return tuple(found)


@formula("F077", source="mm/slub.c:check_bytes_and_report")
def overwritten(slot: Sequence[int], checked: Sequence[Part]) -> tuple[Overwritten, ...]:
    """Every part of a slot that is not what it must be, in the order of the check."""
    found = []
    for part in checked:
        span = first_and_last(slot[part.start : part.start + part.length], part.value)
        if span is not None:
            found.append(Overwritten(part, part.start + span[0], part.start + span[1]))
    return tuple(found)


@invariant(
    "debug.slub.patterns", features=("F077",), seed="2.13.2", source="mm/slub.c:init_object, check_object"
)
def patterns_hold(slot: Sequence[int], checked: Sequence[Part]) -> bool:
    """Red zones, poison and padding of an object that nobody misused hold their patterns."""
    return not overwritten(slot, checked)


RIGHT_OWNER: Final = clause(
    "debug.slub.owner",
    "An object is freed once, by a pointer to its start, to the cache that it came from.",
    features=("F077",),
    seed="2.13.2",
    source="mm/slub.c:free_consistency_checks, cache_from_obj",
).id


@behaviour(
    "debug.slub.free-unlinks",
    since="2.6.23",
    until="5.2",
    features=("F077",),
    source="mm/slub.c:__slab_free; 3.0, 3.10 (4.17 to 5.2 unconfirmed)",
)
def old_free_keeps_link() -> bool:
    """Whether a link is cleared before an object that is freed is checked: no."""
    return False


@behaviour(
    "debug.slub.free-unlinks",
    since="5.3",
    until="6.7",
    features=("F077",),
    source="mm/slub.c:slab_free_freelist_hook; 5.10, 6.1 (5.3 to 5.9, 6.2 to 6.7 unconfirmed)",
)
def free_unlinks() -> bool:
    """Whether a link is cleared before an object that is freed is checked: yes.

    So the second free of an object that is the first of the free list loses the rest of that list.
    """
    return True


@behaviour(
    "debug.slub.free-unlinks",
    since="6.8",
    features=("F077",),
    source="mm/slub.c:slab_free; 6.12 (6.8 to 6.11 unconfirmed)",
)
def free_keeps_link() -> bool:
    """Whether a link is cleared before an object that is freed is checked: no."""
    return False


# ---- words -----------------------------------------------------------------------------------------------


def overwrite(memory: bytes, base: int, address: int, value: bytes) -> bytes:
    """The bytes of a slab at `base` after somebody wrote there, rightly or not.

    Errors    LinuxmmError when the address is not in the slab
    """
    at = address - base
    if not 0 <= at <= len(memory) - len(value):
        raise LinuxmmError(f"{address:#x} is not in the slab at {base:#x}")
    return memory[:at] + value + memory[at + len(value) :]


def bug(name: str, tainted: str, message: str) -> tuple[str, ...]:
    """The head of a report; `tainted` is empty where kernels do not tell it.

    Source    mm/slub.c:slab_bug; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12
    """
    taint = f" ({tainted})" if tainted else ""
    return "=" * 77, f"BUG {name}{taint}: {message}", "-" * 77, ""


def pointer_text(address: int, null: str = "0" * 16) -> str:
    """An address as %p prints it where addresses are not hashed, behind 0x."""
    return f"0x{address:016x}" if address else f"0x{null}"


def bytes_line(base: int, slot: int, found: Overwritten, byte: int, offset: bool) -> str:
    """The line that says which bytes differ; `slot` is the address of the slot, `base` that of the slab."""
    first, last = slot + found.first, slot + found.end - 1
    where = f" @offset={first - base}" if offset else ""
    expected = f"First byte {byte:#x} instead of {found.part.value:#x}"
    return f"{pointer_text(first)}-{pointer_text(last)}{where}. {expected}"


def restoring_line(first: int, end: int, value: int, what: str) -> str:
    """What is put right: the bytes from `first` to before `end`."""
    name = f"{what} " if what else ""
    return f"Restoring {name}{pointer_text(first)}-{pointer_text(end - 1)}={value:#x}"
