"""Theorems about one page: what is freed was held by nobody, and moves keep it on its list.

The state is a symbol: a page's flags, how often it is mapped, its list, the lengths of the lists; and what
the reverse map and the backing will answer.  Elementary changes check that they may be made.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.reclaim import state
from linuxmm.model.reclaim.accesses import (
    end_writeback,
    mark_accessed,
    mark_lazyfree,
    mlock,
    munlock,
    putback,
)
from linuxmm.model.reclaim.outside import References
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.refaults import evict
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.shrink import FREED, shrink_page
from linuxmm.model.reclaim.state import (
    ACTIVE,
    DIRTY,
    LOCKED,
    LRU,
    MLOCKED,
    PINNED,
    SWAPBACKED,
    SWAPCACHE,
    UNEVICTABLE,
    WRITEBACK,
)
from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import INACTIVE_FILE

ERAS: Final = tuple(
    rules_for(kernel(release), False)
    for release in ("2.6.12", "2.6.24", "2.6.31", "2.6.36", "3.5", "4.9", "5.8", "6.1")
)
NOWHERE: Final = -1
ALL_FLAGS: Final = (1 << 14) - 1
HOLDING: Final = LOCKED | PINNED | DIRTY | WRITEBACK


NOT_FOUND: Final = References(0, False, False)


@dataclass(frozen=True, slots=True)
class OnePage:
    """One page, as an algorithm sees it, and what it will be told.

    place    list that the page is on, or NOWHERE; legal: no change was made that may not be
    counts   change of the length of each list since the beginning
    freed    whether the page was freed, and safe: nothing held it then
    """

    flags: int
    mapped: int = 0
    place: int = NOWHERE
    legal: bool = True
    counts: tuple[int, ...] = (0, 0, 0, 0, 0)
    mlocks: int = 0
    found: References = NOT_FOUND
    unmaps: int = 0
    dirties: bool = False
    slot: bool = True
    written: int = 2
    many_dirty: bool = False
    clock: int = 0
    safe: bool = True
    split: bool = True

    @property
    def pages(self) -> "OnePage":
        """The page's record, which any number gives."""
        return self

    def __getitem__(self, page: int) -> "OnePage":
        return self


def _has(v: OnePage, page: int, flag: int) -> bool:
    return (v.flags & flag) != 0


def _flag(v: OnePage, page: int, flags: int, on: bool) -> OnePage:
    if on:
        return replace(v, flags=v.flags | flags)
    return replace(v, flags=v.flags & (ALL_FLAGS ^ flags))


def _mapped(v: OnePage, page: int) -> int:
    return v.mapped


def _references(v: OnePage, page: int) -> tuple[OnePage, References]:
    return v, v.found


def _unmap(v: OnePage, page: int) -> tuple[OnePage, int]:
    if v.dirties:
        v = _flag(v, page, DIRTY, True)
    return (replace(v, mapped=0) if v.unmaps == 0 else v), v.unmaps


def _unmap_lazyfree(v: OnePage, page: int) -> tuple[OnePage, int]:
    if v.dirties:
        return _flag(v, page, DIRTY | SWAPBACKED, True), 1
    return (replace(v, mapped=0) if v.unmaps == 0 else v), v.unmaps


def _take_slot(v: OnePage, page: int) -> tuple[OnePage, bool]:
    return (_flag(v, page, SWAPCACHE | DIRTY, True) if v.slot else v), v.slot


def _pageout(v: OnePage, page: int) -> tuple[OnePage, int]:
    return v, v.written


def _count(v: OnePage, counter: int, pages: int = 1) -> OnePage:
    return v


def _trace(v: OnePage, event: object) -> OnePage:
    return v


def _forget(v: OnePage, page: int) -> OnePage:
    held = HOLDING | MLOCKED if v.split else HOLDING
    return replace(v, safe=(v.flags & held == 0) & (v.mapped == 0))


