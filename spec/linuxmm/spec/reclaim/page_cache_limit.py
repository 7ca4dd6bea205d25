"""A limit of the page cache, as posted for 3.15 and never merged: what its four parameters mean.

Read from the cover letter; the amounts that it reclaims are unconfirmed and stand here as the least that the
limit asks for.  Linux: none.  Seed 2 (F005).
"""

from linuxmm.spec.invariant import invariant
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

_MIB = 1 << 20


@formula("F005", source="lkml 1406.2/00142: cache_limit_mbytes")
def limit_of_mbytes(mbytes: int) -> int:
    """Pages that cache_limit_mbytes allows; 0 is no limit."""
    return mbytes * (_MIB // PAGE_SIZE)


@formula("F005", source="lkml 1406.2/00142: cache_limit_ratio")
def limit_of_ratio(ratio: int, ram: int) -> int:
    """Pages that cache_limit_ratio, in hundredths of all memory, allows; 0 is no limit."""
    return ram * ratio // 100


@formula("F005", source="lkml 1406.2/00142")
def valid(mbytes: int, ratio: int, seconds: int, weight: int, ram: int) -> bool:
    """Whether the four parameters are within their ranges: memory, 0 to 100, a period or none, 1 to 100."""
    return 0 <= limit_of_mbytes(mbytes) <= ram and 0 <= ratio <= 100 and seconds >= 0 and 1 <= weight <= 100


@formula("F005", source="lkml 1406.2/00142; the amount is unconfirmed")
def excess(cached: int, limit: int) -> int:
    """Pages to be reclaimed before one more is added, so that the cache is within its limit after that."""
    return max(0, cached + 1 - limit) if limit > 0 else 0


@invariant("reclaim.cache-limit", features=("F005",), seed="2", source="lkml 1406.2/00142")
def within_limit(cached: int, limit: int, stuck: int) -> bool:
    """After a page was added, the cache exceeds its limit at most by pages that could not be reclaimed."""
    return limit == 0 or cached <= limit + stuck
