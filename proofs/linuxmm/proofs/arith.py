"""Theorems about the integer arithmetic of `linuxmm.spec.arith`."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, SignedWord, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.arith import (
    align_down,
    align_up,
    cdiv,
    clamp,
    floor_log2,
    int_sqrt,
    lowest_bit,
    mult_frac,
    rounddown_pow_of_two,
    roundup_pow_of_two,
)

U64 = Annotated[int, Word(64)]
S64 = Annotated[int, SignedWord(64)]
Unbounded = Annotated[int, Integer()]
Natural = Annotated[int, Integer(least=0)]
Positive = Annotated[int, Integer(least=1)]
Shift = Annotated[int, each(range(63))]


@theorem(
    "arith.cdiv.truncates",
    "The quotient is truncated towards zero: its remainder is smaller than the divisor and has the "
    "dividend's sign.",
    proves=(cdiv,),
    bounds="any integer",
    witness={"dividend": -7, "divisor": 2},
    mutants=(
        Mutant(
            cdiv,
            "floors negative dividends",
            "return -((-dividend) // divisor)",
            "return dividend // divisor",
        ),
        Mutant(cdiv, "takes the sign test the wrong way", ">= 0", "<= 0"),
    ),
)
def cdiv_truncates(dividend: Unbounded, divisor: Positive) -> bool:
    remainder = dividend - cdiv(dividend, divisor) * divisor
    return implies(dividend >= 0, (remainder >= 0) & (remainder < divisor)) & implies(
        dividend <= 0, (remainder <= 0) & (-divisor < remainder)
    )


@theorem(
    "arith.cdiv.odd",
    "Dividing the negated dividend gives the negated quotient.",
    proves=(cdiv,),
    bounds="any integer",
    witness={"dividend": 7, "divisor": 2},
    mutants=(
        Mutant(
            cdiv,
            "floors negative dividends",
            "return -((-dividend) // divisor)",
            "return dividend // divisor",
        ),
        Mutant(cdiv, "loses the sign", "return -(", "return ("),
    ),
)
def cdiv_odd(dividend: Unbounded, divisor: Positive) -> bool:
    return cdiv(-dividend, divisor) == -cdiv(dividend, divisor)


@theorem(
    "arith.mult_frac.exact",
    "mult_frac is the floor of the exact product over the denominator.",
    proves=(mult_frac,),
    bounds="any x and numerator, denominators 1 to 128 and 10000",
    witness={"x": 1000, "numerator": 7, "denominator": 3},
    mutants=(
        Mutant(
            mult_frac, "drops the remainder's share", "((x % denominator) * numerator) // denominator", "0"
        ),
        Mutant(
            mult_frac,
            "multiplies the rounded quotients",
            "((x % denominator) * numerator) // denominator",
            "(x % denominator) * (numerator // denominator)",
        ),
    ),
)
def mult_frac_exact(
    x: Natural, numerator: Natural, denominator: Annotated[int, each((*range(1, 129), 10000))]
) -> bool:
    result = mult_frac(x, numerator, denominator)
    product = x * numerator
    return (result * denominator <= product) & (product < (result + 1) * denominator)


@theorem(
    "arith.mult_frac.fraction",
    "A numerator up to the denominator gives a result up to x.",
    proves=(mult_frac,),
    bounds="any x, denominators 1, 2, 3, 10, 100, 1000, 10000",
    witness={"x": 1000, "numerator": 3, "denominator": 3},
    mutants=(
        Mutant(mult_frac, "rounds the first quotient up", "x // denominator)", "x // denominator + 1)"),
        Mutant(
            mult_frac,
            "doubles the remainder's share",
            "* numerator) // denominator",
            "* numerator * 2) // denominator",
        ),
    ),
)
def mult_frac_fraction(
    x: Natural, numerator: Natural, denominator: Annotated[int, each((1, 2, 3, 10, 100, 1000, 10000))]
) -> bool:
    assume(numerator <= denominator)
    return mult_frac(x, numerator, denominator) <= x


@theorem(
    "arith.mult_frac.fits",
    "No word wraps as long as numerator and denominator fit half a word and the numerator does not exceed "
    "the "
    "denominator.",
    proves=(mult_frac,),
    method="bounded",
    bounds="words of 10 bits, halves of 5",
    witness={"x": 2**10 - 1, "numerator": 2**5 - 1, "denominator": 2**5 - 1},
    mutants=(
        Mutant(
            mult_frac,
            "multiplies first",
            "(x // denominator) * numerator + ((x % denominator) * numerator) // denominator",
            "x * numerator // denominator",
        ),
        Mutant(
            mult_frac,
            "divides by one less",
            "* numerator) // denominator",
            "* numerator) // (denominator - 1)",
        ),
    ),
)
def mult_frac_fits(
    x: Annotated[int, Word(10)],
    numerator: Annotated[int, Word(10, below=1 << 5)],
    denominator: Annotated[int, Word(10, below=1 << 5)],
) -> bool:
    assume(denominator > 0)
    assume(numerator <= denominator)
    return mult_frac(x, numerator, denominator) <= x


@theorem(
    "arith.int_sqrt.floor",
    "r * r <= x < (r + 1) * (r + 1).",
    proves=(int_sqrt,),
    method="bounded",
    bounds="x < 2**14",
    witness={"x": 99},
    mutants=(
        Mutant(int_sqrt, "leaves perfect squares out", "x >= trial", "x > trial"),
        Mutant(int_sqrt, "forgets to subtract", "x -= trial", "x -= 0"),
    ),
)
def int_sqrt_floor(x: Annotated[int, Word(64, below=1 << 14)]) -> bool:
    root = int_sqrt(x)
    return (root * root <= x) & (x < (root + 1) * (root + 1))


@theorem(
    "arith.clamp.within",
    "The result lies within the limits when they are in order, and is x wherever x does.",
    proves=(clamp,),
    bounds="any integer",
    witness={"x": 5, "low": 1, "high": 3},
    mutants=(
        Mutant(clamp, "forgets the lower limit", "max(x, low)", "x"),
        Mutant(clamp, "forgets the upper limit", "min(max(x, low), high)", "max(x, low)"),
    ),
)
def clamp_within(x: Unbounded, low: Unbounded, high: Unbounded) -> bool:
    result = clamp(x, low, high)
    inside = (low <= x) & (x <= high)
    return implies(low <= high, (low <= result) & (result <= high)) & implies(inside, result == x)


@theorem(
    "arith.clamp.crossed",
    "When the limits are crossed the upper one wins.",
    proves=(clamp,),
    bounds="any integer",
    witness={"x": 5, "low": 3, "high": 1},
    mutants=(
        Mutant(clamp, "lets the lower limit win", "min(max(x, low), high)", "max(min(x, high), low)"),
        Mutant(clamp, "forgets the lower limit", "max(x, low)", "x"),
    ),
)
def clamp_crossed(x: Unbounded, low: Unbounded, high: Unbounded) -> bool:
    assume(low > high)
    return clamp(x, low, high) == high


@theorem(
    "arith.align_down.greatest",
    "align_down gives the greatest multiple of the alignment that is not above x.",
    proves=(align_down,),
    bounds="any 64-bit word, any power of two below 2**63",
    witness={"x": 4097, "shift": 12},
    mutants=(
        Mutant(align_down, "keeps the low bits", "~(alignment - 1)", "(alignment - 1)"),
        Mutant(align_down, "masks one bit too many", "alignment - 1", "2 * alignment - 1"),
    ),
)
def align_down_greatest(x: U64, shift: Shift) -> bool:
    result = align_down(x, 1 << shift)
    return (result % (1 << shift) == 0) & (result <= x) & (x - result < 1 << shift)


@theorem(
    "arith.align_up.least",
    "align_up gives the least multiple of the alignment that is not below x.",
    proves=(align_up,),
    bounds="any 64-bit word whose rounding fits, any power of two below 2**63",
    witness={"x": 4097, "shift": 12},
    mutants=(
        Mutant(align_up, "moves aligned values up", "x + alignment - 1", "x + alignment"),
        Mutant(align_up, "rounds down", "x + alignment - 1", "x"),
    ),
)
def align_up_least(x: U64, shift: Shift) -> bool:
    assume(x < (1 << 64) - (1 << shift))
    result = align_up(x, 1 << shift)
    return (result % (1 << shift) == 0) & (result >= x) & (result - x < 1 << shift)


@theorem(
    "arith.align.dual",
    "Rounding up is rounding down from alignment - 1 further, and both leave aligned values alone.",
    proves=(align_up, align_down),
    bounds="any 64-bit word whose rounding fits, any power of two below 2**63",
    witness={"x": 4096, "shift": 12},
    mutants=(
        Mutant(align_up, "moves aligned values up", "x + alignment - 1", "x + alignment"),
        Mutant(align_down, "masks one bit too many", "alignment - 1", "2 * alignment - 1"),
    ),
)
def align_dual(x: U64, shift: Shift) -> bool:
    assume(x < (1 << 64) - (1 << shift))
    alignment = 1 << shift
    aligned = x % alignment == 0
    return (align_up(x, alignment) == align_down(x + alignment - 1, alignment)) & implies(
        aligned, (align_up(x, alignment) == x) & (align_down(x, alignment) == x)
    )


@theorem(
    "arith.floor_log2.bracket",
    "2**floor_log2(x) <= x < 2 * 2**floor_log2(x).",
    proves=(floor_log2,),
    bounds="any 64-bit word",
    witness={"x": 1 << 63},
    mutants=(
        Mutant(floor_log2, "stops one step early", "x > 1", "x > 3"),
        Mutant(floor_log2, "starts at one", "position = 0", "position = 1"),
    ),
)
def floor_log2_bracket(x: U64) -> bool:
    assume(x > 0)
    return x >> floor_log2(x) == 1


@theorem(
    "arith.lowest_bit.exact",
    "The bit at lowest_bit(x) is set and every bit below it is clear.",
    proves=(lowest_bit,),
    bounds="any 64-bit word",
    witness={"x": 1 << 63},
    mutants=(
        Mutant(lowest_bit, "counts set bits instead", "x & 1 == 0", "x & 1 == 1"),
        Mutant(lowest_bit, "looks at pairs of bits", "x & 1 == 0", "x & 3 == 0"),
    ),
)
def lowest_bit_exact(x: U64) -> bool:
    assume(x > 0)
    position = lowest_bit(x)
    return ((x >> position) & 1 == 1) & (x & ((1 << position) - 1) == 0)


@theorem(
    "arith.pow2.bracket",
    "rounddown_pow_of_two(x) <= x <= roundup_pow_of_two(x), both are powers of two, and no power of two "
    "lies between.",
    proves=(rounddown_pow_of_two, roundup_pow_of_two, floor_log2),
    bounds="1 <= x <= 2**63",
    witness={"x": 5},
    mutants=(
        Mutant(roundup_pow_of_two, "doubles exact powers", "floor_log2(x - 1)", "floor_log2(x)"),
        Mutant(rounddown_pow_of_two, "gives the power below", "floor_log2(x)", "(floor_log2(x) + 1) // 2"),
    ),
)
def pow2_bracket(x: U64) -> bool:
    assume(x > 0)
    assume(x <= 1 << 63)
    down, up = rounddown_pow_of_two(x), roundup_pow_of_two(x)
    power = (down & (down - 1) == 0) & (up & (up - 1) == 0)
    return (
        power & (down <= x) & (x <= up) & implies(no(x == down), up == 2 * down) & implies(x == down, up == x)
    )
