"""Where a mapping goes when the caller does not say: downwards from mmap_base, or upwards.

Linux: mm/mmap.c:get_unmapped_area, unmapped_area_topdown; arch/x86/kernel/sys_x86_64.c.  Seed 2.8 (F059).
"""

from typing import Final

from linuxmm.model.vm.areas import deny
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.flags import MAP_32BIT, MAP_ABOVE4G, MAP_FIXED, VM_GROWSDOWN
from linuxmm.spec.vm.space import AddressSpace, index_from, window_of
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

PMD_SIZE: Final = 2 << 20
LOW_START: Final = 0x40000000
LOW_END: Final = 0x80000000
FOUR_GIB: Final = 1 << 32


@behaviour(
    "vm.guard-gap",
    since="2.4.0",
    until="4.11",
    features=("F059",),
    source="mm/mmap.c; 2.6.24, 4.4 (the guard page lies inside the area)",
    replaced_in=("4.4.73", "4.9.34"),
)
def guard_gap_none(area: Vma, pages: int) -> int:
    """Nothing is kept free below a stack."""
    return area.start


@behaviour(
    "vm.guard-gap",
    since="4.12",
    until="6.18",
    features=("F059",),
    source="include/linux/mm.h:vm_start_gap; commit 1be7107fbe18, 4.12 to 6.18",
    backports=("4.4.73", "4.9.34"),
)
def guard_gap_of_stacks(area: Vma, pages: int) -> int:
    """stack_guard_gap stays free below an area that grows downwards."""
    if area.flags & VM_GROWSDOWN:
        return max(area.start - (pages << PAGE_SHIFT), 0)
    return area.start


@behaviour(
    "vm.anonymous-alignment",
    since="2.4.0",
    until="6.6",
    features=("F059",),
    source="mm/mmap.c:get_unmapped_area; 2.6.24 to 6.6",
)
def alignment_none(length: int, bits: int) -> int:
    """Anonymous memory is placed by pages."""
    return 0


@behaviour(
    "vm.anonymous-alignment",
    since="6.7",
    until="6.11",
    replaced_in=("6.11.11",),
    features=("F059",),
    source="mm/mmap.c:get_unmapped_area; commit efa7df3e3bb5, 6.7 to 6.10 (6.11.0 unconfirmed)",
)
def alignment_of_large(length: int, bits: int) -> int:
    """Anonymous memory of a huge page or more is placed at a huge page (64-bit)."""
    return PMD_SIZE if bits == 64 and length >= PMD_SIZE else 0


@behaviour(
    "vm.anonymous-alignment",
    since="6.12",
    until="6.18",
    backports=("6.11.11",),
    features=("F059",),
    source="mm/mmap.c:__get_unmapped_area; 6.11.11, 6.12 to 6.18",
)
def alignment_of_multiples(length: int, bits: int) -> int:
    """Anonymous memory of whole huge pages is placed at a huge page (64-bit)."""
    return PMD_SIZE if bits == 64 and length % PMD_SIZE == 0 else 0


@behaviour(
    "vm.gap-too-near",
    since="2.4.0",
    until="6.0",
    features=("F059",),
    source="mm/mmap.c:vma_compute_gap, unmapped_area_topdown; 5.4, 6.0",
)
def next_gap_is_tried(clear: int, ceiling: int) -> int:
    """Where a search goes on after a gap below a stack is too near it: in the next gap."""
    return ceiling


@behaviour(
    "vm.gap-too-near",
    since="6.1",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:unmapped_area_topdown, unmapped_area; 6.1 to 6.18",
)
def search_goes_on_beyond_the_guard(clear: int, ceiling: int) -> int:
    """Where a search goes on after a gap below a stack is too near it: past the whole guard gap."""
    return clear


def highest_gap(rules: Rules, space: AddressSpace, length: int, low: int, high: int) -> int | None:
    """The highest address in low..high where `length` bytes are free, and clear of the guard gap of a stack
    right above.

    Source    mm/mmap.c:unmapped_area_topdown; 2.6 to 6.18
    """
    ceiling, above = high, None
    for area in reversed(space.areas):
        found, ceiling = _top_of(rules, space, above, max(area.end, low), ceiling, length)
        if found is not None:
            return found
        above, ceiling = area, min(ceiling, area.start)
        if ceiling <= low:
            return None
    return _top_of(rules, space, above, low, ceiling, length)[0]


def _top_of(
    rules: Rules, space: AddressSpace, above: Vma | None, floor: int, ceiling: int, length: int
) -> tuple[int | None, int]:
    """The highest place in a gap below `above`, and below what address to search on."""
    if ceiling < floor or ceiling - floor < length:
        return None, ceiling
    if above is None:
        return ceiling - length, ceiling
    clear = rules.guard_gap(above, space.system.guard_pages)
    if clear >= ceiling:
        return ceiling - length, ceiling
    if clear >= floor and clear - floor >= length:
        return clear - length, ceiling
    return None, rules.gap_too_near(clear, ceiling)


