"""Exact states of areas other than the page allocator at one mark: `marks/MARK/AREA.json.gz` of a capture.

Each was read from the memory of a machine that stood still.  A name that is not known here is ignored, so
that a later minor version may add one.  Pages are page frame numbers; addresses are the kernel's.
"""

import gzip
from pathlib import Path
from typing import Annotated, Final

import msgspec

from linuxmm.oracle.formats.capture import Capture
from linuxmm.oracle.formats.state import Count, CpuKey, Frames, Name, PageFrame, Signed, Unsigned
from linuxmm.oracle.formats.streams import whole
from linuxmm.spec.errors import BadEvidence

_LIMIT: Final = 1 << 30
NodeKey = Annotated[str, msgspec.Meta(pattern=r"^\d{1,5}$")]
Level = Annotated[int, msgspec.Meta(ge=0, le=4)]


class Vma(msgspec.Struct, frozen=True):
    """One VMA: [start, end), `vm_flags`, offset in pages, and the file that it maps.

    anon  whether it has an anon_vma
    path  the file's path inside its file system; "" without a file
    """

    start: Unsigned
    end: Unsigned
    flags: Unsigned
    pgoff: Unsigned
    anon: bool
    inode: Unsigned = 0
    path: str = ""


class Leaves(msgspec.Struct, frozen=True, array_like=True):
    """`count` entries of page tables in a row: addresses and page frames rise together.

    level  0 for a page table's entry, 1 for a page directory's
    entry  the first entry, as it stands in the table; not present: swapped out, or under migration
    """

    va: Unsigned
    level: Level
    entry: Unsigned
    count: Count


class AddressSpace(msgspec.Struct, frozen=True):
    """The address space of a task: its VMAs in order, its page tables, its counters.

    vmas     in the order of addresses
    leaves   entries of the user's half that are not zero
    tables   how many tables there are below the root, by level
    rss      MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES
    counters fields of mm_struct by the kernel's names
    """

    root: PageFrame
    vmas: tuple[Vma, ...]
    leaves: tuple[Leaves, ...]
    tables: tuple[Count, ...]
    rss: tuple[Signed, ...]
    counters: dict[Name, Unsigned]


class Task(msgspec.Struct, frozen=True):
    """A task that leads its thread group, and its address space."""

    pid: Count
    comm: str
    mm: AddressSpace


class TasksState(msgspec.Struct, frozen=True):
    """`tasks.json`: every user task.

    format      of page tables: x86-64, x86-64-la57 or pae
    zero_pages  frames that reads of untouched memory map, which no counter counts: (first, number) of each
    """

    format: Name
    tasks: tuple[Task, ...]
    zero_pages: tuple[tuple[PageFrame, Count], ...] = ()


class TableEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry that points at a table of the level below, and the address at which it begins."""

    va: Unsigned
    level: Level
    entry: Unsigned


class AddressMarker(msgspec.Struct, frozen=True, array_like=True):
    """Where the kernel's dump of page tables names a part; at most `lines` ranges are shown, 0 for all."""

    start: Unsigned
    name: str
    lines: Count = 0


class TablesState(msgspec.Struct, frozen=True):
    """`tables.json`: the kernel's own page tables, whole, and the markers of its dump.

    format  of page tables: x86-64, x86-64-la57 or pae;  root: frame of the root
    tables  entries that point at tables, those of the root first where they meet
    leaves  all others that are not zero
    """

    format: Name
    root: PageFrame
    tables: tuple[TableEntry, ...]
    leaves: tuple[Leaves, ...]
    markers: tuple[AddressMarker, ...]


class VmapArea(msgspec.Struct, frozen=True):
    """An area of vmalloc space in use: [start, end), and what it was made for.

    size    of the vm_struct in bytes, guard page included; None for vm_map_ram's
    flags   VM_IOREMAP 1, VM_ALLOC 2, VM_MAP 4, VM_USERMAP 8, ... as the kernel has them
    pages   how many pages it owns; frames  which, in order, where it owns some
    caller  who made it, as name+offset
    """

    start: Unsigned
    end: Unsigned
    size: Unsigned | None = None
    flags: Unsigned = 0
    pages: Count = 0
    physical: Unsigned = 0
    caller: str = ""
    frames: Frames = ()


class VmallocState(msgspec.Struct, frozen=True):
    """`vmalloc.json`: areas in use by address, and those that wait to be unmapped everywhere."""

    busy: tuple[VmapArea, ...]
    lazy: tuple[tuple[Unsigned, Unsigned], ...] = ()


