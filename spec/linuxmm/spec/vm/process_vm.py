"""process_vm_readv and process_vm_writev: bytes straight from one process to another.

Two lists of segments are matched byte by byte, one in the caller, one in the target.  The target's pages are
pinned in batches and copied one by one; whatever stops a transfer, what was copied is what is returned.

Linux: mm/process_vm_access.c.  Seed 2.14.3 (F086).  3.2 to 6.12.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.registry import formula, verb
from linuxmm.spec.step import Err, Errno, Refusal
from linuxmm.spec.vm.page_layer import Find, PageLayer
from linuxmm.spec.vm.rights import Accessor
from linuxmm.spec.vm.x86_entry import READ, WRITE
from linuxmm.spec.vocabulary import PAGE_SIZE

UIO_MAXIOV: Final = 1024
MAX_RW_COUNT: Final = 0x7FFFFFFF & -PAGE_SIZE
BATCH_PAGES: Final = 1024
"""Pages that are pinned at once: two pages of pointers."""
NEGATIVE: Final = 1 << 63
"""A length from here on is a negative ssize_t."""

Layer = TypeVar("Layer", bound=PageLayer)


class Segment(NamedTuple):
    """One struct iovec."""

    base: int
    length: int


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    write       process_vm_writev
    local       the caller's segments; None when the list cannot be read
    remote      the target's segments; None when the list cannot be read
    exists      a process has the pid, and memory
    permitted   the caller may attach to it (PTRACE_MODE_ATTACH_REALCREDS)
    task_size   where user addresses end
    """

    write: bool
    local: tuple[Segment, ...] | None
    remote: tuple[Segment, ...] | None
    flags: int = 0
    exists: bool = True
    permitted: bool = True
    task_size: int = 0x7FFFFFFFF000


RESULT: Final = clause(
    "vm.process-vm.result",
    "A call returns the bytes that it copied, or the first of the kernel's refusals when there are none.",
    features=("F086",),
    seed="2.14.3",
    since="3.2",
    source="mm/process_vm_access.c:process_vm_rw, process_vm_rw_core",
)


@invariant("vm.process-vm.shorter", features=("F086",), seed="2.14.3", source="mm/process_vm_access.c")
def within_both(copied: int, local: int, remote: int) -> bool:
    """No more is copied than the shorter of the two lists holds."""
    return copied <= min(local, remote)


@formula("F086", source="mm/process_vm_access.c:process_vm_rw_pages")
def chunk(local: int, remote: int, address: int) -> int:
    """Bytes that the next copy moves: up to the end of a page of the target, and of either list.

    local, remote  bytes left in the caller's list and in the target's segment
    """
    return min(min(local, remote), PAGE_SIZE - (address & (PAGE_SIZE - 1)))


@formula("F086", source="lib/iov_iter.c:__import_iovec (MAX_RW_COUNT)")
def clipped(total: int, length: int) -> int:
    """How much of a segment counts when those before hold `total` bytes."""
    return min(length, MAX_RW_COUNT - total)


def refusal(call: Call) -> Err | int | None:
    """What a call returns without looking at memory; None when there is something to copy.

    Source    mm/process_vm_access.c:process_vm_rw; lib/iov_iter.c:__import_iovec, iovec_from_user
    """
    if call.flags != 0:
        return Err(Errno.EINVAL)
    refused = _bad_list(call.local)
    if refused is not None or call.local is None:
        return refused
    if any(not _is_user(call, segment) for segment in call.local):
        return Err(Errno.EFAULT)
    if not any(segment.length for segment in call.local):
        return 0
    refused = _bad_list(call.remote)
    if refused is not None or call.remote is None:
        return refused
    if not any(segment.length for segment in call.remote):
        return 0
    if not call.exists:
        return Err(Errno.ESRCH)
    return None if call.permitted else Err(Errno.EPERM)


def judge(expected: int | Err, observed: int | Err) -> Refusal | None:
    """What is wrong with what a call returned; None if nothing is.

    expected  what `transfer` gives
    """
    if observed == expected:
        return None
    words = [each.errno.name if isinstance(each, Err) else f"{each} bytes" for each in (observed, expected)]
    return Refusal(RESULT.id, f"the call gave {words[0]}, expected {words[1]}")


