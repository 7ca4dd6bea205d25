"""What can be read at a mark, by name, and the kernel's own files that say the same."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from linuxmm.lab.dump.cache import cache_state
from linuxmm.lab.dump.generations import generations_state
from linuxmm.lab.dump.hugetlb import hugetlb_state
from linuxmm.lab.dump.ksm import ksm_state
from linuxmm.lab.dump.memcg import memcg_state
from linuxmm.lab.dump.slab import slab_state
from linuxmm.lab.dump.tables import kernel_tables_state
from linuxmm.lab.dump.tasks import tasks_state
from linuxmm.lab.dump.vmalloc import vmalloc_state
from linuxmm.lab.dump.zswap import zswap_state
from linuxmm.lab.memory import KernelMemory
from linuxmm.oracle.formats.areas import AreaState, SlabState


class Dump(NamedTuple):
    """How an area is read.

    read   the state out of a stopped guest's memory
    files  patterns of files that the guest reads at the same mark
    """

    read: Callable[[KernelMemory], AreaState]
    files: tuple[str, ...] = ()


def _slab(memory: KernelMemory) -> SlabState:
    return msgspec.convert(slab_state(memory), SlabState)


DUMPS: Final[Mapping[str, Dump]] = MappingProxyType(
    {
        "cache": Dump(cache_state),
        "generations": Dump(generations_state, ("/sys/kernel/debug/lru_gen", "/sys/kernel/mm/lru_gen/*")),
        "hugetlb": Dump(hugetlb_state, ("/sys/kernel/mm/hugepages/*/*",)),
        "ksm": Dump(ksm_state, ("/sys/kernel/mm/ksm/*",)),
        "memcg": Dump(memcg_state),
        "slab": Dump(_slab),
        "tables": Dump(kernel_tables_state, ("/sys/kernel/debug/page_tables/kernel",)),
        "tasks": Dump(tasks_state, ("/proc/[1-9]*/maps", "/proc/[1-9]*/smaps", "/proc/[1-9]*/status")),
        "vmalloc": Dump(vmalloc_state),
        "zswap": Dump(zswap_state, ("/sys/kernel/debug/zswap/*",)),
    }
)
"""Besides the page allocator, which every mark has, and `lru`, which goes with it."""
