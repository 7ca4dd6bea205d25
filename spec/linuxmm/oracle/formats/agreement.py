"""Whether the exact states of a capture say the same as each other and as the kernel's own files.

A state is read from memory by this project's code; /proc and /sys are the kernel's account of the same
instant.  What differs is a fault of the reading, or of the kernel's books.
"""

from collections.abc import Callable, Iterator
from typing import Final

from linuxmm.oracle.formats.agreement_generations import generations_disagreements
from linuxmm.oracle.formats.agreement_tasks import tasks_disagreements
from linuxmm.oracle.formats.areas import (
    AREAS,
    CacheState,
    HugetlbState,
    KsmState,
    Memcg,
    MemcgState,
    SlabState,
    VmallocState,
    ZswapState,
    area_state,
    has_area,
)
from linuxmm.oracle.formats.capture import Capture
from linuxmm.oracle.formats.kernel_files import numbers_by_name, slabinfo, text_of, vmallocinfo
from linuxmm.oracle.formats.state import Finding
from linuxmm.spec.errors import LinuxmmError

_PAGE: Final = 4096
_VM_ALLOC: Final = 2
_UNINITIALIZED: Final = 0x20
_SYS_HUGE: Final = "sys/kernel/mm/hugepages"
_SYS_KSM: Final = "sys/kernel/mm/ksm"
_ZSWAP: Final = "sys/kernel/debug/zswap"


def disagreements(capture: Capture, mark: str) -> Iterator[Finding]:
    """Every difference at a mark, over all areas whose state was taken there.

    Errors    BadEvidence for a state or file that cannot be read
    """
    for area in AREAS:
        if has_area(capture, mark, area):
            yield from _CHECKS[area](capture, mark)


def _differs(where: str, what: str, expected: object, found: object) -> Iterator[Finding]:
    if expected != found:
        yield Finding(where, f"{what} {expected}", str(found))


def _wrong(area: str) -> LinuxmmError:
    return LinuxmmError(f"{area}.json holds the state of another area")


def _tasks(capture: Capture, mark: str) -> Iterator[Finding]:
    return tasks_disagreements(capture, mark)


def _vmalloc(capture: Capture, mark: str) -> Iterator[Finding]:
    """Areas in use and areas not yet unmapped, against /proc/vmallocinfo."""
    state = area_state(capture, mark, "vmalloc")
    if not isinstance(state, VmallocState):
        raise _wrong("vmalloc")
    text = text_of(capture, mark, "proc/vmallocinfo")
    if text is None:
        return
    stated, lazy = vmallocinfo(text)
    mine = {
        (area.start, area.start + (area.end - area.start if area.size is None else area.size)): area.pages
        for area in state.busy
        if not area.flags & _UNINITIALIZED
    }
    for area in sorted(stated.keys() | mine.keys()):
        where = f"vmalloc {area[0]:#x}-{area[1]:#x}"
        yield from _differs(where, "/proc/vmallocinfo pages", stated.get(area), mine.get(area))
    yield from _differs("vmalloc", "areas not yet unmapped", sorted(lazy), sorted(state.lazy))
    for owned in state.busy:
        if owned.flags & (_VM_ALLOC | _UNINITIALIZED) == _VM_ALLOC:
            yield from _differs(f"vmalloc {owned.start:#x}", "pages", owned.pages, len(owned.frames))


def _memcg(capture: Capture, mark: str) -> Iterator[Finding]:
    """Usage, limits and counters of each group, against its files where /cg is the hierarchy's mount."""
    state = area_state(capture, mark, "memcg")
    if not isinstance(state, MemcgState):
        raise _wrong("memcg")
    for group in state.groups:
        if group.path != "/":
            yield from _memcg_files(capture, mark, group, state.unified)
        under = [other for other in state.groups if other.path.rpartition("/")[0] == group.path]
        for name, counter in group.counters.items():
            below = sum(other.counters[name].usage for other in under if name in other.counters)
            if below > counter.usage:
                yield Finding(
                    f"memcg {group.path} {name}", f"at least its children's {below}", str(counter.usage)
                )