class PageCounter(msgspec.Struct, frozen=True):
    """A page_counter in pages; no limit is the kernel's PAGE_COUNTER_MAX."""

    usage: Signed
    max: Count
    watermark: Count = 0
    failcnt: Count = 0
    min: Count = 0
    low: Count = 0
    high: Count = 0


class Memcg(msgspec.Struct, frozen=True):
    """One memory cgroup.

    path      from the root's "/"
    counters  memory, swap or memsw, kmem, tcpmem
    stat      hierarchical counters as last flushed, by the kernel's names, in the kernel's units
    events    low, high, max, oom, oom_kill, ... of the hierarchy
    """

    path: str
    id: Count
    counters: dict[Name, PageCounter]
    stat: dict[Name, Signed]
    events: dict[Name, Signed]


class MemcgState(msgspec.Struct, frozen=True):
    """`memcg.json`: every memory cgroup that is online, parents before children."""

    unified: bool
    groups: tuple[Memcg, ...]


class HugePool(msgspec.Struct, frozen=True):
    """The pool of one size of huge page.

    free   node -> heads of free pages in list order; in_use  heads of the others, in list order
    node   per node: nr, free, surplus
    """

    order: Count
    nr_huge_pages: Count
    free_huge_pages: Count
    resv_huge_pages: Count
    surplus_huge_pages: Count
    nr_overcommit_huge_pages: Count
    max_huge_pages: Count
    free: dict[NodeKey, Frames]
    in_use: Frames
    node: dict[NodeKey, tuple[Count, Count, Count]]


class HugetlbState(msgspec.Struct, frozen=True):
    """`hugetlb.json`: pools by their names, such as hugepages-2048kB."""

    pools: dict[Name, HugePool]


class StableNode(msgspec.Struct, frozen=True):
    """A merged page: its frame, and how many places of address spaces share it."""

    pfn: PageFrame
    sharers: Count


class KsmState(msgspec.Struct, frozen=True):
    """`ksm.json`: the kernel's own figures, and the stable tree in order.

    figures  kernel variables without their prefix ksm_
    stable   pages in the tree; duplicates stand behind one another, in one chain
    chains   how many chains there are
    unstable how many nodes the unstable trees have
    """

    figures: dict[Name, Unsigned]
    stable: tuple[StableNode, ...]
    chains: Count
    unstable: Count


class Run(msgspec.Struct, frozen=True, array_like=True):
    """`count` pages of a file in a row: indices and frames rise together."""

    index: Unsigned
    pfn: PageFrame
    count: Count


class CachedFile(msgspec.Struct, frozen=True):
    """Pages of one file that are in memory.

    shadows  (index, entry) of pages that were reclaimed; swap entries for shmem
    dirty, writeback  how many entries carry the tag
    dax      the pages are persistent memory, and no page cache
    """

    inode: Unsigned
    path: str
    nrpages: Count
    runs: tuple[Run, ...]
    shadows: tuple[tuple[Unsigned, Unsigned], ...] = ()
    dirty: Count = 0
    writeback: Count = 0
    dax: bool = False


class MountedFiles(msgspec.Struct, frozen=True):
    """Files of one file system that have pages or shadows, by inode."""

    type: Name
    id: str
    files: tuple[CachedFile, ...]


class CacheState(msgspec.Struct, frozen=True):
    """`cache.json`: the page cache of every file system, and the swap cache by swap device."""

    mounts: tuple[MountedFiles, ...]
    swap: dict[NodeKey, tuple[Run, ...]] = {}


class ZswapState(msgspec.Struct, frozen=True):
    """`zswap.json`: the kernel's figures, its pools, and what is stored: (device, offset, bytes)."""

    figures: dict[Name, Unsigned]
    pools: tuple[Name, ...]
    stored: tuple[tuple[Count, Unsigned, Unsigned], ...]


class Slab(msgspec.Struct, frozen=True):
    """One slab; `free` are the numbers of its free objects in order."""

    pfn: PageFrame
    inuse: Count
    objects: Count
    frozen: Count
    free: tuple[Count, ...]


class SlabCpu(msgspec.Struct, frozen=True):
    """What one CPU holds of a cache."""

    slab: Slab | None
    free: tuple[Count, ...]
    partial: tuple[Slab, ...]


