"""VmPTE of the kernel that runs this test grows as the model's tables do."""

import os
import subprocess
import sys
from functools import partial

import pytest

from linuxmm.model.vm.examples import find_in
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules, profile_of, table_lines
from linuxmm.model.vm.state import small_pages
from linuxmm.spec.vm.page_layer import PageArea

SCRIPT = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t) + (ctypes.c_int,) * 3 + (ctypes.c_long,)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
def size():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmPTE"))
places = [int(word, 16) for word in sys.argv[1:]]
sizes = [size()]
for place in places:
    assert libc.mmap(place, 4096, 3, 0x100022, -1, 0) == place
    libc.madvise(place, 4096, 15)
    ctypes.memset(place, 1, 1)
    sizes.append(size())
for place in places:
    assert libc.munmap(place, 4096) == 0
    sizes.append(size())
print(*[one - sizes[0] for one in sizes])
"""
HERE = profile_of(os.uname().release)
BASE = 0x100_0000_0000
PLACES = (BASE, BASE + 0x1000, BASE + (1 << 21), BASE + (1 << 30), BASE + (1 << 39))


def modelled() -> list[int]:
    """VmPTE of the model after each step, less what it was before."""
    layer = TableLayer(page_rules(HERE), small_pages(60))
    sizes, mapped = [0], list(PLACES)

    def size() -> int:
        return table_lines(HERE, layer.pages, 1)[0][1]

    for place in PLACES:
        areas = (PageArea(place, place + 4096, 0x73, anon=1),)
        layer = layer.write(1, partial(find_in, areas), place, b"x")[0]
        sizes.append(size())
    for place in PLACES:
        mapped.remove(place)
        before = max((other + 4096 for other in mapped if other < place), default=0)
        behind = min((other for other in mapped if other > place), default=0)
        layer = layer.zap(1, place, place + 4096, (before, behind))
        sizes.append(size())
    return sizes


@pytest.mark.skipif(sys.maxsize < 1 << 40, reason="places are beyond a 32-bit address space")
def test_page_tables_grow_and_shrink_alike() -> None:
    words = [f"{place:x}" for place in PLACES]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True, timeout=60
    )
    assert [int(word) for word in done.stdout.split()] == modelled()
    assert modelled()[:6] == [0, 12, 12, 16, 24, 36]
