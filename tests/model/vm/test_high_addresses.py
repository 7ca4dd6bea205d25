"""Five levels of tables: addresses beyond 47 bits are given out to who asks for them, and to nobody else."""

from dataclasses import replace

import pytest

from linuxmm.model.vm.process import Process, call
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.strategies import empty_space
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Errno
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.effects import Denied
from linuxmm.spec.vm.space import AddressSpace, window_of
from linuxmm.spec.vocabulary import PAGE_SIZE

RULES = rules_for(kernel("6.12"))
ANON = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS
WINDOW = 0x7FFF_FFFF_F000
TOP = (1 << 56) - PAGE_SIZE
FIVE = replace(empty_space(), task_size=TOP, map_window=WINDOW)
FOUR = empty_space()


def mapped(space: AddressSpace, hint: int, length: int = PAGE_SIZE, flags: int = ANON) -> object:
    what = calls.Mmap(hint, length, 3, flags)
    return call(RULES, Process(space, ContentLayer()), what).result


@pytest.mark.parametrize("space", [FOUR, FIVE])
def test_without_a_hint_memory_stays_within_47_bits(space: AddressSpace) -> None:
    assert window_of(space) == WINDOW
    assert mapped(space, 0) == space.mmap_base - PAGE_SIZE
    assert mapped(space, 0, 1 << 47) == Denied(
        Errno.ENOMEM, "longer-than-task" if space is FOUR else "no-room"
    )


def test_a_hint_beyond_is_granted_with_five_levels_only() -> None:
    assert mapped(FIVE, 1 << 50) == 1 << 50
    assert mapped(FOUR, 1 << 50) == FOUR.mmap_base - PAGE_SIZE
    assert mapped(FIVE, TOP - PAGE_SIZE) == TOP - PAGE_SIZE
    assert mapped(FIVE, 1 << 50, 1 << 47) == 1 << 50


def test_a_hint_that_would_cross_the_border_is_not_heeded() -> None:
    assert mapped(FIVE, WINDOW - PAGE_SIZE) == WINDOW - PAGE_SIZE
    assert mapped(FIVE, WINDOW - PAGE_SIZE, 2 * PAGE_SIZE) == FIVE.mmap_base - 2 * PAGE_SIZE
    assert mapped(FIVE, WINDOW, PAGE_SIZE) == FIVE.mmap_base - PAGE_SIZE


def test_a_hint_beyond_that_is_taken_is_searched_for_from_the_very_top() -> None:
    process = call(RULES, Process(FIVE, ContentLayer()), calls.Mmap(1 << 50, PAGE_SIZE, 3, ANON)).state
    again = call(RULES, process, calls.Mmap(1 << 50, PAGE_SIZE, 3, ANON)).result
    assert again == FIVE.mmap_base + TOP - WINDOW - PAGE_SIZE


def test_upwards_the_hint_decides_where_the_search_ends() -> None:
    space = replace(FIVE, bottom_up=True)
    assert mapped(space, 0) == space.legacy_base
    assert mapped(space, 0, WINDOW) == Denied(Errno.ENOMEM, "no-room")
    assert mapped(space, 1 << 50, 1 << 51) == 1 << 50
    assert mapped(space, TOP, 1 << 50) == space.legacy_base


def test_what_is_named_may_be_anywhere() -> None:
    fixed = ANON | vm.MAP_FIXED
    assert mapped(FIVE, 1 << 55, flags=fixed) == 1 << 55
    assert mapped(FOUR, 1 << 55, flags=fixed) == Denied(Errno.ENOMEM, "beyond-task")