def _evict(rules: object, v: OnePage, page: int) -> OnePage:
    return v


def _slot_of(v: OnePage, page: int) -> int:
    return 0


def _counted(v: OnePage, lru: int, change: int) -> tuple[int, ...]:
    return (*v.counts[:lru], v.counts[lru] + change, *v.counts[lru + 1 :])


def _add(v: OnePage, page: int, lru: int) -> OnePage:
    legal: bool = v.legal & (v.place == NOWHERE)
    return replace(v, place=lru, legal=legal, counts=_counted(v, lru, 1), flags=v.flags | LRU)


def _remove(v: OnePage, page: int, lru: int) -> OnePage:
    legal: bool = v.legal & (v.place == lru)
    flags = v.flags & (ALL_FLAGS ^ LRU)
    return replace(v, place=NOWHERE, legal=legal, counts=_counted(v, lru, -1), flags=flags)


def _is_waiting(v: OnePage, page: int) -> bool:
    return False


def _set_clock(v: OnePage, clock: int) -> OnePage:
    return replace(v, clock=clock)


def _clock_of(v: OnePage) -> int:
    return v.clock


def _tail_is_dirty(v: OnePage) -> bool:
    return v.many_dirty


def _set_mlocks(v: OnePage, page: int, mlocks: int) -> OnePage:
    return replace(v, mlocks=mlocks)


TWINS: Final[dict[Any, Any]] = {
    state.has: _has,
    state.flag: _flag,
    state.mapped: _mapped,
    state.references: _references,
    state.unmap: _unmap,
    state.unmap_lazyfree: _unmap_lazyfree,
    state.take_slot: _take_slot,
    state.pageout: _pageout,
    state.count: _count,
    state.trace: _trace,
    state.forget: _forget,
    state.slot_of: _slot_of,
    state.add_head: _add,
    state.add_tail: _add,
    state.remove: _remove,
    state.is_waiting: _is_waiting,
    state.set_clock: _set_clock,
    state.clock_of: _clock_of,
    state.tail_is_dirty: _tail_is_dirty,
    state.set_mlocks: _set_mlocks,
    evict: _evict,
}
"""Primitives of the model -> what they do to one page."""

Flags = Annotated[int, Word(14)]
Truthy = Annotated[bool, Truth()]
Count = Annotated[int, Integer(least=0)]
Era = Annotated[int, each(range(len(ERAS)))]


@theorem(
    "reclaim.page.freed",
    "Reclaim frees no page that is locked, pinned, dirty, under writeback or mapped, and none "
    "that mlock holds.",
    proves=(shrink_page,),
    features=("F042", "F044", "F047"),
    method="inductive",
    bounds="every page; a release of each era; every answer of the reverse map and of the backing",
    witness={
        "era": 7, "flags": 0, "mapped": 1, "ptes": 0, "executable": False, "locked": False, "unmaps": 0,
        "dirties": False, "slot": True, "written": 2, "many_dirty": False, "kswapd": False,
    },
    mutants=(
        Mutant(shrink_page, "frees locked pages", "has(v, page, LOCKED) or ", ""),
        Mutant(shrink_page, "frees pinned pages", "if has(v, page, PINNED):", "if False:"),
        Mutant(shrink_page, "does not wait for writing", "if has(v, page, WRITEBACK):", "if False:"),
        Mutant(shrink_page, "drops what is dirty", "if has(v, page, DIRTY):", "if False:"),
    ),
    primitives=TWINS,
)  # fmt: skip
def freed_safely(
    era: Era,
    flags: Flags,
    mapped: Annotated[int, Integer(least=0, below=3)],
    ptes: Annotated[int, Integer(least=-1, below=3)],
    executable: Truthy,
    locked: Truthy,
    unmaps: Annotated[int, Integer(least=0, below=4)],
    dirties: Truthy,
    slot: Truthy,
    written: Annotated[int, Integer(least=0, below=4)],
    many_dirty: Truthy,
    kswapd: Truthy,
) -> bool:
    page: Any = OnePage(
        flags, mapped, found=References(ptes, executable, locked), unmaps=unmaps, dirties=dirties, slot=slot,
        written=written, many_dirty=many_dirty, split=ERAS[era].split,
    )  # fmt: skip
    after, outcome = shrink_page(ERAS[era], page, 0, Control(3, 32, kswapd=kswapd))
    result: Any = after
    safe: bool = result.safe
    return implies(outcome == FREED, safe)


