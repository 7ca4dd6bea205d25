"""Theorems about SLUB's transaction id: an exchange that takes place finds the list as it was read.

Any thread's step is its own or another's, so two threads stand for any number: the one looked at, and one
that steps in between.  Ghosts say where objects are, as in `links`, and count the operations that were made.
Transaction ids are integers here; the kernel's come round after 2**64 operations.
"""

from typing import Annotated, Any, Final

from linuxmm.model.objects.slub_fast_path import ALLOC, END, Cpu, Thread, exchanges, step
from linuxmm.proofs.domain import Integer, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.objects.links import ON_CPU, Ghost, Head, IntMap, Object, linked_at, put_first
from linuxmm.proofs.theorem import assume, implies, join, no, theorem

Count = Annotated[int, Integer(least=0)]
OWNER: Final = 10
"""Where an object is that the first thread holds; OWNER + 1 for the other."""
READ, LINKED = 1, 2


def as_read(cpu: Cpu, at: int, made: int, made_when_read: int) -> bool:
    """What a thread knows of the list it has read: all of it still holds if the id is the one that it read.

    made, made_when_read  operations made on the CPU until now, and until the thread read the list
    """
    thread = cpu.threads[at]
    if thread.stage == 0:
        return True
    same: bool = cpu.tid == thread.tid
    holds: bool = (
        (thread.tid <= cpu.tid)
        & (made - made_when_read == cpu.tid - thread.tid)
        & implies(same, thread.head == cpu.head)
    )
    if thread.stage == READ:
        return holds
    if thread.todo[0] == ALLOC:
        return holds & no(thread.head == END) & implies(same, thread.after == cpu.next[thread.head])
    return holds & (cpu.next[thread.held[0]] == thread.head)


def thread_of(kind: int, stage: int, tid: int, head: int, after: int, held: int) -> Thread:
    """A thread with one operation to make and one object in hand."""
    return Thread((kind,), stage, tid, head, after, (held,))


def finished(before: Thread, after: Thread) -> bool:
    """Whether a step changed the list: the last step of an operation that took place."""
    return before.stage == LINKED and len(after.todo) < len(before.todo)


def _list_premises(cpu: Cpu, ghost: Ghost, places: tuple[int, ...]) -> None:
    links: Any = cpu.next
    for number in places:
        assume(join(linked_at, links, cpu.head, ghost, ON_CPU, number))


_WITNESS: Final = {
    "links": table({0: 1, 1: END}, END),
    "where": table({0: ON_CPU, 1: ON_CPU, 5: OWNER, 6: OWNER + 1}, 0),
    "prev": table({1: 0}, END),
    "rank": table({0: 1}, 0),
    "head": 0,
    "tid": 7,
    "made": 7,
    "kind": ALLOC,
    "my_tid": 7,
    "my_head": 0,
    "my_after": 1,
    "mine": 5,
    "made_read": 7,
}


