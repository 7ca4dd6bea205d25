"""H09, H10 and H11: what is scanned at swappiness 0, what a stream evicts, and what refaults are good for.

A machine of a few hundred pages is the model of one kernel, with no time of its own: a page is touched, and
when no page is free the toucher reclaims.

Linux: mm/vmscan.c, mm/swap.c, mm/workingset.c.  Seed 2.4.1, 2.4.2, 2.4.4, 2.4.5 (F042, F043, F045, F046).
"""

from dataclasses import replace
from typing import Final

from linuxmm.model.reclaim.accesses import bring_in, end_writeback, mark_accessed
from linuxmm.model.reclaim.events import MmVmscanLruIsolate
from linuxmm.model.reclaim.outside import Entry, Mappings, Store
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.reclaimers import direct_reclaim
from linuxmm.model.reclaim.state import WRITEBACK, Lruvec, ZoneMarks, empty, has
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel
from linuxmm.spec.reclaim.lists import ACTIVE_ANON, INACTIVE_ANON

FRAMES: Final = 400
ROUNDS: Final = 60
"""Times that a task which finds no page free asks reclaim again before it is out of memory."""


class Machine:
    """The pages of one kernel under a workload; a place is a page of a file, or of an anonymous area."""

    def __init__(self, release: str, swappiness: int = 60, frames: int = FRAMES, swap: int = 1 << 20) -> None:
        self.rules = rules_for(kernel(release), False)
        self.swappiness = swappiness
        self.v: Lruvec = empty((ZoneMarks(frames, frames, 2, 4, 8),), backing=Store(swap))
        self.where: dict[int, int] = {}
        self.free = list(range(frames))
        self.misses = 0
        self.scanned = [0, 0, 0, 0]

    def read(self, place: int, *, anon: bool = False, mapped: Entry | None = None) -> bool:
        """Touch a place; whether its page had to be brought in.

        mapped  the touch goes through a page-table entry of this kind, and not through read()
        Errors  LinuxmmError when reclaim finds no page
        """
        page = self.where.get(place, -1)
        missed = page < 0
        if missed:
            page = self._new_page()
            self.v = bring_in(self.rules, self.v, page, place, anon=anon)
            self.where[place] = page
            self.misses += 1
        if mapped is None:
            self.v = mark_accessed(self.rules, self.v, page)
        else:
            rmap = self.v.rmap
            assert isinstance(rmap, Mappings)
            self.v = replace(self.v, rmap=rmap.map(page, mapped._replace(young=True)))
        if len(self.v.log) > 1:
            self.v = replace(self.v, log=())
        return missed

    def _new_page(self) -> int:
        for _ in range(ROUNDS):
            if self.free:
                return self.free.pop()
            self.v, progress = direct_reclaim(self.rules, self.v, swappiness=self.swappiness)
            for event in self.v.log:
                if isinstance(event, MmVmscanLruIsolate):
                    self.scanned[event.lru] += event.nr_scanned
            self.v = replace(self.v, log=())
            written = [page for page in self.v.pages if has(self.v, page, WRITEBACK)]
            for page in written:
                self.v = end_writeback(self.rules, self.v, page)
            if progress.reclaimed:
                gone = [place for place, page in self.where.items() if page not in self.v.pages]
                self.free += [self.where.pop(place) for place in gone]
        raise LinuxmmError("reclaim frees no page: out of memory")


# ---- H09 -------------------------------------------------------------------------------------------------


def scanned_anon(release: str, swappiness: int, streamed: int) -> tuple[int, int]:
    """Looks at inactive and at active anonymous pages while a file that is read three times streams by."""
    machine = Machine(release, swappiness)
    for place in range(ANON):
        machine.read(place, anon=True)
    for place in range(1000, 1000 + streamed):
        for _ in range(3):
            machine.read(place)
    return machine.scanned[INACTIVE_ANON], machine.scanned[ACTIVE_ANON]


ANON: Final = 200
STREAMED: Final = 800
QUICK_SWAPPINESS: Final = ("3.4", "3.5", "6.12")
SWAPPINESS_ERAS: Final = ("2.6.28", "2.6.36", "3.4", "3.5", "3.10", "4.9", "5.4", "5.8", "6.1", "6.12")


