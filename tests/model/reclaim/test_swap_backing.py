"""Reclaim on devices of swap: after every reference each slot in use is one page's, and in one place."""

from dataclasses import replace

import pytest

from linuxmm.model.reclaim.outside import PAGE_SYNCED
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.state import Lruvec, ZoneMarks, empty
from linuxmm.model.reclaim.swap_audit import judge
from linuxmm.model.reclaim.swap_backing import SwapBacking
from linuxmm.model.reclaim.swap_slots import swap_of, swap_rules
from linuxmm.model.reclaim.swap_state import new_device
from linuxmm.model.reclaim.workload import ANON, DROP, FAILED, READ, discard, reference
from linuxmm.spec.kernel import kernel


def backing_of(v: Lruvec) -> SwapBacking:
    assert isinstance(v.backing, SwapBacking)
    return v.backing


@pytest.mark.parametrize(
    ("release", "seekless"),
    [
        ("2.4.5", False),
        ("2.4.32", False),
        ("2.6.24", False),
        ("3.10", True),
        ("4.4", True),
        ("6.1", True),
        ("6.12", True),
    ],
)
def test_slots_are_those_of_the_pages_that_are_out(release: str, seekless: bool) -> None:
    rules, own = rules_for(kernel(release), batches=False), swap_rules(kernel(release))
    own = own._replace(batch=min(own.batch, 2))
    devices = [new_device(own, 20, priority, cluster=4, seekless=seekless) for priority in (5, 5, 1)]
    v = empty(
        (ZoneMarks(40, 40, 3, 5, 8),), backing=SwapBacking(own, swap_of(own, *devices), write=PAGE_SYNCED)
    )
    out: set[int] = set()
    failed = 0
    for number in range(240):
        slot, how = number * 7 % 61, ANON if number % 5 else READ
        if number % 11 == 0:
            how = DROP
        if how == READ:
            slot += 100
        before = set(v.pages)
        if how == DROP:
            v = discard(rules, v, slot)
            continue
        v, answer = reference(rules, v, slot, how, slot in backing_of(v).slots and slot not in v.pages, 60)
        v = replace(v, log=())
        failed += answer == FAILED
        out |= before - set(v.pages)
        backing = backing_of(v)
        broken = judge(backing.swap, backing.references)
        assert broken is None, (number, broken)
        assert backing.swap_free() <= 57 - len(backing.slots)
    assert out
    assert backing_of(v).slots
    assert failed < 200
