"""First fit and best fit keep the heap whole and take what their names say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.model.alloc.heap import Choice, best_fit, empty_heap, first_fit, give, take
from linuxmm.spec.alloc.heap import heap_coalesced, heap_partition, is_best_fit, is_first_fit
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.step import Err, Errno


@pytest.mark.parametrize(("choose", "chosen"), [(first_fit, is_first_fit), (best_fit, is_best_fit)])
@given(ops=st.lists(st.tuples(st.booleans(), st.integers(1, 12)), max_size=40))
def test_every_run_keeps_the_heap_whole(choose: Choice, chosen, ops: list[tuple[bool, int]]) -> None:  # type: ignore[no-untyped-def]
    heap = empty_heap(48)
    for takes, n in ops:
        if takes:
            step = take(heap, n, choose)
            if isinstance(step.result, Err):
                assert step.result == Err(Errno.ENOMEM)
                assert max((length for _, length in heap.free), default=0) < n
            else:
                assert chosen(heap.free, n, step.result)
            heap = step.state
        elif heap.used:
            heap = give(heap, sorted(heap.used)[n % len(heap.used)]).state
        assert heap_partition(heap.size, heap.free, list(heap.used.items()))
        assert heap_coalesced(heap.free)
    for start in sorted(heap.used):
        heap = give(heap, start).state
    assert heap == empty_heap(48)


def test_first_fit_and_best_fit_differ() -> None:
    heap = empty_heap(20)
    for length in (8, 1, 3, 1):
        heap = take(heap, length, first_fit).state
    heap = give(give(heap, 0).state, 9).state
    assert heap.free == ((0, 8), (9, 3), (13, 7))
    assert take(heap, 3, first_fit).result == 0
    assert take(heap, 3, best_fit).result == 9


def test_misuse_is_refused() -> None:
    with pytest.raises(LinuxmmError, match="no range in use starts at page 3"):
        give(empty_heap(8), 3)
    with pytest.raises(LinuxmmError, match="a heap of 0 pages"):
        empty_heap(0)


def test_broken_heaps_are_noticed() -> None:
    assert not heap_partition(8, [(0, 4)], [(3, 5)])
    assert not heap_partition(8, [(0, 4)], [])
    assert not heap_coalesced([(0, 4), (4, 2)])
    assert not is_first_fit([(0, 4), (8, 4)], 3, 8)
    assert not is_best_fit([(0, 9), (16, 4)], 3, 0)
