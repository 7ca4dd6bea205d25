"""Caches outside the lists, as reclaim knows them: objects that it may have freed.

Linux: include/linux/shrinker.h.  Seed, opening table (F008).
"""

from dataclasses import dataclass

from linuxmm.spec.reclaim.shrinker import BATCH, DEFAULT_SEEKS


@dataclass(frozen=True, slots=True)
class Shrinker:
    """A cache that reclaim may shrink.

    objects   that could be freed
    deferred  left over from passes before
    stopped   its scan answers SHRINK_STOP: it cannot be entered now
    per_page  objects of a page of slab; the oldest page is emptied first, so no page is held by few
    zone      whose pages they are
    """

    id: int
    objects: int
    seeks: int = DEFAULT_SEEKS
    batch: int = BATCH
    deferred: int = 0
    stopped: bool = False
    per_page: int = 16
    zone: int = 0

    @property
    def pages(self) -> int:
        """Pages of slab that hold the objects."""
        return -(-self.objects // self.per_page)
