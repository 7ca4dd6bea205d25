"""The bugs that kernels had are found by search, by the clause that names them, and only in those kernels."""

import pytest

from linuxmm.model.vm.explore import Finding, search
from linuxmm.model.vm.history import dirty_cow, forked_pin, lost_read_pin, onlooker
from linuxmm.model.vm.move_race import missed, stale
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Refusal


def named(finding: Finding) -> str:
    """The clause that broke, "" for none."""
    return "" if finding.broken is None else finding.broken.clause


@pytest.mark.parametrize(
    ("version", "breaks"),
    [
        ("2.6.22", True),
        ("4.4.25", True),
        ("4.4.26", False),
        ("4.7.9", False),
        ("4.8.2", True),
        ("4.8.3", False),
        ("4.9", False),
        ("5.19", False),
        ("6.12", False),
    ],
)
def test_dirty_cow(version: str, breaks: bool) -> None:
    found = dirty_cow(page_rules(kernel(version)))
    assert named(found) == ("vm.cow.file-untouched" if breaks else "")
    if breaks:
        assert found.trace == (
            "look: fault needed", "fault", "look: fault needed", "fault", "discard", "look: fault needed",
            "fault", "look: page found", "store",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("version", "breaks"),
    [
        ("2.6.20", True),
        ("5.7", True),
        ("5.7.3", False),
        ("5.8", False),
        ("5.9", False),
        ("5.18", False),
        ("5.19", False),
    ],
)
def test_onlooker(version: str, breaks: bool) -> None:
    found = onlooker(page_rules(kernel(version)))
    assert named(found) == ("vm.cow.onlooker" if breaks else "")
    if breaks:
        assert found.trace == ("child holds", "child unmaps", "parent writes")


@pytest.mark.parametrize(
    ("version", "breaks"), [("4.19", True), ("5.8", True), ("5.9", False), ("5.15", False), ("6.12", False)]
)
def test_fork_takes_no_pinned_page_away(version: str, breaks: bool) -> None:
    found = forked_pin(page_rules(kernel(version)))
    assert named(found) == ("vm.pin.stays" if breaks else "")
    if breaks:
        assert found.trace == ("pin", "fork", "parent writes")


@pytest.mark.parametrize(
    ("version", "breaks"),
    [("5.7", True), ("5.9", True), ("5.18", True), ("5.19", False), ("6.1", False)],
)
def test_a_read_pin_keeps_its_page(version: str, breaks: bool) -> None:
    found = lost_read_pin(page_rules(kernel(version)))
    assert named(found) == ("vm.pin.stays" if breaks else "")
    if breaks:
        assert found.trace == ("pin", "parent writes")


@pytest.mark.parametrize(
    ("version", "breaks"), [("2.6.20", True), ("4.18", True), ("4.18.16", False), ("4.19", False)]
)
def test_a_moved_page_is_not_freed_under_a_tlb(version: str, breaks: bool) -> None:
    found = stale(kernel(version))
    assert named(found) == ("vm.tlb.freed-after-flush" if breaks else "")
    if breaks:
        assert found.trace == (
            "access by the old address", "mremap: lock", "mremap: move", "mremap: unlock",
            "truncate: clear, flush", "truncate: free",
        )  # fmt: skip


@pytest.mark.parametrize(("version", "breaks"), [("5.0", True), ("5.13", True), ("5.14", False)])
def test_a_moving_table_is_not_missed(version: str, breaks: bool) -> None:
    found = missed(kernel(version))
    assert named(found) == ("vm.page.freed-unmapped" if breaks else "")
    if breaks:
        assert found.trace == (
            "truncate: clear at the new place", "mremap: move the table", "truncate: clear at the old place",
            "truncate: free",
        )  # fmt: skip


def test_a_search_that_is_not_exhaustive_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 10 states"):
        search(0, lambda n: [("up", n + 1)], lambda n: None, most=10)
    assert search(0, lambda n: [("up", min(n + 1, 3))], lambda n: None) == Finding((), None, 4)
    reached = search(0, lambda n: [("up", n + 1)], lambda n: Refusal("x", "y") if n == 2 else None)
    assert reached == Finding(("up", "up"), Refusal("x", "y"), 3)