def belongs(v: OnePage, split: bool) -> int:
    """The list that a page's flags name."""
    if split and _has(v, 0, UNEVICTABLE):
        return 4
    base = 2 if not split or no(_has(v, 0, SWAPBACKED)) else 0
    return base + 1 if _has(v, 0, ACTIVE) else base


def at_home(v: OnePage, split: bool) -> bool:
    """The invariants of the lists, at one page that is on one."""
    listed = _has(v, 0, LRU)
    right: bool = v.place == belongs(v, split)
    return listed & right & (no(split) | (_has(v, 0, MLOCKED) == _has(v, 0, UNEVICTABLE)))


ACCESS, LOCK, UNLOCK, GIVE_UP, WRITTEN = range(5)


@theorem(
    "reclaim.page.one-list",
    "An access, a lock or its end, MADV_FREE and the end of writing take a page off the one list that it is "
    "on, or leave it there; it is on the one that its flags name afterwards, and the counted lengths follow.",
    proves=(mark_accessed, mlock, munlock, mark_lazyfree, end_writeback, putback),
    clauses=("reclaim.lists.one-place", "reclaim.lists.own-list", "reclaim.lists.sizes",
             "reclaim.lists.unevictable"),
    features=("F042", "F043", "F044", "F047"),
    method="inductive",
    bounds="every page; a release of each era",
    witness={"era": 7, "flags": LRU, "place": INACTIVE_FILE, "step": ACCESS, "others": False,
             "mlocks": 0},
    mutants=(
        Mutant(mark_accessed, "does not take it off", "v = remove(v, page, lru_of(rules, v, page))", "pass"),
        Mutant(mark_accessed, "counts it for the wrong list", "v = add_head(v, page, lru_of(rules, v, page))",
               "v = add_head(v, page, 2)"),
        Mutant(putback, "leaves it active", "v = flag(v, page, UNEVICTABLE, locked)", "pass"),
        Mutant(mark_lazyfree, "puts it on the wrong list", "add_head(v, page, INACTIVE_FILE)",
               "add_head(v, page, 0)"),
        Mutant(end_writeback, "puts it on the wrong list", "add_tail(v, page, lru_of(rules, v, page))",
               "add_tail(v, page, 0)"),
    ),
    primitives=TWINS,
)  # fmt: skip
def stays_on_one_list(
    era: Era,
    flags: Flags,
    place: Annotated[int, Integer(least=0, below=5)],
    step: Annotated[int, each(range(5))],
    others: Truthy,
    mlocks: Count,
) -> bool:
    rules = ERAS[era]
    before = OnePage(flags, place=place, mlocks=mlocks)
    assume(join(at_home, before, rules.split))
    page: Any = before
    if step == ACCESS:
        page = mark_accessed(rules, page, 0)
    elif step == LOCK:
        page = mlock(rules, page, 0)
    elif step == UNLOCK:
        page = munlock(rules, page, 0, others)
    elif step == GIVE_UP and rules.lazyfree:
        page = mark_lazyfree(rules, page, 0)
    elif step == WRITTEN:
        page = end_writeback(rules, page, 0)
    good: bool = page.legal & join(at_home, page, rules.split)
    for lru in range(5):
        change = page.counts[lru]
        here: bool = page.place == lru
        was: bool = place == lru
        if change == 0:
            good = good & (here == was)
        else:
            good = good & ((here & no(was)) if change == 1 else (was & no(here)))
    return good
