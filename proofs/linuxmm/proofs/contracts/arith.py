"""Contracts on the integer arithmetic of `linuxmm.spec.arith`."""

from typing import Final

from linuxmm.proofs.crosshair import Condition
from linuxmm.proofs.mutant import Mutant
from linuxmm.spec.arith import cdiv, clamp


def clamp_within(x: int, low: int, high: int) -> int:
    """The result lies within limits that are in order.

    pre: low <= high
    post: low <= __return__ <= high
    """
    return clamp(x, low, high)


def cdiv_by_ten(dividend: int) -> int:
    """Truncation towards zero by a constant divisor.

    post: abs(dividend - 10 * __return__) < 10
    post: __return__ == 0 or (__return__ > 0) == (dividend > 0)
    """
    return cdiv(dividend, 10)


CONDITIONS: Final = (
    Condition(
        "arith.clamp.crosshair",
        "The result of clamp lies within limits that are in order.",
        clamp_within,
        (clamp,),
        {"x": 5, "low": 1, "high": 3},
        (
            Mutant(clamp, "forgets the lower limit", "max(x, low)", "x"),
            Mutant(clamp, "forgets the upper limit", "min(max(x, low), high)", "max(x, low)"),
        ),
    ),
    Condition(
        "arith.cdiv.crosshair",
        "cdiv by ten leaves a remainder below ten and a quotient with the dividend's sign.",
        cdiv_by_ten,
        (cdiv,),
        {"dividend": -25},
        (
            Mutant(cdiv, "loses the sign", "return -((-dividend)", "return ((-dividend)"),
            Mutant(cdiv, "is one too large", "return dividend // divisor", "return dividend // divisor + 1"),
        ),
    ),
)