_V2: Final = {
    "memory.current": ("memory", "usage"),
    "memory.max": ("memory", "max"),
    "memory.min": ("memory", "min"),
    "memory.low": ("memory", "low"),
    "memory.high": ("memory", "high"),
    "memory.swap.current": ("swap", "usage"),
    "memory.swap.max": ("swap", "max"),
}
_V1: Final = {
    "memory.usage_in_bytes": ("memory", "usage"),
    "memory.limit_in_bytes": ("memory", "max"),
    "memory.max_usage_in_bytes": ("memory", "watermark"),
    "memory.failcnt": ("memory", "failcnt"),
    "memory.memsw.usage_in_bytes": ("memsw", "usage"),
    "memory.memsw.limit_in_bytes": ("memsw", "max"),
    "memory.memsw.failcnt": ("memsw", "failcnt"),
    "memory.kmem.usage_in_bytes": ("kmem", "usage"),
}
_NO_LIMIT: Final = 1 << 40
_NO_LIMIT_32: Final = (1 << 31) - 1
"""Pages from which a limit is none: PAGE_COUNTER_MAX is LONG_MAX pages with 32 bits."""
_OF_32_BITS: Final = ("i386", "i486", "i586", "i686")
_STAT: Final = {"anon": "NR_ANON_MAPPED", "file": "NR_FILE_PAGES", "shmem": "NR_SHMEM"}


def _memcg_files(capture: Capture, mark: str, group: Memcg, unified: bool) -> Iterator[Finding]:
    for file, (counter, field) in (_V2 if unified else _V1).items():
        text = text_of(capture, mark, f"cg{group.path}/{file}")
        if text is None or counter not in group.counters:
            continue
        value = getattr(group.counters[counter], field)
        stated = text.strip()
        mine = value if field == "failcnt" else value * _PAGE
        if stated != "max":
            yield from _differs(f"memcg {group.path}", file, int(stated), mine)
        elif value < (_NO_LIMIT_32 if capture.description.machine.arch in _OF_32_BITS else _NO_LIMIT):
            yield Finding(f"memcg {group.path}", f"{file} max", str(mine))
    text = text_of(capture, mark, f"cg{group.path}/memory.stat") if unified else None
    if text is not None:
        numbers = numbers_by_name(text)
        for name, item in _STAT.items():
            if item in group.stat:
                mine = group.stat[item] * _PAGE
                yield from _differs(f"memcg {group.path}", f"memory.stat {name}", numbers[name], mine)


def _hugetlb(capture: Capture, mark: str) -> Iterator[Finding]:
    """Pools against /sys/kernel/mm/hugepages and /proc/meminfo, and their lists against their counts."""
    state = area_state(capture, mark, "hugetlb")
    if not isinstance(state, HugetlbState):
        raise _wrong("hugetlb")
    meminfo = numbers_by_name(text_of(capture, mark, "proc/meminfo") or "")
    for name, pool in state.pools.items():
        figures = {
            "nr_hugepages": pool.nr_huge_pages,
            "free_hugepages": pool.free_huge_pages,
            "resv_hugepages": pool.resv_huge_pages,
            "surplus_hugepages": pool.surplus_huge_pages,
            "nr_overcommit_hugepages": pool.nr_overcommit_huge_pages,
        }
        for file, value in figures.items():
            text = text_of(capture, mark, f"{_SYS_HUGE}/{name}/{file}")
            if text is not None:
                yield from _differs(name, file, int(text), value)
        if meminfo.get("Hugepagesize") == 4 << pool.order:
            for key, file in (("Total", "nr"), ("Free", "free"), ("Rsvd", "resv"), ("Surp", "surplus")):
                stated = meminfo.get(f"HugePages_{key}")
                yield from _differs(name, f"HugePages_{key}", stated, figures[f"{file}_hugepages"])
        free = sum(map(len, pool.free.values()))
        yield from _differs(name, "free_huge_pages on its lists", pool.free_huge_pages, free)
        listed = free + len(pool.in_use)
        yield from _differs(name, "nr_huge_pages on its lists", pool.nr_huge_pages, listed)
        for index, what in enumerate(("nr_huge_pages", "free_huge_pages", "surplus_huge_pages")):
            total = sum(counts[index] for counts in pool.node.values())
            yield from _differs(name, f"{what} over nodes", getattr(pool, what), total)


