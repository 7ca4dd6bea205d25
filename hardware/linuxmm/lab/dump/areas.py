"""What can be read at a mark, by name."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from linuxmm.lab.dump.allocator import allocator_state
from linuxmm.lab.dump.lru import lru_state
from linuxmm.lab.dump.slab import slab_state
from linuxmm.lab.memory import KernelMemory

Dump = Callable[[KernelMemory], dict[str, Any]]

DUMPS: Final[Mapping[str, Dump]] = MappingProxyType(
    {"allocator": allocator_state, "lru": lru_state, "slab": slab_state}
)
