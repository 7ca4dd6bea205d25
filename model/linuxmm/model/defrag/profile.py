"""From a kernel profile to the rules of its compaction.

Linux: mm/compaction.c.  Seed 2.2.3 (F039).
"""

from typing import Any

from linuxmm.model.alloc import profile as alloc_profile
from linuxmm.model.defrag import compaction, migrate, search, sources, targets
from linuxmm.model.defrag.rules import Rules
from linuxmm.spec.defrag import defer, migration, scanners, suitable
from linuxmm.spec.kernel import Kernel

# Importing a module registers its behaviours.
REGISTERED = (compaction, defer, migrate, migration, scanners, search, sources, suitable, targets)


def rules_for(kernel: Kernel, block_order: int | None = None) -> Rules:
    """The rules of a kernel's compaction.

    block_order: pageblock_order where a small machine wants another
    Errors    Unmodelled before 2.6.35
    """

    def rule(name: str) -> Any:
        return kernel.behaviour(f"defrag.{name}").function

    return Rules(
        alloc=alloc_profile.rules_for(kernel, block_order=block_order),
        base_mark=rule("base-mark"),
        suitable=rule("suitable"),
        permitted=rule("permitted"),
        met=rule("scanners-met"),
        looks=rule("looks-now"),
        captures=rule("captures"),
        below=rule("failed-below"),
        free_start=rule("free-start"),
        passes=rule("passes"),
        remembers=rule("remembers"),
        scan_free=rule("scan-free"),
        to_targets=rule("to-targets"),
        target_block=rule("target-block"),
        served_otherwise=rule("served-otherwise"),
        order_windows=rule("order-windows"),
        find_source=rule("find-source"),
        find_target=rule("find-target"),
        finishes_failed=rule("finishes-failed"),
        rescans=rule("rescans"),
        migrate=rule("migrate"),
        wanted_after=rule("wanted"),
        samples=rule("samples"),
        settles=rule("settles"),
        may_give=rule("may-give"),
        at_free_scanner=rule("at-free-scanner"),
        drains_within=rule("drains-within"),
        resets=rule("resets"),
        marks_taken=rule("marks-taken"),
        next_source=rule("next-source"),
        next_targets=rule("next-targets"),
        ran_out=rule("ran-out"),
    )
