"""Groups: shared walks, protection through a tree, removal in its eras."""

import pytest

from linuxmm.model.memcg.counter import NOBODY
from linuxmm.model.memcg.groups import (
    Owned,
    Place,
    Settings,
    Walk,
    effective,
    largest_over_soft,
    move_charge,
    preorder,
    protections,
    visit,
)
from linuxmm.model.vm.explore import search
from linuxmm.spec.kernel import kernel
from linuxmm.spec.memcg.protection import LOW, MIN, NONE
from linuxmm.spec.step import Refusal

NEW = kernel("6.1")
State = tuple[Place, tuple[Walk, ...], tuple[bool, ...], tuple[int, ...]]
PARENT = (NOBODY, 0, 1, 1, 0)


def test_order() -> None:
    assert preorder(PARENT, 0) == (0, 1, 2, 3, 4)
    assert preorder((NOBODY, 0, 0, 1), 0) == (0, 1, 3, 2)
    assert preorder(PARENT, 1) == (1, 2, 3)


def test_two_walks_at_once_share_a_round_in_every_order() -> None:
    """Groups are visited in turn, whoever walks; one that begins at the end goes on at the top."""
    order = preorder(PARENT, 0)

    def steps(state: State) -> list[tuple[str, State]]:
        place, walks, ended, seen = state
        found = []
        for at, walk in enumerate(walks):
            if not ended[at]:
                moved, after, group = visit(order, place, walk)
                over = (*ended[:at], group == NOBODY, *ended[at + 1 :])
                visited = () if moved.generation != place.generation else seen
                visited = visited if group == NOBODY else (*seen, group)
                found.append(
                    (f"{at}: {group}", (moved, (*walks[:at], after, *walks[at + 1 :]), over, visited))
                )
        return found

    def judge(state: State) -> Refusal | None:
        place, _, _, seen = state
        if place.generation == 0 and seen != tuple(order[at % len(order)] for at in range(len(seen))):
            return Refusal("memcg.walk", f"visited {seen}")
        return None

    start: State = (Place(), (Walk(), Walk()), (False, False), ())
    found = search(start, steps, judge)
    assert (found.trace, found.broken) == ((), None)
    assert found.states > 20


def test_a_walk_whose_round_another_ended_stops() -> None:
    place, walk, group = visit((0, 1), Place(1, 3), Walk(0, 2))
    assert (place, walk, group) == (Place(1, 3), Walk(0, 2), NOBODY)
    assert visit((0, 1), Place(1, 3), Walk(1, 3)) == (Place(NOBODY, 4), Walk(1, 3), NOBODY)
    assert visit((0, 1), Place(1, 3), Walk())[2] == 0


def test_protection_through_a_tree() -> None:
    usage = (100, 80, 50, 30, 20)
    low = (0, 40, 40, 40, 30)
    assert effective(NEW, PARENT, usage, low, 0) == (0, 40, 22, 17, 30)
    assert effective(kernel("5.4"), PARENT, usage, low, 0) == (0, 40, 40, 40, 30)
    assert effective(NEW, PARENT, usage, low, 1) == (0, 0, 40, 40, 0)
    assert protections(NEW, PARENT, usage, Settings((0,) * 5, low), 0) == (NONE, NONE, NONE, NONE, LOW)
    assert protections(NEW, PARENT, usage, Settings(low, low), 0)[4] == MIN
    assert effective(NEW, PARENT, (100, 80, 0, 30, 20), low, 0)[2] == 0


def test_removal_through_the_eras() -> None:
    state = Owned((NOBODY, 0, 1), (1, 2, 3), (10, 20, 30), (True, True, True))
    seen = {}
    for version in ("2.6.39", "3.19", "5.9"):
        after = kernel(version).behaviour("memcg.offline").function(state, 2)
        assert isinstance(after, Owned)
        seen[version] = (after.pages, after.objects, after.online[2])
    assert seen == {
        "2.6.39": ((1, 5, 0), (10, 50, 0), False),
        "3.19": ((1, 2, 3), (10, 20, 30), False),
        "5.9": ((1, 2, 3), (10, 50, 0), False),
    }
    with pytest.raises(ValueError, match="group 1 has children or is the root: rmdir is refused"):
        NEW.behaviour("memcg.offline").function(state, 1)
    assert move_charge(state, 2, 1, 3, True).pages == (1, 5, 0)
    assert move_charge(state, 2, 1, 3, False) == state


def test_soft_limits() -> None:
    assert largest_over_soft((9, 20, 30), (9, 10, 25)) == 1
    assert largest_over_soft((9, 20, 30), (9, 20, 30)) == NOBODY
