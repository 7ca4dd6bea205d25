"""The holes of an address space as a search tree in which each node knows the largest hole below it.

Nodes are numbers; NIL stands for none and has size 0.  The kernel's tree is a red-black tree; what it
promises holds for a tree of any shape, so rotations are left out, and the shape follows from the history.

Linux: mm/vmalloc.c, free_vmap_area_root.  Seed 2.1.3.1 (F035).  5.2 to 6.12.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.spec.large.vmalloc import (
    FULL,
    LEFT_EDGE,
    NO_EDGE,
    NOTHING,
    RIGHT_EDGE,
    augmented,
    fit_type,
    fits,
    largest_below,
    placed,
    search_length,
)

NIL: Final = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """Holes by node: [start, end), links, and the largest size at or below the node."""

    root: int
    start: Map[int, int]
    end: Map[int, int]
    left: Map[int, int]
    right: Map[int, int]
    parent: Map[int, int]
    largest: Map[int, int]


def empty_tree() -> Tree:
    """A tree without holes."""
    nil: Map[int, int] = Map({NIL: 0})
    return Tree(NIL, nil, nil, nil, nil, nil, nil)


def own_size(tree: Tree, node: int) -> int:
    """The size of a node's hole."""
    return tree.end[node] - tree.start[node]


def right_at(tree: Tree, node: int) -> bool:
    """Whether a node knows the largest hole below it."""
    return augmented(
        tree.largest[node],
        own_size(tree, node),
        tree.largest[tree.left[node]],
        tree.largest[tree.right[node]],
    )


def refresh_once(tree: Tree, node: int) -> tuple[Tree, int]:
    """Count anew at one node; then its parent is to be counted, or NIL when nothing changed."""
    counted = largest_below(
        own_size(tree, node), tree.largest[tree.left[node]], tree.largest[tree.right[node]]
    )
    if counted == tree.largest[node]:
        return tree, NIL
    return replace(tree, largest=tree.largest.set(node, counted)), tree.parent[node]


def propagate(tree: Tree, node: int) -> Tree:
    """Count anew from a node upwards, until a node's number stays what it was."""
    while node != NIL:
        tree, node = refresh_once(tree, node)
    return tree


def cut_left(tree: Tree, node: int, size: int) -> Tree:
    """Take `size` from the left edge of a hole; the node is to be counted anew."""
    return replace(tree, start=tree.start.set(node, tree.start[node] + size))


def cut_right(tree: Tree, node: int, start: int) -> Tree:
    """Take everything from `start` on from a hole; the node is to be counted anew."""
    return replace(tree, end=tree.end.set(node, start))


def attach(tree: Tree, node: int, parent: int, on_left: bool, start: int, end: int) -> Tree:
    """Hang a leaf under a node that has no child there; the leaf is to be counted.

    Requires  node is not in the tree
    """
    tree = replace(
        tree,
        start=tree.start.set(node, start),
        end=tree.end.set(node, end),
        left=tree.left.set(node, NIL),
        right=tree.right.set(node, NIL),
        parent=tree.parent.set(node, parent),
        largest=tree.largest.set(node, 0),
    )
    if parent == NIL:
        return replace(tree, root=node)
    if on_left:
        return replace(tree, left=tree.left.set(parent, node))
    return replace(tree, right=tree.right.set(parent, node))


def splice(tree: Tree, node: int) -> Tree:
    """Put a node's only child, or none, in its place; its parent is to be counted anew.

    Requires  the node lacks a child
    """
    child = tree.right[node] if tree.left[node] == NIL else tree.left[node]
    parent = tree.parent[node]
    if child != NIL:
        tree = replace(tree, parent=tree.parent.set(child, parent))
    if parent == NIL:
        return replace(tree, root=child)
    if tree.left[parent] == node:
        return replace(tree, left=tree.left.set(parent, child))
    return replace(tree, right=tree.right.set(parent, child))


def unlink(tree: Tree, node: int) -> Tree:
    """Take a hole out of the tree."""
    if tree.left[node] != NIL and tree.right[node] != NIL:
        following = tree.right[node]
        while tree.left[following] != NIL:
            following = tree.left[following]
        tree = replace(
            tree,
            start=tree.start.set(node, tree.start[following]),
            end=tree.end.set(node, tree.end[following]),
        )
        above = tree.parent[following]
        tree = propagate(splice(tree, following), above)
        return forget(propagate(tree, node), following)
    above = tree.parent[node]
    return forget(propagate(splice(tree, node), above), node)


def forget(tree: Tree, node: int) -> Tree:
    """Drop what is known of a node that is in the tree no more."""
    return replace(
        tree,
        start=tree.start.delete(node),
        end=tree.end.delete(node),
        left=tree.left.delete(node),
        right=tree.right.delete(node),
        parent=tree.parent.delete(node),
        largest=tree.largest.delete(node),
    )


