"""Integer arithmetic as the kernel does it.

All functions take and return plain ints, hold no state, and are run, proved and compiled from this text.
"""


def cdiv(dividend: int, divisor: int) -> int:
    """C's integer quotient: truncated towards zero.

    Requires  divisor > 0
    """
    if dividend >= 0:
        return dividend // divisor
    return -((-dividend) // divisor)


def mult_frac(x: int, numerator: int, denominator: int) -> int:
    """x * numerator / denominator without overflow in the first product.

    Requires  x >= 0, numerator >= 0, denominator > 0
    Source    include/linux/math.h:mult_frac
    """
    return (x // denominator) * numerator + ((x % denominator) * numerator) // denominator


def int_sqrt(x: int) -> int:
    """floor(sqrt(x)) by bitwise restoration, as the kernel computes it.

    Requires  0 <= x < 2**64
    Ensures   r * r <= x < (r + 1) * (r + 1)
    Source    lib/math/int_sqrt.c:int_sqrt
    """
    root = 0
    bit = 1 << 62
    while bit > x:
        bit >>= 2
    while bit != 0:
        trial = root + bit
        root >>= 1
        if x >= trial:
            x -= trial
            root += bit
        bit >>= 2
    return root


def clamp(x: int, low: int, high: int) -> int:
    """x limited to low..high; when low > high the result is high.

    Source    include/linux/minmax.h:clamp
    """
    return min(max(x, low), high)


def align_up(x: int, alignment: int) -> int:
    """The least multiple of `alignment` not below x.

    Requires  alignment is a power of two
    """
    return (x + alignment - 1) & ~(alignment - 1)


def align_down(x: int, alignment: int) -> int:
    """The greatest multiple of `alignment` not above x.

    Requires  alignment is a power of two
    """
    return x & ~(alignment - 1)


def floor_log2(x: int) -> int:
    """Position of the highest set bit.

    Requires  x > 0
    Source    include/linux/log2.h:ilog2, include/asm-generic/bitops:__fls
    """
    position = 0
    while x > 1:
        x >>= 1
        position += 1
    return position


def lowest_bit(x: int) -> int:
    """Position of the lowest set bit.

    Requires  x > 0
    Source    include/asm-generic/bitops/__ffs.h:__ffs
    """
    position = 0
    while x & 1 == 0:
        x >>= 1
        position += 1
    return position


def rounddown_pow_of_two(x: int) -> int:
    """The greatest power of two not above x.

    Requires  x > 0
    """
    return 1 << floor_log2(x)


def roundup_pow_of_two(x: int) -> int:
    """The least power of two not below x.

    Requires  x > 0
    """
    return 1 if x == 1 else 1 << (floor_log2(x - 1) + 1)
