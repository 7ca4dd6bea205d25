"""Theorems about objects and their links: disguise, place, alignment, and bounds of size classes."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, theorem
from linuxmm.spec.objects.hardening import (
    encode_xor,
    encode_xor_swab,
    link_at_middle,
    link_before_middle,
    swab64,
)
from linuxmm.spec.objects.slab import (
    alien_bytes,
    estimate_with_bytes,
    estimate_with_struct,
    next_colour,
    reaped_from_array,
)
from linuxmm.spec.objects.slub import CacheFlags, layout, link_outside

Address = Annotated[int, Word(64)]
Size = Annotated[int, Integer(least=1, below=1 << 20)]
Flag = Annotated[bool, Truth()]
Align = Annotated[int, each((8, 16, 64, 4096))]


@theorem(
    "objects.slub.hardened-inverse",
    "Decoding a hardened link gives the link, with and without the bytes of its place reversed; reversing "
    "bytes twice gives the word.",
    proves=(encode_xor, encode_xor_swab, swab64),
    features=("F033",),
    bounds="every 64-bit link, secret and place",
    witness={"pointer": 0xFFFF888004AA5000, "secret": 0x123456789ABCDEF, "place": 0xFFFF888004AA4800},
    mutants=(
        Mutant(encode_xor_swab, "adds the secret", "pointer ^ secret", "pointer | secret"),
        Mutant(encode_xor, "forgets a bit of the link", "pointer ^ secret", "(pointer & ~1) ^ secret"),
        Mutant(
            swab64,
            "swaps halves only",
            "((x & 0x00FF00FF00FF00FF) << 8) | ((x >> 8) & 0x00FF00FF00FF00FF)",
            "x & 0x00FF00FF00FF00FF",
        ),
    ),
)
def hardened_inverse(pointer: Address, secret: Address, place: Address) -> bool:
    plain = encode_xor(encode_xor(pointer, secret, place), secret, place)
    swapped = encode_xor_swab(encode_xor_swab(pointer, secret, place), secret, place)
    return (plain == pointer) & (swapped == pointer) & (swab64(swab64(place)) == place)


@theorem(
    "objects.slub.layout",
    "An object, its red zones and its link lie between its start and the next object's; the link is behind "
    "the object wherever its contents must stay; objects keep their alignment.",
    proves=(layout, link_outside, link_before_middle),
    features=("F033",),
    bounds="objects up to 1 MiB, alignments of 8, 16, 64 and 4096, every set of flags",
    witness={
        "size": 60, "align": 64, "keeps": True, "red_zone": True, "store_user": True, "kmalloc": False,
        "wide": True,
    },
    mutants=(
        Mutant(
            layout,
            "makes no room for the link",
            "        size += POINTER\n    if flags.store_user",
            "    if flags.store_user",
        ),
        Mutant(layout, "forgets the alignment", "align_up(size, align), red_left", "size, red_left"),
        Mutant(link_outside, "overwrites contents that are kept", "flags.rcu or ", ""),
    ),
)  # fmt: skip
def layout_holds(
    size: Size, align: Align, keeps: Flag, red_zone: Flag, store_user: Flag, kmalloc: Flag, wide: Flag
) -> bool:
    assume(size >= 8)
    flags = CacheFlags(rcu=keeps, red_zone=red_zone, store_user=store_user, kmalloc=kmalloc)
    made = layout(size, align, flags, link_before_middle(size, 8), 32, 8, wide)
    inside = (made.inuse >= size) & (made.offset + 8 <= made.size) & (made.inuse + made.red_left <= made.size)
    if keeps:
        return inside & (made.size % align == 0) & (made.offset >= made.inuse)
    return inside & (made.size % align == 0) & (made.red_left % align == 0)


@theorem(
    "objects.slub.link-inside",
    "A link near the middle is aligned and ends inside the object.",
    proves=(link_at_middle, link_before_middle),
    features=("F033",),
    bounds="objects up to 1 MiB of one word at least",
    witness={"size": 96},
    mutants=(
        Mutant(link_at_middle, "takes the end", "area // 2", "area"),
        Mutant(link_before_middle, "is not aligned", " // word * word", ""),
    ),
)
def link_inside(size: Size) -> bool:
    assume(size >= 8)
    whole = (size + 7) // 8 * 8
    early, late = link_before_middle(size, 8), link_at_middle(size, 8)
    return (early % 8 == 0) & (late % 8 == 0) & (early + 8 <= size) & (late + 8 <= whole)


@theorem(
    "objects.slab.tiled",
    "Objects, management and rest are exactly the slab, and the rest is not negative.",
    proves=(estimate_with_struct, estimate_with_bytes),
    features=("F032",),
    bounds="orders 0 to 3, twelve sizes from 16 to 3000 bytes, alignment 8",
    witness={"size": 64, "order": 0, "on_slab": True},
    mutants=(
        Mutant(estimate_with_struct, "does not take the last one back", "objects -= 1", "objects -= 0"),
        Mutant(estimate_with_bytes, "forgets the indices", "size + 1 if on_slab else size", "size"),
    ),
)
def tiled(
    size: Annotated[int, each((16, 32, 64, 76, 128, 192, 256, 364, 512, 1408, 2048, 3000))],
    order: Annotated[int, each(range(4))],
    on_slab: Annotated[bool, each((False, True))],
) -> bool:
    objects, left = estimate_with_bytes(order, size, on_slab)
    whole = objects * (size + (1 if on_slab else 0)) + left == 4096 << order
    held, rest = estimate_with_struct(order, size, 8, not on_slab)
    management = (48 + 4 * held + 7) // 8 * 8 if on_slab else 0
    return whole & (held * size + management + rest == 4096 << order) & (rest >= 0)


@theorem(
    "objects.slab.queues",
    "The arrays for other nodes grow with the square of the nodes; colours go round; the reaper takes no "
    "more than there is.",
    proves=(alien_bytes, next_colour, reaped_from_array),
    features=("F032",),
    bounds="up to a million nodes, any colours and limits",
    witness={"nodes": 64, "colour": 2, "colours": 3, "limit": 120, "available": 7},
    mutants=(
        Mutant(alien_bytes, "counts one node", "return nodes * (nodes", "return 1 * (nodes"),
        Mutant(next_colour, "never goes back", "if colour + 1 < colours else 0", "if colour >= 0 else 0"),
        Mutant(reaped_from_array, "takes a fifth anyway", "wanted <= available", "wanted >= 0"),
    ),
)  # fmt: skip
def queues(
    nodes: Annotated[int, Integer(least=2, below=1 << 20)],
    colour: Annotated[int, Integer(least=0)],
    colours: Annotated[int, Integer(least=0)],
    limit: Annotated[int, Integer(least=1)],
    available: Annotated[int, Integer(least=0)],
) -> bool:
    following = next_colour(colour, colours)
    taken = reaped_from_array(limit, available)
    grown = alien_bytes(nodes, 120)
    return (
        (following >= 0)
        & ((following < colours) | (following == 0))
        & (taken >= 0)
        & (taken <= available)
        & (grown == 128 * nodes * nodes - 120 * nodes)
    )
