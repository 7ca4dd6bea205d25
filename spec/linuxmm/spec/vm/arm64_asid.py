"""What ASIDs are for: no CPU uses another address space's translations, and a flush by ASID reaches all.

Linux: arch/arm64/mm/context.c.  Seed 2.3.2 (F041).
"""

from linuxmm.spec.invariant import invariant


@invariant(
    "vm.arm64.asid.own", features=("F041",), seed="2.3.2", source="arch/arm64/mm/context.c:flush_context"
)
def only_its_own(holders: frozenset[int], runs: int) -> bool:
    """A CPU's TLB holds, under the ASID with which it runs an address space, no other's translations.

    holders  address spaces whose translations the TLB may hold under that ASID
    """
    return holders <= {runs}


@invariant(
    "vm.arm64.asid.one",
    features=("F041",),
    seed="2.3.2",
    source="arch/arm64/mm/context.c:check_update_reserved_asid",
)
def one_for_all(loaded: int, named: int) -> bool:
    """Every CPU that runs an address space has the ASID that its flushes name."""
    return loaded == named
