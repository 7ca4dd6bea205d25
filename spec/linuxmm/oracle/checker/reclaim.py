"""What events and counters of reclaim say, held against its clauses: counts, shares, the clock of shadows.

Linux: include/trace/events/vmscan.h; mm/vmscan.c, mm/workingset.c.  Seed 2.4 (F008, F042, F043, F046).
"""

import re
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel, Version
from linuxmm.spec.reclaim.lists import DEF_PRIORITY
from linuxmm.spec.reclaim.shrinker import BATCH, Asked, Quota
from linuxmm.spec.reclaim.workingset import Layout, unpack
from linuxmm.spec.verdict import Judgement

_EVENT: Final = re.compile(r"^.{16}-\s*(\d+)\s.*?\d+\.\d+: (\w+): (.*)$")
_PAIR: Final = re.compile(r"(\w+)=(-?\w+)")
_SHRINK_START: Final = re.compile(
    r"(\S+ \S+): nid: (\d+) objects to shrink (\d+) .*cache items (\d+) delta (\d+) total_scan (\d+) "
    r"priority (\d+)"
)
_SHRINK_END: Final = re.compile(
    r"(\S+ \S+): nid: (\d+) unused scan count (\d+) new scan count (\d+) total_scan (-?\d+) "
    r"last shrinker return val (-?\d+)"
)
_MOST_SEEKS: Final = 64
_FREE_SEEKS: Final = Version(4, 20)
"""Since when a shrinker may say that getting its objects back costs nothing."""

ISOLATED: Final = clause(
    "reclaim.seen.isolated",
    "A pass takes no more pages from a list than it looks at, and looks at no more than it was asked to, "
    "apart from pages of zones it must skip.",
    features=("F042", "F043"),
    seed="2.4.1",
    source="mm/vmscan.c:isolate_lru_folios",
).id
OUTCOMES: Final = clause(
    "reclaim.seen.outcomes",
    "Every page that a pass took was freed, activated, kept or put back: no more outcomes than pages.",
    features=("F042", "F043"),
    seed="2.4.1",
    source="mm/vmscan.c:shrink_inactive_list, shrink_active_list",
).id
PAIRED: Final = clause(
    "reclaim.seen.paired",
    "A task that begins direct reclaim ends it before it begins again; the counts of a pass belong to pages "
    "that the same task took.",
    features=("F042",),
    seed="2.4.1",
    source="mm/vmscan.c:try_to_free_pages",
).id
SHARE: Final = clause(
    "reclaim.seen.shrinker-share",
    "A shrinker is asked for the share that the priority, its objects and what was deferred make, for some "
    "number of seeks.",
    features=("F008",),
    seed="opening table",
    source="mm/vmscan.c:do_shrink_slab",
).id
DEFERRED: Final = clause(
    "reclaim.seen.shrinker-deferred",
    "What a shrinker did not scan is deferred, as far as its limit goes.",
    features=("F008",),
    seed="opening table",
    source="mm/vmscan.c:do_shrink_slab",
).id
COUNTED: Final = clause(
    "reclaim.seen.counted",
    "The counters of /proc/vmstat grow by what the passes scanned, freed and took down.",
    features=("F042", "F043"),
    seed="2.4.1",
    source="mm/vmscan.c:shrink_inactive_list, shrink_active_list",
).id
CLOCK: Final = clause(
    "reclaim.seen.clock",
    "The clock of a list grows by one for every page evicted, activated, or put back as active, and by "
    "nothing else.",
    features=("F046",),
    seed="2.4.5",
    source="mm/workingset.c:workingset_age_nonresident",
).id
SHADOW: Final = clause(
    "reclaim.seen.shadow",
    "A shadow tells the clock at the eviction of some page: a refault finds a time at which one was evicted.",
    features=("F046",),
    seed="2.4.5",
    source="mm/workingset.c:workingset_eviction, workingset_refault",
).id


ASKED: Final = clause(
    "reclaim.seen.kswapd-order",
    "The daemon of a node wakes with an order no smaller than any that was asked of it since it woke last.",
    features=("F042",),
    seed="2.4.1",
    since="4.8",
    source="mm/vmscan.c:wakeup_kswapd, kswapd",
).id