@experiment(
    "H09",
    title="Anonymous pages that are looked at while files stream by",
    reported="at swappiness 0 none is scanned",
    versions="2.6.28 to 6.12, before and after 3.5",
    workload="200 anonymous pages of 400, then a file of many times the memory, each page read three times",
    left_out=("the daemon: whoever needs a page reclaims", "pages of more than one zone"),
    source="mm/vmscan.c:get_scan_ratio, get_scan_count; 2.6.28 to 6.12",
)
def swappiness_zero(scale: Scale) -> Outcome:
    """Anonymous pages scanned, by release, list and swappiness."""
    releases = QUICK_SWAPPINESS if scale is Scale.QUICK else SWAPPINESS_ERAS
    figures: list[Figure] = []
    lines: dict[str, list[float]] = {}
    for release in releases:
        for swappiness in (0, 60):
            found = scanned_anon(release, swappiness, STREAMED)
            for name, pages in zip(("inactive", "active"), found, strict=True):
                setting = f"{name}, swappiness {swappiness}"
                lines.setdefault(setting, []).append(pages)
                figures.append(Figure("anonymous pages scanned", setting, release, pages, "pages"))
    xs = tuple(float(number) for number in range(len(releases)))
    curves = tuple(
        Curve("anonymous pages scanned", setting, "release, by age", "pages", xs, tuple(ys))
        for setting, ys in lines.items()
    )
    late = releases.index("3.5")
    inactive, active = lines["inactive, swappiness 0"], lines["active, swappiness 0"]
    if any(inactive[late:]):
        why = "inactive anonymous pages are scanned at swappiness 0, in releases that should not"
        return Outcome(tuple(figures), curves, Standing.NOT_CONFIRMED, why)
    if any(inactive) or any(active):
        why = (
            "no inactive anonymous page is scanned at swappiness 0 (before 3.5 the share is one in 200, "
            "which so small a machine rounds away); but where anonymous pages start active, and too few are "
            "inactive, active ones are taken down, whatever swappiness says"
        )
        return Outcome(tuple(figures), curves, Standing.PARTLY, why)
    why = "no anonymous page is scanned at swappiness 0"
    return Outcome(tuple(figures), curves, Standing.CONFIRMED, why)


# ---- H10 -------------------------------------------------------------------------------------------------

STREAM_ERAS: Final = ("2.6.24", "2.6.28", "2.6.31", "2.6.36", "3.10", "4.9", "5.9", "6.12")
HOT: Final = 100
PASSING: Final = 2000
QUICK_STREAM: Final = ("2.6.28", "2.6.36", "6.12")


