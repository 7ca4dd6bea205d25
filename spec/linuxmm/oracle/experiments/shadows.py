"""H06: what the shadows of kmemcheck and KASAN weigh, and what an access costs.

Linux: mm/kmemcheck.c, mm/kasan.  Seed 2.13.5 (F079, F081).
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from linuxmm.model.debug.kasan import Shadows, opened
from linuxmm.model.debug.placement import PLAIN, Heap, place
from linuxmm.spec.debug.history import Alloc, Kind
from linuxmm.spec.debug.kasan import shadow_bytes as generic_bytes
from linuxmm.spec.debug.kasan_tags import Mode, odds_of_missing, tag_bytes
from linuxmm.spec.debug.kmemcheck import TRAPS_PER_ACCESS, shadow_bytes
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.vocabulary import PAGE_SIZE

SIZES: Final = tuple(1 << shift for shift in range(20, 41, 4))
BLOCKS: Final = 64


@experiment(
    "H06",
    title="Shadow memory of kmemcheck and of KASAN's modes",
    reported="kmemcheck shadows memory one to one, KASAN one to eight",
    versions="kmemcheck of 2.6.31 to 4.14; KASAN of 4.0 to 6.12",
    workload="1 MiB to 1 TiB of covered memory; and 64 blocks of a page each, whose shadow is counted",
    left_out=(
        "redzones, the quarantine (a thirty-second of memory) and the stacks that reports show",
        "pages that kmemcheck does not track, which need no shadow",
    ),
    source="arch/x86/mm/kmemcheck/shadow.c; include/linux/kasan.h:KASAN_SHADOW_SCALE_SHIFT",
)
def shadows(scale: Scale) -> Outcome:
    """Bytes of shadow by the memory covered, and of blocks that were really shadowed."""
    ways: dict[str, Callable[[int], int]] = {
        "kmemcheck": shadow_bytes,
        "KASAN, generic": generic_bytes,
        "KASAN, software tags": partial(tag_bytes, Mode.SOFTWARE),
        "KASAN, hardware tags": partial(tag_bytes, Mode.HARDWARE),
    }
    figures = [
        Figure(name, f"{covered >> 20} MiB covered", "", float(way(covered)), "bytes")
        for name, way in ways.items()
        for covered in SIZES
    ]
    counted = _counted()
    figures.append(Figure("KASAN, generic", f"{BLOCKS} pages handed out", "", float(counted), "shadow bytes"))
    figures.append(Figure("kmemcheck", "one access", "", float(TRAPS_PER_ACCESS), "traps"))
    for mode in Mode:
        name = f"KASAN, {mode.name.lower()} tags"
        figures.append(Figure(name, "wrong access missed, one of", "", float(1 / odds_of_missing(mode))))
    curves = tuple(
        Curve(
            "shadows",
            name,
            "bytes covered",
            "bytes of shadow",
            tuple(map(float, SIZES)),
            tuple(float(way(covered)) for covered in SIZES),
            True,
        )
        for name, way in ways.items()
    )
    exact = counted == BLOCKS * PAGE_SIZE // 8 and all(shadow_bytes(size) == size for size in SIZES)
    why = (
        f"{BLOCKS} pages that were handed out have {counted} shadow bytes, one for eight; kmemcheck keeps a "
        f"byte for each. What generic KASAN gains in room it does not pay in precision: a shadow byte opens "
        f"1 to 8 bytes. With tags it is one byte for sixteen (half of that in hardware), whole granules, "
        f"and a wrong access is missed once in {1 / odds_of_missing(Mode.SOFTWARE)} "
        f"({1 / odds_of_missing(Mode.HARDWARE)} in hardware)."
    )
    return Outcome(tuple(figures), curves, Standing.CONFIRMED if exact else Standing.NOT_CONFIRMED, why)


def _counted() -> int:
    """Shadow bytes that the model of generic KASAN sets for blocks of a page."""
    heap, found = Heap(PLAIN), Shadows()
    for number in range(BLOCKS):
        heap = place(heap, Alloc(f"p{number}", PAGE_SIZE, Kind.PAGES))
        found = opened(found, heap.places[f"p{number}"])
    return len(found.bytes)
