"""What a system call does to the attributes of pages, without areas: the reference that areas must refine.

It says what a call that succeeds changes, page by page; which addresses the kernel chooses, and what is
accounted, is not its matter (VM_ACCOUNT is left out).

Linux: the manual pages of mmap, munmap, mprotect, mremap, madvise, mlock, munlock.  Seed 2.8 (F059).
"""

from collections.abc import Mapping
from typing import Final

from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.flat import Attributes
from linuxmm.spec.vm.system_calls import SystemCall
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

Pages = Mapping[int, Attributes]
_MAY: Final = vm.VM_MAYREAD | vm.VM_MAYWRITE | vm.VM_MAYEXEC
_ADVICE: Final = {
    vm.MADV_NORMAL: (vm.VM_RAND_READ | vm.VM_SEQ_READ, 0),
    vm.MADV_RANDOM: (vm.VM_SEQ_READ, vm.VM_RAND_READ),
    vm.MADV_SEQUENTIAL: (vm.VM_RAND_READ, vm.VM_SEQ_READ),
    vm.MADV_DONTFORK: (0, vm.VM_DONTCOPY),
    vm.MADV_DOFORK: (vm.VM_DONTCOPY, 0),
    vm.MADV_DONTDUMP: (0, vm.VM_DONTDUMP),
    vm.MADV_DODUMP: (vm.VM_DONTDUMP, 0),
    vm.MADV_WIPEONFORK: (0, vm.VM_WIPEONFORK),
    vm.MADV_KEEPONFORK: (vm.VM_WIPEONFORK, 0),
    vm.MADV_HUGEPAGE: (vm.VM_NOHUGEPAGE, vm.VM_HUGEPAGE),
    vm.MADV_NOHUGEPAGE: (vm.VM_HUGEPAGE, vm.VM_NOHUGEPAGE),
}
_UNTOUCHED: Final = frozenset(
    {vm.MADV_WILLNEED, vm.MADV_DONTNEED, vm.MADV_FREE, vm.MADV_COLD, vm.MADV_PAGEOUT, vm.MADV_REMOVE}
)


def plain(pages: Pages) -> dict[int, Attributes]:
    """The pages without what is accounted."""
    return {page: each._replace(flags=each.flags & ~vm.VM_ACCOUNT) for page, each in pages.items()}


def _named(address: int, length: int) -> range:
    """Numbers of the pages that a range of bytes names."""
    return range(address >> PAGE_SHIFT, (address + length + PAGE_SIZE - 1) >> PAGE_SHIFT)


def after(pages: Pages, call: SystemCall, keys: bool = False) -> dict[int, Attributes]:
    """The attributes after a call that succeeded; `keys`: the processor has protection keys.

    Requires  `pages` is `plain`; a mapping names its address (MAP_FIXED) and is private anonymous memory;
              a move names its target
    Errors    Unmodelled for other calls
    """
    done = dict(pages)
    match call:
        case calls.Munmap():
            for page in _named(call.address, call.length):
                done.pop(page, None)
        case calls.Mmap():
            flags = vm.vm_prot_bits(call.prot) | vm.key_of_new(call.prot, keys) | _MAY
            for page in _named(call.address, call.length):
                done[page] = Attributes(flags, None, None, None)
        case calls.Mprotect():
            for page in _named(call.address, call.length):
                old = done[page].flags
                kept = old & ~(vm.VM_ACCESS | vm.VM_PKEY) | vm.key_after(old, call.prot, keys)
                done[page] = done[page]._replace(flags=kept | vm.vm_prot_bits(call.prot))
        case calls.Mlock() | calls.Munlock():
            locked = vm.VM_LOCKED if isinstance(call, calls.Mlock) else 0
            for page in _named(call.address, call.length):
                flags = done[page].flags & ~vm.VM_LOCKED_MASK | locked
                done[page] = done[page]._replace(flags=flags)
        case calls.Madvise():
            _advise(done, call)
        case calls.Mremap():
            _move(done, call)
        case _:
            raise Unmodelled(f"the flat reference of {type(call).__name__}")
    return done


def _advise(done: dict[int, Attributes], call: calls.Madvise) -> None:
    if call.advice in _UNTOUCHED:
        return
    if call.advice not in _ADVICE:
        raise Unmodelled(f"the flat reference of madvise with {call.advice}")
    clear, put = _ADVICE[call.advice]
    for page in _named(call.address, call.length):
        done[page] = done[page]._replace(flags=done[page].flags & ~clear | put)


def _move(done: dict[int, Attributes], call: calls.Mremap) -> None:
    """A move to a named place: the pages move, and more like the last follow.  Since 6.17 holes may be among
    them: what is mapped where a hole would come stays.
    """
    source = _named(call.address, call.old_length)
    taken = [done.pop(page, None) for page in source]
    for number, page in enumerate(_named(call.new_address, call.new_length)):
        moved = taken[min(number, len(taken) - 1)]
        if moved is not None:
            done[page] = moved