def refaults_of_hot(release: str, streamed: int, every: int, mapped: bool) -> int:
    """Faults on a hot set of 100 pages, one of which is touched for every `every` pages of a stream."""
    machine = Machine(release, swap=0)
    entry = Entry(executable=True) if mapped else None
    for _ in range(3):
        for place in range(HOT):
            machine.read(place, mapped=entry)
    faults = 0
    for number in range(streamed):
        machine.read(1000 + number)
        if number % every == 0:
            faults += machine.read(number // every % HOT, mapped=entry)
    return faults


@experiment(
    "H10",
    title="What a file that is read once evicts",
    reported="the active set stays",
    versions="2.6.24 to 6.12",
    workload="100 hot pages of 400, executed or read, one touched for every 8 pages of a stream of new ones",
    left_out=("readahead, which touches pages it may not need", "the daemon: whoever needs a page reclaims"),
    source="mm/vmscan.c:shrink_active_list, page_check_references; mm/swap.c:mark_page_accessed",
)
def stream(scale: Scale) -> Outcome:
    """Faults on the hot set, by release."""
    releases = QUICK_STREAM if scale is Scale.QUICK else STREAM_ERAS
    touches = PASSING // 8
    figures = []
    read: list[float] = []
    executed: list[float] = []
    for release in releases:
        for name, mapped, values in (("read", False, read), ("executed", True, executed)):
            faults = refaults_of_hot(release, PASSING, 8, mapped)
            values.append(faults)
            setting = f"hot pages {name}, {touches} touches"
            figures.append(Figure("faults on the hot set", setting, release, faults, "faults"))
    xs = tuple(float(number) for number in range(len(releases)))
    curves = (
        Curve("faults on the hot set", "hot pages read", "release", "faults", xs, tuple(read)),
        Curve("faults on the hot set", "hot pages executed", "release", "faults", xs, tuple(executed)),
    )
    few = touches // 20
    kept = [release for release, a, b in zip(releases, read, executed, strict=True) if max(a, b) <= few]
    lost = [release for release in releases if release not in kept]
    if not lost:
        return Outcome(
            tuple(figures), curves, Standing.CONFIRMED, "no release loses a twentieth of the touches"
        )
    if kept:
        why = f"kept by {', '.join(kept)}; more than a twentieth of the touches fault in {', '.join(lost)}"
        return Outcome(tuple(figures), curves, Standing.PARTLY, why)
    return Outcome(tuple(figures), curves, Standing.NOT_CONFIRMED, "every release evicts the hot set")


# ---- H11 -------------------------------------------------------------------------------------------------

SETS: Final = (100, 150, 200, 250, 300, 350, 450)
STALE: Final = 240
REFAULT_ERAS: Final = ("3.14", "3.16", "4.9", "5.9", "6.12")


def hit_ratio(release: str, size: int, rounds: int) -> float:
    """Hits of the second half of the rounds over a set, after 240 active pages went stale."""
    machine = Machine(release, swap=0)
    for _ in range(3):
        for place in range(STALE):
            machine.read(10_000 + place)
    for _ in range(rounds // 2):
        for place in range(size):
            machine.read(place)
    before = machine.misses
    late = rounds - rounds // 2
    for _ in range(late):
        for place in range(size):
            machine.read(place)
    return 1 - (machine.misses - before) / (late * size)


@experiment(
    "H11",
    title="A set that is larger than the inactive list",
    reported="thrashing stops when the set fits both lists",
    versions="3.14, without refault detection, and 3.16 to 6.12 with it",
    workload="240 of 400 pages active and stale; then 100 to 450 pages of a file read round and round",
    left_out=(
        "readahead",
        "the daemon: whoever needs a page reclaims",
        "time: nothing is written or waited for",
    ),
    source="mm/workingset.c:workingset_refault; 3.16 to 6.12",
)
def workingset(scale: Scale) -> Outcome:
    """Hit ratio by the size of the set."""
    sizes = SETS[1::2] if scale is Scale.QUICK else SETS
    figures: list[Figure] = []
    curves: list[Curve] = []
    ratios: dict[str, list[float]] = {}
    for release in REFAULT_ERAS:
        ratios[release] = [hit_ratio(release, size, 8) for size in sizes]
        figures += [
            Figure("hit ratio", f"{size} pages", release, ratio)
            for size, ratio in zip(sizes, ratios[release], strict=True)
        ]
        xs, ys = tuple(map(float, sizes)), tuple(ratios[release])
        curves.append(Curve("hit ratio", release, "pages of the set", "hits", xs, ys))
    fitting = [number for number, size in enumerate(sizes) if size <= 350]
    better = all(
        ratios[release][number] >= ratios["3.14"][number]
        for release in REFAULT_ERAS[1:]
        for number in fitting
    )
    stopped = all(ratios[release][number] >= 0.9 for release in REFAULT_ERAS[1:] for number in fitting)
    thrashed = min(ratios["3.14"][number] for number in fitting) < 0.5
    if stopped and thrashed:
        why = "with detection every set that fits hits nine times of ten; without, the larger ones thrash"
        return Outcome(tuple(figures), tuple(curves), Standing.CONFIRMED, why)
    if better:
        why = "no set does worse with detection, but some still miss, or none thrashed without it"
        return Outcome(tuple(figures), tuple(curves), Standing.PARTLY, why)
    why = "some set does worse with detection than without"
    return Outcome(tuple(figures), tuple(curves), Standing.NOT_CONFIRMED, why)
