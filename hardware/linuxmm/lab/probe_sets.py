"""Tables of probes by area: what is recorded at which function (rendered for a kernel by `probes`).

Linux: mm/page_alloc.c, mm/compaction.c, mm/vmscan.c, mm/swap.c, mm/workingset.c, mm/readahead.c,
mm/slub.c, mm/vmalloc.c; 6.1 to 6.12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    name        the event's name
    functions   functions by the names that versions give them; the first that the kernel has is probed
    fields      (key, a parameter or a path such as "zone->flags" from it, how to print it); the first path
                that the kernel has counts, and without any the probe is left out, unless the key ends in "?"
    parameters  the function's parameters where the kernel does not describe the function
    returns     probe the return; the one field is $retval, or what is found at it
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


def _heads_of(control: str) -> str:
    """Fields with the first link of each MOVABLE list of the zone that a compact_control works on."""
    words = (f"head{n}?={control}->zone->free_area[{n}].free_list[1].next:x64" for n in range(11))
    return " ".join(words)


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
        "mt=cc->migratetype:s32 mode=cc->mode:u32 whole=cc->whole_zone:u8 skip=cc->ignore_skip_hint:u8 "
        "cachedfree?=cc->zone->compact_cached_free_pfn:u64 "
        "cachedasync?=cc->zone->compact_cached_migrate_pfn[0]:u64 "
        "cachedsync?=cc->zone->compact_cached_migrate_pfn[1]:u64 capture?=capc:x64",
        "cc capc",
    ),
    Probe("compactzone_r", ("compact_zone",), (("ret", "$retval", "s32"),), returns=True, heads=True),
    _p(
        "compactalloc",
        "compaction_alloc",
        "zone=data->zone:x64 order=data->order:s32 search=data->search_order:s32 "
        "migrate=data->migrate_pfn:u64 free=data->free_pfn:u64 "
        "nrfree=data->nr_freepages:u32 nrmigrate=data->nr_migratepages:u32 "
        "faststart=data->fast_start_pfn:u64 failed=data->fast_search_fail:u32 " + _heads_of("data"),
        "migratepage data",
    ),
    # Since 6.9 a page that compaction takes back fires mm_page_free, and stays with compaction.
    _p("compactfree", "compaction_free", "page?=dst:x64 page?=page:x64", "page data"),
    _p(
        "isolmigrate",
        "isolate_migratepages_block",
        "zone=cc->zone:x64 low=low_pfn:u64 end=end_pfn:u64 failed=cc->fast_search_fail:u32 "
        + _heads_of("cc"),
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


LRU: Final = (
    _p(
        "refault",
        "workingset_refault",
        "folio=folio:x64 shadow=shadow:x64 flags=folio->flags:x64",
        "folio shadow",
    ),
    _p("evict", "workingset_eviction", "folio=folio:x64 flags=folio->flags:x64", "folio target_memcg"),
    _p("activate", "workingset_activation", "folio=folio:x64", "folio"),
    _p("accessed", "folio_mark_accessed mark_page_accessed", "folio=folio:x64", "folio"),
    _p("deactivate", "folio_deactivate deactivate_page", "folio?=folio:x64 folio?=page:x64", "folio"),
    _p("lazyfree", "folio_mark_lazyfree mark_page_lazyfree", "folio?=folio:x64 folio?=page:x64", "folio"),
    _p("putback", "folio_putback_lru putback_lru_page", "folio?=folio:x64 folio?=page:x64", "folio"),
    _p("isolate", "folio_isolate_lru", "folio=folio:x64", "folio"),
    _p("draincpu", "lru_add_drain_cpu", "cpu=cpu:s32", "cpu"),
    _p("movebatch", "folio_batch_move_lru", "batch=fbatch:x64 function=move_fn:symbol", "fbatch move_fn"),
    _p("backto", "move_folios_to_lru move_pages_to_lru", "lruvec=lruvec:x64", "lruvec list"),
    _p("isolatelru", "isolate_lru_folios isolate_lru_pages", "scan=nr_to_scan:u64 lru=lru:s32", "nr_to_scan"),
    _r("isolatelru_r", "isolate_lru_folios isolate_lru_pages", "u64"),
)

_WINDOW: Final = (
    "index=ractl->_index:u64 start=ractl->ra->start:u64 size=ractl->ra->size:u32 "
    "async=ractl->ra->async_size:u32 "
    "limit=ractl->ra->ra_pages:u32 miss=ractl->ra->mmap_miss:u32 last=ractl->ra->prev_pos:s64 "
)

READAHEAD: Final = (
    _p(
        "ondemand",
        "ondemand_readahead",
        _WINDOW + "folio=folio:x64 asked=req_size:u64",
        "ractl folio req_size",
    ),
    _p("sync", "page_cache_sync_ra", _WINDOW + "asked=req_count:u64", "ractl req_count"),
    _p(
        "async",
        "page_cache_async_ra",
        _WINDOW + "folio=folio:x64 asked=req_count:u64",
        "ractl folio req_count",
    ),
    _p("order", "page_cache_ra_order", _WINDOW + "order=new_order:u32", "ractl ra new_order"),
    _p(
        "read",
        "page_cache_ra_unbounded",
        "index=ractl->_index:u64 pages=nr_to_read:u64 ahead=lookahead_size:u64",
    ),
    _p("force", "force_page_cache_ra", "index=ractl->_index:u64 pages=nr_to_read:u64"),
)

OBJECTS: Final = (
    # Objects that come back many at once, for which there is no kmem event.
    _p("freebulk", "kmem_cache_free_bulk", "cache=s:x64 number=size:u64", "s size p"),
)

VMALLOC: Final = (
    # What alloc_vmap_area is asked and answers, whoever calls it; addresses that wait, and their flush.
    _p("vaarea", "alloc_vmap_area", "size=size:u64 align=align:u64 vs=vstart:x64 ve=vend:x64"),
    Probe("vaarea_r", ("alloc_vmap_area",), (("start", "+0($retval)", "x64"),), returns=True),
    _p("freeva", "free_vmap_area_noflush", "start=va->va_start:x64 end=va->va_end:x64", "va"),
    _p("purge", "__purge_vmap_area_lazy", "s=start:x64 e=end:x64", "start end"),
)

SETS: Final[Mapping[str, tuple[Probe, ...]]] = MappingProxyType(
    {"alloc": ALLOC, "lru": LRU, "readahead": READAHEAD, "objects": OBJECTS, "vmalloc": VMALLOC}
)
