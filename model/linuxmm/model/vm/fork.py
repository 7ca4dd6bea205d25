"""fork: which areas a child gets, and with which attributes.

Linux: kernel/fork.c:dup_mmap (mm/mmap.c since 6.15), mm/rmap.c:anon_vma_fork.  Seed 2.8 (F059).
"""

from dataclasses import replace

from linuxmm.model.vm.areas import charge, commit, count, deny
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.registry import verb
from linuxmm.spec.step import Errno
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.space import AddressSpace


@verb("F059", source="kernel/fork.c:dup_mmap; 2.4 to 6.18")
def fork(rules: Rules, space: AddressSpace) -> AddressSpace | Denied:
    """The child's address space.

    Ensures   MADV_DONTFORK areas are missing, nothing is locked, what is accounted is accounted twice;
              areas with private pages have an anon_vma of their own behind those of the parent
    Refuses   ENOMEM: the commit
    """
    child = replace(space, areas=(), locked=0, def_flags=0)
    areas: list[Vma] = []
    for area in space.areas:
        if area.flags & vm.VM_DONTCOPY:
            child = count(child, area.flags, -area.pages)
            continue
        if area.flags & vm.VM_ACCOUNT:
            charged = charge(rules, replace(child, total=space.total), area.pages)
            if charged is None:
                return deny(Errno.ENOMEM, "commit")
            child = replace(child, system=charged.system)
        copied, child = _copied(child, area)
        areas.append(copied)
    return replace(child, areas=tuple(areas))


def _copied(child: AddressSpace, area: Vma) -> tuple[Vma, AddressSpace]:
    """The child's area: its anon_vma is new, and its chain one longer; a wiped area has none.

    Source  mm/rmap.c:anon_vma_fork
    """
    flags = area.flags & ~vm.VM_LOCKED_MASK
    if area.anon is None or area.flags & vm.VM_WIPEONFORK:
        return replace(area, flags=flags, anon=None, chain=0), child
    own = replace(area, flags=flags, anon=child.next_anon, chain=area.chain + 1)
    return own, replace(child, next_anon=child.next_anon + 1)


def child_ends(space: AddressSpace, child: AddressSpace) -> AddressSpace:
    """The parent's space once the child is gone: what the child accounted is given back."""
    accounted = sum(area.pages for area in child.areas if area.flags & vm.VM_ACCOUNT)
    after = commit(replace(space, system=child.system), -accounted)
    return replace(space, system=after.system, next_anon=max(space.next_anon, child.next_anon))