def _ksm(capture: Capture, mark: str) -> Iterator[Finding]:
    """Figures against /sys/kernel/mm/ksm, and the trees against the figures."""
    state = area_state(capture, mark, "ksm")
    if not isinstance(state, KsmState):
        raise _wrong("ksm")
    for name, value in state.figures.items():
        text = text_of(capture, mark, f"{_SYS_KSM}/{name}")
        if text is not None:
            yield from _differs("ksm", name, int(text), value)
    figures = state.figures
    shared = sum(1 for node in state.stable if node.sharers)
    yield from _differs("ksm stable tree", "pages_shared", figures["pages_shared"], shared)
    places = sum(node.sharers for node in state.stable)
    both = figures["pages_shared"] + figures["pages_sharing"]
    yield from _differs("ksm stable tree", "pages_shared and pages_sharing", both, places)
    yield from _differs("ksm stable tree", "stable_node_chains", figures["stable_node_chains"], state.chains)
    if state.unstable > figures["pages_unshared"]:  # each scan begins with an empty tree
        most = f"at most pages_unshared {figures['pages_unshared']} nodes"
        yield Finding("ksm unstable tree", most, str(state.unstable))


def _cache(capture: Capture, mark: str) -> Iterator[Finding]:
    """Runs against nrpages of each file, and all of them with the swap cache against NR_FILE_PAGES."""
    state = area_state(capture, mark, "cache")
    if not isinstance(state, CacheState):
        raise _wrong("cache")
    total = sum(run.count for runs in state.swap.values() for run in runs)
    for mount in state.mounts:
        for file in mount.files:
            pages = sum(run.count for run in file.runs)
            yield from _differs(
                f"{mount.type} {mount.id} inode {file.inode} {file.path}", "nrpages", file.nrpages, pages
            )
            total += 0 if mount.type == "hugetlbfs" or file.dax else pages
    if capture.has_state(mark):
        counted = 0
        for node in capture.state(mark).nodes:
            counted += node.vm_stat["NR_FILE_PAGES"]
            counted += sum(held.get("NR_FILE_PAGES", 0) for held in node.vm_stat_diff.values())
        yield from _differs("page cache", "NR_FILE_PAGES", counted, total)


def _zswap(capture: Capture, mark: str) -> Iterator[Finding]:
    """Figures against debugfs, and entries against the figures."""
    state = area_state(capture, mark, "zswap")
    if not isinstance(state, ZswapState):
        raise _wrong("zswap")
    for name, value in state.figures.items():
        text = text_of(capture, mark, f"{_ZSWAP}/{name}")
        if text is not None and name != "pool_total_size":
            yield from _differs("zswap", name, int(text), value)
    yield from _differs("zswap", "stored_pages", state.figures["stored_pages"], len(state.stored))


def _slab(capture: Capture, mark: str) -> Iterator[Finding]:
    """Caches against /proc/slabinfo, and free lists against their slabs' counts."""
    state = area_state(capture, mark, "slab")
    if not isinstance(state, SlabState):
        raise _wrong("slab")
    stated = slabinfo(text_of(capture, mark, "proc/slabinfo") or "")
    for name, cache in state.caches.items():
        where = f"slab {name}"
        counted = [node for node in cache.nodes.values() if node.nr_slabs is not None]
        if name in stated and counted:
            row = stated[name]
            mine = (
                sum(node.total_objects or 0 for node in counted),
                sum(node.nr_slabs or 0 for node in counted),
                cache.objects_per_slab,
                1 << cache.order,
            )
            yield from _differs(where, "/proc/slabinfo", row, mine)
        for node in cache.nodes.values():
            yield from _differs(where, "nr_partial", node.nr_partial, len(node.partial))
            for slab in node.partial:
                free = slab.objects - slab.inuse
                yield from _differs(f"{where} pfn {slab.pfn}", "free objects", free, len(set(slab.free)))


def _judged_elsewhere(capture: Capture, mark: str) -> Iterator[Finding]:
    """Page tables are held against the kernel's dump of them when a capture is judged, line for line."""
    yield from ()


_CHECKS: Final[dict[str, Callable[[Capture, str], Iterator[Finding]]]] = {
    "tasks": _tasks,
    "vmalloc": _vmalloc,
    "memcg": _memcg,
    "hugetlb": _hugetlb,
    "ksm": _ksm,
    "cache": _cache,
    "zswap": _zswap,
    "slab": _slab,
    "generations": generations_disagreements,
    "tables": _judged_elsewhere,
}
