"""The kernel's containers, walked in a stopped guest: red-black trees, hash lists, maple trees, XArrays.

Linux: include/linux/rbtree.h, lib/maple_tree.c, include/linux/xarray.h; 6.1 to 6.12.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from linuxmm.lab.memory import KernelMemory
from linuxmm.spec.errors import LinuxmmError

_LIMIT: Final = 1 << 24
_DEPTH: Final = 64
_INTERNAL: Final = 2
_RESERVED: Final = 4096
_XA_MARKS: Final = 3
_MAPLE_NODE: Final = 255
_MAPLE_LEAF: Final = 1
_MAPLE_ARANGE: Final = 3


def rb_in_order(memory: KernelMemory, root: int) -> Iterator[int]:
    """Addresses of the rb_nodes below an rb_root, from left to right.

    Errors    LinuxmmError when it is deeper than a balanced tree can be
    """
    left, right = memory.btf.offset("rb_node", "rb_left"), memory.btf.offset("rb_node", "rb_right")
    above: list[int] = []
    at = memory.word(root)
    while at or above:
        while at:
            above.append(at)
            if len(above) > 2 * _DEPTH:
                raise LinuxmmError(f"the tree at {root:#x} is deeper than a balanced tree can be")
            at = memory.word(at + left)
        node = above.pop()
        yield node
        at = memory.word(node + right)


def hashed(memory: KernelMemory, head: int) -> Iterator[int]:
    """Addresses of the hlist_nodes on an hlist, in list order.

    Errors    LinuxmmError when the list does not end
    """
    at = memory.word(head)
    for _ in range(_LIMIT):
        if not at:
            return
        yield at
        at = memory.word(at)
    raise LinuxmmError(f"the list at {head:#x} does not end")


class Mapped(NamedTuple):
    """An entry that stands for the indices `first` to `last`."""

    first: int
    last: int
    entry: int


def maple(memory: KernelMemory, tree: int) -> Iterator[Mapped]:
    """Entries of a maple tree in order; empty ranges are left out.

    Errors    LinuxmmError for a node of a kind that trees of ranges do not have
    Source    lib/maple_tree.c:mas_next_entry, mte_node_type, ma_data_end
    """
    root = memory.struct("maple_tree", tree).number("ma_root")
    most = (1 << 8 * memory.btf.pointer) - 1
    if not root:
        return
    if root & 3 != _INTERNAL or root < _RESERVED:
        yield Mapped(0, 0, root)
        return
    yield from _maple_node(memory, root, 0, most, 0)


def _maple_node(memory: KernelMemory, node: int, first: int, last: int, depth: int) -> Iterator[Mapped]:
    kind = node >> 3 & 15
    if not _MAPLE_LEAF <= kind <= _MAPLE_ARANGE or depth > _DEPTH:
        raise LinuxmmError(f"a maple node at {node & ~_MAPLE_NODE:#x} of kind {kind}")
    body = memory.struct("maple_node", node & ~_MAPLE_NODE).sub("ma64" if kind == _MAPLE_ARANGE else "mr64")
    pivots = body.numbers("pivot")
    slots, width = body.at("slot"), memory.btf.pointer
    for number in range(len(pivots) + 1):
        pivot = pivots[number] if number < len(pivots) else last
        end = last if pivot == 0 and number else min(pivot, last)
        entry = memory.word(slots + width * number)
        if kind == _MAPLE_LEAF:
            if entry and not (entry < _RESERVED and entry & 3 == _INTERNAL):
                yield Mapped(first, end, entry)
        elif entry:
            yield from _maple_node(memory, entry, first, end, depth + 1)
        if end >= last:
            return
        first = end + 1


def xarray(memory: KernelMemory, array: int) -> Iterator[Mapped]:
    """Entries of an XArray in order, pointers and values alike; an entry of several indices appears once.

    Errors    LinuxmmError for a node that none can be
    Source    include/linux/xarray.h: xa_is_node, xa_is_sibling; lib/xarray.c:xas_find
    """
    head = memory.struct("xarray", array).number("xa_head")
    if not head:
        return
    if not _is_node(head):
        yield Mapped(0, 0, head)
        return
    yield from _xa_node(memory, head, 0, 0)


def _is_node(entry: int) -> bool:
    return entry & 3 == _INTERNAL and entry > _RESERVED


def _xa_node(memory: KernelMemory, entry: int, base: int, depth: int) -> Iterator[Mapped]:
    node = memory.struct("xa_node", entry - _INTERNAL)
    shift = node.number("shift")
    if depth > _DEPTH or shift > 60:
        raise LinuxmmError(f"an XArray's node at {node.address:#x} has shift {shift}")
    slots = node.numbers("slots")
    number = 0
    while number < len(slots):
        held, end = slots[number], number + 1
        while end < len(slots) and slots[end] == number << 2 | _INTERNAL:
            end += 1
        if _is_node(held):
            yield from _xa_node(memory, held, base + (number << shift), depth + 1)
        elif held and held & 3 != _INTERNAL:
            yield Mapped(base + (number << shift), base + (end << shift) - 1, held)
        number = end


def marked(memory: KernelMemory, array: int, mark: int) -> int:
    """How many slots of an XArray's lowest nodes carry a mark; 0 for one that is a single entry."""
    head = memory.struct("xarray", array).number("xa_head")
    return _marked(memory, head, mark, 0) if _is_node(head) else 0


def _marked(memory: KernelMemory, entry: int, mark: int, depth: int) -> int:
    node = memory.struct("xa_node", entry - _INTERNAL)
    width, words = 8 * memory.btf.pointer, node.numbers("marks")
    each = len(words) // _XA_MARKS
    bits = sum(word << width * n for n, word in enumerate(words[mark * each : (mark + 1) * each]))
    slots = node.numbers("slots")
    total = 0
    for number, held in enumerate(slots):
        if not bits >> number & 1:
            continue
        total += _marked(memory, held, mark, depth + 1) if _is_node(held) and depth < _DEPTH else 1
    return total