def lowest_gap(rules: Rules, space: AddressSpace, length: int, low: int, high: int) -> int | None:
    """The lowest address in low..high where `length` bytes are free, and clear of the guard gap of a stack
    right above.

    Source    mm/mmap.c:unmapped_area; 2.6 to 6.18
    """
    floor = low
    for area in space.areas:
        if area.end <= floor:
            continue
        ceiling = min(area.start, high)
        if ceiling >= floor and ceiling - floor >= length:
            clear = rules.guard_gap(area, space.system.guard_pages)
            if clear >= floor + length:
                return floor
        floor = max(floor, area.end)
        if floor >= high:
            return None
    return floor if high - floor >= length else None


def _is_free(rules: Rules, space: AddressSpace, start: int, length: int) -> bool:
    number = index_from(space, start)
    if number == len(space.areas):
        return True
    return start + length <= rules.guard_gap(space.areas[number], space.system.guard_pages)


def _is_high(space: AddressSpace, hint: int) -> bool:
    """Whether a hint asks for addresses beyond those that are given out unasked."""
    return hint > window_of(space)


def _search_up(rules: Rules, space: AddressSpace, hint: int, length: int, flags: int) -> int | None:
    low, high = space.legacy_base, space.task_size if _is_high(space, hint) else window_of(space)
    if flags & MAP_32BIT and rules.bits == 64:
        low, high = LOW_START, LOW_END
    if length > high:
        return None
    if hint:
        at = (hint + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
        if high - length >= at and _is_free(rules, space, at, length):
            return at
    return lowest_gap(rules, space, length, low, high)


def _is_valid_hint(space: AddressSpace, at: int, length: int) -> bool:
    """Whether a place that is asked for ends below the task size and lies on one side of the window's end.

    Source    arch/x86/mm/mmap.c:mmap_address_hint_valid; 4.14 to 6.18
    """
    return at <= space.task_size - length and _is_high(space, at) == _is_high(space, at + length)


def _search(rules: Rules, space: AddressSpace, hint: int, length: int, flags: int) -> int | None:
    if space.bottom_up or (flags & MAP_32BIT and rules.bits == 64):
        return _search_up(rules, space, hint, length, flags)
    at = hint & ~(PAGE_SIZE - 1)
    if at and _is_valid_hint(space, at, length) and _is_free(rules, space, at, length):
        return at
    low = FOUR_GIB if flags & MAP_ABOVE4G and rules.bits == 64 else PAGE_SIZE
    beyond = space.task_size - window_of(space) if _is_high(space, at) else 0
    found = highest_gap(rules, space, length, low, space.mmap_base + beyond)
    return _search_up(rules, space, hint, length, flags) if found is None else found


def _search_aligned(rules: Rules, space: AddressSpace, length: int, flags: int, alignment: int) -> int | None:
    """A place at a multiple of `alignment`; None where the padded length fits nowhere.

    Source    mm/huge_memory.c:__thp_get_unmapped_area; 6.7 to 6.18
    """
    found = _search(rules, space, 0, length + alignment, flags)
    if found is None:
        return None
    offset = -found % alignment
    return found + (offset or (0 if space.bottom_up else alignment))


@verb("F059", source="mm/mmap.c:get_unmapped_area; 2.6 to 6.18")
def get_unmapped_area(
    rules: Rules, space: AddressSpace, hint: int, length: int, flags: int, *, anonymous: bool
) -> int | Denied:
    """The address of a new mapping of `length` bytes.

    anonymous  private memory without a file, which some kernels align to huge pages
    Requires   length is in whole pages
    Refuses    ENOMEM: longer than the address space, no room; EINVAL, EPERM: a fixed address that is
               not at a page, or below vm.mmap_min_addr
    """
    if length > space.task_size:
        return deny(Errno.ENOMEM, "longer-than-task")
    found: int | None
    if flags & MAP_FIXED:
        found = hint
    else:
        alignment = rules.anonymous_alignment(length, rules.bits) if anonymous and not hint else 0
        found = _search_aligned(rules, space, length, flags, alignment) if alignment else None
        if found is None:
            found = _search(rules, space, hint, length, flags)
    if found is None:
        return deny(Errno.ENOMEM, "no-room")
    if found > space.task_size - length:
        return deny(Errno.ENOMEM, "beyond-task")
    if found % PAGE_SIZE:
        return deny(Errno.EINVAL, "fixed-unaligned")
    if found < space.system.min_address:
        return deny(Errno.EPERM, "below-min-address")
    return found
