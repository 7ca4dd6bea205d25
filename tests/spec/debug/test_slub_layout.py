"""Slots of SLUB with debugging, against figures that a kernel printed."""

from linuxmm.spec.debug.slub_layout import SlubLayout, SlubOptions, slub_layout

ALL = SlubOptions(red_zone=True, poison=True, store_user=True)


def test_a_slot_of_forty_bytes_is_what_a_6_1_kernel_reports() -> None:
    """Its report: object at offset 8, red zone at 48, padding at 128, the next object 136 bytes on."""
    assert slub_layout(40, 8, ALL) == SlubLayout(8, 48, 56, 64, 128, 128, 136)


def test_without_options_the_free_pointer_lies_in_the_middle() -> None:
    assert slub_layout(64, 8, SlubOptions()) == SlubLayout(0, 64, 32, 64, 64, 64, 64)
    assert slub_layout(13, 8, SlubOptions()) == SlubLayout(0, 13, 0, 16, 16, 16, 16)


def test_kmalloc_keeps_the_size_asked_for_and_its_alignment() -> None:
    assert slub_layout(64, 64, ALL._replace(kmalloc=True)) == SlubLayout(64, 128, 136, 144, 208, 212, 256)


def test_a_tiny_object_in_red_zones_has_its_free_pointer_outside() -> None:
    assert slub_layout(4, 8, SlubOptions(red_zone=True)) == SlubLayout(8, 12, 16, 24, 24, 24, 32)
