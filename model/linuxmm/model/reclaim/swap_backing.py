"""Devices of swap behind reclaim: what `outside.Backing` asks is answered by slots that there are.

A page that reclaim unmaps has one entry that refers to its slot.  Once the page is freed, the slot holds
what it held; whoever brings it back gives the slot free.

Linux: mm/swap_state.c:add_to_swap; mm/memory.c:do_swap_page.  Seed 2.4 (F004, F042).
"""

from dataclasses import dataclass, field, replace

from immutables import Map

from linuxmm.model.reclaim.outside import PAGE_WRITTEN
from linuxmm.model.reclaim.swap_release import leave_swap_cache, swap_free
from linuxmm.model.reclaim.swap_slots import NO_DEVICE, add_to_swap, refer
from linuxmm.model.reclaim.swap_state import Swap, SwapRules, nr_free
from linuxmm.spec.registry import verb


@dataclass(frozen=True, slots=True)
class SwapBacking:
    """Swap as reclaim asks for it.

    slots    page -> (device, slot)
    write    how every write goes
    """

    rules: SwapRules
    swap: Swap
    slots: Map[int, tuple[int, int]] = field(default_factory=Map)
    write: int = PAGE_WRITTEN

    def swap_free(self) -> int:
        """Free slots of swap; those that CPUs keep count, for pages get them."""
        return nr_free(self.swap) + sum(len(cache.ready) for cache in self.swap.caches)

    def take_slot(self, page: int) -> "tuple[SwapBacking, bool]":
        """A slot of swap for a page, to which its entry refers."""
        return swap_out_page(self, page)

    def give_slot(self, page: int) -> "SwapBacking":
        """The slot is free again."""
        return swap_in_page(self, page)

    def pageout(self, page: int) -> "tuple[SwapBacking, int]":
        """Every write goes the same way."""
        return self, self.write

    @property
    def references(self) -> dict[tuple[int, int], int]:
        """How many entries refer to each slot."""
        return dict.fromkeys(self.slots.values(), 1)


@verb("F004", "F042", source="mm/swap_state.c:add_to_swap; mm/rmap.c:try_to_unmap_one")
def swap_out_page(backing: SwapBacking, page: int) -> tuple[SwapBacking, bool]:
    """A page gets a slot, and the entry that mapped it refers to it."""
    swap, at, slot = add_to_swap(backing.rules, backing.swap)
    if at == NO_DEVICE:
        return replace(backing, swap=swap), False
    referred = refer(backing.rules, swap, at, slot)
    assert isinstance(referred, Swap)
    return replace(backing, swap=referred, slots=backing.slots.set(page, (at, slot))), True


@verb("F004", "F042", source="mm/memory.c:do_swap_page; mm/swapfile.c:folio_free_swap")
def swap_in_page(backing: SwapBacking, page: int) -> SwapBacking:
    """A page came back, or its content ended: nothing refers to its slot any more.

    Requires  it has one
    """
    at, slot = backing.slots[page]
    swap = swap_free(backing.rules, backing.swap, at, slot)
    swap = leave_swap_cache(backing.rules, swap, at, slot)
    return replace(backing, swap=swap, slots=backing.slots.delete(page))
