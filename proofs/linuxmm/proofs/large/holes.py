"""Theorems about vmalloc's holes: fits cut what is asked for, and nodes know the largest hole below."""

from typing import Annotated, Any, Final, Protocol, Self

from linuxmm.model.large.hole_tree import (
    NIL,
    Tree,
    attach,
    cut_left,
    cut_right,
    own_size,
    refresh_once,
    right_at,
    splice,
)
from linuxmm.proofs.domain import Integer, MapOf, Truth, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.large.vmalloc import (
    FULL,
    LEFT_EDGE,
    NO_EDGE,
    NO_FIT,
    RIGHT_EDGE,
    apart,
    area_size,
    augmented,
    fit_type,
    fits,
    guard_kept,
    largest_below,
    placed,
    search_length,
)
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


class Ints(Protocol):
    """A total map from numbers to numbers."""

    def __getitem__(self, key: Any) -> Any:
        """The value at a key."""

    def set(self, key: Any, value: Any) -> Self:
        """The map with another value at a key."""


IntMap = Annotated[Ints, MapOf((Integer(),), Integer(least=0), 0)]
Node = Annotated[int, Integer(least=1)]
Link = Annotated[int, Integer(least=0)]
Address = Annotated[int, Integer(least=0)]
Size = Annotated[int, Integer(least=1)]
Pages = Annotated[int, Integer(least=0)]
CUT_LEFT, CUT_RIGHT, HANG, SPLICE = range(4)

TREE: Final = {
    "start": table({1: 10, 2: 0, 3: 20}, 0),
    "end": table({1: 15, 2: 4, 3: 29}, 0),
    "left": table({1: 2}, 0),
    "right": table({1: 3}, 0),
    "parent": table({2: 1, 3: 1}, 0),
    "largest": table({1: 9, 2: 4, 3: 9}, 0),
}


def linked_at(tree: Tree, node: int) -> bool:
    """Whether the links of a node meet those of its children; NIL is empty."""
    left, right = tree.left[node], tree.right[node]
    return (
        implies(no(left == NIL), tree.parent[left] == node)
        & implies(no(right == NIL), tree.parent[right] == node)
        & implies(no(left == NIL), no(left == right))
        & (tree.largest[NIL] == 0)
    )


def whole(tree: Tree, wrong: int, other: int, node: int) -> bool:
    """The invariant at a node: it knows the largest hole below it, but for two that are to be counted."""
    return implies(no(node == wrong) & no(node == other) & no(node == NIL), right_at(tree, node))


@theorem(
    "large.holes.propagate-step",
    "Counting anew at one node leaves at most its parent wrong, and nobody when the count stays what it was.",
    proves=(refresh_once, largest_below, own_size, augmented),
    clauses=("large.vmalloc.augmented",),
    features=("F035",),
    method="inductive",
    bounds="a tree of any shape and size; one more node may be wrong elsewhere",
    witness={**TREE, "wrong": 3, "other": 1, "node": 2},
    mutants=(
        Mutant(refresh_once, "stops although the count changed", "tree.parent[node]", "NIL"),
        Mutant(refresh_once, "forgets the right subtree", "tree.largest[tree.right[node]]", "0"),
        Mutant(refresh_once, "stops when the count grew", "if counted == ", "if counted >= "),
    ),
)
def propagates(
    start: IntMap, end: IntMap, left: IntMap, right: IntMap, parent: IntMap, largest: IntMap,
    wrong: Node, other: Link, node: Node,
) -> bool:  # fmt: skip
    tree = Tree(NIL, start, end, left, right, parent, largest)  # type: ignore[arg-type]
    for at in (wrong, node):
        assume(join(linked_at, tree, at) & join(whole, tree, wrong, other, at))
    after, wrong_now = refresh_once(tree, wrong)
    return join(whole, after, wrong_now, NIL if other == wrong else other, node)


@theorem(
    "large.holes.fits-step",
    "Cutting a hole at its left or right edge, hanging a new hole into the tree, and taking one out leave "
    "only the node wrong at which counting then begins.",
    proves=(cut_left, cut_right, attach, splice, own_size, augmented),
    clauses=("large.vmalloc.augmented",),
    features=("F035",),
    method="inductive",
    bounds="a tree of any shape and size",
    witness={**TREE, "step": CUT_LEFT, "at": 1, "fresh": 7, "amount": 2, "on_left": True, "node": 2},
    mutants=(
        Mutant(
            attach,
            "counts the leaf already",
            "largest=tree.largest.set(node, 0)",
            "largest=tree.largest.set(node, end)",
        ),
        Mutant(attach, "hangs it on the other side", "if on_left:", "if not on_left:"),
        Mutant(
            splice,
            "loses the child",
            "tree = replace(tree, parent=tree.parent.set(child, parent))",
            "child = NIL",
        ),
        Mutant(
            cut_right,
            "cuts the parent",
            "tree.end.set(node, start)",
            "tree.end.set(tree.parent[node], start)",
        ),
        Mutant(cut_left, "cuts the parent", "tree.start.set(node, ", "tree.start.set(tree.parent[node], "),
    ),
)
def fits_leave_one_wrong(
    start: IntMap, end: IntMap, left: IntMap, right: IntMap, parent: IntMap, largest: IntMap,
    step: Annotated[int, each(range(4))], at: Node, fresh: Node, amount: Size,
    on_left: Annotated[bool, Truth()], node: Node,
) -> bool:  # fmt: skip
    tree = Tree(NIL, start, end, left, right, parent, largest)  # type: ignore[arg-type]
    above = parent[at]
    for place in (at, node, above):
        assume(join(linked_at, tree, place) & join(whole, tree, NIL, NIL, place))
    if step == CUT_LEFT:
        return join(whole, cut_left(tree, at, amount), at, NIL, node)
    if step == CUT_RIGHT:
        return join(whole, cut_right(tree, at, amount), at, NIL, node)
    if step == HANG:
        assume(no(fresh == at) & no(left[node] == fresh) & no(right[node] == fresh))
        assume((left[at] == NIL) if on_left else (right[at] == NIL))
        after = attach(tree, fresh, at, on_left, amount, amount + amount)
        hung: bool = (after.left[at] == fresh) if on_left else (after.right[at] == fresh)
        return join(whole, after, fresh, NIL, node) & hung
    assume(((left[at] == NIL) | (right[at] == NIL)) & no(above == NIL) & no(above == at))
    assume((left[above] == at) | (right[above] == at))
    assume(no(node == at))
    after = splice(tree, at)
    child = right[at] if left[at] == NIL else left[at]
    kept: bool = (child == NIL) | (after.parent[child] == above)
    hangs: bool = (after.left[above] == child) | (after.right[above] == child)
    return join(whole, after, above, NIL, node) & kept & hangs


