"""What an object allocator may answer: every clause with an answer that keeps it and one that breaks it."""

import pytest
from immutables import Map

from linuxmm.spec.objects import heap
from linuxmm.spec.objects.heap import (
    Answer,
    Create,
    Destroy,
    Get,
    Held,
    Memory,
    Op,
    Put,
    Resize,
    Usable,
    apply,
    granted,
    kmalloc_align,
    permits,
    permits_slab,
    permits_spans,
)
from linuxmm.spec.step import Errno

EMPTY = Memory(65536, 1 << 16)
USED = Memory(
    65536, 1 << 16, Map({65536: Held(96, ""), 69632: Held(40, "a")}), Map({"a": (40, 64), "b": (8, 8)})
)


@pytest.mark.parametrize(
    ("memory", "op", "good", "bad", "clause"),
    [
        (USED, Get(90), 65632, 65536 + 88, heap.DOUBLE),
        (EMPTY, Get(90), 65536, 65528, heap.OUTSIDE),
        (EMPTY, Get(90), 65536, 65540, heap.ALIGNED),
        (EMPTY, Get(64), 65536 + 64, 65536 + 32, heap.ALIGNED),
        (USED, Get(0, "a"), 69632 + 64, 69632 + 80, heap.ALIGNED),
        (EMPTY, Get(0), 16, 65536, heap.ZERO_SIZE),
        (USED, Get(90), Errno.ENOMEM, Errno.EINVAL, heap.UNJUSTIFIED),
        (EMPTY, Get(8192), 65536, Errno.ENOMEM, heap.UNJUSTIFIED_FAILURE),
        (USED, Put(65536), None, Errno.EINVAL, heap.UNJUSTIFIED),
        (USED, Put(65544), Errno.EINVAL, None, heap.DOUBLE_FREE),
        (USED, Put(16), None, Errno.EINVAL, heap.UNJUSTIFIED),
        (USED, Put(69632, "b"), Errno.EINVAL, None, heap.WRONG_CACHE),
        (USED, Put(69632, "a"), None, Errno.EINVAL, heap.UNJUSTIFIED),
        (USED, Usable(65536), 96, 128, heap.GRANTED),
        (USED, Usable(65544), Errno.EINVAL, 96, heap.DOUBLE_FREE),
        (USED, Resize(65536, 80), 65536, Errno.ENOMEM, heap.UNJUSTIFIED),
        (USED, Resize(65536, 200), 65536 + 256, 65536, heap.DOUBLE),
        (USED, Resize(65536, 0), 16, 65536, heap.ZERO_SIZE),
        (USED, Create("c", 8, 8), None, Errno.EEXIST, heap.UNJUSTIFIED),
        (USED, Create("a", 8, 8), Errno.EEXIST, None, heap.UNJUSTIFIED),
        (USED, Destroy("a"), Errno.EBUSY, None, heap.BUSY),
        (USED, Destroy("b"), None, Errno.EBUSY, heap.UNJUSTIFIED),
    ],
)
def test_each_clause(memory: Memory, op: Op, good: Answer, bad: Answer, clause: str) -> None:
    assert permits(memory, op, good) is None
    refusal = permits(memory, op, bad)
    assert refusal is not None
    assert refusal.clause == clause


def test_what_follows_an_answer() -> None:
    after = apply(USED, Get(90), 65632)
    assert after.held[65632] == Held(96, "")
    assert apply(after, Put(65632), None) == USED
    assert apply(USED, Put(16), None) == USED
    assert apply(USED, Get(90), Errno.ENOMEM) == USED
    assert apply(USED, Usable(65536), 96) == USED
    moved = apply(USED, Resize(65536, 200), 65792)
    assert dict(moved.held) == {65792: Held(256, ""), 69632: Held(40, "a")}
    assert apply(USED, Resize(65536, 8), 65536) == USED
    assert dict(apply(USED, Resize(65536, 0), 16).held) == {69632: Held(40, "a")}
    assert apply(USED, Get(0, "b"), 65632).held[65632] == Held(8, "b")
    assert apply(USED, Create("c", 20, 32), None).caches["c"] == (20, 32)
    assert "b" not in apply(USED, Destroy("b"), None).caches


def test_what_is_granted() -> None:
    assert [granted(size) for size in (0, 1, 90, 129, 8192, 8193)] == [0, 8, 96, 192, 8192, 16384]
    assert [kmalloc_align(size) for size in (1, 90, 128, 8192, 20000)] == [8, 8, 128, 4096, 4096]


def test_slabs() -> None:
    def found(objects: int, free: tuple[int, ...]) -> str | None:
        refusal = permits_slab(USED, 65536, 96, objects, free)
        return None if refusal is None else refusal.clause

    assert found(3, (1, 2)) is None
    assert found(3, (1, 1)) == "objects.freelist.once"
    assert found(3, (1, 3)) == "objects.freelist.once"
    assert found(3, (0, 1, 2)) == "objects.slab.apart"
    assert found(3, (1,)) == "objects.slab.apart"
    assert permits_spans(USED, ((65536, 4096), (69632, 64))) is None
    refusals = [
        permits_spans(USED, ((65536, 4128), (69632, 64))),
        permits_spans(USED, ((65536, 1 << 17),)),
        permits_spans(USED, ((0, 8),)),
    ]
    assert [refusal and refusal.clause for refusal in refusals] == [heap.DOUBLE, heap.OUTSIDE, heap.DOUBLE]