class SlabNode(msgspec.Struct, frozen=True):
    """What one NUMA node holds of a cache."""

    nr_partial: Count
    partial: tuple[Slab, ...]
    nr_slabs: Count | None = None
    total_objects: Count | None = None


class SlabCache(msgspec.Struct, frozen=True):
    """One cache of SLUB; what a kernel was built without is None."""

    size: Count
    object_size: Count
    offset: Count
    objects_per_slab: Count
    order: Count
    cpus: dict[CpuKey, SlabCpu]
    nodes: dict[NodeKey, SlabNode]
    inuse: Count | None = None
    align: Count | None = None
    red_left_pad: Count | None = None
    min_partial: Count | None = None
    cpu_partial: Count | None = None
    cpu_partial_slabs: Count | None = None
    refcount: Signed | None = None
    flags: Unsigned | None = None
    useroffset: Count | None = None
    usersize: Count | None = None


class SlabState(msgspec.Struct, frozen=True):
    """`slab.json`: caches by name."""

    caches: dict[str, SlabCache]


class GenerationPage(msgspec.Struct, frozen=True, array_like=True):
    """A page on a generation's list, with what its flags say.

    generation  0 to 3, or -1 for none; refs: LRU_REFS_MASK
    flags       1 referenced, 2 workingset, 4 swapbacked, 8 active, 16 on a list, 32 unevictable, 64 dirty,
                128 under writeback
    """

    pfn: PageFrame
    generation: Signed
    refs: Count
    flags: Count


class NodeGenerations(msgspec.Struct, frozen=True):
    """Generations of a node, of a kernel without memory cgroups; kinds are anonymous pages and files.

    nr_pages   [generation][kind][zone]
    lists      the same -> pages in order, the next to be evicted last
    avg_refaulted, avg_total, refaulted, evicted   [kind][tier]; protected begins at tier 1
    """

    enabled: bool
    max_seq: Count
    min_seq: tuple[Count, Count]
    timestamps: tuple[Unsigned, ...]
    nr_pages: tuple[tuple[tuple[Signed, ...], ...], ...]
    lists: tuple[tuple[tuple[tuple[GenerationPage, ...], ...], ...], ...]
    avg_refaulted: tuple[tuple[Unsigned, ...], ...]
    avg_total: tuple[tuple[Unsigned, ...], ...]
    refaulted: tuple[tuple[Unsigned, ...], ...]
    evicted: tuple[tuple[Unsigned, ...], ...]
    protected: tuple[tuple[Unsigned, ...], ...]


class GenerationsState(msgspec.Struct, frozen=True):
    """`generations.json`: lists by generation, by node."""

    nodes: dict[NodeKey, NodeGenerations]


AreaState = (
    TasksState | VmallocState | MemcgState | HugetlbState | KsmState | CacheState | ZswapState | SlabState
    | GenerationsState | TablesState
)  # fmt: skip
AREAS: Final[dict[str, type[AreaState]]] = {
    "tasks": TasksState,
    "vmalloc": VmallocState,
    "memcg": MemcgState,
    "hugetlb": HugetlbState,
    "ksm": KsmState,
    "cache": CacheState,
    "zswap": ZswapState,
    "slab": SlabState,
    "generations": GenerationsState,
    "tables": TablesState,
}
"""Areas by the name of their file."""


def area_file(mark: str, area: str) -> str:
    """Where a capture keeps the state of an area."""
    return f"marks/{mark}/{area}.json.gz"


def has_area(capture: Capture, mark: str, area: str) -> bool:
    """Whether the state of an area was taken at a mark."""
    return mark in capture.marks and capture.file(area_file(mark, area)).is_file()


def area_state(capture: Capture, mark: str, area: str) -> AreaState:
    """The state of an area at a mark.

    Errors    BadEvidence naming file and JSON path
    """
    return read_area(capture.file(area_file(mark, area)), area)


def read_area(file: Path, area: str) -> AreaState:
    """The state of an area from a file.

    Errors    BadEvidence naming file and JSON path
    """
    try:
        return msgspec.json.decode(whole(file, _LIMIT), type=AREAS[area])
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadEvidence(str(file), what[:1].lower() + what[1:], where=where.strip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEvidence(str(file), f"expected JSON: {error}") from None


def packed(state: AreaState) -> bytes:
    """The content of the file."""
    return gzip.compress(msgspec.json.encode(state), 6, mtime=0)
