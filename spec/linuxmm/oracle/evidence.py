"""Which shipped recordings of real kernels were judged for which features.

The tests judge every one of them: tests/oracle/checker/test_real_captures.py, tests/oracle/exact.  The kernel
that the tests run on is evidence too.
"""

from typing import Final

from linuxmm.spec.registry import register_evidence

_LISTS: Final = ("F001", "F003", "F012", "F013", "F014", "F016", "F017", "F020", "F027")
_ON_BOTH: Final[dict[str, tuple[str, ...]]] = {
    "alloc-churn": _LISTS,
    "alloc-compaction": (*_LISTS, "F039"),
    "alloc-fallback": (*_LISTS, "F018"),
    "alloc-hugetlb": _LISTS,
    "alloc-numa": (*_LISTS, "F002", "F018"),
    "alloc-pressure": (*_LISTS, "F018"),
    "alloc-smp": _LISTS,
}
JUDGED: Final[dict[str, tuple[str, ...]]] = {
    "alloc-movable-6.1": _LISTS,
    "alloc-cma-6.12": (*_LISTS, "F036"),
    "alloc-highmem-6.1-686-pae": _LISTS,
    "alloc-hotplug-6.12": (*_LISTS, "F062", "F063"),
    "alloc-inject-6.12": (*_LISTS, "F078"),
    "alloc-owner-6.12": _LISTS,
    **{f"{name}-{kernel}": features for name, features in _ON_BOTH.items() for kernel in ("6.1", "6.12")},
}
"""Capture under tests/real -> features whose clauses and predictions it exercised."""

LIVE: Final = ("F001", "F057", "F059")
"""Features that `linuxmm live vm` judges on the running kernel: tests/oracle/live, tests/vectors/vm."""

for _feature in LIVE:
    register_evidence(_feature, "the running kernel (linuxmm live vm)")
register_evidence("F086", "the running kernel (process_vm_readv, process_vm_writev)")

for _capture, _features in JUDGED.items():
    for _feature in _features:
        register_evidence(_feature, _capture)

SLABS: Final = (
    "objects-slub-6.1",
    "objects-slub-6.12",
    "vm-space-6.1",
    "vm-space-6.12",
    "debug-leak-6.12",
    "objects-slub-debug-6.12",
)
"""Captures under tests/real/areas whose objects are judged: tests/oracle/checker/test_object_evidence.py."""

CHECKED_SLABS: Final = ("objects-slab-debug-6.1",)
"""Captures whose /proc/slabinfo is SLAB's, and whose reports the model repeats: test_slab_reports.py."""

LARGE: Final = (
    "vm-space-6.1",
    "vm-space-6.12",
    "pmem-dax-6.12",
    "dedup-ksm-6.12",
    "large-vmalloc-6.1",
    "large-vmalloc-6.12",
)
"""Captures under tests/real/areas whose vmalloc areas are judged: test_large_check.py."""

REPORTS: Final = ("debug-slub-6.1", "objects-slub-debug-6.12")
"""Captures whose reports of misuse the model repeats line for line: test_slub_reports.py."""

RECLAIM: Final = ("reclaim-lru-6.1",)
"""Captures whose passes of reclaim are judged: test_reclaim_check.py."""

GENERATIONS: Final = ("reclaim-mglru-6.1", "reclaim-mglru-6.12")
"""Captures whose lists by generation are judged: test_generation_check.py."""

GROUPS: Final = ("memcg-v1-6.12", "memcg-v2-6.12")
"""Captures whose groups and swap are judged: test_memcg_evidence.py, test_swap_evidence.py."""

PERSISTENT: Final = ("pmem-dax-6.12",)
"""Captures whose files on persistent memory are judged: test_pmem_evidence.py."""

_BESIDE: Final = (
    ("F033", SLABS),
    ("F035", LARGE),
    ("F032", CHECKED_SLABS),
    ("F077", (*REPORTS, *CHECKED_SLABS)),
    ("F074", PERSISTENT),
    ("F060", GROUPS),
    ("F004", GROUPS),
    *((feature, RECLAIM) for feature in ("F008", "F043", "F046")),
    *((feature, GENERATIONS) for feature in ("F042", "F043", "F046")),
)
for _feature, _captures in _BESIDE:
    for _capture in _captures:
        register_evidence(_feature, f"areas/{_capture}")
for _capture in ("alloc-numa-6.1", "alloc-numa-6.12"):
    register_evidence("F004", _capture)
