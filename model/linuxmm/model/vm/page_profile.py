"""From a kernel profile to its rules of faults, copies, pins and moves.

Linux: mm/memory.c, mm/gup.c.  Seed 2.8 (F059).
"""

from functools import lru_cache
from typing import Any

from linuxmm.model.vm import copy, cow, fault, gup, move, move_race, zap
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.model.vm.state import Pages
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import NEWEST, Kernel, kernel, parse_version
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


def profile_of(release: str) -> Kernel:
    """The profile of a kernel by its release string; that of the newest one described for any later.

    Errors    ImpossibleProfile for a string that is no release, or a kernel older than 2.4
    """
    try:
        version = parse_version(release)
    except ImpossibleProfile:
        later = release.partition(".")[0].isdigit() and int(release.partition(".")[0]) >= NEWEST.major
        if not later:
            raise
        version = NEWEST
    return kernel(str(version.branch))
