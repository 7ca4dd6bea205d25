"""Theorems about the numbers of generations: where pages go, what is scanned, who is compared with whom."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.reclaim.generation_rules import (
    averaged,
    counts_as_active,
    needs_ageing,
    part_around,
    plan_or_age,
    plan_then_scan,
    seq_of_new,
)
from linuxmm.spec.reclaim.generations import (
    MAX_TIERS,
    MIN_BATCH,
    MIN_GENS,
    Rate,
    Window,
    fares_no_worse,
    generation_of,
    generations,
    is_recent,
    last_tier,
    refs_of,
    token,
    weighed,
    window_is_valid,
)
from linuxmm.spec.reclaim.workingset import Layout, Shadow, layout_with_flag, pack, time_mask, unpack

Seq = Annotated[int, Integer(least=0)]
Pages = Annotated[int, Integer(least=0)]
Truthy = Annotated[bool, Truth()]
Fewer = Annotated[int, Integer(least=0, below=1 << 28)]
"""Fewer pages of 4 KiB than a terabyte has: so many may be evicted and come back in one generation."""


@theorem(
    "reclaim.generations.numbers",
    "Within a window no two generations share a list, and pages count as active on the lists of the two "
    "youngest alone.",
    proves=(generation_of, counts_as_active),
    clauses=("reclaim.generations.sizes",),
    features=("F042",),
    bounds="any sequence number",
    witness={"top": 9, "anon": 6, "file": 7, "one": 8, "other": 7},
    mutants=(
        Mutant(generation_of, "has three lists", "seq % MAX_GENS", "seq % 3"),
        Mutant(counts_as_active, "counts one more", "< MIN_GENS", "<= MIN_GENS"),
        Mutant(counts_as_active, "counts by age", "(max_seq - generation) % 4", "(max_seq - generation) % 2"),
    ),
)
def numbers_are_apart(top: Seq, anon: Seq, file: Seq, one: Seq, other: Seq) -> bool:
    assume(window_is_valid(Window(top, anon, file)))
    assume((one >= anon) & (one <= top) & (other >= anon) & (other <= top))
    apart: bool = implies(generation_of(one) == generation_of(other), one == other)
    young: bool = counts_as_active(generation_of(one), top) == (one >= top - 1)
    return apart & young


@theorem(
    "reclaim.generations.new-page",
    "A page gets a generation that is open: the youngest if it is hot, none of the two youngest if it is "
    "cold and may go.",
    proves=(seq_of_new,),
    clauses=("reclaim.generations.one-list",),
    features=("F042",),
    bounds="any sequence number",
    witness={"top": 9, "anon": 6, "file": 7, "kind": 1, "hot": False, "waits": False, "cold": True},
    mutants=(
        Mutant(seq_of_new, "goes beyond", "return max_seq\n", "return max_seq + 1\n"),
        Mutant(seq_of_new, "makes cold pages active", "return min_seq\n", "return max_seq\n"),
        Mutant(seq_of_new, "forgets that two may be all", "min_seq + MIN_GENS >= max_seq", "False"),
    ),
)
def new_pages_are_in_the_window(
    top: Seq,
    anon: Seq,
    file: Seq,
    kind: Annotated[int, each((0, 1))],
    hot: Truthy,
    waits: Truthy,
    cold: Truthy,
) -> bool:
    window = Window(top, anon, file)
    assume(window_is_valid(window))
    oldest = file if kind else anon
    seq = seq_of_new(hot, waits, cold, oldest, top)
    inside: bool = (seq >= oldest) & (seq <= top)
    hottest: bool = implies(hot, seq == top)
    may_go = no(hot) & no(waits) & (generations(window, kind) > MIN_GENS)
    return inside & hottest & implies(may_go, seq < top - 1)


@theorem(
    "reclaim.generations.plan",
    "A pass scans no more pages than its share of all at its priority, none where two generations are left "
    "and none is opened; ageing is due with two generations, and never with four.",
    proves=(plan_then_scan, plan_or_age, needs_ageing),
    features=("F042", "F043"),
    bounds="any number of pages below 2**52, every priority",
    witness={"late": 1, "priority": 10, "span": 3, "top": 9, "young": 1, "old": 0, "total": 4096,
             "kswapd": False},
    mutants=(
        Mutant(plan_then_scan, "takes the priority for none", "total >> priority", "total"),
        Mutant(plan_then_scan, "scans the young", "pages if evictable else 0", "pages"),
        Mutant(plan_or_age, "scans after ageing", "return Plan(0, True)", "return Plan(total, True)"),
        Mutant(needs_ageing, "never ends", "return False", "return True"),
        Mutant(needs_ageing, "lets eviction starve", "return True", "return False"),
    ),
)  # fmt: skip
def plans_are_bounded(
    late: Annotated[int, each((0, 1))],
    priority: Annotated[int, each(range(13))],
    span: Annotated[int, each((2, 3, 4))],
    top: Annotated[int, Word(64)],
    young: Annotated[int, Word(64)],
    old: Annotated[int, Word(64)],
    total: Annotated[int, Word(64)],
    kswapd: Truthy,
) -> bool:
    assume((total < 1 << 52) & (young <= total) & (old <= total) & (top >= 4) & (top < 1 << 60))
    ages = needs_ageing(top - (span - 1), top, young, old, total)
    plan = (plan_or_age if late else plan_then_scan)(span > MIN_GENS, ages, total, priority, kswapd)
    due: bool = implies(span == 2, ages) & implies(span == 4, no(ages))
    bounded: bool = plan.pages <= total >> priority
    starved: bool = implies((span == 2) & no(plan.ages), plan.pages == 0)
    return due & bounded & starved & implies(plan.ages, ages)


@theorem(
    "reclaim.generations.rates-fit",
    "Comparing refault rates by cross-multiplication stays in 64 bits, for a terabyte of pages of 4 KiB; "
    "few refaults spare no tier, and refaults where nothing was evicted spare it.",
    proves=(fares_no_worse, weighed),
    features=("F042", "F046"),
    bounds="pages evicted and come back below 2**28; weights 1, 2, 60, 140 and 200",
    witness={"first": 10, "evicted": 1000, "back": 70, "all_back": 100, "gain": 1, "other": 2},
    mutants=(
        Mutant(fares_no_worse, "spares at once", "if pv.refaulted < MIN_BATCH:", "if pv.refaulted < 1:"),
        Mutant(fares_no_worse, "compares the wrong way", "<=", ">="),
        Mutant(weighed, "weighs twice", "total * gain", "total * gain * gain"),
    ),
)  # fmt: skip
def rates_fit(
    first: Fewer,
    evicted: Fewer,
    back: Fewer,
    all_back: Fewer,
    gain: Annotated[int, each((1, 2, 60, 140, 200))],
    other: Annotated[int, each((1, 2, 60, 200))],
) -> bool:
    one, two = weighed(back, evicted + MIN_BATCH, gain), weighed(first + 1, all_back, other)
    fits: bool = (one >= 0) & (one < 1 << 64) & (two >= 0) & (two < 1 << 64)
    few: bool = implies(
        back < MIN_BATCH, fares_no_worse(Rate(first, evicted, gain), Rate(back, all_back, other))
    )
    same: bool = fares_no_worse(Rate(first, evicted, gain), Rate(0, all_back, other))
    none_evicted: bool = implies(
        back >= MIN_BATCH, no(fares_no_worse(Rate(first, evicted, gain), Rate(back, 0, other)))
    )
    return few & same & none_evicted & fits


@theorem(
    "reclaim.generations.last-tier",
    "The last tier to be evicted fares no worse than the first, like all below it; the next one does not.",
    proves=(last_tier,),
    features=("F042", "F046"),
    bounds="every number of pages",
    witness={"f": 10, "t": 1000, "f1": 5, "t1": 10, "f2": 900, "t2": 1000, "f3": 0, "t3": 0, "gain": 2},
    mutants=(
        Mutant(last_tier, "spares one less", "return tier - 1", "return tier"),
        Mutant(last_tier, "spares none", "return tier - 1", "continue"),
        Mutant(last_tier, "begins above", "range(1, MAX_TIERS)", "range(2, MAX_TIERS)"),
    ),
)
def last_tiers(
    f: Pages, t: Pages, f1: Pages, t1: Pages, f2: Pages, t2: Pages, f3: Pages, t3: Pages,
    gain: Annotated[int, each((1, 2, 140))],
) -> bool:  # fmt: skip
    first, rates = Rate(f, t, 1), ((f, t), (f1, t1), (f2, t2), (f3, t3))
    last = last_tier(first, rates, gain)
    good: bool = (last >= 0) & (last < MAX_TIERS)
    for tier in range(1, MAX_TIERS):
        well: bool = fares_no_worse(first, Rate(rates[tier][0], rates[tier][1], gain))
        if tier <= last:
            good = good & well
        if tier == last + 1:
            good = good & no(well)
    return good


@theorem(
    "reclaim.generations.averages",
    "With no more pages come back than were evicted, lately and on average, the averages after a generation "
    "closed keep that, and do not exceed the greater of what went in.",
    proves=(averaged,),
    clauses=("reclaim.generations.rates",),
    features=("F042", "F046"),
    bounds="any number of pages",
    witness={"back": 3, "evicted": 9, "spared": 1, "average_back": 2, "average": 4},
    mutants=(
        Mutant(averaged, "forgets to halve", "(average + now) // 2", "average + now"),
        Mutant(averaged, "rounds up", "(average + now) // 2", "(average + now + 2) // 2"),
    ),
)
def averages_stay_sound(
    back: Pages, evicted: Pages, spared: Pages, average_back: Pages, average: Pages
) -> bool:
    assume((back <= evicted) & (average_back <= average))
    after, total = averaged(average_back, back), averaged(average, evicted + spared)
    sound: bool = after <= total
    bounded: bool = (after <= average_back) | (after <= back)
    return sound & bounded


@theorem(
    "reclaim.generations.part-around",
    "What is looked at beside a used entry holds it, lies in its area and its table, and has up to 64 "
    "entries.",
    proves=(part_around,),
    features=("F042",),
    bounds="every place",
    witness={"place": 510, "first": 3, "end": 900},
    mutants=(
        Mutant(part_around, "leaves the table", "place // BLOCK * BLOCK + BLOCK", "place + BLOCK"),
        Mutant(
            part_around, "leaves the area", "Part(start, start + MIN_BATCH)", "Part(start - 1, start + 1)"
        ),
        Mutant(part_around, "is too long", "stop - start <= MIN_BATCH:", "stop - start <= BLOCK:"),
        Mutant(
            part_around, "misses the entry", "Part(stop - MIN_BATCH, stop)", "Part(start, start + MIN_BATCH)"
        ),
    ),
)
def parts_hold_their_entry(place: Seq, first: Seq, end: Seq) -> bool:
    assume((first <= place) & (place < end))
    part = part_around(place, first, end)
    holds: bool = (part.first <= place) & (place < part.end)
    inside: bool = (part.first >= first) & (part.end <= end) & (part.end - part.first <= MIN_BATCH)
    table: bool = (part.first // 512 == place // 512) & ((part.end - 1) // 512 == place // 512)
    return holds & inside & table


LAYOUT: Layout = layout_with_flag(64, 10, 3, 16)


@theorem(
    "reclaim.generations.shadow",
    "The word that an evicted page leaves gives back its uses, and is recent in its own generation, not in "
    "the next, whoever owned it.",
    proves=(token, is_recent, refs_of, pack, unpack),
    features=("F046",),
    bounds="sequence numbers below 2**60; 64-bit words with 10 bits of nodes and 16 of cgroups",
    witness={"seq": 5, "refs": 3, "node": 1, "memcg": 7},
    mutants=(
        Mutant(token, "forgets the generation", "(min_seq << REFS_WIDTH) | ", ""),
        Mutant(pack, "forgets the mark", " | shadow.workingset", ""),
        Mutant(refs_of, "reads too much", "(1 << REFS_WIDTH) - 1", "(1 << REFS_WIDTH + 1) - 1"),
    ),
)
def shadows_remember(
    seq: Annotated[int, Word(64)],
    refs: Annotated[int, each(range(5))],
    node: Annotated[int, Word(64)],
    memcg: Annotated[int, Word(64)],
) -> bool:
    assume((seq < 1 << 60) & (node < 1 << 10) & (memcg < 1 << 16))
    shadow = Shadow(token(seq, refs), memcg, node, 0, 1 if refs else 0)
    found = unpack(LAYOUT, pack(LAYOUT, shadow))
    mask = time_mask(LAYOUT)
    recent: bool = is_recent(found.time, seq, mask) & no(is_recent(found.time, seq + 1, mask))
    uses: bool = refs_of(found.time, found.workingset) == refs
    return recent & uses & (found.node == node) & (found.memcg == memcg)
