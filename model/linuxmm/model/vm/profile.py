"""From a kernel profile to the rules of its address spaces.

Linux: mm/.  Seed 2.8 (F057, F059).
"""

from functools import lru_cache
from typing import Any

from linuxmm.model.vm import brk, madvise, merge, mlock, mmap, mprotect, mremap, munmap, name, place
from linuxmm.model.vm import remap_move as move
from linuxmm.model.vm.rules import Rules
from linuxmm.spec.kernel import Arch, Kernel, behaviour
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import limits, maps
from linuxmm.spec.vm.area import FileKind

# Importing a module registers its behaviours.
REGISTERED = (brk, limits, madvise, maps, merge, mlock, mmap, mprotect, mremap, munmap, name, place, move)


@behaviour(
    "vm.droppable-is-kept",
    since="2.4.0",
    until="6.10",
    features=("F059",),
    source="mm/madvise.c:madvise_vma_behavior; 6.1",
)
def droppable_unknown() -> bool:
    """There is no MAP_DROPPABLE."""
    return False


@behaviour(
    "vm.droppable-is-kept",
    since="6.11",
    until="6.18",
    features=("F059",),
    source="mm/madvise.c:madvise_vma_behavior; 6.12",
)
def droppable_stays_so() -> bool:
    """Droppable memory is always wiped on fork and never dumped."""
    return True


_RULES = {
    "anon_joins": "vm.anon-joins",
    "new_joins_both": "vm.new-joins-both",
    "heap_joins_next": "vm.heap-joins-next",
    "anonymous_alignment": "vm.anonymous-alignment",
    "guard_gap": "vm.guard-gap",
    "gap_too_near": "vm.gap-too-near",
    "counts_data": "vm.data-limit",
    "unaccounts": "vm.unaccounts",
    "fixed_noreplace": "vm.fixed-noreplace",
    "shared_validate": "vm.shared-validate",
    "droppable": "vm.droppable",
    "stack_without_huge": "vm.stack-without-huge",
    "unmaps_before_limits": "vm.unmaps-before-limits",
    "mremap_flags": "vm.mremap-flags",
    "mremap": "vm.mremap",
    "dontunmap_takes": "vm.dontunmap-takes",
    "dontunmap_resets": "vm.dontunmap-resets",
    "dontunmap_clears": "vm.dontunmap-clears",
    "dontunmap_counts_locked": "vm.dontunmap-counts-locked",
    "dontunmap_splits_locked": "vm.dontunmap-splits-locked",
    "removable": "vm.removable",
    "guardable": "vm.guardable",
    "guards_mark": "vm.guards-mark",
    "sticky": "vm.sticky",
    "populates_apart": "vm.populates-apart",
    "droppable_is_kept": "vm.droppable-is-kept",
    "seal_protects": "vm.seal-protects",
    "seals": "vm.seals",
    "sealed_first": "vm.sealed-first",
    "lock_flags": "vm.lock-flags",
    "onfault_alone": "vm.onfault-alone",
    "nameable": "vm.nameable",
    "unnamed": "vm.flags-without-letters",
    "is_heap": "vm.heap-printed",
    "guess": "vm.overcommit-guess",
}


def _not_built(kind: FileKind | None) -> bool | None:
    """Names are not built in."""
    return None


@lru_cache(maxsize=64)
def rules_for(kernel: Kernel) -> Rules:
    """The rules of a kernel's address spaces.

    Errors    Unmodelled when a rule has no behaviour for the version
    """
    found: dict[str, Any] = {name: kernel.behaviour(rule).function for name, rule in _RULES.items()}
    known = madvise.advice_of(kernel.version)
    config = kernel.config
    if not config.ksm:
        known -= {vm.MADV_MERGEABLE, vm.MADV_UNMERGEABLE}
    if not config.transparent_hugepage:
        known -= {vm.MADV_HUGEPAGE, vm.MADV_NOHUGEPAGE, vm.MADV_COLLAPSE}
        found["stack_without_huge"] = mmap.unknown
        found["anonymous_alignment"] = place.alignment_none
    if not config.memory_failure:
        known -= {vm.MADV_HWPOISON, vm.MADV_SOFT_OFFLINE}
    if not config.anon_vma_name:
        found["nameable"] = _not_built
    bits = 32 if kernel.arch in (Arch.I386, Arch.I386_PAE) else 64
    if bits == 32:
        found["seals"] = name.no_seals
        found["droppable"] = mmap.unknown
    return Rules(bits=bits, advice=lambda: known, **found)
