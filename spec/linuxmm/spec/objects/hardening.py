"""Where SLUB keeps the link of a free object, and how hardened kernels disguise it.

A free object holds the address of the next one.  CONFIG_SLAB_FREELIST_HARDENED stores it exclusive-or'd
with a secret of the cache and the place of the link itself; since 5.7 the bytes of that place are reversed,
so that a link at the end of a page does not show the secret's high bits.

Linux: mm/slub.c:freelist_ptr.  Seed 2.1.2.2 (F033).  Hardening 4.14 to 6.12.
"""

from typing import Final

from linuxmm.spec.arith import align_up
from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula

LINK_OFFSET: Final = "objects.freelist-offset"
"""The rule where in an object the link of a free one stands."""
LINK_ENCODE: Final = "objects.freelist-encode"
"""The rule how a link is disguised."""


@formula("F033", source="include/linux/swab.h:swab64")
def swab64(x: int) -> int:
    """The 64-bit word with its bytes in reverse.

    Requires  0 <= x < 2**64
    Ensures   swab64(swab64(x)) == x
    """
    x = ((x & 0x00FF00FF00FF00FF) << 8) | ((x >> 8) & 0x00FF00FF00FF00FF)
    x = ((x & 0x0000FFFF0000FFFF) << 16) | ((x >> 16) & 0x0000FFFF0000FFFF)
    return ((x & 0x00000000FFFFFFFF) << 32) | (x >> 32)


@behaviour(
    "objects.freelist-encode",
    since="2.6.22",
    until="4.13",
    features=("F033",),
    source="mm/slub.c:set_freepointer",
)
def encode_plain(pointer: int, secret: int, place: int) -> int:
    """The word stored for a link: the link."""
    return pointer


@behaviour(
    "objects.freelist-encode",
    since="4.14",
    until="5.6",
    features=("F033",),
    source="mm/slub.c:freelist_ptr; read in 4.15 to 5.4",
)
def encode_xor(pointer: int, secret: int, place: int) -> int:
    """The word stored for a link: it, the cache's secret and the link's own address, exclusive-or'd.

    Ensures   its own inverse: encoding the word again gives the pointer
    """
    return pointer ^ secret ^ place


@behaviour(
    "objects.freelist-encode",
    since="5.7",
    features=("F033",),
    source="mm/slub.c:freelist_ptr, freelist_ptr_encode; 5.7 to 6.12",
)
def encode_xor_swab(pointer: int, secret: int, place: int) -> int:
    """The word stored for a link: as before, the bytes of its own address reversed.

    Ensures   its own inverse: encoding the word again gives the pointer
    """
    return pointer ^ secret ^ swab64(place)


@behaviour(
    "objects.freelist-offset",
    since="2.6.22",
    until="5.6",
    features=("F033",),
    source="mm/slub.c:calculate_sizes; 2.6.22 to 5.4",
)
def link_at_start(object_size: int, word: int) -> int:
    """Where in an object its link stands, if it may overwrite the object: at the start."""
    return 0


@behaviour(
    "objects.freelist-offset",
    since="5.7",
    until="5.12",
    features=("F033",),
    source="mm/slub.c:calculate_sizes; 5.7 to 5.11",
)
def link_at_middle(object_size: int, word: int) -> int:
    """Where in an object its link stands: near the middle, if it has more than one word.

    Ensures   aligned to a word, and the link ends inside the object rounded up to words
    """
    area = align_up(object_size, word)
    return align_up(area // 2, word) if area > word else 0


@behaviour(
    "objects.freelist-offset",
    since="5.13",
    features=("F033",),
    source="mm/slub.c:calculate_sizes; read in 5.14 to 6.12",
)
def link_before_middle(object_size: int, word: int) -> int:
    """Where in an object its link stands: at the last word that begins in its first half.

    Ensures   aligned to a word, and the link ends inside the object if it has at least one word
    """
    return object_size // 2 // word * word