def insert(tree: Tree, start: int, end: int) -> Tree:
    """Add a hole that touches no other.

    Requires  no hole of the tree overlaps it
    """
    parent, on_left, at = NIL, False, tree.root
    while at != NIL:
        parent, on_left = at, end <= tree.start[at]
        at = tree.left[at] if on_left else tree.right[at]
    node = next(number for number in range(1, len(tree.start) + 1) if number not in tree.start)
    return propagate(attach(tree, node, parent, on_left, start, end), node)


def carve(tree: Tree, node: int, start: int, size: int) -> Tree:
    """Take an area out of a hole, in one of the four ways in which it may lie there.

    Requires  the hole holds it
    Source    mm/vmalloc.c:adjust_va_to_fit_type; 5.2 to 6.12
    """
    fit = fit_type(tree.start[node], tree.end[node], start, size)
    if fit == FULL:
        return unlink(tree, node)
    if fit == LEFT_EDGE:
        return propagate(cut_left(tree, node, size), node)
    if fit == RIGHT_EDGE:
        return propagate(cut_right(tree, node, start), node)
    if fit != NO_EDGE:
        raise ValueError(f"hole {tree.start[node]:#x}-{tree.end[node]:#x} does not hold {start:#x}+{size:#x}")
    begins = tree.start[node]
    tree = replace(tree, start=tree.start.set(node, start + size))
    return insert(propagate(tree, node), begins, start)


def merge_or_add(tree: Tree, start: int, end: int) -> Tree:
    """Give a range back: it joins the holes that it touches.

    Source    mm/vmalloc.c:merge_or_add_vmap_area_augment; 5.2 to 6.12
    """
    lower, upper = neighbours(tree, start)
    joins_upper = upper != NIL and tree.start[upper] == end
    if lower != NIL and tree.end[lower] == start:
        if joins_upper:
            end = tree.end[upper]
            tree = unlink(tree, upper)
            lower, _ = neighbours(tree, start)
        return propagate(cut_right(tree, lower, end), lower)
    if joins_upper:
        return propagate(replace(tree, start=tree.start.set(upper, start)), upper)
    return insert(tree, start, end)


def neighbours(tree: Tree, address: int) -> tuple[int, int]:
    """The nodes of the last hole that begins below an address, and of the first one above."""
    lower, upper, at = NIL, NIL, tree.root
    while at != NIL:
        if tree.start[at] < address:
            lower, at = at, tree.right[at]
        else:
            upper, at = at, tree.left[at]
    return lower, upper


def lowest_match(tree: Tree, size: int, align: int, vstart: int, length: int) -> int:
    """The node of the hole that the kernel's walk finds, or NIL.

    length  what a subtree must promise for the walk to go down to it (`search_length`)
    Source  mm/vmalloc.c:find_vmap_lowest_match; 5.2 to 6.12
    """
    node = tree.root
    while node != NIL:
        if tree.largest[tree.left[node]] >= length and vstart < tree.start[node]:
            node = tree.left[node]
            continue
        if fits(tree.start[node], tree.end[node], size, align, vstart):
            return node
        if tree.largest[tree.right[node]] >= length:
            node = tree.right[node]
            continue
        node = tree.parent[node]
        while node != NIL:
            if fits(tree.start[node], tree.end[node], size, align, vstart):
                return node
            if tree.largest[tree.right[node]] >= length and vstart <= tree.start[node]:
                vstart = tree.start[node] + 1
                node = tree.right[node]
                break
            node = tree.parent[node]
    return NIL


def take(tree: Tree, size: int, align: int, vstart: int, vend: int) -> tuple[Tree, int]:
    """Take an area out of the holes; NOTHING when the walk finds none that lies below `vend`.

    Source    mm/vmalloc.c:__alloc_vmap_area; 5.2 to 6.12
    """
    node = lowest_match(tree, size, align, vstart, search_length(size, align, vstart, vend))
    if node == NIL:
        return tree, NOTHING
    start = placed(tree.start[node], align, vstart)
    if start + size > vend:
        return tree, NOTHING
    return carve(tree, node, start, size), start


def holes(tree: Tree) -> tuple[tuple[int, int], ...]:
    """Every hole, in the order of addresses."""
    found: list[tuple[int, int]] = []
    pending: list[int] = []
    at = tree.root
    while at != NIL or pending:
        while at != NIL:
            pending.append(at)
            at = tree.left[at]
        at = pending.pop()
        found.append((tree.start[at], tree.end[at]))
        at = tree.right[at]
    return tuple(found)


def broken(tree: Tree) -> tuple[str, ...]:
    """Clauses that the tree breaks: numbers that are wrong, links that do not meet, holes that touch."""
    found: list[str] = []
    for node in tree.start:
        if node != NIL and not right_at(tree, node):
            found.append(f"large.vmalloc.augmented at {tree.start[node]:#x}")
        children = {tree.left[node], tree.right[node]} - {NIL}
        if any(tree.parent[child] != node for child in children):
            found.append(f"large.vmalloc.tiled: link of {tree.start[node]:#x}")
    listed = holes(tree)
    if any(lower[1] >= upper[0] for lower, upper in itertools.pairwise(listed)):
        found.append("large.vmalloc.tiled: holes touch")
    return tuple(found)
