"""H08: lumpy reclaim evicts hot pages, compaction does not.

Linux: mm/vmscan.c:isolate_lru_pages, mm/compaction.c.  Seed 2.2 (F037, F039).
"""

from typing import Final

from linuxmm.model.defrag import lumpy
from linuxmm.model.defrag.picture import memory_of
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.zones import Direct, direct_compaction
from linuxmm.model.reclaim import profile as reclaim_profile
from linuxmm.model.reclaim.accesses import bring_in, drain, lru_of
from linuxmm.model.reclaim.outside import Store
from linuxmm.model.reclaim.rules import Control
from linuxmm.model.reclaim.state import ACTIVE, Lruvec, ZoneMarks, add_head, empty, flag, remove
from linuxmm.spec.alloc.retry import SYNC_LIGHT
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import INACTIVE_FILE

BLOCKS: Final = 33
ORDER: Final = 5
SIZE: Final = 1 << ORDER
SHARES: Final = (3, 4, 8)
LUMPY: Final = ("2.6.24", "2.6.32", "3.4")
COMPACTING: Final = ("3.4", "4.9", "5.4", "6.1.192", "6.12.117")


def memory(share: int) -> str:
    """Pages of one zone: in each `share`, one hot page, then cold ones, and a free one at the end of each."""
    group = "h" + "c" * (share - 2) + "."
    return (group * (BLOCKS * SIZE // share))[: (BLOCKS - 1) * SIZE]


def by_reclaim(version: str, pages: str) -> tuple[int, int]:
    """(hot pages evicted, pages freed) until the block around some page is free."""
    named = kernel(version)
    r = reclaim_profile.rules_for(named, batches=False)
    rules = lumpy.rules_for(named, r, compaction=False)
    marks = ZoneMarks(len(pages), len(pages), 1, 2, 3)
    v: Lruvec = empty((marks,), backing=Store(slots=8))
    for pfn, letter in enumerate(pages):
        if letter == ".":
            continue
        v = drain(r, bring_in(r, v, pfn, pfn))
        if letter == "h":
            v = remove(v, pfn, lru_of(r, v, pfn))
            v = flag(v, pfn, ACTIVE, True)
            v = add_head(v, pfn, lru_of(r, v, pfn))
    before = len(v.pages)
    hot = {pfn for pfn, letter in enumerate(pages) if letter == "h"}
    for _ in range(len(pages)):
        if any(not any(at + n in v.pages for n in range(SIZE)) for at in range(0, len(pages), SIZE)):
            break
        v, _, taken, _ = lumpy.shrink_lumpy(rules, v, INACTIVE_FILE, 1, Control(12, 32, ORDER))
        if not taken.pages:
            break
    return len(hot - set(v.pages)), before - len(v.pages)


def by_compaction(version: str, pages: str) -> tuple[bool, int, int]:
    """(a block came free, hot pages evicted, pages moved) by one synchronous compaction."""
    rules = rules_for(kernel(version, force_max_zoneorder=ORDER + 2), block_order=ORDER)
    before = memory_of(rules, pages.replace("h", "f").replace("c", "f"))
    answer = direct_compaction(rules, (before,), Direct(ORDER, 1, SYNC_LIGHT))
    after = answer.zones[0]
    free = answer.captured >= 0 or any(order >= ORDER for order, _ in after.zone.free.values())
    kept = {page.content for page in after.pages.values()}
    hot = {pfn for pfn, letter in enumerate(pages) if letter == "h"}
    return free, len(hot - kept), len(answer.moved)


@experiment(
    "H08",
    title="Large blocks: neighbours evicted, or pages moved",
    reported="lumpy reclaim evicts hot pages with their cold neighbours; compaction keeps both",
    versions="lumpy reclaim of 2.6.24, 2.6.32 and 3.4 without compaction; compaction of 3.4 to 6.12",
    workload="a zone in which every third, fourth or eighth page is hot and as many are free; one block of "
    "32 pages is wanted",
    left_out=(
        "how long moving takes, and what evicted pages cost to be read again: each is one refault",
        "pages that cannot move",
    ),
    source="mm/vmscan.c:isolate_lru_pages, mm/compaction.c:compact_zone",
)
def lumps(scale: Scale) -> Outcome:
    """Hot pages lost for one block."""
    shares = SHARES[:2] if scale is Scale.QUICK else SHARES
    figures: list[Figure] = []
    evicted: list[float] = []
    lost, served = 0, True
    for share in shares:
        pages, setting = memory(share), f"one in {share} hot"
        for version in LUMPY:
            hot, freed = by_reclaim(version, pages)
            figures.append(Figure("hot pages evicted by lumpy reclaim", setting, version, float(hot)))
            figures.append(Figure("pages freed by lumpy reclaim", setting, version, float(freed)))
            evicted.append(float(hot))
        for version in COMPACTING:
            free, hot, moved = by_compaction(version, pages)
            figures.append(Figure("hot pages evicted by compaction", setting, version, float(hot)))
            figures.append(Figure("pages moved by compaction", setting, version, float(moved)))
            lost, served = lost + hot, served and free
    curve = Curve(
        "evicted",
        "lumpy reclaim",
        "case",
        "hot pages evicted",
        tuple(float(n) for n in range(len(evicted))),
        tuple(evicted),
    )
    right = min(evicted) > 0 and lost == 0
    why = (
        f"For one block of {SIZE} pages lumpy reclaim evicts {min(evicted):.0f} to {max(evicted):.0f} "
        f"hot pages; compaction evicts {lost} and {'always' if served else 'not always'} makes a block."
    )
    standing = (
        Standing.CONFIRMED if right and served else Standing.PARTLY if right else Standing.NOT_CONFIRMED
    )
    return Outcome(tuple(figures), (curve,), standing, why)
