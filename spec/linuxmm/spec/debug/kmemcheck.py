"""kmemcheck: a shadow byte for every byte, and a trap at every access to a tracked page.

A tracked page is hidden from the processor; the access faults, is judged, the page is shown for the one
instruction, and hidden again by the trap behind it.  Reads of what was never written are reported, writes
never.

Linux: mm/kmemcheck.c, arch/x86/mm/kmemcheck.  Seed 2.13.4 (F079).  2.6.31 to 4.14.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from linuxmm.spec.registry import formula

TRAPS_PER_ACCESS: Final = 2


class Shadow(IntEnum):
    """What is known of one byte."""

    UNALLOCATED = 0
    UNINITIALIZED = 1
    INITIALIZED = 2
    FREED = 3


@formula("F079", source="arch/x86/mm/kmemcheck/shadow.c:kmemcheck_shadow_test_all")
def verdict_of_all(shadow: Sequence[int]) -> int:
    """The verdict on a read of some bytes: the first one that was not written, else INITIALIZED.

    Requires  at least one byte
    Source    kmemcheck_shadow_test without CONFIG_KMEMCHECK_PARTIAL_OK; 2.6.31 to 4.14
    """
    for state in shadow:
        if state != Shadow.INITIALIZED:
            return state
    return shadow[0]


@formula("F079", source="arch/x86/mm/kmemcheck/shadow.c:kmemcheck_shadow_test")
def verdict_of_any(shadow: Sequence[int]) -> int:
    """The verdict on a read of some bytes: INITIALIZED when any one was written, else the first byte's.

    Requires  at least one byte
    Source    kmemcheck_shadow_test with CONFIG_KMEMCHECK_PARTIAL_OK, which is the default; 2.6.31 to 4.14
    """
    for state in shadow:
        if state == Shadow.INITIALIZED:
            return state
    return shadow[0]


@formula("F079", source="arch/x86/mm/kmemcheck/shadow.c")
def shadow_bytes(covered: int) -> int:
    """Bytes of shadow for `covered` bytes of memory: one to one."""
    return covered
