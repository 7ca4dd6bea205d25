"""What a frozen machine, counters and events say of lists by generation, held against their clauses.

Linux: mm/vmscan.c, mm/workingset.c, include/linux/mm_inline.h; 6.1 to 6.12.  Not in seed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from linuxmm.spec.invariant import clause
from linuxmm.spec.kernel import Kernel
from linuxmm.spec.reclaim.generation_eras import counts_every_return
from linuxmm.spec.reclaim.generation_rules import MAX_BATCH, counts_as_active
from linuxmm.spec.reclaim.generations import REFS_WIDTH, Window, generation_of, window_is_valid
from linuxmm.spec.reclaim.workingset import Layout, unpack
from linuxmm.spec.verdict import Judgement

_EVENT: Final = re.compile(r"^.{16}-\s*\d+\s.*?\d+\.\d+: (\w+): (.*)$")
_PAIR: Final = re.compile(r"(\w+)=(-?\d+)\b")
_SHADOW: Final = re.compile(r"shadow=0x([0-9a-f]+)")
_FEATURES: Final = ("F042", "F043")

WINDOW: Final = clause(
    "reclaim.seen.gen-window",
    "Two to four generations of each kind are open, never fewer of anonymous pages; no number falls.",
    features=_FEATURES,
    source="mm/vmscan.c:seq_is_valid, inc_max_seq, try_to_inc_min_seq",
    since="6.1",
).id
LISTS: Final = clause(
    "reclaim.seen.gen-lists",
    "A page on a generation's list is there once, is of the list's kind, evictable, not marked active, and "
    "of a generation that is open.",
    features=_FEATURES,
    source="include/linux/mm_inline.h:lru_gen_add_folio; mm/vmscan.c:scan_folios",
    since="6.1",
).id
SIZES: Final = clause(
    "reclaim.seen.gen-sizes",
    "The size of a generation is the number of pages whose flags name it; the two youngest are told as "
    "active.",
    features=_FEATURES,
    source="include/linux/mm_inline.h:lru_gen_update_size",
    since="6.1",
).id
RATES: Final = clause(
    "reclaim.seen.gen-rates",
    "Of a tier no more pages came back than were evicted, neither lately nor on average.",
    features=("F042", "F046"),
    source="mm/vmscan.c:read_ctrl_pos, reset_ctrl_pos; mm/workingset.c:lru_gen_refault",
    since="6.1",
).id
TEXT: Final = clause(
    "reclaim.seen.gen-text",
    "debugfs tells the generations and sizes that the machine has.",
    features=_FEATURES,
    source="mm/vmscan.c:lru_gen_seq_show",
    since="6.1",
).id
SHADOW: Final = clause(
    "reclaim.seen.gen-shadow",
    "A shadow names a generation that is or was the oldest, and uses beyond the first only with the mark "
    "that there were any; no more come back than were left.",
    features=("F046",),
    source="mm/workingset.c:lru_gen_eviction, lru_gen_refault",
    since="6.1",
).id
REFAULTS: Final = clause(
    "reclaim.seen.gen-refaults",
    "Refaults are counted: each page that comes back while its generation is the oldest, in later kernels "
    "each that comes back.",
    features=("F046",),
    source="mm/workingset.c:lru_gen_refault",
    since="6.1",
).id
COUNTED: Final = clause(
    "reclaim.seen.gen-counted",
    "Counters of pages scanned and freed are the same by kind and by who did it, and as the passes say.",
    features=_FEATURES,
    source="mm/vmscan.c:scan_folios, evict_folios",
    since="6.1",
).id


class Listed(NamedTuple):
    """A page where it stands, and what its flags say: generation, -1 for none; kind; whether it is plain.

    plain  on a list, not active, not unevictable
    """

    pfn: int
    standing: int
    kind: int
    zone: int
    generation: int
    own_kind: int
    plain: bool


class Rates(NamedTuple):
    """[kind][tier]: pages that came back, that were evicted; the averages of both before."""

    refaulted: tuple[tuple[int, ...], ...]
    evicted: tuple[tuple[int, ...], ...]
    avg_refaulted: tuple[tuple[int, ...], ...]
    avg_total: tuple[tuple[int, ...], ...]


class Frozen(NamedTuple):
    """Lists by generation of one node at a mark.

    sizes     [generation][kind][zone]
    told      NR_INACTIVE_ANON, NR_ACTIVE_ANON, NR_INACTIVE_FILE, NR_ACTIVE_FILE; None with lists of old
    text      lines of debugfs: (number, anonymous pages, pages of files)
    events    counters of /proc/vmstat; workingset: refaults, activations
    """

    window: Window
    pages: tuple[Listed, ...]
    sizes: tuple[tuple[tuple[int, ...], ...], ...]
    told: tuple[int, ...] | None
    rates: Rates
    text: tuple[tuple[int, int, int], ...] | None
    events: Mapping[str, int]
    workingset: tuple[int, int]


def judge_frozen(judgement: Judgement, mark: str, frozen: Frozen) -> None:
    """Hold one mark against the clauses."""
    held = _Mark(judgement, mark)
    window = frozen.window
    held.require(WINDOW, window_is_valid(window), f"{window}", "two to four generations of each kind")
    times = Counter(page.pfn for page in frozen.pages)
    for page in frozen.pages:
        floor = window.min_file if page.kind else window.min_anon
        open_ones = {generation_of(seq) for seq in range(floor, window.max_seq + 1)}
        good = times[page.pfn] == 1 and page.plain and page.own_kind == page.kind
        good = good and {page.generation, page.standing} <= open_ones
        held.require(LISTS, good, f"{page}", f"once, of its kind, evictable, of {sorted(open_ones)}")
    found = Counter((page.generation, page.kind, page.zone) for page in frozen.pages)
    told = [0, 0, 0, 0]
    for generation, kinds in enumerate(frozen.sizes):
        for kind, zones in enumerate(kinds):
            for zone, size in enumerate(zones):
                own = found[generation, kind, zone]
                what = f"generation {generation}, kind {kind}, zone {zone}: {size}"
                held.require(SIZES, size == own, what, f"{own}, as flags say")
                told[2 * kind + counts_as_active(generation, window.max_seq)] += own
    if frozen.told is not None:
        held.require(
            SIZES, frozen.told == tuple(told), f"inactive and active {frozen.told}", f"{tuple(told)}"
        )
    _judge_rates(held, frozen.rates)
    if frozen.text is not None:
        _judge_text(held, frozen)


def _judge_rates(held: "_Mark", rates: Rates) -> None:
    for kind in (0, 1):
        for tier in range(len(rates.refaulted[kind])):
            few = rates.refaulted[kind][tier] <= rates.evicted[kind][tier]
            few = few and rates.avg_refaulted[kind][tier] <= rates.avg_total[kind][tier]
            held.require(RATES, few, f"kind {kind}, tier {tier}: {rates}", "at most as many back as evicted")


def _judge_text(held: "_Mark", frozen: Frozen) -> None:
    window = frozen.window
    expected = []
    for seq in range(window.min_anon, window.max_seq + 1):
        sizes = frozen.sizes[generation_of(seq)]
        file = sum(sizes[1]) if seq >= window.min_file else 0
        expected.append((seq, sum(sizes[0]), file))
    held.require(TEXT, frozen.text == tuple(expected), f"{frozen.text}", f"{expected}")


@dataclass(slots=True)
class _Mark:
    judgement: Judgement
    where: str

    def require(self, id: str, holds: bool, observed: str, permitted: str) -> None:
        """Note a clause, and that it is broken unless it holds."""
        text = f"{self.where}: {observed}"
        self.judgement.require(id, holds, text, permitted, "the machine stood still")


# ---- between marks -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Window:
    """What events since a mark add up to; `shadows` are (generation, uses, whether there were any)."""

    evicted: int = 0
    shadows: list[tuple[int, int, int]] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    freed: int = 0


@dataclass(slots=True)
class GenerationCheck:
    """Judges the lines of one trace, mark by mark.

    marks    those that are by generation, in any order
    layout   of shadow entries
    probed   evictions and refaults were probed
    tells    eviction is traced as passes over inactive lists
    """

    judgement: Judgement
    kernel: Kernel
    marks: Mapping[str, Frozen]
    layout: Layout
    probed: bool
    tells: bool
    _from: str = ""
    _first: str = ""
    _window: _Window = field(default_factory=_Window)
    _evicted: int = 0
    _later: int = 0

    def run(self, lines: Iterable[str]) -> None:
        """Judge every line; those of other events pass."""
        for number, line in enumerate(lines, 1):
            found = _EVENT.match(line)
            if found is None:
                continue
            event, rest = found[1], found[2]
            if event == "evict":
                self._window.evicted += 1
            elif event == "refault":
                self._refault(rest, number, line)
            elif event == "mm_vmscan_lru_isolate" and self.tells:
                kind = rest.rpartition("lru=")[2]
                numbers = {name: int(value) for name, value in _PAIR.findall(rest)}
                self._window.taken[kind] += numbers["nr_taken"]
                holds = numbers["nr_taken"] + numbers["nr_skipped"] <= numbers["nr_scanned"] <= MAX_BATCH
                self._require(
                    COUNTED, holds, line.strip(), f"taken and skipped <= scanned <= {MAX_BATCH}", number
                )
            elif event == "mm_vmscan_lru_shrink_inactive":
                self._window.freed += int(dict(_PAIR.findall(rest))["nr_reclaimed"])
            elif event == "tracing_mark_write":
                self._mark(rest.split())

    def _refault(self, rest: str, number: int, line: str) -> None:
        word = _SHADOW.search(rest)
        if word is None or not self.probed or not self._from:
            return
        shadow = unpack(self.layout, int(word[1], 16))
        seq, uses = shadow.time >> REFS_WIDTH, shadow.time & ((1 << REFS_WIDTH) - 1)
        self._window.shadows.append((seq, uses, shadow.workingset))
        holds = not uses or shadow.workingset == 1
        self._require(SHADOW, holds, line.strip(), "uses only with the mark of the working set", number)

    def _mark(self, words: list[str]) -> None:
        if len(words) != 3 or words[0] != "SYNC" or words[2] != "begin" or words[1] not in self.marks:
            return
        if self._from:
            self._compare(self._from, words[1])
        self._first = self._first or words[1]
        self._from, self._window = words[1], _Window()

    def _compare(self, before: str, after: str) -> None:
        old, new, seen = self.marks[before], self.marks[after], self._window
        between = f"from {before} to {after}"
        rises = all(was <= now for was, now in zip(old.window, new.window, strict=True))
        self._require(WINDOW, rises, f"{between}: {old.window}, {new.window}", "no number falls")
        if self.probed:
            self._compare_shadows(between, old, new, seen)
        self._compare_counters(between, old, new, seen)

    def _compare_shadows(self, between: str, old: Frozen, new: Frozen, seen: _Window) -> None:
        newest = max(new.window.min_anon, new.window.min_file)
        for seq, *_ in seen.shadows:
            self._require(SHADOW, seq <= newest, f"{between}: generation {seq}", f"at most {newest}")
        first = self.marks[self._first].window
        self._evicted += seen.evicted
        self._later += sum(seq > max(first.min_anon, first.min_file) for seq, *_ in seen.shadows)
        what = f"{between}: {self._later} came back that were evicted since {self._first}"
        self._require(SHADOW, self._later <= self._evicted, what, f"at most the {self._evicted} evicted")
        oldest = min(old.window.min_anon, old.window.min_file)
        surely = sum(seq == newest for seq, *_ in seen.shadows)
        maybe = sum(seq >= oldest for seq, *_ in seen.shadows)
        refaults, activated = (b - a for a, b in zip(old.workingset, new.workingset, strict=True))
        if self.kernel.behaviour("reclaim.gen-counts-return").function is counts_every_return:
            what = f"{between}: WORKINGSET_REFAULT grew by {refaults}"
            self._require(
                REFAULTS, refaults == len(seen.shadows), what, f"{len(seen.shadows)}, as probes say"
            )
            recent, name = activated, "WORKINGSET_ACTIVATE"
        else:
            recent, name = refaults, "WORKINGSET_REFAULT"
        what = f"{between}: {name} grew by {recent}"
        self._require(REFAULTS, surely <= recent <= maybe, what, f"{surely} to {maybe} recent ones")

    def _compare_counters(self, between: str, old: Frozen, new: Frozen, seen: _Window) -> None:
        def grown(*names: str) -> int:
            return sum(new.events.get(name, 0) - old.events.get(name, 0) for name in names)

        for what in ("PGSCAN", "PGSTEAL"):
            kinds = grown(f"{what}_ANON", f"{what}_FILE")
            by_whom = grown(f"{what}_KSWAPD", f"{what}_DIRECT", f"{what}_KHUGEPAGED")
            self._require(
                COUNTED, kinds == by_whom, f"{between}: {what} by kind {kinds}", f"{by_whom}, by whom"
            )
        if not self.tells:
            return
        for kind in ("anon", "file"):
            now = grown(f"PGSCAN_{kind.upper()}")
            told = seen.taken[f"inactive_{kind}"]
            self._require(
                COUNTED, now == told, f"{between}: PGSCAN of {kind} {now}", f"{told}, as passes say"
            )
        freed = grown("PGSTEAL_ANON", "PGSTEAL_FILE")
        self._require(
            COUNTED, freed == seen.freed, f"{between}: PGSTEAL {freed}", f"{seen.freed}, as passes say"
        )

    def _require(self, id: str, holds: bool, observed: str, permitted: str, line: int = -1) -> None:
        event = self.judgement.events - 1 if line >= 0 else -1
        self.judgement.require(id, holds, observed, permitted, "the figures above", event=event, line=line)


def text_lines(text: str) -> Iterator[tuple[int, int, int]]:
    """Lines of /sys/kernel/debug/lru_gen of one node without groups: (number, anonymous, file).

    Errors    ValueError for a line that is neither a heading nor four numbers
    """
    for line in text.splitlines():
        words = line.split()
        if not words or words[0] in ("memcg", "node"):
            continue
        seq, _, anon, file = map(int, (word.rstrip("x") for word in words))
        yield seq, anon, file