@theorem(
    "large.holes.fit-cuts",
    "Whatever way an area lies in a hole, what is left of the hole and the area share no address, together "
    "are the hole, and an area that is not in the hole is told apart.",
    proves=(fit_type, apart),
    clauses=("large.vmalloc.disjoint", "large.vmalloc.tiled"),
    features=("F035",),
    bounds="any hole, any area",
    witness={"low": 8, "high": 20, "start": 10, "size": 4, "x": 12},
    mutants=(
        Mutant(fit_type, "does not look at the end", " or start + size > hole_end", ""),
        Mutant(
            fit_type,
            "takes the rest with it",
            "return FULL if start + size == hole_end else LEFT_EDGE",
            "return FULL",
        ),
        Mutant(fit_type, "loses the piece below", "return RIGHT_EDGE if start", "return LEFT_EDGE if start"),
    ),
)
def cuts(low: Address, high: Address, start: Address, size: Size, x: Address) -> bool:
    assume(low < high)
    fit = fit_type(low, high, start, size)
    if fit == NO_FIT:
        return (start < low) | (start + size > high)
    below = (low, start) if fit in (RIGHT_EDGE, NO_EDGE) else (low, low)
    above = (start + size, high) if fit in (LEFT_EDGE, NO_EDGE) else (high, high)
    covered: bool = (
        ((below[0] <= x) & (x < below[1]))
        | ((above[0] <= x) & (x < above[1]))
        | ((start <= x) & (x < start + size))
    )
    inside: bool = (low <= x) & (x < high)
    empty = implies(fit == FULL, (start == low) & (start + size == high))
    return (covered == inside) & apart(below[1], start) & apart(start + size, above[0]) & empty


@theorem(
    "large.vmalloc.placement",
    "An area that fits is aligned, not below the limit and inside its hole; no lower aligned address of the "
    "hole would do; and a hole as long as the search asks for holds it wherever the hole begins.",
    proves=(placed, fits, search_length),
    clauses=("large.vmalloc.lowest", "large.vmalloc.disjoint"),
    features=("F035",),
    bounds="any hole of whole pages; alignments of 1 to 512 pages",
    witness={"low": 3, "high": 60, "size": 8, "limit": 0, "lower": 0, "order": 2},
    mutants=(
        Mutant(
            placed, "does not align", "align_up(max(hole_start, vstart), align)", "max(hole_start, vstart)"
        ),
        Mutant(placed, "ignores the limit", "max(hole_start, vstart)", "hole_start"),
        Mutant(
            fits,
            "looks at the hole's size only",
            "placed(hole_start, align, vstart) + size",
            "hole_start + size",
        ),
        Mutant(search_length, "forgets the alignment", "return size + align - 1", "return size"),
    ),
)
def placement(
    low: Pages, high: Pages, size: Annotated[int, Integer(least=1)], limit: Pages, lower: Pages,
    order: Annotated[int, each(range(10))],
) -> bool:  # fmt: skip
    align = PAGE_SIZE << order
    low, high, size, limit = (n << PAGE_SHIFT for n in (low, high, size, limit))
    lower = lower * align
    first = max(low, limit)
    start = placed(low, align, limit)
    if not fits(low, high, size, align, limit):
        length = search_length(size, align, 0, size + PAGE_SIZE)
        return high - first < length
    inside = (start >= low) & (start >= limit) & (start + size <= high) & (start % align == 0)
    return inside & implies(lower < start, lower < first)


@theorem(
    "large.vmalloc.guard",
    "Behind the last page of an area stands one page that is not mapped, before the next area begins.",
    proves=(area_size, guard_kept, apart),
    clauses=("large.vmalloc.guard", "large.vmalloc.disjoint"),
    features=("F035",),
    bounds="any size; areas apart",
    witness={"start": 3, "size": 5000, "following": 9},
    mutants=(
        Mutant(area_size, "has no guard", "pages + PAGE_SIZE if", "pages if"),
        Mutant(area_size, "does not round up", "align_up(size, PAGE_SIZE)", "size & ~(PAGE_SIZE - 1)"),
    ),
)
def guarded(start: Pages, size: Size, following: Pages) -> bool:
    begin, upper = start << PAGE_SHIFT, following << PAGE_SHIFT
    end = begin + area_size(size, True)
    assume(apart(end, upper))
    last = begin + area_size(size, False)
    return guard_kept(end, last) & (begin + size <= last) & (last + PAGE_SIZE <= upper)
