"""From addresses of struct pages to pfns: page = base + size * pfn, learnt from events with both."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from linuxmm.oracle.formats.events import Events, Int64

NULL: Final = 0
UNKNOWN: Final = 1  # no address, or one that was hidden
HELD: Final = 8


@dataclass(frozen=True, slots=True)
class PageMap:
    """Where the array of struct pages is, and the size of one, in bytes."""

    base: int
    size: int


class PageMapper:
    """Learns a `PageMap` and applies it, batch after batch.

    Two pairs of different pfns are enough to learn; every pair is then checked.  Addresses that are hashed,
    or a memory model whose struct pages are not one array, contradict the map: from then on nothing is
    resolved and `linear` is False.
    """

    def __init__(self, known: PageMap | None = None) -> None:
        self.known = known
        self.linear = True

    @property
    def undecided(self) -> bool:
        """Whether no map is known and one may still be learnt."""
        return self.known is None and self.linear

    def learn(self, page: Int64, pfn: Int64) -> None:
        """Take in the pairs of one batch: rows with a real address and a pfn."""
        both = (page != NULL) & (page != UNKNOWN) & (pfn >= 0)
        pages, pfns = page[both], pfn[both]
        if not len(pages) or not self.linear:
            return
        if self.known is None:
            low, high = int(pfns.argmin()), int(pfns.argmax())
            span = int(pfns[high]) - int(pfns[low])
            if span == 0:
                return
            size, rest = divmod(int(pages[high]) - int(pages[low]), span)
            if rest or not 16 <= size <= 1024:
                self.linear = False
                return
            self.known = PageMap(int(pages[low]) - size * int(pfns[low]), size)
        with np.errstate(over="ignore"):
            if np.any(pages != pfns * self.known.size + _word(self.known.base)):
                self.known, self.linear = None, False

    def asks(self, page: Int64, pfn: Int64) -> bool:
        """Whether some row has only an address."""
        return bool(np.any((page != NULL) & (page != UNKNOWN) & (pfn < 0)))

    def resolve(self, page: Int64, pfn: Int64) -> int:
        """Fill in pfns that only an address states, in place; how many could not be.

        A page that is NULL leaves no pfn (a failed allocation, a probe that returned nothing).
        """
        pfn[page == NULL] = -1
        ask = (page != NULL) & (page != UNKNOWN) & (pfn < 0)
        if not ask.any():
            return 0
        if self.known is None:
            return int(np.count_nonzero(ask))
        with np.errstate(over="ignore"):
            away = page[ask] - _word(self.known.base)
        found = away // self.known.size
        good = (away >= 0) & (away % self.known.size == 0)
        pfn[ask] = np.where(good, found, -1)
        return int(np.count_nonzero(~good))


def resolve_batches(batches: Iterable[tuple[Events, Int64]], mapper: PageMapper) -> Iterator[Events]:
    """Batches with the pfns that only struct-page addresses state filled in.

    At most `HELD` batches wait until a page map is learnt; after that what cannot be resolved is counted.
    """
    held: list[tuple[Events, Int64]] = []
    asking = False
    for batch, page in batches:
        mapper.learn(page, batch.pfn)
        held.append((batch, page))
        asking = asking or mapper.asks(page, batch.pfn)
        if asking and mapper.undecided and len(held) < HELD:
            continue
        yield from (replace(b, unresolved=mapper.resolve(p, b.pfn)) for b, p in held)
        held.clear()
        asking = False
    yield from (replace(b, unresolved=mapper.resolve(p, b.pfn)) for b, p in held)


def _word(value: int) -> np.int64:
    """An address as the signed word with its bits."""
    value &= (1 << 64) - 1
    return np.int64(value - (1 << 64) if value >> 63 else value)
