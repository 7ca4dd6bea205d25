"""What SLUB debugging of kernels before 5.14 says, and what they did with a broken object."""

from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.debug.slub import alloc, discard, free, remaining, validate
from linuxmm.model.debug.slub_slab import DebugCache, DebugSlab, Names, Track, link, new_slab, write
from linuxmm.spec.debug.slub_layout import SlubOptions
from linuxmm.spec.debug.slub_words import STACK
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel

BASE = 0xFFFF_8801_0000_0000
ALL = SlubOptions(red_zone=True, poison=True, store_user=True)
NAMES = Names(
    Map({1: "maker+0x1/0x2", 2: "user+0x3/0x4"}), page=0xFFFF_EA00_0000_0040, flags="0x4080", now=90
)
WHO = Track(1, cpu=3, pid=7, when=80, stack=(1, 2))
LINE = "=" * 77
RULE = "-" * 77


def slab_of(version: str, size: int = 24, options: SlubOptions = ALL) -> DebugSlab:
    return new_slab(DebugCache(kernel(version), "old", size, 8, 0, options), BASE, NAMES)


def hit_behind(version: str) -> tuple[DebugSlab, int]:
    """An object of 24 bytes in use, one byte behind it changed, and given back."""
    slab, pointer = alloc(slab_of(version), 24, WHO)
    slab, _ = free(write(slab, pointer + 24, b"\x11"), pointer, WHO)
    return slab, pointer


# ---- whole reports -----------------------------------------------------------------------------------------


def test_the_report_of_a_3_0_kernel() -> None:
    slab, pointer = hit_behind("3.0")
    assert pointer == BASE
    padding = BASE + 24 + 8 + 8 + 48
    assert slab.log == (
        LINE,
        "BUG old: Redzone overwritten",
        RULE,
        "",
        f"INFO: 0x{BASE + 24:x}-0x{BASE + 24:x}. First byte 0x11 instead of 0xcc",
        "INFO: Allocated in maker+0x1/0x2 age=10 cpu=3 pid=7",
        f"INFO: Slab 0xffffea0000000040 objects=42 used=1 fp=0x{BASE + 96:x} flags=0x4080",
        f"INFO: Object 0x{BASE:x} @offset=0 fp=0x{BASE + 96:x}",
        "",
        f"  Object 0x{BASE:x}:  " + "6b " * 16 + "k" * 16,
        f"  Object 0x{BASE + 16:x}:  " + "6b " * 7 + "a5 " + "   " * 8 + "k" * 7 + "\xa5" + " " * 8,
        f" Redzone 0x{BASE + 24:x}:  11 " + "cc " * 7 + "   " * 8 + "." + "\xcc" * 7 + " " * 8,
        f" Padding 0x{padding:x}:  " + "5a " * 8 + "   " * 8 + "Z" * 8 + " " * 8,
        STACK,
        f"FIX old: Restoring 0x{BASE + 24:x}-0x{BASE + 24:x}=0xcc",
        "",
    )
    assert slab.inuse == 1


def test_the_report_of_a_4_19_kernel() -> None:
    slab, pointer = hit_behind("4.19")
    assert pointer == BASE + 8
    size = 8 + 24 + 8 + 8 + 304 + 8
    assert slab.log == (
        LINE,
        "BUG old (Not tainted): Redzone overwritten",
        RULE,
        "",
        f"INFO: 0x{BASE + 32:x}-0x{BASE + 32:x}. First byte 0x11 instead of 0xcc",
        "INFO: Allocated in maker+0x1/0x2 age=10 cpu=3 pid=7",
        "\tmaker+0x1/0x2",
        "\tuser+0x3/0x4",
        f"INFO: Slab 0xffffea0000000040 objects=11 used=1 fp=0x{pointer + size:x} flags=0x4080",
        f"INFO: Object 0x{pointer:x} @offset=8 fp=0x{pointer + size:x}",
        "",
        f"Redzone {BASE:x}: " + "cc " * 8 + "   " * 8 + " " + "." * 8,
        f"Object {pointer:x}: " + "6b " * 16 + " " + "k" * 16,
        f"Object {pointer + 16:x}: " + "6b " * 7 + "a5 " + "   " * 8 + " " + "k" * 7 + ".",
        f"Redzone {pointer + 24:x}: 11 " + "cc " * 7 + "   " * 8 + " " + "." * 8,
        f"Padding {BASE + size - 8:x}: " + "5a " * 8 + "   " * 8 + " " + "Z" * 8,
        STACK,
        f"FIX old: Restoring 0x{BASE + 32:x}-0x{BASE + 32:x}=0xcc",
        "",
        f"FIX old: Object at 0x{pointer:x} not freed",
    )


