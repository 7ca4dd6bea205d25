"""KSM: its figures, and the stable tree with who shares each page.

Linux: mm/ksm.c; 4.4 to 6.12.  A chain stands in the tree for pages of equal content.
"""

from collections.abc import Iterator
from typing import Final

from linuxmm.lab.dump.containers import hashed, rb_in_order
from linuxmm.lab.memory import KernelMemory, Struct
from linuxmm.oracle.formats.areas import KsmState, StableNode
from linuxmm.spec.errors import LinuxmmError

_FIGURES: Final = (
    "pages_scanned", "pages_shared", "pages_sharing", "pages_unshared", "rmap_items", "stable_node_chains",
    "stable_node_dups", "pages_skipped", "zero_pages", "run",
)  # fmt: skip
_SMALL_FIGURES: Final = ("max_page_sharing", "merge_across_nodes")
_CHAIN: Final = -1024


def ksm_state(memory: KernelMemory) -> KsmState:
    """Figures and trees.

    Errors    LinuxmmError when the kernel has no KSM
    """
    if "root_stable_tree" not in memory.symbols:
        raise LinuxmmError("the kernel has no KSM")
    word = memory.btf.pointer
    figures = {name: memory.variable(f"ksm_{name}", word) for name in _FIGURES}
    figures |= {name: memory.variable(f"ksm_{name}", 4) for name in _SMALL_FIGURES}
    stable: list[StableNode] = []
    chains = 0
    for root in _roots(memory, "root_stable_tree"):
        for at in rb_in_order(memory, root):
            node = _node(memory, at)
            if node.number("rmap_hlist_len") == _CHAIN:
                chains += 1
                stable += _duplicates(memory, node)
            else:
                stable.append(_merged(memory, node))
    unstable = sum(1 for root in _roots(memory, "root_unstable_tree") for _ in rb_in_order(memory, root))
    known = {name: value for name, value in figures.items() if value is not None}
    return KsmState(known, tuple(stable), chains, unstable)


def _roots(memory: KernelMemory, name: str) -> Iterator[int]:
    """A tree for all nodes, or one for each where pages of different nodes are not merged."""
    base = memory.word(memory.symbol(name))
    size = memory.btf.size_of(memory.btf.id_of("rb_root"))
    for number in range(memory.variable("ksm_nr_node_ids", 4) or 1):
        yield base + number * size


def _node(memory: KernelMemory, address: int) -> Struct:
    """A stable node, whose rb_node comes first; called so since 6.2."""
    name = "ksm_stable_node" if memory.btf.has("ksm_stable_node") else "stable_node"
    return memory.struct(name, address)


def _duplicates(memory: KernelMemory, chain: Struct) -> Iterator[StableNode]:
    offset = memory.btf.find(chain.type, "hlist_dup")
    assert offset is not None
    for at in hashed(memory, chain.at("hlist")):
        yield _merged(memory, _node(memory, at - offset.offset))


def _merged(memory: KernelMemory, node: Struct) -> StableNode:
    return StableNode(node.number("kpfn"), sum(1 for _ in hashed(memory, node.at("hlist"))))
