"""Probes: what to record at which function, written for one kernel.

A probe names parameters as the kernel's source does.  Where they are (registers, stack) follows from the
kernel's own description of the function, and where a field stands from that of the structure, so one table
serves every kernel and architecture.

Linux: Documentation/trace/kprobetrace.rst
"""

import re
from dataclasses import dataclass
from typing import Final

from linuxmm.lab.btf import Btf, BtfKind
from linuxmm.lab.kernels import KernelImage

_REGISTERS_64: Final = ("di", "si", "dx", "cx", "r8", "r9")
_REGISTERS_32: Final = ("ax", "dx", "cx")
_FIELD: Final = re.compile(r"^(\w+)((?:->[\w.\[\]]+)*)$")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    name        the event's name
    functions   functions by the names that versions give them; the first that the kernel has is probed
    fields      (key, a parameter or a path such as "zone->flags" from it, how to print it); the first path
                that the kernel has counts, and without any the probe is left out, unless the key ends in "?"
    parameters  the function's parameters where the kernel does not describe the function
    returns     probe the return; the one field is $retval
    heads       add the first entry of each MOVABLE list of node 0's zones: zone number, "h", order
    """

    name: str
    functions: tuple[str, ...]
    fields: tuple[tuple[str, str, str], ...]
    parameters: tuple[str, ...] = ()
    returns: bool = False
    heads: bool = False


def _p(name: str, functions: str, fields: str, parameters: str = "") -> Probe:
    """A probe from a table line: fields are `key=path:type`."""
    made = []
    for word in fields.split():
        key, _, rest = word.partition("=")
        path, _, kind = rest.rpartition(":")
        made.append((key, path, kind))
    return Probe(name, tuple(functions.split()), tuple(made), tuple(parameters.split()))


def _r(name: str, functions: str, kind: str) -> Probe:
    return Probe(name, tuple(functions.split()), (("ret", "$retval", kind),), returns=True)


# The types of parameters whose fields are read, for kernels that do not describe the function.
STRUCTURES: Final = {
    "zone": "zone",
    "pcp": "per_cpu_pages",
    "ac": "alloc_context",
    "cc": "compact_control",
    "data": "compact_control",
    "pgdat": "pglist_data",
}

ALLOC: Final = (
    # Which request, with which rights, in front of which watermark: one line for each attempt.
    _p(
        "attempt",
        "get_page_from_freelist",
        "gfp=gfp_mask:x32 order=order:u32 aflags=alloc_flags:x32 mt=ac->migratetype:s32 "
        "highest=ac->highest_zoneidx:u32 zone=ac->preferred_zoneref->zone:x64 "
        "dirty?=ac->spread_dirty_pages:u8",
        "gfp_mask order alloc_flags ac",
    ),
    # Freeing.
    _p(
        "commit",
        "free_unref_page_commit free_frozen_page_commit",
        "zone=zone:x64 pcp=pcp:x64 page=page:x64 mt=migratetype:s32 order=order:u32 zflags?=zone->flags:x64 "
        "held?=pcp->count:s32 high?=pcp->high:s32 factor?=pcp->free_factor:s32 factor?=pcp->alloc_factor:s32 "
        "expire?=pcp->expire:s32",
        "zone pcp page migratetype order",
    ),
    _p(
        "freeok", "__free_pages_ok", "page=page:x64 order=order:u32 fpi=fpi_flags:x32", "page order fpi_flags"
    ),
    _p(
        "freeone",
        "free_one_page",
        "zone=zone:x64 page=page:x64 pfn=pfn:u64 order=order:u32 mt=migratetype:s32",
        "zone page pfn order migratetype",
    ),
    _p(
        "splitl",
        "split_large_buddy",
        "zone=zone:x64 page=page:x64 pfn=pfn:u64 order=order:s32 fpi=fpi:x32",
        "zone page pfn order fpi",
    ),
    _p("core", "__free_pages_core", "page=page:x64 order=order:u32", "page order"),
    _p(
        "pcpbulk",
        "free_pcppages_bulk",
        "zone=zone:x64 count=count:s32 pcp=pcp:x64 pindex=pindex:s32",
        "zone count pcp pindex",
    ),
    _p("drainz", "drain_pages_zone", "cpu=cpu:u32 zone=zone:x64", "cpu zone"),
    _p("decayhigh", "decay_pcp_high", "zone=zone:x64 pcp=pcp:x64", "zone pcp"),
    # Filling a CPU's lists, and taking many at once.
    _p(
        "rmqbulk",
        "rmqueue_bulk",
        "zone=zone:x64 order=order:u32 count=count:u64 list=list:x64 mt=migratetype:s32 "
        "aflags=alloc_flags:x32",
        "zone order count list migratetype alloc_flags",
    ),
    _r("rmqbulk_r", "rmqueue_bulk", "s32"),
    _p(
        "bulkalloc",
        "__alloc_pages_bulk alloc_pages_bulk_noprof",
        "gfp=gfp:x32 nid=preferred_nid:s32 nr=nr_pages:s32",
        "gfp preferred_nid nodemask nr_pages page_list page_array",
    ),
    _r("bulkalloc_r", "__alloc_pages_bulk alloc_pages_bulk_noprof", "u64"),
    # Fallback, pageblocks, reserves.
    _p(
        "steal",
        "steal_suitable_fallback",
        "zone=zone:x64 page=page:x64 aflags=alloc_flags:x32 start=start_type:s32 whole=whole_block:u8",
        "zone page alloc_flags start_type whole_block",
    ),
    _p(
        "steal",
        "try_to_steal_block",
        "zone=zone:x64 page=page:x64 cur=current_order:s32 order=order:s32 start=start_type:s32 "
        "aflags=alloc_flags:x32",
        "zone page current_order order start_type block_type alloc_flags",
    ),
    _r("steal_r", "try_to_steal_block", "x64"),
    _p(
        "movefpb",
        "move_freepages_block",
        "zone=zone:x64 page=page:x64 mt=migratetype:s32 mt=new_mt:s32",
        "zone page migratetype",
    ),
    _r("movefpb_r", "move_freepages_block", "s32"),
    _p(
        "movefp",
        "__move_freepages_block",
        "zone=zone:x64 pfn=start_pfn:u64 old=old_mt:s32 mt=new_mt:s32",
        "zone start_pfn old_mt new_mt",
    ),
    _p("setmt", "set_pageblock_migratetype", "page=page:x64 mt=migratetype:s32", "page migratetype"),
    _p(
        "setpfb",
        "set_pfnblock_flags_mask",
        "page=page:x64 flags=flags:x64 pfn=pfn:u64 mask=mask:x64",
        "page flags pfn mask",
    ),
    _p(
        "reserve",
        "reserve_highatomic_pageblock",
        "page=page:x64 zone=zone:x64 order=order:u32",
        "page zone order",
    ),
    _p("unreserve", "unreserve_highatomic_pageblock", "force=force:u8", "ac force"),
    _r("unreserve_r", "unreserve_highatomic_pageblock", "u8"),
    # Free pages that leave or come back without a request: isolation, compaction, poisoned pages.
    _p("isol", "__isolate_free_page", "page=page:x64 order=order:u32", "page order"),
    _r("isol_r", "__isolate_free_page", "s32"),
    _p("putiso", "__putback_isolated_page", "page=page:x64 order=order:u32 mt=mt:s32", "page order mt"),
    _p("takeoff", "take_page_off_buddy", "page=page:x64", "page"),
    _p("putback", "put_page_back_buddy", "page=page:x64", "page"),
    _p(
        "splitfree",
        "split_free_page",
        "page=free_page:x64 order=order:u32 off=split_pfn_offset:u64",
        "free_page order split_pfn_offset",
    ),
    _p(
        "mfbiso",
        "move_freepages_block_isolate",
        "zone=zone:x64 page=page:x64 mt=migratetype:s32",
        "zone page migratetype",
    ),
    _p("split", "split_page", "page=page:x64 order=order:u32", "page order"),
    # Compaction's scanners: what they start from; the fast search turns free lists round.
    _p(
        "compactzone",
        "compact_zone",
        "zone=cc->zone:x64 order=cc->order:s32 migrate=cc->migrate_pfn:u64 free=cc->free_pfn:u64 "
        "mt=cc->migratetype:s32 mode=cc->mode:u32 whole=cc->whole_zone:u8 skip=cc->ignore_skip_hint:u8",
        "cc capc",
    ),
    _r("compactzone_r", "compact_zone", "s32"),
    _p(
        "compactalloc",
        "compaction_alloc",
        "zone=data->zone:x64 order=data->order:s32 search=data->search_order:s32 "
        "migrate=data->migrate_pfn:u64 free=data->free_pfn:u64 "
        "nrfree=data->nr_freepages:u32 nrmigrate=data->nr_migratepages:u32 "
        "faststart=data->fast_start_pfn:u64 failed=data->fast_search_fail:u32",
        "migratepage data",
    ),
    Probe("compactalloc_r", ("compaction_alloc",), (("ret", "$retval", "x64"),), returns=True, heads=True),
    _p(
        "isolmigrate",
        "isolate_migratepages_block",
        "zone=cc->zone:x64 low=low_pfn:u64 end=end_pfn:u64 failed=cc->fast_search_fail:u32 "
        + " ".join(f"head{n}?=cc->zone->free_area[{n}].free_list[1].next:x64" for n in range(11)),
        "cc low_pfn end_pfn mode",
    ),
    # What changes watermarks, counters and flags behind the requests.
    _p(
        "balance",
        "balance_pgdat",
        "pgdat=pgdat:x64 order=order:s32 highest=highest_zoneidx:s32",
        "pgdat order highest_zoneidx",
    ),
    _r("balance_r", "balance_pgdat", "s32"),
    _p("foldstats", "refresh_cpu_vm_stats", "", "do_pagesets"),
)

SETS: Final = {"alloc": ALLOC}


def render(kernel: KernelImage, name: str) -> tuple[str, ...]:
    """Lines `name kind symbol arguments` for the guest; functions that the kernel lacks are left out."""
    lines = []
    symbols = _plain_names(kernel)
    for probe in SETS[name]:
        function = next((f for f in probe.functions if f in symbols), None)
        if function is None:
            continue
        arguments = _arguments(kernel, probe, function)
        if arguments is not None:
            lines.append(
                f"{name}/{probe.name} {'r' if probe.returns else 'p'} {symbols[function]} {arguments}".strip()
            )
    return tuple(lines)


def _plain_names(kernel: KernelImage) -> dict[str, str]:
    """Functions by their source names; a suffix such as .constprop.0 belongs to the symbol only."""
    wanted = {function for table in SETS.values() for probe in table for function in probe.functions}
    found: dict[str, str] = {}
    for symbol in kernel.symbols:
        plain = symbol.partition(".")[0]
        if plain in wanted and (plain == symbol or (plain not in found and ".cold" not in symbol)):
            found[plain] = symbol
    return found


def _arguments(kernel: KernelImage, probe: Probe, function: str) -> str | None:
    """The probe's arguments; None when the kernel lacks a field that the probe must have."""
    if probe.returns:
        value = f"ret=$retval:{_narrow(probe.fields[0][2], kernel.bits)}"
        return " ".join([value, *(_heads(kernel) if probe.heads else ())])
    described = kernel.btf.parameters(function)
    names = tuple(name for name, _ in described) if described else probe.parameters
    types = dict(described or ())
    words: dict[str, str] = {}
    for key, path, kind in probe.fields:
        found = _place(kernel, path, names, types)
        plain = key.removesuffix("?")
        if found is None or words.get(plain):
            words.setdefault(plain, "" if key == plain else "?")
            continue
        place, size = found
        words[plain] = f"{plain}={place}:{kind[0] + str(8 * size) if size else _narrow(kind, kernel.bits)}"
    if "" in words.values():
        return None
    return " ".join(word for word in words.values() if word != "?")