@pytest.mark.parametrize(
    ("version", "first", "label"),
    [
        ("5.4", "Redzone overwritten", "Redzone "),
        ("5.10.45", "Redzone overwritten", "Redzone "),
        ("5.10.228", "Right Redzone overwritten", "Redzone  "),
        ("5.13", "Right Redzone overwritten", "Redzone  "),
    ],
)
def test_since_5_4_the_place_is_told_and_since_5_13_the_side(version: str, first: str, label: str) -> None:
    slab, pointer = hit_behind(version)
    assert slab.log[1] == f"BUG old (Not tainted): {first}"
    where = f"0x{pointer + 24:x}-0x{pointer + 24:x} @offset=32"
    assert slab.log[4] == f"INFO: {where}. First byte 0x11 instead of 0xcc"
    assert any(line.startswith(f"{label}{BASE:x}: ") for line in slab.log)


# ---- what became of the object -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "inuse", "said"), [("3.0", 1, False), ("3.10", 0, False), ("4.9", 1, True), ("5.10", 1, True)]
)
def test_a_broken_object_is_kept_or_freed_with_or_without_a_word(
    version: str, inuse: int, said: bool
) -> None:
    slab, pointer = hit_behind(version)
    assert slab.inuse == inuse
    assert any("not freed" in line for line in slab.log) == said
    assert (slab.freelist == pointer) == (inuse == 0)


def test_a_3_10_kernel_complains_again_when_it_hands_out_what_it_freed_broken() -> None:
    slab, pointer = hit_behind("3.10")
    slab, got = alloc(slab, 24, WHO)
    assert got == 0
    expected = f"INFO: 0x{pointer + 24:x}-0x{pointer + 31:x}. First byte 0xcc instead of 0xbb"
    assert expected in slab.log
    assert slab.log[-1] == "FIX old: Marking all objects used"


@pytest.mark.parametrize(
    ("version", "counts"),
    [
        ("3.0", "objects=42 used=0 fp=0xffff880100000000"),
        ("3.4", "objects=11 used=11 fp=0x          (null)"),
        ("5.1", "objects=11 used=11 fp=0x          (null)"),
        ("5.10", "objects=11 used=11 fp=0x0000000000000000"),
        ("5.14", "objects=11 used=1 fp=0xffff880100000170"),
    ],
)
def test_what_a_slab_counts_while_an_object_is_handed_out(version: str, counts: str) -> None:
    slab = slab_of(version)
    slab, got = alloc(write(slab, slab.freelist + 2, b"\x6a"), 24, WHO)
    assert got == 0
    assert any("Poison overwritten" in line for line in slab.log)
    assert any(counts in line for line in slab.log), slab.log


