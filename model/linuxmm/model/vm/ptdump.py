"""The walker behind a dump of page tables: every entry noted, holes at the level at which they are.

One generic walker serves kernel and user tables, with or without areas (walk_page_range_novma, 5.6).

Linux: mm/ptdump.c, mm/pagewalk.c; arch/x86/mm/dump_pagetables.c, arch/arm64/mm/ptdump.c.
Seed 2.13.6 (F082, F083).
"""

from collections.abc import Iterator

from linuxmm.hardware.memory import PhysicalMemory
from linuxmm.model.vm.table import next_level
from linuxmm.spec.registry import verb
from linuxmm.spec.vm import arm64_entry as arm
from linuxmm.spec.vm.folding import PGD, PTE, hardware_level
from linuxmm.spec.vm.ptdump import (
    ARM64_FLAGS,
    X86_FLAGS,
    Line,
    Marker,
    Noted,
    arm64_text,
    effective,
    ranges,
    x86_text,
)
from linuxmm.spec.vm.x86_entry import ALL_RIGHTS, Control, is_leaf, table_base
from linuxmm.spec.vm.x86_format import LARGEST, X86Format, canonical, level_shift
from linuxmm.spec.vocabulary import PAGE_SIZE

WORDS = (1 << 64) - 1


def words_of(memory: PhysicalMemory, table: int, count: int, size: int) -> list[int]:
    """The entries of a table."""
    frame = memory.frames.get(table // PAGE_SIZE)
    if frame is None:
        return [0] * count
    part = memoryview(frame)[table % PAGE_SIZE :][: count * size]
    return (part.cast("I") if size == 4 else part.cast("Q")).tolist()


@verb("F083", source="mm/ptdump.c:ptdump_walk_pgd; arch/x86/mm/dump_pagetables.c:ptdump_walk_pgd_level_core")
def x86_notes(
    fmt: X86Format,
    control: Control,
    memory: PhysicalMemory,
    root: int,
    walked: tuple[tuple[int, int], ...],
) -> Iterator[Noted]:
    """Every entry of the ranges `walked`, given by the translated bits of addresses, half open, ascending.

    Requires  ranges start and end at boundaries of the root's entries
    """
    for start, end in walked:
        yield from _x86_below(fmt, control, memory, root, PGD, 0, start, end, ALL_RIGHTS)


def _x86_below(
    fmt: X86Format,
    control: Control,
    memory: PhysicalMemory,
    table: int,
    level: int,
    base: int,
    start: int,
    end: int,
    above: int,
) -> Iterator[Noted]:
    depth = hardware_level(fmt, level)
    shift = level_shift(fmt, depth)
    count = 1 << (fmt.top_bits if depth == fmt.top else fmt.index_bits)
    for index, value in enumerate(words_of(memory, table, count, 1 << fmt.entry_shift)):
        at = base + (index << shift)
        if not start <= at < end:
            continue
        flags = value & X86_FLAGS
        bare = fmt.bare_top == 1 and depth == fmt.top
        own = above if bare else effective(above, flags)
        if value & 1 and not is_leaf(fmt, control, value, depth):
            below = next_level(fmt, level)
            yield from _x86_below(fmt, control, memory, table_base(value), below, at, start, end, own)
        else:
            shown = _shown(level, depth, value)
            yield Noted(canonical(fmt, at), shown, flags, own if value else 0)


def _shown(level: int, depth: int, value: int) -> int:
    """The generic level under which an entry is noted: a hole in the root is the root's; a large page in the
    root of a folded format is noted where such pages are (since 5.6; before at the root)."""
    return depth if level == PGD and value and depth <= LARGEST else level


@verb("F082", source="arch/arm64/mm/ptdump.c:ptdump_walk; mm/ptdump.c:ptdump_walk_pgd")
def arm64_notes(memory: PhysicalMemory, root: int, base: int) -> Iterator[Noted]:
    """Every entry of the tables at `root`, whose first address is `base`."""
    yield from _arm64_below(memory, root, 0, base)


def _arm64_below(memory: PhysicalMemory, table: int, level: int, base: int) -> Iterator[Noted]:
    for index, value in enumerate(words_of(memory, table, 512, 8)):
        at = base + (index << arm.level_shift(level))
        if not arm.is_invalid(value, level) and not arm.is_leaf(value, level):
            yield from _arm64_below(memory, value & arm.ADDRESS, level + 1, at)
        else:
            yield Noted(at & WORDS, PGD if level == 0 else PTE + arm.LAST - level, value & ARM64_FLAGS, 0)


Walked = tuple[tuple[int, int], ...]


def everything(fmt: X86Format) -> Walked:
    """The whole address space (the kernel's dump up to 5.5; since 5.6 it leaves the guard hole out)."""
    return ((0, 1 << fmt.va_bits),)


def dump_x86(
    fmt: X86Format,
    control: Control,
    memory: PhysicalMemory,
    root: int,
    markers: tuple[Marker, ...],
    walked: Walked | None = None,
) -> tuple[str, ...]:
    """The text of a dump of x86 tables; kernel and user tables alike."""
    items = lines_x86(fmt, control, memory, root, markers, walked)
    return tuple(x86_text(items, 8 if fmt.va_bits == 32 else 16))


def lines_x86(
    fmt: X86Format,
    control: Control,
    memory: PhysicalMemory,
    root: int,
    markers: tuple[Marker, ...],
    walked: Walked | None = None,
) -> tuple[Line | Marker, ...]:
    """The ranges of a dump of x86 tables."""
    parts = walked or everything(fmt)
    stop = parts[-1][1]
    last = 0 if stop == 1 << fmt.va_bits else canonical(fmt, stop)
    return tuple(ranges(x86_notes(fmt, control, memory, root, parts), last, markers))


def dump_arm64(memory: PhysicalMemory, root: int, base: int, markers: tuple[Marker, ...]) -> tuple[str, ...]:
    """The text of a dump of arm64 tables (4 KiB pages, 48 bits)."""
    end = (base + (1 << 48)) & WORDS
    return tuple(arm64_text(ranges(arm64_notes(memory, root, base), end, markers)))
