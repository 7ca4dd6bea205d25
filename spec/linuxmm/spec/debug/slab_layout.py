"""SLAB debugging: where the parts of one slot lie, and what they must hold.

A red word, the object, a red word, the address of who used it last; the words say by their value whether
the object is in use, so that freeing it twice is seen from them.

Linux: mm/slab.c:__kmem_cache_create, verify_redzone_free, check_poison_obj.  Seed 2.13.2 (F077).
2.6.24 to 6.4.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from linuxmm.spec.arith import align_up
from linuxmm.spec.debug.slub_bytes import POISON_END, POISON_FREE
from linuxmm.spec.registry import formula

WORD: Final = 8
RED_INACTIVE: Final = 0x09F9_1102_9D74_E35B
RED_ACTIVE: Final = 0xD841_56C5_6356_88C0


class SlabLayout(NamedTuple):
    """Offsets from the start of the slot: the red words, the object, the last user, and the slot's size.

    debugged  whether there are red words and a last user at all
    """

    first_red: int
    object: int
    second_red: int
    last_user: int
    size: int
    debugged: bool


def _fls(x: int) -> int:
    return x.bit_length()


@formula("F077", source="mm/slab.c:__kmem_cache_create")
def keeps_red_words(object_size: int, align: int) -> bool:
    """Whether CONFIG_DEBUG_SLAB adds words to a cache: not where they would double a large object.

    Source    __kmem_cache_create (FORCED_DEBUG); 2.6.24 to 6.4 (6.1 read), 64-bit
    """
    if align > WORD:
        return False
    return object_size < 4096 or _fls(object_size - 1) == _fls(object_size - 1 + 3 * WORD)


@formula("F077", source="mm/slab.c:__kmem_cache_create, dbg_redzone1, dbg_redzone2, dbg_userword")
def slab_layout(object_size: int, align: int) -> SlabLayout:
    """The layout of a slot of 64-bit SLAB with CONFIG_DEBUG_SLAB, without DEBUG_PAGEALLOC and KASAN.

    Requires  object_size > 0; align a power of two
    Ensures   parts follow each other and do not overlap; red words are aligned to words
    Source    __kmem_cache_create; 2.6.24 to 6.4 (6.1 read)
    """
    used = align_up(object_size, WORD)
    if not keeps_red_words(object_size, align):
        size = align_up(used, max(align, WORD))
        return SlabLayout(0, 0, used, used, size, False)
    size = align_up(used + 3 * WORD, WORD)
    return SlabLayout(0, WORD, size - 2 * WORD, size - WORD, size, True)


@formula("F077", source="mm/slab.c:verify_redzone_free")
def verdict_at_free(first: int, second: int) -> str:
    """What the red words of an object say when it is freed; nothing when they say that it is in use.

    Source    verify_redzone_free; 2.6.24 to 6.4 (6.1 read)
    """
    if first == RED_ACTIVE and second == RED_ACTIVE:
        return ""
    if first == RED_INACTIVE and second == RED_INACTIVE:
        return "double free detected"
    return "memory outside object was overwritten"


@formula("F077", source="mm/slab.c:cache_alloc_debugcheck_after")
def verdict_at_alloc(first: int, second: int) -> str:
    """What the red words of an object say when it is handed out; nothing when they say that it is free.

    Source    cache_alloc_debugcheck_after; 2.6.24 to 6.4 (6.1 read)
    """
    if first == RED_INACTIVE and second == RED_INACTIVE:
        return ""
    return "double free, or memory outside object was overwritten"


@formula("F077", source="mm/slab.c:poison_obj")
def poisoned(object_size: int, value: int = POISON_FREE) -> bytes:
    """A poisoned object: one value, and the last byte another.

    Source    poison_obj; 2.6 to 6.4
    """
    return bytes([value]) * (object_size - 1) + bytes([POISON_END])


@formula("F077", source="mm/slab.c:check_poison_obj")
def changed_lines(memory: Sequence[int]) -> tuple[int, ...]:
    """Where the lines of 16 bytes begin that a report of a changed free object shows: at most six.

    After a line that differs the line behind it begins one byte late: its first byte is not looked at.
    Source    check_poison_obj (the index is advanced by the step and by the loop); 6.1
    """
    size = len(memory)
    lines: list[int] = []
    at = 0
    while at < size and len(lines) <= 5:
        expected = POISON_END if at == size - 1 else POISON_FREE
        if memory[at] == expected:
            at += 1
            continue
        lines.append(at // 16 * 16)
        at = at // 16 * 16 + 17
    return tuple(lines)


@formula("F077", source="mm/slab.c:dump_line")
def is_single_bit(line: Sequence[int]) -> bool:
    """Whether a line of a free object differs from the poison in one bit of one byte: bad memory, perhaps.

    The end of the object, which is not 0x6b, counts as a byte that differs.
    Source    dump_line; 6.1
    """
    wrong = [byte for byte in line if byte != POISON_FREE]
    if len(wrong) != 1:
        return False
    error = wrong[0] ^ POISON_FREE
    return error & (error - 1) == 0