class Counters(NamedTuple):
    """What an exact state says: counters of vmstat, the clock of the lists, refaults that activated."""

    events: Mapping[str, int]
    clock: int | None = None
    activated: int = 0


@dataclass(slots=True)
class _Window:
    """What the events since a mark add up to."""

    scanned: int = 0
    reclaimed: int = 0
    refilled: int = 0
    steps: int = 0


@dataclass(slots=True)
class ReclaimCheck:
    """Judges the lines of one trace, mark by mark.

    states   mark -> counters, where they were taken
    layout   of shadow entries; None where it is not known
    clocked  the probes that the clock needs were placed
    alone    one CPU: nothing else changes what a shrinker deferred meanwhile, nor asks while the daemon wakes
    generations  the lists are, or may be, those by generations: not every pass of theirs is told, and one may
                 look twice at what it took
    """

    judgement: Judgement
    kernel: Kernel
    states: Mapping[str, Counters]
    layout: Layout | None = None
    clocked: bool = False
    alone: bool = True
    generations: bool = False
    _taken: dict[int, tuple[int, bool]] = field(default_factory=dict)
    _direct: set[int] = field(default_factory=set)
    _asked: dict[int, int] = field(default_factory=dict)
    _shrinking: dict[int, list[tuple[str, Quota, int, int]]] = field(default_factory=dict)
    _rules: dict[str, Callable[..., object]] = field(default_factory=dict)
    _from: str = ""
    _window: _Window = field(default_factory=_Window)
    _number: int = 0
    _line: str = ""

    def run(self, lines: Iterable[str]) -> None:
        """Judge every line; those of other events pass."""
        for self._number, self._line in enumerate(lines, 1):
            found = _EVENT.match(self._line)
            if found is not None:
                self._one(int(found[1]), found[2], found[3])

    def _one(self, pid: int, event: str, rest: str) -> None:
        handler = _HANDLERS.get(event)
        if handler is None:
            return
        self.judgement.events += 1
        handler(self, pid, rest)

    def _rule(self, name: str) -> Callable[..., object]:
        if name not in self._rules:
            self._rules[name] = self.kernel.behaviour(name).function
        return self._rules[name]

    # ---- passes ------------------------------------------------------------------------------------------

    def isolate(self, pid: int, rest: str) -> None:
        """mm_vmscan_lru_isolate."""
        kv = _numbers(rest)
        looked = kv["nr_scanned"] - kv["nr_skipped"]
        holds = kv["nr_taken"] <= looked <= kv["nr_requested"]
        self._require(ISOLATED, holds, "nr_taken <= nr_scanned - nr_skipped <= nr_requested")
        self._taken[pid] = (kv["nr_taken"], "inactive" in rest)
        if "inactive" not in rest:
            self._window.refilled += kv["nr_scanned"]
        else:  # counted at once: a mark may come before the pass ends, and one that took nothing says no more
            self._window.scanned += kv["nr_scanned"]

    def shrink_inactive(self, pid: int, rest: str) -> None:
        """mm_vmscan_lru_shrink_inactive."""
        kv = _numbers(rest)
        taken = self._pages_of(pid, inactive=True)
        active = kv["nr_activate_anon"] + kv["nr_activate_file"]
        outcomes = kv["nr_reclaimed"] + active + kv["nr_ref_keep"]
        if not self.generations:
            self._require(PAIRED, taken is not None, "a pass over an inactive list by this task before")
        if taken is not None:
            self._require(OUTCOMES, outcomes <= taken, f"at most {taken} outcomes for {taken} pages")
        self._require(OUTCOMES, 0 <= kv["priority"] <= DEF_PRIORITY, f"a priority from 0 to {DEF_PRIORITY}")
        self._window.reclaimed += kv["nr_reclaimed"]
        self._age(active if self._ages() else 0)

    def shrink_active(self, pid: int, rest: str) -> None:
        """mm_vmscan_lru_shrink_active."""
        kv = _numbers(rest)
        taken = self._pages_of(pid, inactive=False)
        self._require(PAIRED, taken == kv["nr_taken"], f"nr_taken={taken}, as this task took before")
        total = kv["nr_active"] + kv["nr_deactivated"]
        holds = total <= kv["nr_taken"] and kv["nr_referenced"] <= kv["nr_taken"]
        self._require(OUTCOMES, holds, f"at most {kv['nr_taken']} outcomes")
        self._age(kv["nr_active"] if self._ages() else 0)

    def _pages_of(self, pid: int, inactive: bool) -> int | None:
        taken = self._taken.pop(pid, None)
        return taken[0] if taken is not None and taken[1] == inactive else None

    def direct_begin(self, pid: int, rest: str) -> None:
        """mm_vmscan_direct_reclaim_begin."""
        self._require(PAIRED, pid not in self._direct, "no direct reclaim within direct reclaim")
        self._direct.add(pid)

    def direct_end(self, pid: int, rest: str) -> None:
        """mm_vmscan_direct_reclaim_end."""
        if self._from:  # what began before the first mark is unknown
            self._require(PAIRED, pid in self._direct, "direct reclaim that began")
        self._direct.discard(pid)

    # ---- the daemon --------------------------------------------------------------------------------------

    def wakeup_kswapd(self, pid: int, rest: str) -> None:
        """mm_vmscan_wakeup_kswapd."""
        kv = _numbers(rest)
        self._asked[kv["nid"]] = max(self._asked.get(kv["nid"], 0), kv["order"])

    def kswapd_wake(self, pid: int, rest: str) -> None:
        """mm_vmscan_kswapd_wake."""
        kv = _numbers(rest)
        asked = self._asked.pop(kv["nid"], None)
        if asked is not None and self.alone:
            self._require(ASKED, kv["order"] >= asked, f"order {asked} at least, as was asked")

    # ---- shrinkers ---------------------------------------------------------------------------------------

    def shrink_slab_start(self, pid: int, rest: str) -> None:
        """mm_shrink_slab_start."""
        found = _SHRINK_START.match(rest)
        if found is None:
            return
        deferred, freeable, delta, total, priority = map(int, found.groups()[2:])
        quota = self._rule("reclaim.shrinker-quota")
        fits = None
        for seeks in range(0 if self.kernel.version >= _FREE_SEEKS else 1, _MOST_SEEKS + 1):
            asked = Asked(deferred, freeable, seeks, BATCH, 0, 0, priority)
            made = quota(asked)
            assert isinstance(made, Quota)
            if made.delta == delta and made.total == total:
                fits = made
                break
        why = f"the share of {freeable} objects at priority {priority}, {deferred} deferred before"
        self._require(SHARE, fits is not None, why)
        if fits is not None:
            self._shrinking.setdefault(pid, []).append((found[1], fits, total, freeable))

    def shrink_slab_end(self, pid: int, rest: str) -> None:
        """mm_shrink_slab_end."""
        found = _SHRINK_END.match(rest)
        begun = self._shrinking.get(pid)
        if found is None or not begun or begun[-1][0] != found[1]:
            return
        _, quota, total, freeable = begun.pop()
        left, after = int(found[5]), int(found[4])
        rule = self._rule("reclaim.shrinker-deferred")
        expected = rule(quota, left, total - left, freeable)
        assert isinstance(expected, int)
        holds = after == expected if self.alone else after >= expected
        self._require(DEFERRED, holds, f"{'' if self.alone else 'at least '}{expected} deferred")

    # ---- the clock ---------------------------------------------------------------------------------------

    def evict(self, pid: int, rest: str) -> None:
        """A probe of workingset_eviction."""
        clock = self._clock()
        if clock is not None:
            times = self._rule("reclaim.eviction-time")(clock, 1)
            assert isinstance(times, tuple)
            insort(self._times, times[0])
            self._age(times[1] - clock)

    def activate(self, pid: int, rest: str) -> None:
        """A probe of workingset_activation."""
        self._age(1)

    def refault(self, pid: int, rest: str) -> None:
        """A probe of workingset_refault: its shadow must tell the time of an eviction seen."""
        word = re.search(r"shadow=0x([0-9a-f]+)", rest)
        if word is None or self.layout is None or not self.clocked or not self._from:
            return
        first = self.states[self._first].clock
        time = unpack(self.layout, int(word[1], 16)).time
        if first is None or time < first:
            return  # evicted before the first mark
        # refaults that activated a page made the clock run ahead of what is known, each by one at most
        at = bisect_right(self._times, time) - 1
        holds = at >= 0 and self._times[at] >= time - self._refaults
        self._require(SHADOW, holds, "the clock at an eviction since the first mark")
        self._refaults += 1

    _first: str = ""
    _times: list[int] = field(default_factory=list)
    _refaults: int = 0

    def _ages(self) -> bool:
        """Whether pages put back as active move the clock."""
        return bool(self._rule("reclaim.putback-ages")())

    def _age(self, pages: int) -> None:
        self._window.steps += pages

    def _clock(self) -> int | None:
        if not self._from:
            return None
        base = self.states[self._from].clock
        return None if base is None else base + self._window.steps

    # ---- marks -------------------------------------------------------------------------------------------

    def mark(self, pid: int, rest: str) -> None:
        """A marker that the guest writes around a freeze."""
        words = rest.split()
        if len(words) != 3 or words[0] != "SYNC" or words[1] not in self.states:
            return
        if words[2] == "begin":
            if self._from:
                self._compare(self._from, words[1])
            self._window, self._from = _Window(), words[1]
            self._first = self._first or words[1]
            now = self.states[words[1]]
            self._refaults = 0 if now.activated == self.states[self._first].activated else self._refaults

    def _compare(self, before: str, after: str) -> None:
        if self.generations:
            return
        old, new, seen = self.states[before], self.states[after], self._window
        for names, value in (
            (("PGSCAN_KSWAPD", "PGSCAN_DIRECT", "PGSCAN_KHUGEPAGED"), seen.scanned),
            (("PGSTEAL_KSWAPD", "PGSTEAL_DIRECT", "PGSTEAL_KHUGEPAGED"), seen.reclaimed),
            (("PGREFILL",), seen.refilled),
        ):
            grown = sum(new.events.get(name, 0) - old.events.get(name, 0) for name in names)
            what = f"{names[0]}{' and others' if names[1:] else ''} grew by {grown} from {before} to {after}"
            self._require(COUNTED, grown == value, f"{value}, as the passes say", observed=what)
        if self.clocked and self.layout is not None and old.clock is not None and new.clock is not None:
            grown, known = new.clock - old.clock, seen.steps + new.activated - old.activated
            what = f"the clock grew by {grown} from {before} to {after}"
            self._require(CLOCK, grown == known, f"{known} steps", observed=what)

    def _require(self, id: str, holds: bool, permitted: str, observed: str = "") -> None:
        why = "the figures above"
        if observed:
            self.judgement.require(id, holds, observed, permitted, why)
        else:
            event, line = self.judgement.events - 1, self._number
            self.judgement.require(id, holds, self._line.strip(), permitted, why, event=event, line=line)


def _numbers(rest: str) -> dict[str, int]:
    return {name: int(value) for name, value in _PAIR.findall(rest) if value.lstrip("-").isdecimal()}


_HANDLERS: Final = {
    "mm_vmscan_lru_isolate": ReclaimCheck.isolate,
    "mm_vmscan_lru_shrink_inactive": ReclaimCheck.shrink_inactive,
    "mm_vmscan_lru_shrink_active": ReclaimCheck.shrink_active,
    "mm_vmscan_direct_reclaim_begin": ReclaimCheck.direct_begin,
    "mm_vmscan_direct_reclaim_end": ReclaimCheck.direct_end,
    "mm_vmscan_wakeup_kswapd": ReclaimCheck.wakeup_kswapd,
    "mm_vmscan_kswapd_wake": ReclaimCheck.kswapd_wake,
    "mm_shrink_slab_start": ReclaimCheck.shrink_slab_start,
    "mm_shrink_slab_end": ReclaimCheck.shrink_slab_end,
    "evict": ReclaimCheck.evict,
    "activate": ReclaimCheck.activate,
    "wact": ReclaimCheck.activate,
    "refault": ReclaimCheck.refault,
    "tracing_mark_write": ReclaimCheck.mark,
}
