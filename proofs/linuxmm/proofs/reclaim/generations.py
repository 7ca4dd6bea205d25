"""Theorems about the multi-generational lists: their windows stay valid, and shadows remember."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, no, theorem
from linuxmm.spec.reclaim.generations import (
    REFS_WIDTH,
    Window,
    aged,
    closed,
    is_recent,
    refs_of,
    token,
    window_is_valid,
)

Seq = Annotated[int, Integer(least=0)]


@theorem(
    "reclaim.generations.window-step",
    "Ageing and closing generations keep two to four of each kind, files never ahead; no number falls.",
    proves=(aged, closed, window_is_valid),
    clauses=("reclaim.generations.window",),
    features=("F042",),
    method="inductive",
    bounds="any sequence number; any number of empty generations",
    witness={"top": 9, "anon": 6, "file": 7, "anon_empty": 1, "file_empty": 1, "ages": 1},
    mutants=(
        Mutant(aged, "forgets the oldest", "(1 if generations(window, FILE) == MAX_GENS else 0)", "0"),
        Mutant(closed, "leaves files behind", "max(anon, window.min_file)", "window.min_file"),
        Mutant(closed, "closes one more", "Window(window.max_seq, anon,", "Window(window.max_seq, anon + 1,"),
    ),
)  # fmt: skip
def windows_stay_valid(
    top: Seq, anon: Seq, file: Seq, anon_empty: Seq, file_empty: Seq, ages: Annotated[int, each((0, 1))]
) -> bool:
    window = Window(top, anon, file)
    assume(window_is_valid(window))
    after = aged(window) if ages else closed(window, anon_empty, file_empty)
    grows: bool = (after.min_anon >= anon) & (after.min_file >= file) & (after.max_seq >= top)
    return window_is_valid(after) & grows


@theorem(
    "reclaim.generations.token",
    "A shadow gives back the uses of a page, and is recent while the generation it left is the oldest, "
    "not in the next one.",
    proves=(token, is_recent, refs_of),
    features=("F046",),
    bounds="sequence numbers below 2**60; the 36 bits of a shadow of 64 bits",
    witness={"seq": 5, "refs": 3},
    mutants=(
        Mutant(token, "forgets the uses", " | max(refs - 1, 0)", ""),
        Mutant(is_recent, "is always recent", "held >> REFS_WIDTH ==", "min_seq & (mask >> REFS_WIDTH) =="),
        Mutant(refs_of, "forgets the bit", " + workingset", ""),
    ),
)
def remembers(seq: Annotated[int, Word(64)], refs: Annotated[int, each(range(5))]) -> bool:
    mask = (1 << 36) - 1
    assume(seq < 1 << 60)
    held = token(seq, refs) & mask
    uses: bool = refs_of(held, 1 if refs else 0) == refs
    fits: bool = (1 << REFS_WIDTH) == 4
    return is_recent(held, seq, mask) & no(is_recent(held, seq + 1, mask)) & uses & fits
