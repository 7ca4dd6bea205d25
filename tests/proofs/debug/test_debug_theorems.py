"""The theorems about debugging tools say what their sentences do, on plain values too."""

from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.proofs.debug import faults, kasan, kmemcheck, kmemleak
from linuxmm.proofs.theorem import theorems

ENTRIES = [entry for entry in theorems() if entry.area == "debug"]
WORD = st.sampled_from((0, 0xFFF, 0x1000, 0x103F, 0x1040, 0x2000, 0x2008, 0x2040))


def test_every_theorem_holds_of_its_witness() -> None:
    assert len(ENTRIES) >= 12
    assert kmemcheck.verdicts_pass(2, 1, 2, 3)
    for entry in ENTRIES:
        assert entry.function(**entry.witness), entry.id


@given(WORD, WORD, WORD)
@settings(max_examples=100, deadline=None)
def test_white_is_unreachable_on_plain_words(root: int, one: int, two: int) -> None:
    assert kmemleak.white_is_unreachable(root, one, two)


@given(st.integers(0, 1 << 20), st.integers(0, 200), st.integers(-20, 220))
def test_the_shadow_is_exact_on_plain_values(granule: int, size: int, offset: int) -> None:
    start = (granule + 4) * 8
    assert kasan.shadow_is_exact(start, size, start + offset, 0xFC)


@given(st.integers(0, 7), st.integers(0, 255))
def test_poison_detects_on_plain_bytes(at: int, value: int) -> None:
    assert faults.poison_detects((8, at), value)
