"""mmap: checks in the kernel's order, a place, what is in the way unmapped, and the new area.

Linux: mm/mmap.c:do_mmap, mmap_region (mm/vma.c since 6.13).  Seed 2.8 (F059).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.vm.areas import charge, count, deny, page_align, split
from linuxmm.model.vm.merge import add
from linuxmm.model.vm.munmap import unmap
from linuxmm.model.vm.place import get_unmapped_area
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno, Event, Step
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma
from linuxmm.spec.vm.effects import Denied, Object, Populate, Split
from linuxmm.spec.vm.limits import NEVER, is_accountable, may_expand, may_lock_more
from linuxmm.spec.vm.space import AddressSpace, overlapping, pages_between
from linuxmm.spec.vm.system_calls import Mmap
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

MAX_FILE: Final = (1 << 63) - 1
MAX_FILE_32: Final = 0xFFFFFFFF << PAGE_SHIFT
HUGE_SIZES: Final = (21 << 26) | (30 << 26)
UNINITIALIZED: Final = 0x4000000
LEGACY_FLAGS: Final = (
    vm.MAP_SHARED
    | vm.MAP_PRIVATE
    | vm.MAP_FIXED
    | vm.MAP_ANONYMOUS
    | vm.MAP_DENYWRITE
    | vm.MAP_EXECUTABLE
    | vm.MAP_GROWSDOWN
    | vm.MAP_LOCKED
    | vm.MAP_NORESERVE
    | vm.MAP_POPULATE
    | vm.MAP_NONBLOCK
    | vm.MAP_STACK
    | vm.MAP_HUGETLB
    | vm.MAP_32BIT
    | vm.MAP_ABOVE4G
    | UNINITIALIZED
    | HUGE_SIZES
)
"""The flags that mappings had before MAP_SHARED_VALIDATE (4.15)."""


def unknown() -> bool:
    """The flag is not known, and ignored."""
    return False


@behaviour(
    "vm.fixed-noreplace",
    since="4.17",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:do_mmap; commit a4ff8e8620d3, 4.17 to 6.18",
)
def noreplace_known() -> bool:
    """MAP_FIXED_NOREPLACE is refused where something is mapped."""
    return True


@behaviour(
    "vm.shared-validate",
    since="4.15",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:do_mmap; commit 1c9725974074, 4.15 to 6.18",
)
def validate_known() -> bool:
    """MAP_SHARED_VALIDATE refuses flags that it does not know."""
    return True


@behaviour(
    "vm.droppable",
    since="6.11",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:do_mmap; commit 9651fcedf7b9, 6.11 to 6.18",
)
def droppable_known() -> bool:
    """MAP_DROPPABLE is memory that the kernel may take away."""
    return True


@behaviour(
    "vm.stack-without-huge",
    since="6.7",
    until="6.18",
    features=("F059",),
    source="include/linux/mman.h:calc_vm_flag_bits; commit c4608d1bf7c6, 6.7 to 6.18",
)
def stack_without_huge_pages() -> bool:
    """MAP_STACK keeps huge pages away."""
    return True


for _rule, _last in (
    ("fixed-noreplace", "4.16"),
    ("shared-validate", "4.14"),
    ("droppable", "6.10"),
    ("stack-without-huge", "6.6"),
):
    behaviour(
        f"vm.{_rule}", since="2.4.0", until=_last, features=("F059",), source="mm/mmap.c:do_mmap; 4.4, 6.1"
    )(unknown)


@verb("F059", source="mm/mmap.c:ksys_mmap_pgoff, do_mmap; 2.4 to 6.18")
def mmap(rules: Rules, space: AddressSpace, call: Mmap) -> Step[AddressSpace, int | Denied]:
    """Map anonymous memory or a file.

    Gives    the address
    Refuses  in this order: EINVAL offset, EBADF file, EINVAL no length, ENOMEM length wraps, EOVERFLOW
             offset, ENOMEM too many areas, those of the place, EEXIST, EPERM and EAGAIN of locking, those of
             the file or of the type, ENOMEM of limits and commit
    """
    if call.offset % PAGE_SIZE:
        return Step(space, deny(Errno.EINVAL, "offset-unaligned"))
    file: MappedFile | None = None
    if not call.flags & vm.MAP_ANONYMOUS:
        file = space.files.get(call.file)
        if file is None:
            return Step(space, deny(Errno.EBADF, "no-file"))
    if call.flags & vm.MAP_HUGETLB:
        if file is not None:
            return Step(space, deny(Errno.EINVAL, "file-not-huge"))
        raise Unmodelled("mmap with MAP_HUGETLB: huge pages of hugetlbfs are not described here")
    return _do_mmap(rules, space, call, file)


def _do_mmap(
    rules: Rules, space: AddressSpace, call: Mmap, file: MappedFile | None
) -> Step[AddressSpace, int | Denied]:
    if not call.length:
        return Step(space, deny(Errno.EINVAL, "no-length"))
    flags, hint = call.flags, call.address
    if flags & vm.MAP_FIXED_NOREPLACE and rules.fixed_noreplace():
        flags |= vm.MAP_FIXED
    if not flags & vm.MAP_FIXED:
        hint = _round_hint(space, hint)
    length = page_align(call.length, rules.bits)
    if not length:
        return Step(space, deny(Errno.ENOMEM, "length-wraps"))
    pgoff = call.offset >> PAGE_SHIFT
    if pgoff + (length >> PAGE_SHIFT) >> rules.bits:
        return Step(space, deny(Errno.EOVERFLOW, "offset-wraps"))
    if len(space.areas) > space.system.max_map_count:
        return Step(space, deny(Errno.ENOMEM, "map-count"))
    bits = vm.vm_prot_bits(call.prot) | vm.key_of_new(call.prot, space.system.protection_keys)
    bits |= vm.vm_flag_bits(flags) | space.def_flags
    bits |= vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC
    if flags & vm.MAP_STACK and rules.stack_without_huge():
        bits |= vm.VM_NOHUGEPAGE
    private = file is None and flags & vm.MAP_TYPE != vm.MAP_SHARED
    at = get_unmapped_area(rules, space, hint, length, flags, anonymous=private)
    if isinstance(at, Denied):
        return Step(space, at)
    if flags & vm.MAP_FIXED_NOREPLACE and rules.fixed_noreplace() and overlapping(space, at, at + length):
        return Step(space, deny(Errno.EEXIST, "taken"))
    if flags & vm.MAP_LOCKED and not may_lock_at_all(space):
        return Step(space, deny(Errno.EPERM, "may-not-lock"))
    if not may_lock_more(space, bits, length):
        return Step(space, deny(Errno.EAGAIN, "lock-limit"))
    if file is not None:
        checked = _file_flags(rules, file, flags, bits, call.prot, pgoff, length)
    else:
        checked = _anonymous_flags(rules, flags, bits)
    if isinstance(checked, Denied):
        return Step(space, checked)
    bits = checked
    if flags & vm.MAP_NORESERVE and space.system.overcommit != NEVER:
        bits |= vm.VM_NORESERVE
    if file is None:
        pgoff = 0 if bits & vm.VM_SHARED else at >> PAGE_SHIFT
    new = Vma(at, at + length, bits, pgoff, None if file is None else file.id)
    step = _map_region(rules, space, new)
    populate = bits & vm.VM_LOCKED or flags & (vm.MAP_POPULATE | vm.MAP_NONBLOCK) == vm.MAP_POPULATE
    if isinstance(step.result, Denied) or not populate:
        return step
    return Step(step.state, step.result, (*step.events, Populate(at, at + length)))


def _round_hint(space: AddressSpace, hint: int) -> int:
    """A hint at a page, and not below vm.mmap_min_addr.

    Source    mm/mmap.c:round_hint_to_min
    """
    at = hint & ~(PAGE_SIZE - 1)
    lowest = space.system.hint_floor
    return (lowest + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1) if hint and at < lowest else at


def may_lock_at_all(space: AddressSpace) -> bool:
    """Whether the task may lock memory at all.

    Source    mm/mlock.c:can_do_mlock
    """
    return space.may_lock or space.limits.locked != 0


def _file_flags(
    rules: Rules, file: MappedFile, flags: int, bits: int, prot: int, pgoff: int, length: int
) -> int | Denied:
    """The flags of a mapping of a file, or why there is none."""
    regular = MAX_FILE if rules.bits == 64 else MAX_FILE_32
    largest = (1 << rules.bits) - 1 if file.kind is FileKind.UNMAPPABLE else regular
    if length > largest or pgoff > (largest - length) >> PAGE_SHIFT:
        return deny(Errno.EOVERFLOW, "offset-beyond-files")
    kind = flags & vm.MAP_TYPE
    if kind == vm.MAP_SHARED or (kind == vm.MAP_SHARED_VALIDATE and rules.shared_validate()):
        if kind == vm.MAP_SHARED_VALIDATE and flags & ~(LEGACY_FLAGS | vm.MAP_TYPE):
            return deny(Errno.EOPNOTSUPP, "flag-not-validated")
        if prot & vm.PROT_WRITE:
            if not file.writable:
                return deny(Errno.EACCES, "shared-write-of-unwritable")
            if file.swap:
                return deny(Errno.ETXTBSY, "swap-file")
        if file.append_only and file.writable:
            return deny(Errno.EACCES, "append-only")
        bits |= vm.VM_SHARED | vm.VM_MAYSHARE
        if not file.writable:
            bits &= ~(vm.VM_MAYWRITE | vm.VM_SHARED)
    elif kind != vm.MAP_PRIVATE:
        return deny(Errno.EINVAL, "no-type")
    if not file.readable:
        return deny(Errno.EACCES, "not-readable")
    if file.no_exec:
        if bits & vm.VM_EXEC:
            return deny(Errno.EPERM, "no-exec")
        bits &= ~vm.VM_MAYEXEC
    if file.kind is FileKind.UNMAPPABLE:
        return deny(Errno.ENODEV, "unmappable")
    if bits & vm.VM_GROWSDOWN:
        return deny(Errno.EINVAL, "file-grows-down")
    if file.sealed_write:
        raise Unmodelled("mmap of a memfd that is sealed against writing")
    return bits


def _anonymous_flags(rules: Rules, flags: int, bits: int) -> int | Denied:
    """The flags of anonymous memory, or why there is none."""
    kind = flags & vm.MAP_TYPE
    if kind == vm.MAP_SHARED:
        if bits & vm.VM_GROWSDOWN:
            return deny(Errno.EINVAL, "shared-grows-down")
        return bits | vm.VM_SHARED | vm.VM_MAYSHARE
    if kind == vm.MAP_DROPPABLE and rules.droppable():
        if flags & vm.MAP_LOCKED or bits & vm.VM_GROWSDOWN:
            return deny(Errno.EINVAL, "droppable-kept")
        return bits | vm.VM_DROPPABLE | vm.VM_NORESERVE | vm.VM_WIPEONFORK | vm.VM_DONTDUMP
    if kind != vm.MAP_PRIVATE:
        return deny(Errno.EINVAL, "no-type")
    return bits


def _map_region(rules: Rules, space: AddressSpace, new: Vma) -> Step[AddressSpace, int | Denied]:
    """Unmap what is in the way, account, and add the area.

    Source    mm/mmap.c:mmap_region; 2.4 to 6.18
    """
    replaced = sum(
        pages_between(max(area.start, new.start), min(area.end, new.end))
        for area in overlapping(space, new.start, new.end)
    )
    fits = may_expand(rules.counts_data(), space, new.flags, new.pages - replaced)
    early = rules.unmaps_before_limits()
    if early and not fits:
        return Step(space, deny(Errno.ENOMEM, "address-space-limit"))
    cleared = unmap(rules, space, new.start, new.end)
    if isinstance(cleared.result, Denied):
        errno = Errno.ENOMEM if early and cleared.result.errno is not Errno.EPERM else cleared.result.errno
        return Step(cleared.state, Denied(errno, cleared.result.why), cleared.events)
    kept = cleared if early else _split_only(space, new)
    if not fits:
        return Step(kept.state, deny(Errno.ENOMEM, "address-space-limit"), kept.events)
    space, events = cleared.state, cleared.events
    if is_accountable(new.flags):
        charged = charge(rules, space, new.pages)
        if charged is None:
            return Step(kept.state, deny(Errno.ENOMEM, "commit"), kept.events)
        space = charged
        new = replace(new, flags=new.flags | vm.VM_ACCOUNT)
    if new.file is None and new.flags & vm.VM_SHARED:
        backed = _shared_object(rules, space, new)
        if backed is None:
            return Step(space, deny(Errno.ENOMEM, "shared-commit"), events)
        space, new = backed
        assert new.file is not None
        events += (Object(new.file, new.end - new.start),)
    if new.flags & vm.VM_DROPPABLE:
        new = replace(new, flags=new.flags & ~vm.VM_LOCKED_MASK)
    added = add(rules, space, new)
    space = count(added.state, new.flags, new.pages)
    if new.flags & vm.VM_LOCKED:
        space = replace(space, locked=space.locked + new.pages)
    return Step(space, new.start, events + added.events)


def _split_only(space: AddressSpace, new: Vma) -> Step[AddressSpace, None]:
    """What was in the way is still there, but in areas that end where the new one would.

    Source    mm/vma.c:vms_abort_munmap_vmas; 6.12
    """
    events: tuple[Event, ...] = ()
    for at in (new.start, new.end):
        after = split(space, at)
        if after is not space:
            space, events = after, (*events, Split(at))
    return Step(space, None, events)


def _shared_object(rules: Rules, space: AddressSpace, new: Vma) -> tuple[AddressSpace, Vma] | None:
    """The area backed by a shmem file of its own, which is committed; None when that is refused.

    Source    mm/shmem.c:shmem_zero_setup, shmem_acct_size
    """
    number = space.next_file
    committed = 0 if new.flags & vm.VM_NORESERVE else new.pages
    charged = charge(rules, space, committed)
    if charged is None:
        return None
    space = charged
    file = MappedFile(
        number,
        "/dev/zero (deleted)",
        size=new.end - new.start,
        kind=FileKind.SHARED_ANONYMOUS,
        committed=committed,
    )
    files = space.files.set(number, file)
    return replace(space, files=files, next_file=number + 1), replace(new, file=number)


@behaviour(
    "vm.unmaps-before-limits",
    since="2.4.0",
    until="6.11",
    features=("F059",),
    source="mm/mmap.c:mmap_region; 2.6.24, 6.1",
)
def unmaps_before_commit() -> bool:
    """What is in the way is unmapped before memory is committed, and lost when that fails."""
    return True


@behaviour(
    "vm.unmaps-before-limits",
    since="6.12",
    until="6.18",
    features=("F059",),
    source="mm/mmap.c:__mmap_region (vms_gather_munmap_vmas); 6.12 to 6.18",
)
def unmaps_when_certain() -> bool:
    """What is in the way is unmapped once nothing can fail any more."""
    return False
