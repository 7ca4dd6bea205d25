"""From a kernel profile to its rules of faults, copies, pins and moves.

Linux: mm/memory.c, mm/gup.c.  Seed 2.8 (F059).
"""

from functools import lru_cache
from typing import Any

from linuxmm.model.vm import copy, cow, fault, gup, move, move_race, zap
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import Pages
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.vm import table_size
from linuxmm.spec.vm.table_size import Printed

# Importing a module registers its behaviours.
REGISTERED = (copy, cow, fault, gup, move, move_race, table_size, zap)


@lru_cache(maxsize=64)
def page_rules(kernel: Kernel) -> PageRules:
    """The rules of a kernel.

    Errors    Unmodelled, ImpossibleProfile
    """

    def rule(name: str) -> Any:
        return kernel.behaviour(f"vm.{name}").function

    return PageRules(*(rule(name.replace("_", "-")) for name in PageRules._fields))


def table_lines(kernel: Kernel, pages: Pages, space: int) -> Printed:
    """The lines of /proc/<pid>/status that count an address space's page tables, in KiB."""
    printed: Any = kernel.behaviour("vm.table-kib").function
    lines: Printed = printed(pages.mms[space].counters.tables)
    return lines
