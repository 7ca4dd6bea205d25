"""Who may touch the lists of a CPU: the rule that a lock stands for.

Per-CPU lists were protected by disabling interrupts on their CPU; since 5.14 a local lock names them (and a
real-time kernel may sleep instead), since 5.19 a spinlock in the structure lets another CPU drain them.
Counters left the structure in 5.14, and need no lock.

Linux: mm/page_alloc.c:struct pagesets, include/linux/mmzone.h:struct per_cpu_pages.  Seed 2.1.1.4 (F024,
F027).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from linuxmm.spec.invariant import invariant
from linuxmm.spec.kernel import behaviour


class Lock(Enum):
    """A way of owning something for a while."""

    IRQS_OFF = "interrupts disabled on the CPU"
    LOCAL = "pagesets.lock of the CPU"
    PCP_SPIN = "pcp->lock"
    ZONE = "zone->lock"


class Resource(Enum):
    """What is owned."""

    PCP_LISTS = "lists of a CPU"
    PCP_COUNTERS = "statistics of a CPU"
    FREE_LISTS = "free lists of the zone"


@dataclass(frozen=True, slots=True)
class Access:
    """CPU `cpu` touches a resource (of CPU `owner`; -1 for a zone's) while holding `held`.

    held  pairs of a lock and the CPU it belongs to (-1: the zone's)
    """

    cpu: int
    resource: Resource
    owner: int
    held: frozenset[tuple[Lock, int]]


@behaviour(
    "alloc.pcp-lock",
    since="2.4.0",
    until="5.13",
    features=("F020", "F027"),
    source="mm/page_alloc.c:rmqueue_pcplist; 2.6.11 to 5.13",
)
def locked_by_irqs_off(access: Access) -> bool:
    """Only its own CPU touches a list, with interrupts disabled."""
    return access.cpu == access.owner and (Lock.IRQS_OFF, access.cpu) in access.held


@behaviour(
    "alloc.pcp-lock",
    since="5.14",
    until="5.18",
    features=("F020", "F027"),
    source="mm/page_alloc.c:struct pagesets; 5.14, 5.17",
)
def locked_locally(access: Access) -> bool:
    """Only its own CPU touches a list, holding its local lock."""
    return access.cpu == access.owner and (Lock.LOCAL, access.cpu) in access.held


@behaviour(
    "alloc.pcp-lock",
    since="5.19",
    features=("F020", "F024", "F027"),
    source="include/linux/mmzone.h:struct per_cpu_pages; 6.1, 6.12",
)
def locked_by_spinlock(access: Access) -> bool:
    """Any CPU touches a list while it holds the spinlock in it."""
    return (Lock.PCP_SPIN, access.owner) in access.held


@behaviour(
    "alloc.pcp-counters-lock",
    since="2.4.0",
    until="5.13",
    features=("F027",),
    source="include/linux/mmzone.h:struct per_cpu_pageset; 2.6.11 to 5.13",
)
def counters_with_lists(access: Access) -> bool:
    """The statistics stand beside the lists: their own CPU touches them with interrupts disabled."""
    return access.cpu == access.owner and (Lock.IRQS_OFF, access.cpu) in access.held


@behaviour(
    "alloc.pcp-counters-lock",
    since="5.14",
    features=("F027",),
    source="include/linux/mmzone.h:struct per_cpu_zonestat; 5.14 to 6.12",
)
def counters_apart(access: Access) -> bool:
    """The statistics have a structure of their own: their CPU touches them with no lock at all."""
    return access.cpu == access.owner


@invariant(
    "alloc.lock.free-lists",
    features=("F012", "F027"),
    seed="2.1.1.4",
    source="include/linux/mmzone.h:struct zone",
)
def free_lists_locked(accesses: Sequence[Access]) -> bool:
    """Nobody touches the free lists of a zone without its lock."""
    return all((Lock.ZONE, -1) in a.held for a in accesses if a.resource is Resource.FREE_LISTS)


@invariant(
    "alloc.lock.pcp-exclusive",
    features=("F020", "F027"),
    seed="2.1.1.4",
    source="mm/page_alloc.c:struct pagesets",
)
def lists_exclusive(accesses: Sequence[Access], allowed: Sequence[bool]) -> bool:
    """Every access to a CPU's lists is one that the lock of its time allows.

    allowed: for each access, what the kernel's `alloc.pcp-lock` behaviour says
    """
    return all(ok for a, ok in zip(accesses, allowed, strict=True) if a.resource is Resource.PCP_LISTS)
