"""Each clause about whose a page is accepts what it should and rejects what it should not."""

from collections.abc import Callable

import pytest

from linuxmm.spec.vm.ownership import (
    Use,
    exclusive_means_sole,
    mapcount_is_entries,
    nobody_looks_on,
    pinned_means_sole,
    refcount_is_references,
    writable_means_exclusive,
    writable_means_sole,
)

SOLE = Use(1, 1, True, True, 0, 0, 1, 1, 1, 0, 0)
SHARED = Use(2, 2, False, True, 0, 0, 2, 2, 0, 0, 0)
CACHED = Use(3, 2, False, False, 1, 0, 2, 1, 0, 0, 0)
PINNED = SOLE._replace(refs=1025, held=1024, pins=1)
EVERY = (
    mapcount_is_entries,
    refcount_is_references,
    writable_means_sole,
    exclusive_means_sole,
    writable_means_exclusive,
    nobody_looks_on,
    pinned_means_sole,
)


@pytest.mark.parametrize("use", [SOLE, SHARED, CACHED, PINNED])
@pytest.mark.parametrize("question", EVERY)
def test_what_is_right_is_accepted(question: Callable[[Use], bool], use: Use) -> None:
    assert question(use)


@pytest.mark.parametrize(
    ("question", "use"),
    [
        (mapcount_is_entries, SOLE._replace(maps=2)),
        (refcount_is_references, SOLE._replace(refs=2)),
        (refcount_is_references, SOLE._replace(refs=0, entries=0)),
        (writable_means_sole, SHARED._replace(writable=1)),
        (writable_means_sole, CACHED._replace(writable=1, entries=1)),
        (writable_means_sole, SOLE._replace(cached=1)),
        (exclusive_means_sole, SHARED._replace(exclusive=True)),
        (exclusive_means_sole, SOLE._replace(anon=False)),
        (writable_means_exclusive, SOLE._replace(exclusive=False)),
        (nobody_looks_on, SOLE._replace(onlookers=1)),
        (pinned_means_sole, SHARED._replace(pins=1)),
    ],
)
def test_what_is_wrong_is_rejected(question: Callable[[Use], bool], use: Use) -> None:
    assert not question(use)
