"""Theorems about SLUB's free objects: the links are a bijection without cycles, and the counts add up.

Ghosts say of each object where it is (in somebody's hands, on the slab's list, on the CPU's list), what
points to it, and how many come after it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, Self

from linuxmm.model.objects.slub_state import END, Slab, following, give_back, load, relink
from linuxmm.proofs.domain import Integer, MapOf, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem

HELD: Final = 0
ON_SLAB: Final = 1
ON_CPU: Final = 2
POP, FREE_HERE, FREE_ELSEWHERE, LOAD = range(4)


class Ints(Protocol):
    """A total map from numbers to numbers."""

    def __getitem__(self, key: Any) -> Any:
        """The value at a key."""

    def set(self, key: Any, value: Any) -> Self:
        """The map with another value at a key."""


IntMap = Annotated[Ints, MapOf((Integer(),), Integer(), END)]
Object = Annotated[int, Integer(least=0)]
Head = Annotated[int, Integer(least=END)]
Count = Annotated[int, Integer(least=0)]


@dataclass(frozen=True, slots=True)
class Ghost:
    """Where objects are, what points to them, and their rank: how many follow."""

    where: Ints
    prev: Ints
    rank: Ints


def linked_at(links: Ints, head: int, ghost: Ghost, place: int, number: int) -> bool:
    """The invariant of one list at one object: what is on it is linked, both ways, and ranks count down."""
    on: bool = ghost.where[number] == place
    after: int = links[number]
    before: int = ghost.prev[number]
    ends: bool = (after == END) & (ghost.rank[number] == 0)
    goes_on: bool = (
        (after >= 0)
        & (ghost.where[after] == place)
        & (ghost.prev[after] == number)
        & (ghost.rank[after] == ghost.rank[number] - 1)
    )
    comes: bool = (before >= 0) & (ghost.where[before] == place) & (links[before] == number)
    holds: bool = (
        implies(on, ends | goes_on)
        & implies(on, (number == head) ^ comes)
        & implies(on, no(head == END) & (ghost.rank[number] >= 0) & (ghost.rank[number] <= ghost.rank[head]))
        & implies(on, (number == head) ^ (ghost.rank[number] < ghost.rank[head]))
        & ((head == END) | (ghost.where[head] == place))
    )
    return holds


def both_at(slab: Slab, cpu_head: int, ghost: Ghost, number: int) -> bool:
    """The invariant of both lists at one object."""
    links: Any = slab.next
    return linked_at(links, slab.head, ghost, ON_SLAB, number) & linked_at(
        links, cpu_head, ghost, ON_CPU, number
    )


def rank_above(ghost: Ghost, head: int) -> int:
    """A rank above that of a list's first object."""
    return 0 if head == END else ghost.rank[head] + 1


def put_first(ghost: Ghost, number: int, head: int, place: int) -> Ghost:
    """The ghosts after an object was put in front of a list."""
    prev = ghost.prev.set(number, END)
    if head != END:
        prev = prev.set(head, number)
    return Ghost(ghost.where.set(number, place), prev, ghost.rank.set(number, rank_above(ghost, head)))


def _premises(slab: Slab, cpu_head: int, ghost: Ghost, places: tuple[int, ...]) -> None:
    for number in places:
        assume(join(both_at, slab, cpu_head, ghost, number))


CHAINS: Final = {
    "links": table({0: 1, 1: END, 2: 3, 3: END}, END),
    "where": table({0: ON_SLAB, 1: ON_SLAB, 2: ON_CPU, 3: ON_CPU}, HELD),
    "prev": table({1: 0, 3: 2}, END),
    "rank": table({0: 1, 2: 1}, 0),
    "slab_head": 0,
    "cpu_head": 2,
}