def test_the_rest_of_a_slab_was_put_right_at_the_wrong_place_up_to_4_15() -> None:
    for version, harmed in (("4.9", True), ("4.19", False)):
        slab = slab_of(version)
        size = slab.cache.layout.size
        rest = BASE + 4096 - 4096 % size
        slab = write(slab, rest, b"\x01")
        after = discard(slab)
        assert f"Padding overwritten. 0x{rest:x}-0x{rest:x}" in after.log[1]
        first = rest + 1 - 4096 % size if harmed else rest
        assert f"FIX old: Restoring 0x{first:x}-0x{rest:x}=0x5a" in after.log
        tracks = slice(rest - BASE - 8 - 2 * 152, rest - BASE - 8)
        assert slab.memory[tracks] == bytes(304)
        assert (after.memory[tracks] == bytes(304)) != harmed, "who used the last object is forgotten"


def test_free_objects_are_checked_first_up_to_5_4() -> None:
    for version, first in (("5.4", "Poison"), ("5.5", "Redzone")):
        slab, used = alloc(slab_of(version), 24, WHO)
        slab = write(write(slab, slab.freelist, b"\x01"), used + 24, b"\x01")
        heads = [line for line in validate(slab).log if line.startswith("BUG")]
        assert heads[0] == f"BUG old (Not tainted): {first} overwritten"


def test_a_small_object_with_red_zones_was_broken_by_its_own_link_up_to_5_12() -> None:
    """Nobody misused anything: the free pointer lies in the red zone."""
    red = SlubOptions(red_zone=True)
    for version, silent in (("5.4", False), ("5.10.45", False), ("5.10.228", True), ("5.13", True)):
        slab = slab_of(version, 4, red)
        following = link(slab, slab.freelist)
        slab, got = alloc(slab, 4, WHO)
        assert (slab.log == ()) == silent
        assert (got != 0) == silent
        assert following


# ---- what real kernels printed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "size", "order", "objects", "offset", "slot"),
    [
        ("3.4", 264, 2, 27, 592, 592),  # a report about numa_policy
        ("5.3", 4096, 3, 7, 17736, 4432),  # a report about kmalloc-4k
    ],
)
def test_slots_of_old_kernels_lie_where_their_reports_say(
    version: str, size: int, order: int, objects: int, offset: int, slot: int
) -> None:
    cache = DebugCache(kernel(version), "real", size, 8, order, ALL)
    assert (cache.layout.size, cache.objects) == (slot, objects)
    assert (offset - cache.layout.object) % slot == 0


def test_before_2_6_26_nothing_tells_how_many_objects_a_slab_has() -> None:
    slab, pointer = hit_behind("2.6.24")
    newer, _ = hit_behind("2.6.26")
    lines = [line.replace(f"objects={slab.objects} ", "") for line in newer.log]
    nothing = [line.replace(f"{'(null)':>16}", "0" * 16) for line in lines]
    assert list(slab.log) == nothing
    assert slab.log[1] == "BUG old: Redzone overwritten"
    assert slab.log[-2].startswith(f"FIX old: Restoring 0x{pointer + 24:016x}-")
    with pytest.raises(Unmodelled, match="the numbers of a report about a slab"):
        free(slab, pointer + 8, WHO)
    at = slab.base + len(slab.memory) - 1
    with pytest.raises(Unmodelled, match="the last slot before"):
        validate(write(slab, at, b"\x00"))


# ---- left out ----------------------------------------------------------------------------------------------


def test_what_is_not_modelled_is_named() -> None:
    with pytest.raises(Unmodelled, match=r"debug\.slub\..* 2\.6\.22"):
        slab_of("2.6.22")
    slab, pointer = alloc(slab_of("5.10"), 24, WHO)
    with pytest.raises(Unmodelled, match="given to another cache"):
        free(slab, pointer, WHO, to="other")
    with pytest.raises(Unmodelled, match=r"debug\.slub\.remaining"):
        remaining(slab_of("4.19"))
    listed = [line for line in remaining(slab).log if line.startswith("INFO: Object ")]
    assert listed == [f"INFO: Object 0x{pointer:x} @offset=8"]
    astray = replace(slab, freelist=BASE + 3)
    with pytest.raises(Unmodelled, match="not of the slab"):
        alloc(astray, 24, WHO)
