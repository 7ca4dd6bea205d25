"""The tree of holes: it finds the lowest fit in every shape, and every node knows the largest hole below."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from linuxmm.model.large.hole_tree import (
    NIL,
    Tree,
    broken,
    carve,
    empty_tree,
    holes,
    insert,
    merge_or_add,
    neighbours,
    take,
)
from linuxmm.spec.large.vmalloc import NOTHING, lowest_start, permitted_starts, surely_found
from linuxmm.spec.vocabulary import PAGE_SIZE

PAGE = PAGE_SIZE


def tree_of(ranges: tuple[tuple[int, int], ...]) -> Tree:
    """Holes given in pages, inserted in this order."""
    tree = empty_tree()
    for start, end in ranges:
        tree = insert(tree, start * PAGE, end * PAGE)
    return tree


SPREAD = ((1, 2), (3, 6), (8, 13), (15, 16), (18, 27))


@pytest.mark.parametrize("order", list(permutations(SPREAD))[::3])
def test_every_shape_gives_a_permitted_place(order: tuple[tuple[int, int], ...]) -> None:
    tree = tree_of(order)
    listed = holes(tree)
    assert listed == tuple((a * PAGE, b * PAGE) for a, b in SPREAD)
    assert broken(tree) == ()
    for size in (PAGE, 2 * PAGE, 4 * PAGE, 9 * PAGE, 10 * PAGE):
        for vstart in (0, 4 * PAGE, 10 * PAGE, 20 * PAGE):
            _, found = take(tree, size, PAGE, vstart, 99 * PAGE)
            assert found == lowest_start(listed, size, PAGE, vstart, 99 * PAGE)
            for align in (2 * PAGE, 8 * PAGE):
                after, found = take(tree, size, align, vstart, 99 * PAGE)
                allowed = permitted_starts(listed, size, align, vstart, 99 * PAGE)
                assert found in allowed or (found == NOTHING and size + align > 9 * PAGE), (size, align)
                for known in ((hole,) for hole in listed):
                    sure = surely_found(known, size, align, vstart, 99 * PAGE)
                    assert sure == NOTHING or NOTHING < found <= sure
                assert broken(after) == ()


@pytest.mark.parametrize(
    ("start", "size", "left"),
    [
        (8, 5, ((1, 2), (3, 6), (15, 16), (18, 27))),
        (8, 2, ((1, 2), (3, 6), (10, 13), (15, 16), (18, 27))),
        (11, 2, ((1, 2), (3, 6), (8, 11), (15, 16), (18, 27))),
        (9, 2, ((1, 2), (3, 6), (8, 9), (11, 13), (15, 16), (18, 27))),
    ],
)
def test_the_four_fits(start: int, size: int, left: tuple[tuple[int, int], ...]) -> None:
    for order in permutations(SPREAD):
        tree = tree_of(order)
        lower, _ = neighbours(tree, start * PAGE + 1)
        after = carve(tree, lower, start * PAGE, size * PAGE)
        assert holes(after) == tuple((a * PAGE, b * PAGE) for a, b in left)
        assert broken(after) == ()


def test_a_hole_that_does_not_hold_the_area_is_refused() -> None:
    tree = tree_of(((1, 2),))
    with pytest.raises(ValueError, match=r"hole 0x1000-0x2000 does not hold 0x1000\+0x2000"):
        carve(tree, tree.root, PAGE, 2 * PAGE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5), st.sampled_from((1, 2, 4)), st.integers(0, 99))))
def test_any_history_keeps_the_tree(steps: list[tuple[bool, int, int, int]]) -> None:
    tree = tree_of(((0, 40),))
    out: list[tuple[int, int]] = []
    for takes, size, align, at in steps:
        if takes or not out:
            after, start = take(tree, size * PAGE, align * PAGE, 0, 40 * PAGE)
            if start != NOTHING:
                tree = after
                out.append((start, start + size * PAGE))
        else:
            start, end = out.pop(at % len(out))
            tree = merge_or_add(tree, start, end)
        assert broken(tree) == ()
        edges = sorted([*holes(tree), *out])
        assert edges[0][0] == 0
        assert edges[-1][1] == 40 * PAGE
        assert all(a[1] == b[0] for a, b in pairwise(edges))


def test_damage_is_found() -> None:
    tree = tree_of(((1, 2), (3, 4)))
    wrong = Tree(**{**{n: getattr(tree, n) for n in Tree.__slots__}, "largest": tree.largest.set(1, 9)})
    assert broken(wrong) == ("large.vmalloc.augmented at 0x1000",)
    loose = Tree(**{**{n: getattr(tree, n) for n in Tree.__slots__}, "parent": tree.parent.set(2, NIL)})
    assert broken(loose) == ("large.vmalloc.tiled: link of 0x1000",)
    touching = Tree(**{**{n: getattr(tree, n) for n in Tree.__slots__}, "end": tree.end.set(1, 3 * PAGE)})
    assert broken(touching) == (
        "large.vmalloc.augmented at 0x1000",
        "large.vmalloc.tiled: holes touch",
    )
    assert isinstance(tree.left, Map)
