"""The bulk allocator's corner cases, and that it neither promises too much nor leaks."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.alloc.audit import broken
from linuxmm.model.alloc.bulk import Bulk, alloc_bulk
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.strategies import Allocator, small_kernel, small_machine, small_rules
from linuxmm.spec.alloc.bulk import at_least_one, count_returned, nothing_leaked
from linuxmm.spec.alloc.gfp import GFP_KERNEL
from linuxmm.spec.alloc.request import request
from linuxmm.spec.errors import Unmodelled

ASK = request(0, GFP_KERNEL)
VERSIONS = ["5.13", "5.14", "6.1.192", "6.12.117"]


def bulk(machine: Machine, array: tuple[int, ...], version: str = "6.1.192", **options: bool) -> Bulk:
    return alloc_bulk(small_kernel(version), small_rules(version), machine, ASK, array, **options)


def in_use(machine: Machine) -> int:
    return sum(1 << order for zone in machine.zones for order, _ in zone.in_use.values())


def empty(count: int) -> tuple[int, ...]:
    return (NOTHING,) * count


def test_nothing_asked_or_nothing_missing_changes_nothing() -> None:
    machine = small_machine("6.1.192")
    assert bulk(machine, ()) == Bulk(machine, (), 0, False)
    assert bulk(machine, (7, 8)) == Bulk(machine, (7, 8), 2, False)


def test_pages_come_from_the_cpu_list_in_ascending_order() -> None:
    done = bulk(small_machine("6.1.192"), empty(5))
    assert (done.array, done.returned, done.single) == ((32, 33, 34, 35, 36), 5, False)


def test_filled_entries_are_skipped_and_counted() -> None:
    done = bulk(small_machine("6.1.192"), (7, NOTHING, 9, NOTHING))
    assert (done.array, done.returned, done.single) == ((7, 32, 9, 33), 4, False)


def test_one_missing_page_is_an_ordinary_allocation() -> None:
    done = bulk(small_machine("6.1.192"), (7, NOTHING))
    assert (done.array, done.returned, done.single) == ((7, 32), 2, True)


@pytest.mark.parametrize(
    ("version", "accounted", "page_owner"), [("5.13", 4, 4), ("5.14", 4, 1), ("6.1.192", 1, 1)]
)
def test_accounting_and_page_owner_get_one_page(version: str, accounted: int, page_owner: int) -> None:
    machine = small_machine(version)
    assert bulk(machine, empty(4), version, accounted=True).returned == accounted
    assert bulk(machine, empty(4), version, page_owner=True).returned == page_owner


def test_without_a_local_zone_above_its_mark_one_page_is_tried() -> None:
    machine = small_machine("6.1.192")
    short = tuple(replace(z, watermark=(4, 60, 60)) if z.kind == 2 else z for z in machine.zones)
    done = bulk(replace(machine, zones=short), empty(40))
    assert (done.returned, done.single) == (1, True)


def test_older_kernels_have_no_bulk_allocator() -> None:
    with pytest.raises(Unmodelled, match=r"rule 'alloc\.bulk-single' has no behaviour .* 5\.10"):
        bulk(small_machine("5.10"), empty(2), "5.10")


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=25, deadline=None)
@given(array=st.lists(st.sampled_from([NOTHING, NOTHING, 1000]), max_size=30), earlier=st.integers(0, 70))
def test_every_answer_counts_what_it_filled_and_leaks_nothing(
    version: str, array: list[int], earlier: int
) -> None:
    drained = Allocator(small_rules(version), small_machine(version))
    for _ in range(earlier):
        drained.alloc(ASK)
    before, ask = drained.machine, tuple(array)
    done = bulk(before, ask, version)
    single = Allocator(small_rules(version), before).alloc(ASK) != NOTHING
    filled = sum(a != b for a, b in zip(ask, done.array, strict=True))
    assert count_returned(
        tuple(a != NOTHING for a in ask), tuple(a != NOTHING for a in done.array), done.returned
    )
    assert nothing_leaked(in_use(before), in_use(done.machine), filled)
    assert at_least_one(len(ask), ask.count(NOTHING), filled, single)
    assert broken(small_rules(version), done.machine) == ()


def test_wrong_answers_are_noticed() -> None:
    assert not count_returned((False, False), (True, False), 2)
    assert not count_returned((True, False), (False, True), 0)
    assert not nothing_leaked(0, 3, 2)
    assert not at_least_one(4, 4, 0, True)
    assert at_least_one(4, 4, 0, False)
