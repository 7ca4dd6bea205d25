"""From a kernel profile to its rules of faults, copies, pins and moves.

Linux: mm/memory.c, mm/gup.c.  Seed 2.8 (F059).
"""

from functools import lru_cache
from typing import Any

from linuxmm.model.vm import copy, cow, fault, gup, move, zap
from linuxmm.model.vm.page_rules import PageRules
from linuxmm.spec.kernel import Kernel

# Importing a module registers its behaviours.
REGISTERED = (copy, cow, fault, gup, move, zap)


@lru_cache(maxsize=64)
def page_rules(kernel: Kernel) -> PageRules:
    """The rules of a kernel.

    Errors    Unmodelled, ImpossibleProfile
    """

    def rule(name: str) -> Any:
        return kernel.behaviour(f"vm.{name}").function

    return PageRules(*(rule(name.replace("_", "-")) for name in PageRules._fields))
