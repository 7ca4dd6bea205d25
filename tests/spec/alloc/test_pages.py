"""The abstract page allocator: clauses accept and reject, knowledge may be partial, pages are conserved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.spec.alloc import pages
from linuxmm.spec.alloc.page_state import (
    Chunk,
    Layout,
    Owned,
    Pages,
    Span,
    all_free,
    free_blocks,
    free_counts,
    holder_of,
    learn_free,
    learn_owned,
)
from linuxmm.spec.alloc.pages import (
    Alloc,
    Done,
    Failed,
    Free,
    Granted,
    Observed,
    Op,
    Retag,
    Split,
    apply,
    permits,
    split_witness,
)
from linuxmm.spec.alloc.strategies import allocs, blocks, layouts
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.invariant import clauses
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import MigrateType, ZoneType

NORMAL, DMA, MOVABLE = ZoneType.NORMAL, ZoneType.DMA, ZoneType.MOVABLE
UNMOVABLE = MigrateType.UNMOVABLE
LAYOUT = Layout(
    (Span(DMA, 0, 0, 10), Span(NORMAL, 0, 10, 48), Span(NORMAL, 1, 48, 64)), max_order=4, pageblock_order=3
)
START = learn_owned(all_free(LAYOUT, [(40, 41)]), [(16, 2, UNMOVABLE), (12, 0, UNMOVABLE)])
ISOLATED = apply(START, Retag(24, MigrateType.ISOLATE), Done())
CMA = apply(START, Retag(24, MigrateType.CMA), Done())
FULL = learn_owned(Pages(LAYOUT), [(n * 16, 4, UNMOVABLE) for n in range(4)])


def ask(order: int, highest: ZoneType = NORMAL, node: int | None = None) -> Alloc:
    return Alloc(order, UNMOVABLE, highest, node)


ENOMEM, EINVAL, EBUSY = Failed(Errno.ENOMEM), Failed(Errno.EINVAL), Failed(Errno.EBUSY)

CASES: list[tuple[str, Pages, Op, Observed, Pages, Op, Observed]] = [
    ("double-allocation", START, ask(0), Granted(20), START, ask(3), Granted(16)),
    ("misaligned", START, ask(2), Granted(24), START, ask(2), Granted(26)),
    ("outside-zone", START, ask(0), Granted(63), START, ask(0), Granted(64)),
    ("crosses-zone", START, ask(1), Granted(8), START, ask(2), Granted(8)),
    ("unmanaged", START, ask(0), Granted(41), START, ask(1), Granted(40)),
    ("forbidden-zone", START, ask(0, DMA), Granted(9), START, ask(0, DMA), Granted(10)),
    ("forbidden-node", START, ask(0, node=1), Granted(48), START, ask(0, node=1), Granted(47)),
    ("set-aside", CMA, Alloc(0, MigrateType.MOVABLE, NORMAL), Granted(24), CMA, ask(0), Granted(24)),
    ("set-aside", ISOLATED, ask(0), Granted(32), ISOLATED, ask(0), Granted(31)),
    ("order-range", START, ask(5), ENOMEM, START, ask(5), Granted(0)),
    ("unjustified-failure", START, ask(4, DMA), ENOMEM, START, ask(3, DMA), ENOMEM),
    ("wrong-error", START, ask(5), EINVAL, START, ask(4, DMA), EBUSY),
    ("wrong-error", START, Free(20, 0), EINVAL, START, Free(20, 0), EBUSY),
    ("double-free", START, Free(12, 0), Done(), START, Free(13, 0), Done()),
    ("wrong-order", START, Free(16, 2), Done(), START, Free(16, 1), Done()),
    ("wrong-order", START, Split(16, 1), Done(), START, Split(16, 3), Done()),
    ("not-a-head", START, Free(16, 2), Done(), START, Free(18, 1), Done()),
    ("foreign-free", FULL, Free(48, 4), Done(), START, Free(40, 0), Done()),
    ("foreign-free", START, Free(12, 0), Done(), START, Free(64, 0), Done()),
    ("free-refused", START, Free(12, 1), EINVAL, START, Free(12, 0), EINVAL),
    ("unexpected-answer", START, ask(0), Granted(20), START, ask(0), Done()),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_each_clause_accepts_and_rejects(case: tuple[str, Pages, Op, Observed, Pages, Op, Observed]) -> None:
    name, state, op, observed, bad_state, bad_op, bad_observed = case
    assert permits(state, op, observed) == ()
    assert [refusal.clause for refusal in permits(bad_state, bad_op, bad_observed)] == [f"alloc.page.{name}"]


def test_every_clause_of_the_module_has_a_case() -> None:
    values = {value for name, value in vars(pages).items() if name.isupper() and not name.startswith("_")}
    own = {entry.id for entry in clauses() if entry.id in values}
    assert own == {f"alloc.page.{case[0]}" for case in CASES}


def test_refusals_say_what_is_wrong_with_the_figures() -> None:
    found = permits(START, ask(3, DMA), Granted(16))
    assert [(refusal.clause, refusal.why) for refusal in found] == [
        ("alloc.page.forbidden-zone", "pfn 16 is in node 0, zone Normal; the request permits DMA and below"),
        ("alloc.page.double-allocation", "page 16 is owned at pfn 16, order 2"),
    ]
    assert permits(START, ask(3, DMA), ENOMEM)[0].why == (
        "1 suitable blocks of order 3 are free, the first at pfn 0; 0 may be withheld"
    )
    assert permits(START, Free(18, 1), Done())[0].why == "pfn 18 is inside the block at pfn 16, order 2"


def test_withheld_pages_excuse_a_failure() -> None:
    layout = Layout((Span(NORMAL, 0, 0, 16),), max_order=4, pageblock_order=3, withheld=1)
    assert permits(all_free(layout), ask(4), ENOMEM) == ()
    assert permits(all_free(layout), ask(3), ENOMEM) != ()


def test_an_unknown_page_makes_no_verdict() -> None:
    nothing = Pages(LAYOUT)
    for op, observed in (
        (ask(3), Granted(16)),
        (ask(0), ENOMEM),
        (Free(16, 3), Done()),
        (Free(16, 3), EINVAL),
        (Split(16, 0), Done()),
    ):
        assert permits(nothing, op, observed) == ()
    after = apply(nothing, Free(16, 3), Done())
    assert permits(after, Free(16, 0), Done())[0].clause == "alloc.page.double-free"
    assert permits(after, Free(24, 0), Done()) == ()


def test_a_silent_split_explains_parts_coming_back() -> None:
    split = split_witness(START, Free(18, 1))
    assert split == Split(16, 1)
    after = apply(START, split, Done())
    assert dict(after.heads) == {12: Owned(0, 0), 16: Owned(1, 0), 18: Owned(1, 0)}
    assert permits(after, Free(18, 1), Done()) == ()
    assert split_witness(START, Free(16, 2)) is None
    assert split_witness(START, Free(20, 0)) is None


def test_a_forbidden_answer_is_believed_and_the_rest_becomes_unknown() -> None:
    after = apply(START, ask(0), Granted(17))
    assert dict(after.heads) == {12: Owned(0, 0), 17: Owned(0, 0)}
    assert holder_of(after, 16) is None
    assert permits(after, ask(0), Granted(16)) == ()
    assert permits(after, ask(0), Granted(17)) != ()


def test_a_failed_operation_changes_nothing() -> None:
    for op in (ask(0), Free(16, 2), Split(16, 0), Retag(16, MigrateType.ISOLATE)):
        assert apply(START, op, EINVAL) is START


def test_counts_leave_isolated_pageblocks_out() -> None:
    span = LAYOUT.spans[1]
    assert free_counts(START, span) == (38 - 4 - 1 - 1, 0)
    assert free_counts(ISOLATED, span) == (38 - 4 - 1 - 1 - 8, 0)
    assert free_counts(apply(ISOLATED, Retag(24, None), Done()), span) == free_counts(START, span)
    assert free_counts(Pages(LAYOUT), span) == (0, 38)


def test_layouts_that_cannot_be_are_refused() -> None:
    with pytest.raises(LinuxmmError, match=r"^node 0, zone Normal: 5\.\.9 is empty or starts below pfn 8$"):
        Layout((Span(DMA, 0, 0, 8), Span(NORMAL, 0, 5, 9)))
    with pytest.raises(LinuxmmError, match=r"^pageblock order 9 is outside 0 to 4$"):
        Layout((Span(NORMAL, 0, 0, 8),), max_order=4)


@given(st.data())
def test_granting_what_is_free_is_permitted_and_giving_back_restores(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    state = all_free(layout)
    first = state
    taken: list[tuple[int, int]] = []
    for op in data.draw(st.lists(allocs(layout), max_size=8)):
        choices = free_blocks(state, op.order, op.migratetype, op.highest_zone)
        if not choices:
            assert permits(state, op, ENOMEM) == ()
            continue
        pfn = data.draw(st.sampled_from(choices))
        assert permits(state, op, Granted(pfn)) == ()
        assert permits(state, op, ENOMEM) != ()
        state = apply(state, op, Granted(pfn))
        taken.append((pfn, op.order))
    owned = sum(1 << order for _, order in taken)
    assert sum(free_counts(state, span)[0] for span in layout.spans) == 64 - owned
    for pfn, order in data.draw(st.permutations(taken)):
        assert permits(state, Free(pfn, order), Done()) == ()
        state = apply(state, Free(pfn, order), Done())
        assert permits(state, Free(pfn, order), Done())[0].clause == "alloc.page.double-free"
    assert state == first


@given(st.data())
def test_a_grant_is_permitted_exactly_for_free_blocks(data: st.DataObject) -> None:
    layout = data.draw(layouts())
    owned: list[tuple[int, int, int]] = []
    covered: set[int] = set()
    for pfn, order in data.draw(st.lists(blocks(layout), max_size=6)):
        pages_of = set(range(pfn, pfn + (1 << order)))
        if not pages_of & covered:
            covered |= pages_of
            owned.append((pfn, order, UNMOVABLE))
    state = learn_owned(all_free(layout), owned)
    op = data.draw(allocs(layout))
    permitted = {pfn for pfn in range(64) if not permits(state, op, Granted(pfn))}
    assert permitted == set(free_blocks(state, op.order, op.migratetype, op.highest_zone))
    assert permitted == {
        pfn
        for pfn in range(0, 64, 1 << op.order)
        if (span := layout.span_of(pfn)) is not None
        and span.zone <= op.highest_zone
        and pfn + (1 << op.order) <= span.end
        and not covered & set(range(pfn, pfn + (1 << op.order)))
    }


def test_learning_says_what_is_known() -> None:
    layout = Layout((Span(NORMAL, 0, 0, 16),), max_order=4, pageblock_order=3)
    state = learn_free(learn_owned(Pages(layout), [(4, 1, UNMOVABLE)]), [(0, 2), (8, 0)])
    assert state == Pages(
        layout, state.heads, state.chunks.set(0, Chunk(0b110000, 0b100001111, 0)), state.types
    )
    assert dict(state.heads) == {4: Owned(1, 0)}


@pytest.mark.parametrize("order", [-1, 5, 10**12])
@pytest.mark.parametrize("pfn", [-16, 0, 10**30])
def test_numbers_that_cannot_be_are_refused_and_change_nothing(pfn: int, order: int) -> None:
    assert [refusal.clause for refusal in permits(START, ask(order), Granted(pfn))] == [
        "alloc.page.order-range"
    ]
    assert [refusal.clause for refusal in permits(START, Free(pfn, order), Done())] == [
        "alloc.page.foreign-free"
    ]
    assert apply(START, ask(order), Granted(pfn)) is START
    assert apply(START, Free(pfn, order), Done()) is START
    assert split_witness(START, Free(pfn, order)) is None
    assert apply(START, Split(16, -1), Done()) == START
