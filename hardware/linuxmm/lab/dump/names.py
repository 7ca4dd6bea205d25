"""Names of things in a stopped guest: paths of dentries, symbols of code."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from linuxmm.lab.memory import KernelMemory, Struct

_DEEPEST: Final = 64


def path_of(memory: KernelMemory, dentry: int) -> str:
    """The path of a dentry inside its file system; "" for none."""
    parts: list[str] = []
    for _ in range(_DEEPEST):
        if not dentry:
            return ""
        entry = memory.struct("dentry", dentry)
        parent = entry.number("d_parent")
        name = entry.text("d_name.name")
        if parent == dentry:
            return "/" + "/".join(reversed(parts)) if name == "/" else name
        parts.append(name)
        dentry = parent
    return "/".join(reversed(parts))


def path_of_inode(memory: KernelMemory, inode: Struct) -> str:
    """The path of an inode by one of its dentries; "" when no dentry of it is in memory."""
    first = inode.number("i_dentry.first")
    if not first:
        return ""
    return path_of(memory, first - memory.btf.offset("dentry", "d_u"))


class Places:
    """Which function an address of code lies in."""

    def __init__(self, symbols: Mapping[str, int]) -> None:
        pairs = sorted((address, name) for name, address in symbols.items() if address)
        self._addresses = [address for address, _ in pairs]
        self._names = [name for _, name in pairs]

    def name(self, address: int) -> str:
        """The nearest symbol at or below an address, with the distance; "" for no address."""
        if not address:
            return ""
        at = bisect_right(self._addresses, address) - 1
        if at < 0 or at == len(self._names) - 1:
            return f"{address:#x}"
        return f"{self._names[at]}+{address - self._addresses[at]:#x}"
