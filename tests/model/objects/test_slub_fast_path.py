"""The fast path under every order of steps: sound with the transaction id, and not without it."""

from linuxmm.model.objects.slub_fast_path import ALLOC, END, FREE_FIRST, explore, start, step
from linuxmm.spec.step import Refusal

VICTIM = (ALLOC, ALLOC)
OTHER = (ALLOC, ALLOC, FREE_FIRST)


def test_with_the_transaction_id_no_order_hands_an_object_out_twice() -> None:
    for programs in ((VICTIM, OTHER), (VICTIM, VICTIM), ((ALLOC, FREE_FIRST), (ALLOC, FREE_FIRST), (ALLOC,))):
        found = explore(start(3, programs))
        assert (found.trace, found.broken) == ((), None)
        assert found.states > 100


def test_without_it_an_object_that_came_back_deceives() -> None:
    found = explore(start(3, (VICTIM, OTHER)), with_tid=False)
    assert found.broken == Refusal("objects.handed-out-once", "in hands: [0, 1], on the list: [1, 2]")
    assert found.trace == (
        "thread 0: alloc step 1",
        "thread 0: alloc step 2",
        *(f"thread 1: alloc step {n}" for n in (1, 2, 3, 1, 2, 3)),
        *(f"thread 1: free step {n}" for n in (1, 2, 3)),
        "thread 0: alloc step 3",
    )


def test_two_allocations_alone_need_no_id() -> None:
    assert explore(start(3, ((ALLOC,), (ALLOC,))), with_tid=False).broken is None


def test_alone_a_thread_takes_objects_in_order_and_finds_the_end() -> None:
    cpu = start(1, ((ALLOC, ALLOC),))
    for _ in range(5):
        cpu = step(cpu, 0)
    assert (cpu.head, cpu.tid, cpu.threads[0].held, cpu.threads[0].todo) == (END, 1, (0,), ())
