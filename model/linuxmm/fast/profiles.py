"""The kernels whose allocator runs compiled, and which behaviours that covers.

Linux: 4.4 to 6.12.  Seed 2.1.1.
"""

from collections.abc import Callable
from typing import Final

from linuxmm.model.alloc.bulk import fill_entries
from linuxmm.model.alloc.profile import rules_for
from linuxmm.spec.kernel import behaviours, kernel
from linuxmm.spec.registry import register_fast

COMPILED: Final = ("4.4", "4.10", "4.20", "5.0", "5.4", "5.10", "5.14", "5.17", "6.1.192", "6.12.117")
"""Releases that lockstep tests and benchmarks run."""


def _register() -> None:
    """Every behaviour of these kernels' allocators is compiled from the function that the model runs."""
    compiled = {
        function for release in COMPILED for function in rules_for(kernel(release)) if callable(function)
    }
    covered: dict[Callable[..., object], tuple[set[str], str]] = {}
    for behaviour in behaviours():
        if behaviour.function in compiled:
            features, _ = covered.setdefault(behaviour.function, (set(), behaviour.source))
            features.update(behaviour.features)
    for function, (features, source) in covered.items():
        register_fast(function, *sorted(features), source=source)
    register_fast(
        fill_entries, "F022", "F026", "F028", source="mm/page_alloc.c:__alloc_pages_bulk; 5.13 to 6.12"
    )


_register()
