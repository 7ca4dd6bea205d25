"""A function taken apart at a loop does in parts what it does as a whole; merging changes no result."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.rewrite import LoopGoesOn, begin, finish, merged, turn, whole
from linuxmm.spec.alloc.gfp_layouts import LAYOUTS, Layout, decode_gfp, encode_gfp


def collatz(n: int, limit: int) -> tuple[int, int]:
    """Two loops, one in the other, with every way to end a turn."""
    steps = 0
    while n != 1:
        if steps == limit:
            return n, -1
        while n % 2 == 0:
            n //= 2
            steps += 1
        if n == 1:
            continue
        n = 3 * n + 1
        steps += 1
    return n, steps


def by_parts(n: int, limit: int) -> object:
    state = begin(collatz, n, limit)
    while True:
        how, state, value = turn(collatz, state)
        if how != "again":
            return value if how == "returned" else finish(collatz, state)


@given(st.integers(1, 200), st.integers(0, 60))
def test_the_turns_of_a_loop_are_the_loop(n: int, limit: int) -> None:
    assert by_parts(n, limit) == collatz(n, limit)


def test_one_loop_of_several_runs_alone() -> None:
    assert whole(collatz, {"n": 24, "steps": 2, "limit": 9, "other": 1}, 1, 3)["n"] == 3
    with pytest.raises(LoopGoesOn, match="loop 1 of collatz makes more than 2 turns"):
        whole(collatz, {"n": 24, "steps": 2, "limit": 9}, 1, 2)


def test_a_loop_that_is_not_there_or_lies_within_another_is_an_error() -> None:
    with pytest.raises(TypeError, match="collatz has 2 loops; number 2 was asked for"):
        turn(collatz, {}, 2)
    with pytest.raises(TypeError, match="loop 1 of collatz lies within another statement"):
        begin(collatz, 3, 4, loop=1)


def test_a_mutant_is_taken_apart_with_its_fault() -> None:
    faulty = Mutant(collatz, "adds nothing", "3 * n + 1", "3 * n").build()
    assert turn(faulty, {"n": 3, "steps": 0, "limit": 9}).state["n"] == 9


@given(st.integers(0, 2**32 - 1), st.sampled_from(LAYOUTS))
def test_merging_changes_no_result(word: int, layout: Layout) -> None:
    version = layout.since
    canonical = decode_gfp(word, version)
    assert merged(decode_gfp, word, version) == canonical
    assert merged(encode_gfp, canonical, version) == encode_gfp(canonical, version)