def _bad_list(segments: tuple[Segment, ...] | None) -> Err | None:
    if segments is not None and len(segments) > UIO_MAXIOV:
        return Err(Errno.EINVAL)
    if segments is None:
        return Err(Errno.EFAULT)
    return Err(Errno.EINVAL) if any(segment.length >= NEGATIVE for segment in segments) else None


def _is_user(call: Call, segment: Segment) -> bool:
    """access_ok."""
    return segment.length <= call.task_size and segment.base <= call.task_size - segment.length


def local_segments(call: Call) -> tuple[Segment, ...]:
    """The caller's segments, clipped to what one call moves.

    Requires  refusal(call) is None
    """
    found, total = [], 0
    for segment in call.local or ():
        length = clipped(total, segment.length)
        total += length
        found.append(Segment(segment.base, length))
    return tuple(found)


def batches(segment: Segment) -> Iterator[tuple[int, int]]:
    """(address, bytes) of the parts of a target's segment whose pages are pinned together.

    Source    mm/process_vm_access.c:process_vm_rw_single_vec (PVM_MAX_KMALLOC_PAGES)
    """
    address, rest = segment
    while rest:
        size = min(rest, BATCH_PAGES * PAGE_SIZE - (address & (PAGE_SIZE - 1)))
        yield address, size
        address, rest = address + size, rest - size


@verb("F086", source="mm/process_vm_access.c:process_vm_rw_core; 3.2 to 6.12")
def transfer(
    layer: Layer, call: Call, caller: int, find_local: Find, target: int, find_remote: Find
) -> tuple[Layer, int | Err]:
    """Bytes copied, or the error when there are none.

    Ensures   the bytes copied are those of the target (or the caller) in order; nothing else is changed,
              but that pages of the target that were pinned are resident, and copied for a write
    """
    refused = refusal(call)
    if refused is not None:
        return layer, refused
    ends = Ends(caller, find_local, target, find_remote, call.write)
    left = [segment for segment in local_segments(call) if segment.length]
    done = 0
    for segment in call.remote or ():
        for address, size in batches(segment):
            if not left:
                return layer, done
            layer, pinned = pin(layer, ends, address, size)
            layer, copied, left = copy_pinned(layer, ends, address, pinned, left)
            done += copied
            if copied < size and left:
                return layer, done or Err(Errno.EFAULT)
    return layer, done


class Ends(NamedTuple):
    """Both ends of a transfer: address spaces and how to find their areas; whether the target is written."""

    caller: int
    find_local: Find
    target: int
    find_remote: Find
    write: bool


def pin(layer: Layer, ends: Ends, address: int, size: int) -> tuple[Layer, int]:
    """Pin the target's pages of a batch, up to the first that cannot be; the bytes that they hold of it."""
    at, kind = address, WRITE if ends.write else READ
    while at < address + size:
        layer, signal = layer.reach(ends.target, ends.find_remote, at, kind, Accessor.REMOTE)
        if signal is not None:
            return layer, at - address
        at = (at & -PAGE_SIZE) + PAGE_SIZE
    return layer, size


def copy_pinned(
    layer: Layer, ends: Ends, address: int, size: int, left: list[Segment]
) -> tuple[Layer, int, list[Segment]]:
    """Copy between pinned bytes of the target and the caller's segments; bytes copied, and what is left.

    Ensures   it ends when either side is used up, or where the caller's memory cannot be touched
    """
    done = 0
    while done < size and left:
        first, rest = left[0], left[1:]
        wanted = chunk(first.length, size - done, address + done)
        layer, moved = copy_once(layer, ends, address + done, first.base, wanted)
        done += moved
        remaining = Segment(first.base + moved, first.length - moved)
        left = [remaining, *rest] if remaining.length else rest
        if moved < wanted:
            break
    return layer, done, left


def copy_once(layer: Layer, ends: Ends, address: int, local: int, size: int) -> tuple[Layer, int]:
    """One copy, within a page of the target; bytes copied.

    Source    lib/iov_iter.c:copy_page_to_iter, copy_page_from_iter
    """
    if ends.write:
        layer, seen = layer.read(ends.caller, ends.find_local, local, size)
        layer, stored = layer.write(ends.target, ends.find_remote, address, seen.data, Accessor.REMOTE)
    else:
        layer, seen = layer.read(ends.target, ends.find_remote, address, size, Accessor.REMOTE)
        layer, stored = layer.write(ends.caller, ends.find_local, local, seen.data)
    return layer, stored.length
