"""Theorems about the verdicts of kmemcheck."""

from typing import Annotated

from linuxmm.proofs.domain import Word
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.debug.kmemcheck import verdict_of_all, verdict_of_any

State = Annotated[int, Word(64, below=4)]


@theorem(
    "debug.kmemcheck.verdict",
    "The strict verdict passes a read exactly when every byte was written, the usual one when any was; what "
    "does not pass is the state of one of the bytes.",
    proves=(verdict_of_all, verdict_of_any),
    features=("F079",),
    method="bounded",
    bounds="every state of reads of 4 bytes",
    witness={"a": 2, "b": 1, "c": 2, "d": 3},
    mutants=(
        Mutant(verdict_of_all, "passes any", "state != Shadow.INITIALIZED", "state == Shadow.INITIALIZED"),
        Mutant(verdict_of_any, "looks at the first byte", "state == Shadow.INITIALIZED", "state == 9"),
        Mutant(verdict_of_all, "always passes", "return state", "return 2"),
    ),
)
def verdicts_pass(a: State, b: State, c: State, d: State) -> bool:
    assume((a < 4) & (b < 4) & (c < 4) & (d < 4))
    states = (a, b, c, d)
    strict, usual = verdict_of_all(states), verdict_of_any(states)
    every = (a == 2) & (b == 2) & (c == 2) & (d == 2)
    some = (a == 2) | (b == 2) | (c == 2) | (d == 2)
    one_of = (strict == a) | (strict == b) | (strict == c) | (strict == d)
    return ((strict == 2) == every) & ((usual == 2) == some) & one_of & ((usual == a) | some)