@theorem(
    "objects.slub.links-step",
    "Taking an object, freeing one here or on another CPU's slab, and loading a slab's list keep both "
    "lists linked both ways without a cycle; what is handed out was free and is on no list any more.",
    proves=(following, relink, give_back, load),
    clauses=("objects.freelist.once", "objects.handed-out-once", "objects.slab.apart"),
    features=("F033",),
    method="inductive",
    bounds="any number of objects, any lists",
    witness={**CHAINS, "step": POP, "number": 5, "other": 3},
    mutants=(
        Mutant(
            give_back, "forgets the list", "with_link(slab, tail, slab.head)", "with_link(slab, tail, END)"
        ),
        Mutant(
            give_back,
            "links the object to itself",
            "with_link(slab, tail, slab.head)",
            "with_link(slab, tail, tail)",
        ),
        Mutant(
            relink,
            "links to the slab's list",
            "with_link(slab, number, head)",
            "with_link(slab, number, slab.head)",
        ),
        Mutant(load, "leaves the list on the slab too", "with_list(slab, END,", "with_list(slab, slab.head,"),
        Mutant(following, "hands the same object out again", "slab.next[number]", "number"),
    ),
)
def links_step(
    links: IntMap,
    where: IntMap,
    prev: IntMap,
    rank: IntMap,
    slab_head: Head,
    cpu_head: Head,
    step: Annotated[int, each(range(4))],
    number: Object,
    other: Object,
) -> bool:
    ghost = Ghost(where, prev, rank)
    before: Any = links
    slab = Slab(0, 9, 0, True, slab_head, before)
    _premises(slab, cpu_head, ghost, (other, number, cpu_head, slab_head, links[other], prev[other]))
    if step == POP:
        assume(no(cpu_head == END))
        _premises(slab, cpu_head, ghost, (links[cpu_head],))
        taken = following(slab, cpu_head)
        after = Ghost(where.set(cpu_head, HELD), prev if taken == END else prev.set(taken, END), rank)
        was_free: bool = where[cpu_head] == ON_CPU
        return join(both_at, slab, taken, after, other) & was_free
    if step == LOAD:
        assume((cpu_head == END) & no(slab_head == END))
        loaded, head = load(slab)
        kept: Any = loaded.next
        return (
            join(linked_at, kept, head, ghost, ON_SLAB, other)
            & (loaded.head == END)
            & no(where[other] == ON_CPU)
        )
    assume(where[number] == HELD)
    if step == FREE_HERE:
        freed = relink(slab, number, cpu_head)
        return join(both_at, freed, number, put_first(ghost, number, cpu_head, ON_CPU), other)
    freed = give_back(slab, number, number, 1)
    return join(both_at, freed, cpu_head, put_first(ghost, number, slab_head, ON_SLAB), other) & (
        freed.head == number
    )


@theorem(
    "objects.slub.counts-step",
    "Objects on the slab's list and those in use are all objects, after every step of the slab.",
    proves=(load, give_back),
    clauses=("objects.slab.count",),
    features=("F033",),
    method="inductive",
    bounds="any number of objects",
    witness={"objects": 8, "listed": 3, "cached": 2, "step": 2},
    mutants=(
        Mutant(give_back, "counts nothing", "slab.inuse - count", "slab.inuse"),
        Mutant(load, "keeps the count", "slab.objects", "slab.inuse"),
        Mutant(give_back, "counts one object", "slab.inuse - count", "slab.inuse - 1"),
    ),
)
def counts_step(objects: Count, listed: Count, cached: Count, step: Annotated[int, each(range(3))]) -> bool:
    links: Any = table({}, END)
    assume(listed + cached <= objects)
    slab = Slab(0, objects, objects - listed, True, 0, links)
    if step == 0:
        assume(listed + cached < objects)
        slab, listed = give_back(slab, 1, 1, 1), listed + 1
    elif step == 1:
        assume(cached == 0)
        slab, _ = load(slab)
        listed, cached = 0, listed
    else:
        assume(cached > 0)
        slab, listed, cached = give_back(slab, 1, 2, cached), listed + cached, 0
    return (slab.inuse + listed == slab.objects) & (slab.inuse >= cached) & (slab.objects == objects)


@theorem(
    "objects.slub.give-back",
    "A CPU's list that is put in front of its slab's own leaves one list, linked both ways without a cycle, "
    "with the objects of both.",
    proves=(give_back,),
    clauses=("objects.freelist.once",),
    features=("F033",),
    method="inductive",
    bounds="any number of objects, any two lists",
    witness={**CHAINS, "tail": 3, "other": 3},
    mutants=(
        Mutant(give_back, "loses the slab's list", "with_link(slab, tail, slab.head)", "slab"),
        Mutant(give_back, "makes a ring", "with_link(slab, tail, slab.head)", "with_link(slab, tail, head)"),
        Mutant(give_back, "begins with the last", " head, slab.inuse", " tail, slab.inuse"),
    ),
)
def gives_back(
    links: IntMap,
    where: IntMap,
    prev: IntMap,
    rank: IntMap,
    slab_head: Head,
    cpu_head: Head,
    tail: Object,
    other: Object,
) -> bool:
    ghost = Ghost(where, prev, rank)
    before: Any = links
    slab = Slab(0, 9, 0, True, slab_head, before)
    _premises(slab, cpu_head, ghost, (other, tail, cpu_head, slab_head, links[other], prev[other]))
    assume(no(cpu_head == END) & (where[tail] == ON_CPU) & (links[tail] == END))
    ends_too: bool = (where[other] == ON_CPU) & (links[other] == END)
    assume(implies(ends_too, other == tail))  # ranks count from one head, so a list has one end
    after = give_back(slab, cpu_head, tail, 1)
    if no((where[other] == ON_CPU) | (where[other] == ON_SLAB)):
        return after.head == cpu_head
    kept: Any = after.next
    follows: int = kept[other]
    lift = rank_above(ghost, slab_head)

    def height(number: int) -> int:
        lifted: int = ghost.rank[number] + lift
        return lifted if where[number] == ON_CPU else ghost.rank[number]

    if follows == END:
        return (after.head == cpu_head) & (height(other) == 0)
    back: int = tail if follows == slab_head else prev[follows]
    on: bool = (where[follows] == ON_CPU) | (where[follows] == ON_SLAB)
    return on & (back == other) & (height(follows) == height(other) - 1) & no(follows == after.head)
