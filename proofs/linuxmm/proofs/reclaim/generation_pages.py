"""Theorems about one page on lists by generation: it stands on one list, counts follow, it is freed safely.

The state is a symbol: a page's flags, the list that it stands on, the window; of the counts, those of one
generation and of one list of old, which may be any: what holds of them holds of all.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from linuxmm.model.reclaim import gen_state, state
from linuxmm.model.reclaim.ageing import look_around
from linuxmm.model.reclaim.gen_lists import gen_add, gen_delete, promote, resize, step_up
from linuxmm.model.reclaim.outside import References
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.shrink import FREED, shrink_page
from linuxmm.model.reclaim.state import ACTIVE, LRU, REFERENCED, SWAPBACKED, UNEVICTABLE
from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.reclaim.pages import TWINS as PAGE_TWINS
from linuxmm.proofs.reclaim.pages import OnePage
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.kernel import kernel

ERAS: Final = tuple(rules_for(kernel(release), False, generations=True) for release in ("6.1", "6.12"))
NOWHERE: Final = -1
TOP: Final = 5
ALL_FLAGS: Final = (1 << 16) - 1


@dataclass(frozen=True, slots=True)
class Standing:
    """One page among generations.

    gen     the generation that its flags name, or NOWHERE
    at      generation whose list it stands on, or NOWHERE; legal: no change was made that may not be
    size    change of the size of generation `which`; told: of the list of old `lru`
    oldest, top   the window
    """

    flags: int
    gen: int
    at: int
    oldest: int
    top: int
    which: int
    lru: int
    legal: bool = True
    size: int = 0
    told: int = 0


def _has(v: Standing, page: int, flag: int) -> bool:
    return (v.flags & flag) != 0


def _flag(v: Standing, page: int, flags: int, on: bool) -> Standing:
    if on:
        return replace(v, flags=v.flags | flags)
    return replace(v, flags=v.flags & (ALL_FLAGS ^ flags))


def _link(v: Standing, page: int, generation: int, to_tail: bool) -> Standing:
    legal: bool = v.legal & (v.at == NOWHERE)
    return replace(v, at=generation, legal=legal, flags=v.flags | LRU)


def _unlink(v: Standing, page: int) -> Standing:
    legal: bool = v.legal & (v.at >= 0)
    return replace(v, at=NOWHERE, legal=legal, flags=v.flags & (ALL_FLAGS ^ LRU))


def _gen_count(v: Standing, generation: int, kind: int, zone: int, pages: int) -> Standing:
    return replace(v, size=v.size + pages) if generation == v.which else v


def _list_count(v: Standing, lru: int, zone: int, pages: int) -> Standing:
    return replace(v, told=v.told + pages) if lru == v.lru else v


def _gen_of(v: Standing, page: int) -> int:
    return v.gen


def _set_gen(v: Standing, page: int, generation: int) -> Standing:
    return replace(v, gen=generation)


def _youngest(v: Standing) -> int:
    return v.top


def _oldest(v: Standing, kind: int) -> int:
    return v.oldest


def _zone_of(v: Standing, page: int) -> int:
    return 0


def _flags_of(v: Standing, page: int) -> int:
    return v.flags


def _as_it_is(v: Standing, *more: object) -> Standing:
    return v


STEPS: Final[dict[Any, Any]] = {
    state.has: _has,
    state.flag: _flag,
    state.zone_of: _zone_of,
    state.count: _as_it_is,
    state.trace: _as_it_is,
    gen_state.link: _link,
    gen_state.unlink: _unlink,
    gen_state.gen_count: _gen_count,
    gen_state.list_count: _list_count,
    gen_state.gen_of: _gen_of,
    gen_state.set_gen: _set_gen,
    gen_state.youngest: _youngest,
    gen_state.oldest: _oldest,
    gen_state.flags_of: _flags_of,
}
"""Primitives of generations -> what they do to one page."""


def _counted(v: Standing) -> int:
    """1 where the page counts for the generation that is looked at."""
    return 1 if _gen_of(v, 0) == v.which else 0


def _told(v: Standing) -> int:
    """1 where it counts for the list of old that is looked at."""
    generation = _gen_of(v, 0)
    if generation == NOWHERE:
        return 0
    kind = 2 if no(_has(v, 0, SWAPBACKED)) else 0
    young = (v.top - generation) % 4 < 2
    return 1 if kind + (1 if young else 0) == v.lru else 0


def _sound(v: Standing) -> bool:
    """It stands on a list if and only if it has a generation; then it is evictable and not marked active."""
    listed = _gen_of(v, 0) != NOWHERE
    plain = no(_has(v, 0, ACTIVE)) & no(_has(v, 0, UNEVICTABLE))
    right: bool = ((v.at >= 0) == listed) & (_has(v, 0, LRU) == listed)
    return right & implies(listed, plain)


PROMOTE, STEP_UP, LEAVE, ENTER_OLD, ENTER_NEW = range(5)


@theorem(
    "reclaim.generations.one-list",
    "Getting on a list, leaving it, a promotion and a step up leave a page on one list of one generation, or "
    "on none; every generation's size and every size that is told change by that page.",
    proves=(gen_add, gen_delete, promote, step_up, resize),
    clauses=("reclaim.generations.one-list", "reclaim.generations.sizes"),
    features=("F042", "F043"),
    method="inductive",
    bounds="every page; windows of two and of four generations that end with 5; 6.1 and 6.12",
    witness={"step": PROMOTE, "flags": LRU, "generation": 3, "at": 1, "span": 4, "which": 1, "lru": 2,
             "cold": False},
    mutants=(
        Mutant(gen_add, "does not count it", "resize(v, page, NOTHING, generation)", "v"),
        Mutant(gen_delete, "leaves its generation", "v = set_gen(v, page, NOTHING)", "pass"),
        Mutant(promote, "counts twice", "v if old == new else resize(v, page, old, new)",
               "resize(v, page, NOTHING, new)"),
        Mutant(step_up, "forgets the sizes", "v = resize(v, page, first, generation)", "pass"),
        Mutant(resize, "tells both alike", "told_as(v, old, kind)", "told_as(v, new, kind)"),
    ),
    primitives=STEPS,
)  # fmt: skip
def one_list_by_generation(
    step: Annotated[int, each(range(5))],
    flags: Annotated[int, Word(16)],
    generation: Annotated[int, each(range(-1, 4))],
    at: Annotated[int, Integer(least=-1, below=4)],
    span: Annotated[int, each((2, 4))],
    which: Annotated[int, Integer(least=0, below=4)],
    lru: Annotated[int, Integer(least=0, below=4)],
    cold: Annotated[bool, Truth()],
) -> bool:
    before = Standing(flags, generation, at, TOP - span + 1, TOP, which, lru)
    entering = step in (ENTER_OLD, ENTER_NEW)
    assume(entering == (generation == NOWHERE))
    assume(join(_sound, before))
    page: Any = before
    if entering:
        assume(no(_has(before, 0, UNEVICTABLE)))
        page = gen_add(ERAS[step - ENTER_OLD], page, 0, cold)
    elif step == PROMOTE:
        page = promote(page, 0)
    elif step == STEP_UP:
        page = step_up(page, 0, 1 if no(_has(before, 0, SWAPBACKED)) else 0, cold, cold)
    else:
        page = gen_delete(page, 0, cold)
    good: bool = page.legal & join(_sound_now, page, step == LEAVE)
    sizes: bool = page.size == _counted(page) - _counted(before)
    told: bool = page.told == _told(page) - _told(before)
    return good & sizes & told


def _sound_now(v: Standing, left: bool) -> bool:
    """Sound; a page that left may be marked active, for whoever takes it."""
    if not left:
        return _sound(v)
    gone: bool = (v.at == NOWHERE) & no(_has(v, 0, LRU))
    return gone & (v.gen == NOWHERE)


# ---- what is freed -----------------------------------------------------------------------------------------


def _by_generations(v: OnePage) -> bool:
    return True


def _look_around(rules: Any, v: OnePage, page: int, control: Control) -> OnePage:
    return replace(v, flags=v.flags | REFERENCED) if rules.marks_itself else v


JUDGED: Final[dict[Any, Any]] = {
    **PAGE_TWINS,
    gen_state.by_generations: _by_generations,
    look_around: _look_around,
}


@theorem(
    "reclaim.generations.freed",
    "Eviction by generation frees no page that is locked, pinned, dirty, under writeback or mapped, and none "
    "that was found used.",
    proves=(shrink_page,),
    features=("F042", "F044"),
    method="inductive",
    bounds="every page; 6.1 and 6.12; every answer of the reverse map and of the backing",
    witness={"era": 1, "flags": 0, "mapped": 1, "ptes": 0, "unmaps": 0, "dirties": False, "slot": True,
             "written": 2, "kswapd": False},
    mutants=(
        Mutant(shrink_page, "frees pinned pages", "if has(v, page, PINNED):", "if False:"),
        Mutant(shrink_page, "drops what is dirty", "if has(v, page, DIRTY):", "if False:"),
        Mutant(shrink_page, "frees what is used", "if chance.action in (ACTIVATE, KEEP):", "if False:"),
    ),
    primitives=JUDGED,
)  # fmt: skip
def freed_by_generation(
    era: Annotated[int, each((0, 1))],
    flags: Annotated[int, Word(14)],
    mapped: Annotated[int, Integer(least=0, below=3)],
    ptes: Annotated[int, Integer(least=-1, below=3)],
    unmaps: Annotated[int, Integer(least=0, below=4)],
    dirties: Annotated[bool, Truth()],
    slot: Annotated[bool, Truth()],
    written: Annotated[int, Integer(least=0, below=4)],
    kswapd: Annotated[bool, Truth()],
) -> bool:
    page: Any = OnePage(
        flags, mapped, found=References(ptes, False, False), unmaps=unmaps, dirties=dirties, slot=slot,
        written=written,
    )  # fmt: skip
    after, outcome = shrink_page(ERAS[era], page, 0, Control(3, 32, kswapd=kswapd))
    result: Any = after
    safe: bool = result.safe & (ptes == 0)
    return implies(outcome == FREED, safe)
