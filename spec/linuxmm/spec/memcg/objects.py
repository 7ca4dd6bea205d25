"""Kernel objects charged by the byte: pages are charged, bytes are handed out, the rest waits in a stock.

An *objcg* stands for a group towards objects, so that they can change groups when theirs is removed.  What an
object does not use of the pages charged for it goes to the CPU's stock; what a stock gives up beyond whole
pages is kept with the objcg.

Linux: mm/memcontrol.c:obj_cgroup_charge, refill_obj_stock, drain_obj_stock.  Seed 2.9 (F060).  Since 5.9.
"""

from typing import Final

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

_FEATURES: Final = ("F060",)


@formula("F060", source="mm/memcontrol.c:obj_cgroup_charge; 5.9 to 6.12")
def pages_for(size: int) -> int:
    """Pages that are charged for an object that no stock has room for."""
    return size // PAGE_SIZE + (1 if size % PAGE_SIZE else 0)


@formula("F060", source="mm/memcontrol.c:obj_cgroup_charge; 5.9 to 6.12")
def rest_of(size: int) -> int:
    """Bytes of these pages that the object leaves."""
    return PAGE_SIZE - size % PAGE_SIZE if size % PAGE_SIZE else 0


@formula("F060", source="mm/memcontrol.c:drain_obj_stock; 5.9 to 6.12")
def whole_pages(size: int) -> int:
    """Pages that a stock of so many bytes gives back."""
    return size // PAGE_SIZE


@formula("F060", source="mm/memcontrol.c:drain_obj_stock; 5.9 to 6.12")
def bytes_over(size: int) -> int:
    """Bytes beyond these pages."""
    return size % PAGE_SIZE


@behaviour(
    "memcg.bytes-kept",
    since="5.9",
    until="5.13",
    features=_FEATURES,
    source="mm/memcontrol.c:refill_obj_stock; read in 5.9 to 5.11, 5.12 and 5.13 unconfirmed",
)
def kept_with_objcg(charging: bool) -> bool:
    """Whether a stock of more than a page gives pages back: always, and all else goes to the objcg.

    charging  the bytes are what a charge left, not what an object gave back
    """
    return True


@behaviour(
    "memcg.bytes-kept",
    since="5.14",
    features=_FEATURES,
    source="mm/memcontrol.c:refill_obj_stock, allow_uncharge; read in 5.15 to 6.12, 5.14 unconfirmed",
)
def kept_in_stock(charging: bool) -> bool:
    """Not while charging, unless the stock was another's; and what is beyond the pages stays in it."""
    return not charging


@behaviour(
    "memcg.bytes-over",
    since="5.9",
    until="5.13",
    features=_FEATURES,
    source="mm/memcontrol.c:refill_obj_stock, drain_obj_stock; read in 5.9 to 5.11, 5.12, 5.13 unconfirmed",
)
def rest_to_objcg(held: int) -> tuple[int, int, int, bool]:
    """What a stock of so many bytes does that may give pages back; one of more than a page is given up.

    Ensures   (pages that go back, bytes that it keeps, bytes that the objcg keeps, whether it stays a stock)
    """
    if held <= PAGE_SIZE:
        return 0, held, 0, True
    return whole_pages(held), 0, bytes_over(held), False


@behaviour(
    "memcg.bytes-over",
    since="5.14",
    features=_FEATURES,
    source="mm/memcontrol.c:refill_obj_stock; read in 5.15 to 6.12, 5.14 unconfirmed",
)
def rest_in_stock(held: int) -> tuple[int, int, int, bool]:
    """It keeps what is beyond the pages."""
    if held <= PAGE_SIZE:
        return 0, held, 0, True
    return whole_pages(held), bytes_over(held), 0, True


@invariant(
    "memcg.objects.bytes",
    features=_FEATURES,
    seed="2.9",
    since="5.9",
    source="mm/memcontrol.c:refill_obj_stock",
)
def bytes_kept(pages: int, used: int, rest: int, stocked: int) -> bool:
    """Every byte of the pages charged for an objcg is in an object, in a stock, or with the objcg.

    stocked  bytes of it in the stocks of all CPUs
    """
    return (pages * PAGE_SIZE == used + rest + stocked) & (used >= 0) & (rest >= 0) & (stocked >= 0)


@invariant(
    "memcg.objects.end",
    features=_FEATURES,
    seed="2.9",
    since="5.9",
    source="mm/memcontrol.c:obj_cgroup_release",
)
def ends_even(rest: int) -> bool:
    """An objcg without objects that no stock holds keeps whole pages, which it gives back at its end."""
    return rest % PAGE_SIZE == 0