def _heads(kernel: KernelImage) -> list[str]:
    """The first links of the MOVABLE lists of node 0: a rotation of a list is known by its new head."""
    btf = kernel.btf
    node = btf.id_of("pglist_data")
    pointers = kernel.symbols.get("node_data")
    alone = kernel.symbols.get("contig_page_data", 0)
    words = []
    for zone in range(1, 4):
        for order in range(11):
            place = btf.find(node, f"node_zones[{zone}].free_area[{order}].free_list[1].next")
            if place is None:
                continue
            at = f"@{alone + place.offset:#x}" if pointers is None else f"+{place.offset}(@{pointers:#x})"
            words.append(f"z{zone}h{order}={at}:{_narrow('x64', kernel.bits)}")
    return words


def _narrow(kind: str, bits: int) -> str:
    return kind.replace("64", "32") if bits == 32 else kind


def _place(
    kernel: KernelImage, path: str, names: tuple[str, ...], types: dict[str, int]
) -> tuple[str, int] | None:
    """Where a value is, as a probe's argument, and its size (0: a register's); None when it is nowhere."""
    seen = _FIELD.match(path)
    if seen is None or seen[1] not in names:
        return None
    place = _register(names.index(seen[1]), kernel.bits)
    if place is None:
        return None
    btf = kernel.btf
    structure, size = _structure(btf, seen[1], types), 0
    for step in filter(None, seen[2].split("->")):
        found = btf.find(structure, step) if structure is not None else None
        if found is None or found.bits:
            return None
        place, size = f"+{found.offset}({place})", btf.size_of(found.type)
        target = btf.type(found.type)
        structure = btf.through(target.size) if target.kind == BtfKind.PTR else None
    return place, size


def _structure(btf: Btf, parameter: str, types: dict[str, int]) -> int | None:
    if parameter in types and btf.type(types[parameter]).kind == BtfKind.PTR:
        return btf.through(btf.pointed(types[parameter]))
    named = STRUCTURES.get(parameter)
    return btf.id_of(named) if named is not None and btf.has(named) else None


def _register(number: int, bits: int) -> str | None:
    if bits == 64:
        return f"%{_REGISTERS_64[number]}" if number < len(_REGISTERS_64) else None
    if number < len(_REGISTERS_32):
        return f"%{_REGISTERS_32[number]}"
    return f"$stack{number - len(_REGISTERS_32) + 1}"
