"""Gathering pages for a flush: order, sizes of the bundles, nested unmapping."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.vm.gather import (
    BUNDLE,
    EVERYTHING,
    MOST_BATCHES,
    PER_BATCH,
    Freed,
    Gather,
    TlbFlush,
    finish,
    flush,
    freed_after_flush,
    pages_before_flush,
    remove_page,
    remove_table,
)
from linuxmm.spec.step import Event, Step

PAGE = 4096


@dataclass
class Run:
    """An unmapping with the events so far."""

    gather: Gather
    events: tuple[Event, ...] = ()

    def do(self, step: Step[Gather, None]) -> None:
        self.gather = step.state
        self.events += step.events


def test_one_flush_for_many_pages() -> None:
    run = Run(Gather())
    for page in range(600):
        run.do(remove_page(run.gather, page * PAGE, PAGE, 1000 + page))
    assert not run.events
    run.do(finish(run.gather))
    assert run.events == (
        TlbFlush(0, 600 * PAGE, False),
        Freed(tuple(range(1000, 1600)), False),
    )
    assert run.gather == Gather()


def test_a_flush_when_the_batches_are_full() -> None:
    most = pages_before_flush(MOST_BATCHES)
    assert most == BUNDLE + PER_BATCH * 19
    run = Run(Gather())
    for page in range(most):
        run.do(remove_page(run.gather, page * PAGE, PAGE, page))
    assert [type(event) for event in run.events] == [TlbFlush, Freed]
    assert run.gather.pages == ()


def test_without_memory_for_a_batch_a_flush_every_eight_pages() -> None:
    run = Run(Gather())
    for page in range(BUNDLE):
        run.do(remove_page(run.gather, page * PAGE, PAGE, page, memory=False))
    assert run.events == (TlbFlush(0, BUNDLE * PAGE, False), Freed(tuple(range(BUNDLE)), False))


def test_tables_make_the_flush_say_so() -> None:
    run = Run(Gather())
    run.do(remove_page(run.gather, 0, PAGE, 7))
    run.do(remove_table(run.gather, 0, 512 * PAGE, 70))
    run.do(finish(run.gather))
    assert run.events == (TlbFlush(0, 512 * PAGE, True), Freed((70,), True), Freed((7,), False))
    alone = remove_table(Gather(), 0, PAGE, 5, memory=False)
    assert alone.events == (TlbFlush(0, PAGE, True), Freed((5,), True))


def test_beside_others_everything_is_flushed_even_if_nothing_was_gathered() -> None:
    assert finish(Gather()).events == ()
    assert finish(Gather(), beside_others=True).events == (TlbFlush(*EVERYTHING, False),)
    whole = remove_page(Gather(whole=True), 0, PAGE, 3).state
    assert finish(whole).events == (TlbFlush(*EVERYTHING, False), Freed((3,), False))


OPERATIONS = st.lists(st.tuples(st.sampled_from(["page", "table", "flush"]), st.booleans()), max_size=40)


@settings(max_examples=80, deadline=None)
@given(OPERATIONS, st.booleans())
def test_nothing_is_freed_before_its_flush(operations: list[tuple[str, bool]], nested: bool) -> None:
    run = Run(Gather())
    unmapped: dict[int, int] = {}
    times: list[tuple[int, Event]] = []
    for at, (what, memory) in enumerate(operations):
        before = len(run.events)
        if what == "flush":
            run.do(flush(run.gather))
        else:
            unmapped[at] = 10 * at
            verb = remove_page if what == "page" else remove_table
            run.do(verb(run.gather, at * PAGE, PAGE, at, memory))
        times += [(10 * at + 1 + n, event) for n, event in enumerate(run.events[before:])]
    before = len(run.events)
    run.do(finish(run.gather, nested))
    end = 10 * len(operations)
    times += [(end + n, event) for n, event in enumerate(run.events[before:])]
    freed: list[int] = []
    for time, event in times:
        if isinstance(event, Freed):
            for frame in event.frames:
                flushes = [t for t, e in times if isinstance(e, TlbFlush) and unmapped[frame] < t < time]
                assert flushes
                assert freed_after_flush(unmapped[frame], flushes[-1], time)
                assert any(
                    isinstance(e, TlbFlush) and e.start <= frame * PAGE < e.end
                    for t, e in times
                    if t in flushes
                )
                freed.append(frame)
    assert sorted(freed) == sorted(unmapped)


def test_freeing_before_the_flush_is_refused() -> None:
    assert not freed_after_flush(1, 3, 2)
    assert not freed_after_flush(2, 1, 3)
