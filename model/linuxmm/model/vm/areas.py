"""Elementary changes of an address space: put areas in place of others, split one, count pages.

Linux: mm/mmap.c, mm/vma.c.  Seed 2.8 (F059).  2.4 to 6.18.
"""

from dataclasses import replace

from linuxmm.model.vm.rules import Rules
from linuxmm.spec.step import Errno
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.flags import VM_EXEC, VM_GROWSDOWN, VM_WRITE
from linuxmm.spec.vm.limits import ALWAYS, GUESS, is_data, within_commit_limit
from linuxmm.spec.vm.space import AddressSpace, index_from
from linuxmm.spec.vocabulary import PAGE_SIZE

WORD = (1 << 64) - 1


def page_align(length: int, bits: int = 64) -> int:
    """A length rounded up to whole pages, as an unsigned word: it may wrap to 0."""
    return (length + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1) & ((1 << bits) - 1)


def splice(space: AddressSpace, first: int, last: int, areas: tuple[Vma, ...]) -> AddressSpace:
    """Put `areas` in place of the areas first..last-1."""
    return replace(space, areas=space.areas[:first] + areas + space.areas[last:])


def below(area: Vma, at: int) -> Vma:
    """The part of an area below `at`."""
    return replace(area, end=at)


def above(area: Vma, at: int) -> Vma:
    """The part of an area from `at` on."""
    return replace(area, start=at, pgoff=area.pgoff_at(at))


def cut(area: Vma, start: int, end: int) -> Vma:
    """The part of an area in start..end."""
    low = max(start, area.start)
    return replace(area, start=low, end=min(end, area.end), pgoff=area.pgoff_at(low))


def split(space: AddressSpace, at: int) -> AddressSpace:
    """Make `at` a boundary between areas, if it lies inside one.

    Source    mm/vma.c:__split_vma; 6.12
    """
    number = index_from(space, at)
    if number == len(space.areas) or space.areas[number].start >= at:
        return space
    area = space.areas[number]
    return splice(space, number, number + 1, (below(area, at), above(area, at)))


def at_map_limit(space: AddressSpace) -> bool:
    """Whether one more area is too many for a split."""
    return len(space.areas) >= space.system.max_map_count


def try_split(space: AddressSpace, at: int) -> tuple[AddressSpace, bool]:
    """Split at `at` unless there are too many areas; (space, whether it could be done).

    Source    mm/vma.c:split_vma; 6.12
    """
    if at_map_limit(space):
        return space, False
    return split(space, at), True


def count(space: AddressSpace, flags: int, pages: int) -> AddressSpace:
    """Count `pages` more (or fewer) pages of areas with `flags`.

    Source    mm/mmap.c:vm_stat_account; 4.6 to 6.18
    """
    kind = flags & (VM_EXEC | VM_WRITE | VM_GROWSDOWN)
    if kind == VM_EXEC:
        return replace(space, total=space.total + pages, executable=space.executable + pages)
    if kind & VM_GROWSDOWN:
        return replace(space, total=space.total + pages, stack=space.stack + pages)
    if is_data(flags):
        return replace(space, total=space.total + pages, data=space.data + pages)
    return replace(space, total=space.total + pages)


def commit(space: AddressSpace, pages: int) -> AddressSpace:
    """Account `pages` more (or fewer) as committed."""
    if not pages:
        return space
    system = replace(space.system, committed=space.system.committed + pages)
    return replace(space, system=system)


def enough_memory(rules: Rules, space: AddressSpace, pages: int) -> bool:
    """Whether `pages` more may be committed.

    Source    mm/util.c:__vm_enough_memory; 2.6 to 6.18
    """
    system = space.system
    if system.overcommit == ALWAYS:
        return True
    if system.overcommit == GUESS:
        return rules.guess(pages, system.total_pages, system.free_pages)
    return within_commit_limit(
        system.committed + pages,
        system.commit_pages,
        system.admin_reserve,
        system.user_reserve,
        space.total,
    )


def charge(rules: Rules, space: AddressSpace, pages: int) -> AddressSpace | None:
    """Commit `pages` more if that is allowed; None if not."""
    return commit(space, pages) if enough_memory(rules, space, pages) else None


def deny(errno: Errno, why: str) -> Denied:
    """A refusal by the check called `why`."""
    return Denied(errno, why)


def range_end(bits: int, address: int, length: int) -> int | Denied:
    """Where a range of whole pages ends, for calls that want it to begin at a page.

    bits     of an address
    Refuses  EINVAL: address is no page, or the length rounded up to pages or the end wraps
    """
    if address % PAGE_SIZE:
        return deny(Errno.EINVAL, "unaligned")
    whole = page_align(length, bits)
    if length and not whole:
        return deny(Errno.EINVAL, "length-wraps")
    end = (address + whole) & ((1 << bits) - 1)
    return deny(Errno.EINVAL, "wraps") if end < address else end
