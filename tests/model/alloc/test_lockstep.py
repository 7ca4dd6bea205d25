"""The compiled representation stays equal to the model after every operation, list order included."""

from dataclasses import replace
from types import FunctionType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.fast import arena
from linuxmm.fast.machine import PRIMITIVES, pack, unpack
from linuxmm.model.alloc.freelist import CMA, HIGHATOMIC, NOTHING, pageblock_type
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.request import zone_of
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.alloc.strategies import (
    GFPS,
    SMALL_MAX,
    SMALL_PAGEBLOCK,
    VERSIONS,
    Allocator,
    crossed,
    quiet,
    small_machine,
    small_rules,
)
from linuxmm.spec.alloc.request import request
from linuxmm.spec.relink import Relinker


def over_arrays(rules: Rules, machine: Machine) -> Allocator:
    """The same algorithms over the arena, not compiled."""
    link = Relinker(PRIMITIVES)
    relinked = Rules._make(link(v) if isinstance(v, FunctionType) else v for v in rules)
    return Allocator(relinked, pack(machine), link)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("aaaaffffdi"), st.integers(0, 1 << 16), st.integers(0, 1)), max_size=60
)


def perform(
    one: Allocator, operation: tuple[str, int, int], held: list[tuple[int, int]], model: Machine
) -> int:
    """Do an operation whose choices depend on the model's state alone; the block handed out."""
    kind, word, cpu = operation
    if kind == "a":
        order, gfp, node = word % (SMALL_MAX + 1), GFPS[word // 8 % len(GFPS)], word // 64 % 2
        return one.alloc(request(order, gfp, cpu=cpu, node=node))
    if kind == "f" and held:
        pfn, order = held[word % len(held)]
        one.free(cpu, pfn, order)
    elif kind == "d":
        one.drain(cpu, (0, 32, 112)[word % 3])
    elif kind == "i":
        pfn = word % 22 << SMALL_PAGEBLOCK
        index = zone_of(model, pfn)
        if index != NOTHING and not crossed(model.zones[index], pfn):
            was = pageblock_type(model.zones[index], pfn)
            if was == 4:
                one.unisolate(pfn, 1)
            elif was not in (CMA, HIGHATOMIC):
                one.isolate(pfn)
    return NOTHING


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=12, deadline=None)
@given(operations=OPERATIONS)
def test_arrays_and_model_agree_after_every_operation(
    version: str, operations: list[tuple[str, int, int]]
) -> None:
    start = small_machine(version)
    model = Allocator(small_rules(version), start)
    fast = over_arrays(small_rules(version), start)
    held: list[tuple[int, int]] = []
    for operation in operations:
        before = model.machine
        pfn = perform(model, operation, held, before)
        assert perform(fast, operation, held, before) == pfn
        kind, word, _ = operation
        if kind == "f" and held:
            held.pop(word % len(held))
        if pfn != NOTHING:
            held.append((pfn, word % (SMALL_MAX + 1)))
        model.machine = quiet(model.machine)
        assert unpack(fast.machine) == model.machine


def test_a_page_of_another_type_is_noticed() -> None:
    start = small_machine("6.12.117")
    packed = pack(start)
    assert unpack(packed) == start
    heads = start.zones[1].lists[4][1]
    assert len(heads) > 1
    first = heads[0]
    packed.mem[arena.WORDS * first + arena.TAG] ^= 1 << 4
    assert unpack(packed) != start


def test_zones_that_share_a_pageblock_each_note_its_type() -> None:
    """As kernels with FLATMEM do: the bitmap of pageblocks belongs to the zone."""
    start = small_machine("6.12.117")
    shared, after = start.zones[1], start.zones[2]
    last = (shared.end - 1) >> shared.pageblock_order
    after = replace(after, start=shared.end, types=(4, *[2] * (((after.end - 1) >> 3) - last)))
    split = replace(start, zones=(start.zones[0], shared, after))
    assert unpack(pack(split)) == split
