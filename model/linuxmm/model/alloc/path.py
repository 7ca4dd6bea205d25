"""Which slow path a kernel has, and how it ends.

Linux: mm/page_alloc.c:__alloc_pages_slowpath.  Seed 2.1.1.1, 2.1.1.3 (F014, F017).  2.4.0 to 6.12.
"""

from linuxmm.model.alloc import nofail, request_2_4, request_2_4_0, slowpath, slowpath_by_order
from linuxmm.model.alloc.dialogue import Path
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.kernel import Kernel

ERAS = (nofail, request_2_4, request_2_4_0, slowpath, slowpath_by_order)
"""The modules whose behaviours are composed here; importing them registers these."""


def path_of(kernel: Kernel, rules: Rules) -> Path:
    """The slow path of a kernel."""
    pair = kernel.behaviour("alloc.slowpath").function()
    assert isinstance(pair, tuple)
    enter, go_on = pair
    return Path(
        kernel,
        rules,
        enter,
        go_on,
        kernel.behaviour("alloc.refuse").function,  # type: ignore[arg-type]
        kernel.behaviour("alloc.oom-kills").function,  # type: ignore[arg-type]
        kernel.behaviour("alloc.victim-early").function,  # type: ignore[arg-type]
        kernel.behaviour("alloc.victim-killed").function,  # type: ignore[arg-type]
    )
