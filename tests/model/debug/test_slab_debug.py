"""SLAB debugging: red words and poison of one slab, byte for byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.debug.slab import (
    BAD_RAM,
    BUG,
    CheckedCache,
    CheckedSlab,
    alloc,
    destroy,
    free,
    new_slab,
    objects_of,
    write,
)
from linuxmm.spec.debug.slab_layout import (
    RED_ACTIVE,
    SlabLayout,
    changed_lines,
    is_single_bit,
    keeps_red_words,
    poisoned,
    slab_layout,
)
from linuxmm.spec.debug.slub_words import STACK
from linuxmm.spec.errors import LinuxmmError

BASE, WHO = 0xFFFF_8880_0000_0000, 0x1234
CACHE = CheckedCache("lab", 40)


def heads(slab: CheckedSlab) -> list[str]:
    return [line for line in slab.log if line.startswith(("slab error", "Slab corruption"))]


# ---- layout ------------------------------------------------------------------------------------------------


def test_a_slot_has_red_words_around_the_object_and_its_last_user() -> None:
    assert slab_layout(40, 8) == SlabLayout(0, 8, 48, 56, 64, True)
    assert slab_layout(13, 8) == SlabLayout(0, 8, 24, 32, 40, True)


def test_caches_that_would_double_and_aligned_ones_go_without() -> None:
    assert keeps_red_words(4000, 8)
    assert not keeps_red_words(4096, 8)
    assert keeps_red_words(4200, 8)
    assert slab_layout(64, 64) == SlabLayout(0, 0, 64, 64, 64, False)


@given(st.integers(1, 9000), st.sampled_from((8, 16, 64)))
def test_parts_follow_each_other(size: int, align: int) -> None:
    layout = slab_layout(size, align)
    assert layout.object + size <= layout.second_red <= layout.last_user <= layout.size
    assert layout.size % align == 0
    if layout.debugged:
        assert (layout.object, layout.last_user + 8) == (8, layout.size)
        assert layout.second_red + 8 == layout.last_user


# ---- proper use --------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 200), max_size=40), st.sampled_from((1, 8, 40, 64, 4096)), st.booleans())
@settings(max_examples=40, deadline=None)
def test_proper_use_is_silent(choices: list[int], size: int, keeps: bool) -> None:
    slab = new_slab(CheckedCache("lab", size, order=1, keeps=keeps), BASE)
    live: list[int] = []
    for choice in choices:
        if slab.free and (choice % 2 or not live):
            slab, pointer = alloc(slab, WHO)
            assert pointer not in live
            slab = write(slab, pointer, bytes([choice]) * size)
            live.append(pointer)
        elif live:
            slab = free(slab, live.pop(choice % len(live)), WHO)
    for pointer in live:
        slab = free(slab, pointer, WHO)
    assert destroy(slab).log == ()
    assert sorted(slab.free) == list(objects_of(slab))


# ---- misuse ------------------------------------------------------------------------------------------------


def test_every_byte_of_a_free_object_and_of_the_red_words_is_watched() -> None:
    fresh = new_slab(CACHE, BASE)
    layout, pointer = CACHE.layout, fresh.free[-1]
    for at in range(layout.size):
        address = pointer - layout.object + at
        changed = write(fresh, address, bytes([fresh.memory[address - BASE] ^ 0x21]))
        slab, got = alloc(changed, WHO)
        assert got == pointer, "it is handed out all the same"
        if layout.object <= at < layout.object + 40:
            assert heads(slab)[0].startswith("Slab corruption (Not tainted): lab start=")
        elif layout.last_user <= at:
            assert slab.log == ()
        else:
            assert heads(slab) == [
                "slab error in cache_alloc_debugcheck_after(): cache `lab': "
                "double free, or memory outside object was overwritten"
            ]


def test_a_second_free_is_seen_and_done() -> None:
    slab, pointer = alloc(new_slab(CACHE, BASE), WHO)
    slab = free(free(slab, pointer, WHO), pointer, WHO)
    inactive = "0x9f911029d74e35b"
    assert slab.log == (
        "slab error in verify_redzone_free(): cache `lab': double free detected",
        STACK,
        f"{pointer - 8:016x}: redzone 1:{inactive}, redzone 2:{inactive}",
    )
    slab, first = alloc(slab, WHO)
    slab, second = alloc(slab, WHO)
    assert first == second == pointer, "handed out twice"
    assert "cache_alloc_debugcheck_after" in heads(slab)[-1]


def test_an_overrun_is_seen_when_the_object_is_freed() -> None:
    slab, pointer = alloc(new_slab(CACHE, BASE), WHO)
    slab = free(write(slab, pointer + 40, b"\0"), pointer, WHO)
    assert heads(slab) == [
        "slab error in verify_redzone_free(): cache `lab': memory outside object was overwritten"
    ]
    assert f"redzone 1:{RED_ACTIVE:#x}" in slab.log[-1]


def test_a_wrong_cache_and_a_wrong_pointer_stop_the_kernel() -> None:
    slab, pointer = alloc(new_slab(CACHE, BASE), WHO)
    for stopped in (free(slab, pointer, WHO, to="other"), free(slab, pointer + 8, WHO)):
        assert stopped.stopped
        assert stopped.log[-1] == BUG
    assert not free(slab, pointer, WHO, to="lab").stopped


def test_objects_in_use_at_the_end_show_their_red_words() -> None:
    slab, _ = alloc(new_slab(CACHE, BASE), WHO)
    assert [line.rsplit(": ", 1)[1] for line in heads(destroy(slab))[1:]] == [
        "start of a freed object was overwritten",
        "end of a freed object was overwritten",
    ]


def test_the_report_of_a_changed_object_shows_its_neighbours() -> None:
    slab = new_slab(CACHE, BASE)
    slab, _ = alloc(slab, WHO)
    pointer = slab.free[-1]
    slab, _ = alloc(write(slab, pointer + 17, b"\x6a"), WHO)
    user = "Last user: (0x0)"
    red = "Redzone: 0x9f911029d74e35b/0x9f911029d74e35b"
    assert slab.log[:7] == (
        f"Slab corruption (Not tainted): lab start={pointer:016x}, len=40",
        red,
        user,
        "010: 6b 6a 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kjkkkkkkkkkkkkkk",
        *BAD_RAM,
        f"Prev obj: start={pointer - 64:016x}, len=40",
    )
    assert slab.log[7:9] == (f"Redzone: {RED_ACTIVE:#x}/{RED_ACTIVE:#x}", "Last user: (0x1234)")
    assert slab.log[-5] == f"Next obj: start={pointer + 64:016x}, len=40"


def test_misuse_of_the_model_is_an_error() -> None:
    slab = new_slab(CheckedCache("big", 4096), BASE)
    slab, _ = alloc(slab, WHO)
    with pytest.raises(LinuxmmError, match="no free object"):
        alloc(slab, WHO)
    with pytest.raises(LinuxmmError, match="is not in the slab"):
        write(slab, BASE + 4096, b"\0")


# ---- lines -------------------------------------------------------------------------------------------------


def test_the_first_byte_of_the_line_behind_a_changed_one_is_not_looked_at() -> None:
    memory = bytearray(poisoned(64))
    assert changed_lines(memory) == ()
    memory[5] = 0
    memory[16] = 0
    assert changed_lines(memory) == (0,)
    memory[17] = 0
    assert changed_lines(memory) == (0, 16)
    assert len(changed_lines(bytes(400))) == 6


@given(st.integers(2, 200), st.data())
def test_any_one_changed_byte_is_found(size: int, data: st.DataObject) -> None:
    memory = bytearray(poisoned(size))
    at = data.draw(st.integers(0, size - 1))
    memory[at] ^= data.draw(st.integers(1, 255))
    assert changed_lines(memory) == (at // 16 * 16,)


def test_a_single_bit_is_bad_memory_perhaps() -> None:
    assert is_single_bit(b"\x6b\x6a\x6b")
    assert not is_single_bit(b"\x6b\x68\x6b")
    assert not is_single_bit(b"\x6b\x6b")
    assert not is_single_bit(b"\x6a\x6a")
