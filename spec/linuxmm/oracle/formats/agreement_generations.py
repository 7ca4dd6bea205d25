"""Whether lists by generation, as read from memory, say the same as debugfs and as themselves."""

from collections.abc import Iterator

from linuxmm.oracle.formats.areas import GenerationsState, NodeGenerations, area_state
from linuxmm.oracle.formats.capture import Capture
from linuxmm.oracle.formats.kernel_files import text_of
from linuxmm.oracle.formats.state import Finding
from linuxmm.spec.errors import LinuxmmError

_TEXT = "sys/kernel/debug/lru_gen"


def generations_disagreements(capture: Capture, mark: str) -> Iterator[Finding]:
    """Numbers against /sys/kernel/debug/lru_gen; pages on lists against the sizes of their kind and zone."""
    state = area_state(capture, mark, "generations")
    if not isinstance(state, GenerationsState):
        raise LinuxmmError("generations.json holds the state of another area")
    text = text_of(capture, mark, _TEXT)
    for number, node in state.nodes.items():
        if text is not None and len(state.nodes) == 1:
            seqs = tuple(int(words[0]) for words in map(str.split, text.splitlines()) if words[0].isdigit())
            mine = tuple(range(node.min_seq[0], node.max_seq + 1))
            if seqs != mine:
                yield Finding(f"generations of node {number}", f"numbers {seqs}", str(mine))
        yield from _sizes(number, node)


def _sizes(number: str, node: NodeGenerations) -> Iterator[Finding]:
    for kind in (0, 1):
        for zone in range(len(node.nr_pages[0][kind])):
            counted = sum(sizes[kind][zone] for sizes in node.nr_pages)
            listed = sum(len(lists[kind][zone]) for lists in node.lists)
            if counted != listed:
                where = f"generations of node {number}, kind {kind}, zone {zone}"
                yield Finding(where, f"{counted} pages", str(listed))
