"""Slots of SLUB with debugging, against figures that real kernels printed."""

from pathlib import Path

import pytest

from linuxmm.spec.debug.slub_layout import AskedSize, SlubLayout, SlubOptions, slub_layout
from linuxmm.spec.kernel import kernel

REAL = Path(__file__).parents[2] / "real" / "areas"
SIX_ONE, SIX_TWELVE = AskedSize(4, False), AskedSize(8, True)
ALL = SlubOptions(red_zone=True, poison=True, store_user=True)


def caches_of(capture: str) -> dict[str, dict[str, int]]:
    """What /sys/kernel/slab said of each cache."""
    found: dict[str, dict[str, int]] = {}
    if capture.startswith("objects"):
        for line in (REAL / capture / "data" / "slab_debug.txt").read_text().splitlines():
            name, what, value = line.split()
            found.setdefault(name, {})[what] = int(value)
    else:
        for line in (REAL / capture / "data" / "slab_sysfs_debug.txt").read_text().splitlines():
            name, *pairs = line.split()
            found[name] = {what: int(value) for what, value in (pair.split("=") for pair in pairs)}
    return found


def test_a_slot_of_forty_bytes_is_what_a_6_1_kernel_reports() -> None:
    """Its report: object at offset 8, red zone at 48, padding at 128, the next object 136 bytes on."""
    assert slub_layout(40, 8, ALL, SIX_ONE) == SlubLayout(8, 48, 56, 64, 128, 128, 136)


def test_without_options_the_free_pointer_lies_in_the_middle() -> None:
    assert slub_layout(64, 8, SlubOptions(), SIX_ONE) == SlubLayout(0, 64, 32, 64, 64, 64, 64)
    assert slub_layout(13, 8, SlubOptions(), SIX_ONE) == SlubLayout(0, 13, 0, 16, 16, 16, 16)


def test_kmalloc_keeps_the_size_asked_for_and_its_alignment() -> None:
    assert slub_layout(64, 64, ALL._replace(kmalloc=True), SIX_ONE) == SlubLayout(
        64, 128, 136, 144, 208, 212, 256
    )


def test_a_tiny_object_in_red_zones_has_its_free_pointer_outside() -> None:
    assert slub_layout(4, 8, SlubOptions(red_zone=True), SIX_ONE) == SlubLayout(8, 12, 16, 24, 24, 24, 32)


def test_since_6_2_what_a_kmalloc_did_not_ask_for_is_red() -> None:
    kmalloc = SlubOptions(red_zone=True, store_user=True, kmalloc=True)
    assert slub_layout(64, 64, kmalloc, SIX_ONE).free_pointer == 96
    assert slub_layout(64, 64, kmalloc, SIX_TWELVE) == SlubLayout(64, 128, 136, 144, 208, 216, 256)


@pytest.mark.parametrize(
    ("capture", "version"), [("objects-slub-debug-6.12", "6.12.117"), ("debug-slub-6.1", "6.1.192")]
)
def test_every_cache_of_a_real_kernel_has_this_size(capture: str, version: str) -> None:
    asked = kernel(version).behaviour("debug.slub.asked-size").function()
    assert isinstance(asked, AskedSize)
    checked = 0
    for name, figures in caches_of(capture).items():
        if not (figures["red_zone"] and figures["poison"] and figures["store_user"]):
            continue
        options = ALL._replace(kmalloc=name.startswith(("kmalloc-", "dma-kmalloc-")))
        layout = slub_layout(figures["object_size"], max(figures["align"], 8), options, asked)
        assert layout.size == figures["slab_size"], name
        assert (4096 << figures["order"]) // layout.size == figures["objs_per_slab"], name
        checked += 1
    assert checked >= 4
