"""mremap beside a truncation: when the old translation must be gone, and which walk must not miss a table.

    stale      a page that moved is freed while a TLB still has its old address (CVE-2018-18281)
    missed     a truncation looks at the new place before, and at the old place after, a whole table has moved

Linux: mm/mremap.c:move_ptes, move_normal_pmd; mm/rmap.c.  Seed 2.8, 2.3.2 (F059, F041).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from linuxmm.model.vm.explore import Finding, search
from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel, behaviour
from linuxmm.spec.step import Refusal

FREED_AFTER_FLUSH: Final = clause(
    "vm.tlb.freed-after-flush",
    "A page is freed only when no TLB holds a translation to it.",
    features=("F041", "F059"),
    seed="2.3.2",
    source="mm/mremap.c:move_ptes; commit eb66ae03082 (CVE-2018-18281)",
)
FREED_UNMAPPED: Final = clause(
    "vm.page.freed-unmapped",
    "A page is freed only when no entry maps it.",
    features=("F059",),
    seed="2.8",
    source="mm/mremap.c:take_rmap_locks; commit 97113eb39fa",
)


@behaviour(
    "vm.move-order",
    since="2.4.0",
    until="4.18",
    replaced_in=("4.9.135", "4.14.78", "4.18.16"),
    features=("F041", "F059"),
    source="mm/mremap.c:move_page_tables; 2.6.11 to 4.18 (since 4.10 dirty entries were flushed in time)",
)
def flush_after_unlocking() -> tuple[str, ...]:
    """The lock of the page table is dropped, and then the TLB is flushed."""
    return ("lock", "move", "unlock", "flush")


@behaviour(
    "vm.move-order",
    since="4.19",
    until="6.18",
    backports=("4.9.135", "4.14.78", "4.18.16"),
    features=("F041", "F059"),
    source="mm/mremap.c:move_ptes; commit eb66ae03082; 4.19 to 6.12",
)
def flush_before_unlocking() -> tuple[str, ...]:
    """The TLB is flushed before the lock of the page table is dropped."""
    return ("lock", "move", "flush", "unlock")


@behaviour(
    "vm.table-move-rmap",
    since="5.0",
    until="5.13",
    features=("F059",),
    source="mm/mremap.c:move_normal_pmd; 5.0 to 5.13",
)
def tables_move_unlocked() -> bool:
    """A whole table moves without the lock that reverse-map walks take."""
    return False


@behaviour(
    "vm.table-move-rmap",
    since="5.14",
    until="6.18",
    features=("F059",),
    source="mm/mremap.c:move_pgt_entry; commit 97113eb39fa; 5.14 to 6.12",
)
def tables_move_under_rmap_lock() -> bool:
    """A whole table moves under the lock that reverse-map walks take."""
    return True


@dataclass(frozen=True, slots=True)
class Race:
    """One page of a file, an address that it moves from and one that it moves to.

    where      the address whose entry maps it: "old", "new", "" for none
    tlb        addresses whose translation the other CPU holds
    mover      steps that mremap has made
    truncated  steps that the truncation has made;  lock: who holds the lock of the page tables
    freed      whether the page is free
    """

    where: str = "old"
    tlb: frozenset[str] = frozenset()
    mover: int = 0
    truncated: int = 0
    lock: str = ""
    freed: bool = False


def stale(kernel: Kernel) -> Finding:
    """Search every interleaving of mremap, a truncation, and accesses of another CPU."""
    order: Callable[[], tuple[str, ...]] = _rule(kernel, "vm.move-order")
    return search(Race(), lambda race: _stale_steps(race, order()), _judge_stale)


def _rule(kernel: Kernel, name: str) -> Any:
    return kernel.behaviour(name).function


def _judge_stale(race: Race) -> Refusal | None:
    if race.freed and race.tlb:
        return Refusal(FREED_AFTER_FLUSH.id, f"the page is free; its {min(race.tlb)} address is in a TLB")
    return None


def _stale_steps(race: Race, order: tuple[str, ...]) -> Iterator[tuple[str, Race]]:
    if race.where:
        yield f"access by the {race.where} address", replace(race, tlb=race.tlb | {race.where})
    if race.mover < len(order):
        moved = _moved(race, order[race.mover])
        if moved is not None:
            yield f"mremap: {order[race.mover]}", replace(moved, mover=race.mover + 1)
    if race.truncated == 0 and race.lock == "":
        cleared = replace(race, where="", tlb=race.tlb - {race.where}, truncated=1)
        yield "truncate: clear, flush", cleared
    if race.truncated == 1 and not race.where:
        yield "truncate: free", replace(race, truncated=2, freed=True)


def _moved(race: Race, step: str) -> Race | None:
    """mremap's next step; None where it has to wait."""
    if step == "lock":
        return replace(race, lock="mremap") if race.lock == "" else None
    if step == "unlock":
        return replace(race, lock="")
    if step == "flush":
        return replace(race, tlb=race.tlb - {"old"})
    return replace(race, where="new") if race.where == "old" else race


def missed(kernel: Kernel) -> Finding:
    """Search every interleaving of a table's move with a truncation that looks at the new place first."""
    locked: bool = _rule(kernel, "vm.table-move-rmap")()
    return search(Race(), lambda race: _missed_steps(race, locked), _judge_missed)


def _judge_missed(race: Race) -> Refusal | None:
    if race.freed and race.where:
        return Refusal(FREED_UNMAPPED.id, f"the page is free; the entry of its {race.where} address maps it")
    return None


WALK: Final = ("new", "old")


def _missed_steps(race: Race, locked: bool) -> Iterator[tuple[str, Race]]:
    walking = 0 < race.truncated < len(WALK)
    if race.mover == 0 and not (locked and walking):
        moved = replace(race, mover=1, where="new" if race.where == "old" else race.where)
        yield "mremap: move the table", moved
    if race.truncated < len(WALK):
        place = WALK[race.truncated]
        cleared = replace(race, where="" if race.where == place else race.where)
        yield f"truncate: clear at the {place} place", replace(cleared, truncated=race.truncated + 1)
    elif not race.freed:
        yield "truncate: free", replace(race, freed=True)
