"""What the files of a control group say, and how their figures hang together.

Linux: mm/memcontrol.c:memory_stat_format, memory_events_show.  Seed 2.9 (F060).  4.0 to 6.12.
"""

from collections.abc import Mapping
from typing import Final

from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.invariant import clause, invariant
from linuxmm.spec.memcg.counter import PAGE_COUNTER_MAX
from linuxmm.spec.registry import formula
from linuxmm.spec.step import Errno
from linuxmm.spec.vocabulary import PAGE_SIZE

_FEATURES: Final = ("F060",)
EVENTS: Final = ("low", "high", "max", "oom", "oom_kill")
"""memory.events since 4.13; oom_group_kill follows since 5.17."""
SUMS: Final = {
    "slab": ("slab_reclaimable", "slab_unreclaimable"),
    "pgscan": ("pgscan_kswapd", "pgscan_direct", "pgscan_khugepaged"),
    "pgsteal": ("pgsteal_kswapd", "pgsteal_direct", "pgsteal_khugepaged"),
}
"""Lines of memory.stat that are sums of others; khugepaged's part stands apart since 6.3."""


@formula("F060", source="mm/memcontrol.c:seq_puts_memcg_tunable")
def tunable_text(pages: int) -> str:
    """How a limit reads in a file of version 2: bytes, or `max`."""
    return "max" if pages >= PAGE_COUNTER_MAX else str(pages * PAGE_SIZE)


@formula("F060", source="mm/page_counter.c:page_counter_memparse")
def pages_of(text: str) -> int | None:
    """Pages that a limit as text means: bytes, K, M, G, T, P or E behind, or `max`; None is EINVAL."""
    word = text.strip()
    if word == "max":
        return PAGE_COUNTER_MAX
    shift = "KMGTPE".find(word[-1:].upper()) + 1 if word[-1:].isalpha() else 0
    digits = word[:-1] if shift else word
    if not digits.isascii() or not digits.isdigit():
        return None
    return min((int(digits) << 10 * shift) // PAGE_SIZE, PAGE_COUNTER_MAX)


@formula("F060", source="mm/memcontrol.c:memory_events_show; 4.0 to 6.12")
def read_figures(text: str, file: str) -> dict[str, int]:
    """Names and figures of memory.stat or memory.events, in the order of their lines.

    Errors    BadEvidence for a line that is not a name and a number, or a name that stands twice
    """
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if len(words) != 2 or not words[1].isdigit() or words[0] in found:
            raise BadEvidence(file, f"expected NAME NUMBER, each name once: {line!r}", line=number)
        found[words[0]] = int(words[1])
    return found


@formula("F060", source="mm/memcontrol.c:memory_reclaim, memory_max_write, swap_max_write; 5.19 to 6.12")
def write_results(file: str, text: str) -> frozenset[Errno | None]:
    """How a write to a file of version 2 may end, None for good; a signal may end any that reclaims.

    file  without `memory.`, of a group that is not the root
    """
    if pages_of(text) is None:
        return frozenset({Errno.EINVAL})
    if file == "reclaim":
        ends = {Errno.EINVAL} if text.strip() == "max" else {None, Errno.EAGAIN, Errno.EINTR}
        return frozenset(ends)
    return frozenset({None})


@invariant(
    "memcg.write.reclaim",
    features=_FEATURES,
    seed="2.9",
    since="5.19",
    source="mm/memcontrol.c:memory_reclaim",
)
def reclaimed_as_asked(asked: int, stolen: int, slab: int) -> bool:
    """A good request to memory.reclaim took at least so many bytes, from lists or from the slab there was."""
    return stolen + slab >= asked


@invariant("memcg.stat.sums", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:memory_stat_format")
def sums_right(stat: Mapping[str, int]) -> bool:
    """Slab, pgscan and pgsteal of memory.stat are the sums of their parts, as far as these are shown."""
    return all(
        stat[whole] == sum(stat.get(part, 0) for part in parts)
        for whole, parts in SUMS.items()
        if whole in stat and parts[0] in stat
    )


@invariant("memcg.stat.steal", features=_FEATURES, seed="2.9", source="mm/vmscan.c:shrink_inactive_list")
def stolen_were_scanned(stat: Mapping[str, int]) -> bool:
    """No more pages of a group were reclaimed than scanned."""
    return stat.get("pgsteal", 0) <= stat.get("pgscan", 0)


@invariant("memcg.events.local", features=_FEATURES, seed="2.9", since="5.2", source="mm/memcontrol.c")
def local_within(events: Mapping[str, int], local: Mapping[str, int]) -> bool:
    """What happened in a group itself is counted in its hierarchy too."""
    return all(local[name] <= events.get(name, 0) for name in local)


@invariant("memcg.events.sum", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:memcg_memory_event")
def children_counted(events: Mapping[str, int], children: Mapping[str, int]) -> bool:
    """In version 2 events of a group are at least those of all its children; the root counts none."""
    return all(events[name] >= children.get(name, 0) for name in events)


@invariant("memcg.memsw", features=_FEATURES, seed="2.9", source="mm/memcontrol.c:mem_cgroup_resize_max")
def memsw_above(memory: int, both: int) -> bool:
    """Memory and swap together are at least memory, in use and in limit."""
    return both >= memory


GROWS: Final = clause(
    "memcg.grows",
    "Event counts, failure counts and the peak of a group never fall while nobody resets them.",
    features=_FEATURES,
    source="mm/memcontrol.c:memcg_memory_event",
    seed="2.9",
)
WRITES: Final = clause(
    "memcg.write.result",
    "A write to a group's file ends as that file permits: text that is no size is refused, limits are not.",
    features=_FEATURES,
    source="mm/memcontrol.c:memory_reclaim, memory_max_write, memory_high_write, swap_max_write",
    seed="2.9",
    since="5.19",
)
HIERARCHY: Final = clause(
    "memcg.hierarchy",
    "With no charge under way, a group counts at least what its children count together.",
    features=_FEATURES,
    source="mm/page_counter.c",
    seed="2.9",
)
EVENT_KEYS: Final = clause(
    "memcg.events.keys",
    "memory.events names its events in the kernel's order.",
    features=_FEATURES,
    source="mm/memcontrol.c:__memory_events_show",
    seed="2.9",
    since="4.13",
)
