"""Which areas become one: a new area with its neighbours, or a part of an area that changed its attributes.

The cases are numbered as mm/mmap.c numbers them (2.6 to 6.11): 1 a new area fills the gap between two; 2
it extends the lower one; 3 it extends the upper one downwards; 4 the tail of an area goes to the upper one;
5 its head to the lower one; 6 all of it joins both; 7 the lower one; 8 the upper one.

Linux: mm/mmap.c:vma_merge, mm/vma.c:vma_merge_new_range, vma_merge_existing_range.  Seed 2.8 (F057, F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import above, below, splice, try_split
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied, Merged, Split
from linuxmm.spec.vm.flags import VM_ACCESS, VM_MAYBE_GUARD, VM_SOFTDIRTY, VM_SPECIAL
from linuxmm.spec.vm.space import AddressSpace, index_from


@behaviour(
    "vm.anon-joins",
    since="2.6.0",
    until="6.15",
    features=("F059",),
    source="mm/vma.c:is_mergeable_anon_vma; 2.6.24, 6.0 to 6.14 (6.15 unconfirmed)",
)
def anon_joins_until_6_15(anon: int | None, chain: int, other: int | None, other_chain: int) -> bool:
    """The neighbour (anon, chain) has pages and a chain of one, or both have the same anon_vma or none."""
    if (anon is None or other is None) and chain == 1:
        return True
    return anon == other


@behaviour(
    "vm.anon-joins",
    since="6.16",
    until="6.18",
    features=("F059",),
    source="mm/vma.c:is_mergeable_anon_vma; commit 879bca0a2c4f, 6.16",
)
def anon_joins_since_6_16(anon: int | None, chain: int, other: int | None, other_chain: int) -> bool:
    """Whichever of the two has pages gives its anon_vma to the other, unless it came by fork."""
    if anon is None and other is not None:
        return other_chain <= 1
    if anon is not None and other is None:
        return chain <= 1
    return anon == other


@behaviour(
    "vm.sticky",
    since="2.4.0",
    until="6.18",
    replaced_in=("6.18.44",),
    features=("F059",),
    source="mm/vma.c:is_mergeable_vma; 6.1, 6.12, 6.18.2, 6.18.33 (VM_SOFTDIRTY since 3.11)",
)
def only_soft_dirty() -> int:
    """Areas are one although one of them is soft-dirty."""
    return VM_SOFTDIRTY


@behaviour(
    "vm.sticky",
    since="6.19",
    until="6.19",
    backports=("6.18.44",),
    features=("F059",),
    source="include/linux/mm.h:VM_STICKY; 6.18.44 (6.18.34 to 6.18.43 unconfirmed)",
)
def soft_dirty_and_guards() -> int:
    """Areas are one although one of them is soft-dirty or may have guards; the whole then is."""
    return VM_SOFTDIRTY | VM_MAYBE_GUARD


@behaviour(
    "vm.new-joins-both",
    since="2.6.0",
    until="6.0",
    features=("F059",),
    source="mm/mmap.c:vma_merge; 2.6.24 to 6.0",
)
def new_joins_both_until_6_0(lower: int | None, upper: int | None) -> bool:
    """A new area joins both neighbours unless their anon_vmas differ."""
    return True


@behaviour(
    "vm.new-joins-both",
    since="6.1",
    until="6.11",
    features=("F059",),
    source="mm/mmap.c:mmap_region; 6.1 to 6.11",
)
def new_joins_both_until_6_11(lower: int | None, upper: int | None) -> bool:
    """The upper neighbour is asked first: a lower one without pages does not join one that has some."""
    return not (lower is None and upper is not None)


@behaviour(
    "vm.new-joins-both",
    since="6.12",
    until="6.18",
    features=("F059",),
    source="mm/vma.c:vma_merge_new_range; 6.12 to 6.18",
)
def new_joins_both_since_6_12(lower: int | None, upper: int | None) -> bool:
    """A new area joins both neighbours unless their anon_vmas differ."""
    return True


@behaviour(
    "vm.heap-joins-next",
    since="2.4.0",
    until="6.0",
    features=("F059",),
    source="mm/mmap.c:do_brk_flags; 2.6.24, 5.4, 6.0",
)
def heap_joins_both() -> bool:
    """A growing heap may join the area above it."""
    return True


@behaviour(
    "vm.heap-joins-next",
    since="6.1",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:do_brk_flags; 6.1 to 6.18",
)
def heap_joins_lower() -> bool:
    """A growing heap only extends itself."""
    return False


def alike(area: Vma, other: Vma, sticky: int) -> bool:
    """Whether the attributes of two areas, anon_vma and offset aside, let them be one.

    sticky  flags that may differ
    Source  mm/vma.c:is_mergeable_vma; memory policies and userfaultfd are not described
    """
    same = (area.flags ^ other.flags) & ~sticky == 0
    return same and area.file == other.file and area.name == other.name


def anons_differ(lower: Vma, upper: Vma) -> bool:
    """Whether two areas have pages of different anon_vmas."""
    return lower.anon is not None and upper.anon is not None and lower.anon != upper.anon


def joined(rules: Rules, area: Vma, *donors: Vma) -> Vma:
    """The area after `donors` became part of it: their sticky flags, and the anon_vma of the first that has
    one if it has none.

    Source    mm/vma.c:dup_anon_vma; 6.12
    """
    for donor in donors:
        flags = area.flags | donor.flags & rules.sticky()
        area = area if flags == area.flags else replace(area, flags=flags)
    if area.anon is not None:
        return area
    for donor in donors:
        if donor.anon is not None:
            return replace(area, anon=donor.anon, chain=donor.chain)
    return area


def _joins_lower(rules: Rules, lower: Vma, new: Vma) -> bool:
    return (
        lower.end == new.start
        and alike(lower, new, rules.sticky())
        and lower.pgoff + lower.pages == new.pgoff
        and rules.anon_joins(lower.anon, lower.chain, new.anon, new.chain)
    )


def _joins_upper(rules: Rules, upper: Vma, new: Vma) -> bool:
    return (
        upper.start == new.end
        and alike(upper, new, rules.sticky())
        and new.pgoff + new.pages == upper.pgoff
        and rules.anon_joins(upper.anon, upper.chain, new.anon, new.chain)
    )


@verb("F059", source="mm/vma.c:vma_merge_new_range; mm/mmap.c:vma_merge, mmap_region up to 6.11")
def add(
    rules: Rules,
    space: AddressSpace,
    new: Vma,
    *,
    lower_too: bool = True,
    upper_too: bool = True,
    mapped: bool = True,
) -> Step[AddressSpace, Vma]:
    """Add an area where nothing is, and join it with its neighbours.

    lower_too, upper_too  whether the area below, above may be joined
    mapped     whether the area comes from mmap (whose order of questions differed from 6.1 to 6.11)
    Ensures    every page of `new` has its attributes, no other page changed
    Gives      the area that holds `new`
    """
    at = index_from(space, new.start)
    lower = space.areas[at - 1] if at else None
    upper = space.areas[at] if at < len(space.areas) else None
    if new.flags & VM_SPECIAL:
        return Step(splice(space, at, at, (new,)), new)
    left = lower_too and lower is not None and _joins_lower(rules, lower, new)
    right = upper_too and upper is not None and _joins_upper(rules, upper, new)
    if left and right:
        assert lower is not None
        assert upper is not None
        if not mapped or rules.new_joins_both(lower.anon, upper.anon):
            right = not anons_differ(lower, upper)
        else:
            left = False
    if left and right:
        assert lower is not None
        assert upper is not None
        whole = joined(rules, replace(lower, end=upper.end), upper, new)
        return Step(splice(space, at - 1, at + 1, (whole,)), whole, (Merged(1),))
    if left:
        assert lower is not None
        whole = joined(rules, replace(lower, end=new.end), new)
        return Step(splice(space, at - 1, at, (whole,)), whole, (Merged(2),))
    if right:
        assert upper is not None
        whole = joined(rules, replace(upper, start=new.start, pgoff=new.pgoff), new)
        return Step(splice(space, at, at + 1, (whole,)), whole, (Merged(3),))
    return Step(splice(space, at, at, (new,)), new)


@verb("F059", source="mm/vma.c:vma_modify, vma_merge_existing_range; mm/mmap.c:vma_merge up to 6.11")
def modify(
    rules: Rules, space: AddressSpace, number: int, start: int, end: int, flags: int, name: str | None
) -> Step[AddressSpace, Vma | Denied]:
    """Give start..end, all in the area `number`, other flags and another name; merge, else split.

    Ensures   each page of the range has the attributes, no other page changed
    Gives     the area that holds the range
    Refuses   ENOMEM when it takes a split and there are too many areas; a first split may stay
    """
    area = space.areas[number]
    new = replace(area, start=start, end=end, pgoff=area.pgoff_at(start), flags=flags, name=name)
    merged = _merge_part(rules, space, number, new) if not flags & VM_SPECIAL else None
    if merged is not None:
        return merged
    events: tuple[Event, ...] = ()
    for at in (start, end):
        if area.start < at < area.end:
            space, done = try_split(space, at)
            if not done:
                return Step(space, Denied(Errno.ENOMEM, "map-count"), events)
            events += (Split(at),)
    at = index_from(space, start)
    return Step(splice(space, at, at + 1, (new,)), new, events)


def _merge_part(
    rules: Rules, space: AddressSpace, number: int, new: Vma
) -> Step[AddressSpace, Vma | Denied] | None:
    """`modify` where the changed part can join a neighbour; None where it cannot."""
    area = space.areas[number]
    at_start, at_end = new.start == area.start, new.end == area.end
    lower = space.areas[number - 1] if number and at_start else None
    upper = space.areas[number + 1] if at_end and number + 1 < len(space.areas) else None
    left = lower is not None and _joins_lower(rules, lower, new)
    right = upper is not None and _joins_upper(rules, upper, new)
    if left and right:
        assert lower is not None
        assert upper is not None
        if not anons_differ(lower, upper):
            whole = joined(rules, replace(lower, end=upper.end), upper, area)
            return Step(splice(space, number - 1, number + 2, (whole,)), whole, (Merged(6),))
        right = False
    if left:
        assert lower is not None
        whole = joined(rules, replace(lower, end=new.end), area)
        rest = () if at_end else (above(area, new.end),)
        case = 7 if at_end else 5
        return Step(splice(space, number - 1, number + 1, (whole, *rest)), whole, (Merged(case),))
    if right:
        assert upper is not None
        whole = joined(rules, replace(upper, start=new.start, pgoff=new.pgoff), area)
        head = () if at_start else (below(area, new.start),)
        case = 8 if at_start else 4
        return Step(splice(space, number, number + 2, (*head, whole)), whole, (Merged(case),))
    return None


@verb("F059", source="mm/rmap.c:__anon_vma_prepare, mm/vma.c:find_mergeable_anon_vma; 2.6 to 6.18")
def prepare_anon(rules: Rules, space: AddressSpace, address: int) -> AddressSpace:
    """Give the area at `address` an anon_vma before its first private page: a neighbour's, or a new one."""
    number = index_from(space, address)
    area = space.areas[number]
    if area.anon is not None:
        return space
    upper = space.areas[number + 1] if number + 1 < len(space.areas) else None
    lower = space.areas[number - 1] if number else None
    if upper is not None and upper.chain == 1 and could_share(area, upper, rules.sticky()):
        return splice(space, number, number + 1, (replace(area, anon=upper.anon, chain=1),))
    if lower is not None and lower.chain == 1 and could_share(lower, area, rules.sticky()):
        return splice(space, number, number + 1, (replace(area, anon=lower.anon, chain=1),))
    fresh = replace(area, anon=space.next_anon, chain=1)
    return replace(splice(space, number, number + 1, (fresh,)), next_anon=space.next_anon + 1)


def could_share(lower: Vma, upper: Vma, sticky: int = VM_SOFTDIRTY) -> bool:
    """Whether two neighbours differ in rights at most, `sticky` flags aside.

    Source    mm/vma.c:anon_vma_compatible; 2.6 to 6.18
    """
    return (
        lower.end == upper.start
        and lower.file == upper.file
        and (lower.flags ^ upper.flags) & ~(VM_ACCESS | sticky) == 0
        and upper.pgoff == lower.pgoff + lower.pages
    )