@theorem(
    "objects.slub.tid-holds",
    "Whatever any thread of the CPU does, what a thread has read of the list is so as long as the "
    "transaction id is what it read; and the id has grown by the number of operations made since.",
    proves=(step, exchanges),
    clauses=("objects.handed-out-once",),
    features=("F033",),
    method="inductive",
    bounds="any number of threads, steps and objects; ids that do not come round",
    witness={
        **_WITNESS,
        "stage": LINKED,
        "who": 1,
        "other_kind": ALLOC,
        "other_stage": LINKED,
        "other_tid": 7,
        "other_head": 0,
        "other_after": 1,
        "others": 6,
        "other_made": 7,
    },
    mutants=(
        Mutant(
            step,
            "a release leaves the id as it is",
            "head=thread.held[0], tid=cpu.tid + 1",
            "head=thread.held[0]",
        ),
        Mutant(
            step,
            "an allocation leaves the id as it is",
            "head=thread.after, tid=cpu.tid + 1",
            "head=thread.after",
        ),
        Mutant(step, "does not read the id", "tid=cpu.tid, head=cpu.head", "head=cpu.head"),
    ),
)
def tid_holds(
    links: IntMap,
    where: IntMap,
    prev: IntMap,
    rank: IntMap,
    head: Head,
    tid: Count,
    made: Count,
    kind: Annotated[int, each(range(2))],
    stage: Annotated[int, each(range(3))],
    my_tid: Count,
    my_head: Head,
    my_after: Head,
    mine: Object,
    made_read: Count,
    who: Annotated[int, each(range(2))],
    other_kind: Annotated[int, each(range(2))],
    other_stage: Annotated[int, each(range(3))],
    other_tid: Count,
    other_head: Head,
    other_after: Head,
    others: Object,
    other_made: Count,
) -> bool:
    ghost = Ghost(where, prev, rank)
    symbolic: Any = links
    threads = (
        thread_of(kind, stage, my_tid, my_head, my_after, mine),
        thread_of(other_kind, other_stage, other_tid, other_head, other_after, others),
    )
    cpu = Cpu(head, tid, symbolic, threads)
    assume((where[mine] == OWNER) & (where[others] == OWNER + 1))
    _list_premises(cpu, ghost, (head,))
    assume(join(as_read, cpu, 0, made, made_read) & join(as_read, cpu, 1, made, other_made))
    after = step(cpu, who)
    if finished(threads[who], after.threads[who]):
        made = made + 1
    if who == 0 and after.threads[0].stage == READ:
        made_read = made
    if not after.threads[0].todo:
        return True
    return join(as_read, after, 0, made, made_read)


@theorem(
    "objects.slub.tid-exchange",
    "An exchange takes place only if no operation was made on the CPU since the list was read; then the "
    "object that is taken was free and is on the list no more, and the list stays linked, without a cycle.",
    proves=(exchanges, step),
    clauses=("objects.handed-out-once", "objects.freelist.once", "objects.slab.apart"),
    features=("F033",),
    method="inductive",
    bounds="any number of threads, steps and objects; ids that do not come round",
    witness={**_WITNESS, "number": 1},
    mutants=(
        Mutant(
            exchanges,
            "compares the first object alone",
            "head == head_read and tid == tid_read",
            "head == head_read",
        ),
        Mutant(exchanges, "compares nothing", "head == head_read and tid == tid_read", "True"),
        Mutant(step, "leaves the object on the list", "head=thread.after", "head=cpu.head"),
    ),
)
def tid_exchange(
    links: IntMap,
    where: IntMap,
    prev: IntMap,
    rank: IntMap,
    head: Head,
    tid: Count,
    made: Count,
    kind: Annotated[int, each(range(2))],
    my_tid: Count,
    my_head: Head,
    my_after: Head,
    mine: Object,
    made_read: Count,
    number: Object,
) -> bool:
    ghost = Ghost(where, prev, rank)
    symbolic: Any = links
    before = thread_of(kind, LINKED, my_tid, my_head, my_after, mine)
    cpu = Cpu(head, tid, symbolic, (before,))
    assume((where[mine] == OWNER) & join(as_read, cpu, 0, made, made_read))
    _list_premises(cpu, ghost, (number, head, mine, links[head], links[number], prev[number]))
    after = step(cpu, 0)
    kept: Any = after.next
    if not finished(before, after.threads[0]):
        return join(linked_at, kept, after.head, ghost, ON_CPU, number)
    undisturbed: bool = made == made_read
    if kind == ALLOC:
        taken = after.threads[0].held[-1]
        was_free: bool = where[taken] == ON_CPU
        follows = after.head
        now = Ghost(where.set(taken, OWNER), prev if follows == END else prev.set(follows, END), rank)
        return undisturbed & was_free & join(linked_at, kept, follows, now, ON_CPU, number)
    now = put_first(ghost, mine, head, ON_CPU)
    return undisturbed & join(linked_at, kept, after.head, now, ON_CPU, number)
