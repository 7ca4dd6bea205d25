"""Every reachable state of tiny zones keeps every invariant: breadth-first, one representative per state."""

from collections import deque
from dataclasses import replace

import pytest

from linuxmm.model.alloc.audit import broken_in_zone, multiset
from linuxmm.model.alloc.boot import Area, empty_zone, free_boot_memory
from linuxmm.model.alloc.freelist import NOTHING, Zone, set_in_use
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.request import free_to_zone, rmqueue
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.kernel import Version, kernel


def tiny(version: str, pages: int, max_order: int, block_order: int) -> tuple[Rules, Zone]:
    profile = kernel(version)
    rules = rules_for(profile, False, block_order)._replace(max_order=max_order)
    zone = empty_zone(rules, Area(0, 2, 0, pages, pages), 1)
    zone = replace(zone, types=(profile.behaviour("alloc.boot-type").function(),) * len(zone.types))  # type: ignore[arg-type]
    zone = free_boot_memory(profile, rules, zone, [(0, pages)])
    pcp = replace(zone.pcps[0], vars=zone.pcps[0].vars._replace(batch=1, high=2, high_min=2, high_max=2))
    return rules, replace(zone, pcps=(pcp,))


def successors(rules: Rules, zone: Zone, types: range) -> list[Zone]:
    found = []
    for order in range(rules.max_order + 1):
        for migratetype in types:
            after, pfn = rmqueue(rules, zone, 0, order, migratetype, 0)
            if pfn != NOTHING:
                found.append(set_in_use(after, pfn, order, migratetype == 1))
    found += [free_to_zone(rules, zone, 0, pfn, order) for pfn, (order, _) in sorted(zone.in_use.items())]
    found.append(drain_pages_zone(rules, zone, 0))
    return found


VERSIONS = ["2.6.11", "2.6.24", "4.4", "4.15", "5.14", "6.1.192", "6.12.117"]


def explore(
    version: str, pages: int, max_order: int, block_order: int, types: int, limit: int
) -> tuple[int, bool]:
    """(states seen, whether these are all); every one keeps every invariant."""
    rules, start = tiny(version, pages, max_order, block_order)
    if kernel(version).version < Version(2, 6, 24):
        types = 1
    seen, pending = {start}, deque([start])
    while pending and len(seen) < limit:
        for zone in successors(rules, pending.popleft(), range(types)):
            state = replace(zone, log=())
            if state in seen:
                continue
            assert list(broken_in_zone(rules, state)) == []
            seen.add(state)
            pending.append(state)
    return len(seen), not pending


@pytest.mark.parametrize("version", VERSIONS)
def test_every_state_of_four_pages_keeps_every_invariant(version: str) -> None:
    states, complete = explore(version, 4, 2, 1, 2, 5000)
    assert complete
    assert states >= 20


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("pages", "max_order", "block_order"), [(8, 3, 1), (8, 2, 2), (12, 2, 1), (16, 3, 2)]
)
def test_the_states_nearest_to_boot_keep_every_invariant(
    version: str, pages: int, max_order: int, block_order: int
) -> None:
    assert explore(version, pages, max_order, block_order, 3, 300)[0] >= 300


@pytest.mark.parametrize("version", ["2.6.24", "4.4", "4.15", "6.1.192", "6.12.117"])
def test_giving_everything_back_restores_the_free_blocks(version: str) -> None:
    rules, start = tiny(version, 8, 3, 1)
    for first in range(3):
        for second in range(4):
            zone = start
            for order, migratetype in ((first, 0), (second, 1), (0, 2)):
                zone, pfn = rmqueue(rules, zone, 0, order, migratetype, 0)
                if pfn != NOTHING:
                    zone = set_in_use(zone, pfn, order, False)
            for pfn, (order, _) in sorted(zone.in_use.items()):
                zone = free_to_zone(rules, zone, 0, pfn, order)
            zone = drain_pages_zone(rules, zone, 0)
            assert multiset(zone) == multiset(start)
