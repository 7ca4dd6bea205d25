"""Theorems about KASAN's shadow: it opens exactly the bytes of a block, and the checks miss none."""

from typing import Annotated

from linuxmm.proofs.domain import MapOf, Table, Word, each, table
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, join, no, theorem
from linuxmm.spec.debug.kasan import (
    byte_is_closed,
    granule_shadow,
    range_is_closed,
    shadow_address,
    word_is_closed,
)

Address = Annotated[int, Word(64, below=1 << 62)]
Bytes = Annotated[Table, MapOf((Word(64),), Word(64, below=256))]


@theorem(
    "debug.kasan.exact",
    "After a block is handed out, the shadow forbids a byte exactly when it lies outside the block.",
    proves=(granule_shadow, byte_is_closed),
    features=("F081",),
    bounds="every block and byte below 2**62, every poison",
    witness={"start": 0x1000, "size": 13, "address": 0x100D, "poison": 0xFC},
    mutants=(
        Mutant(
            granule_shadow, "opens one granule too many", "address >= start + size", "address > start + size"
        ),
        Mutant(granule_shadow, "opens the last granule wholly", "return left", "return 0"),
        Mutant(byte_is_closed, "allows one byte behind", ">= shadow)", "> shadow)"),
        Mutant(byte_is_closed, "compares unsigned", "shadow >= 0x80 or ", ""),
    ),
)
def shadow_is_exact(
    start: Address, size: Address, address: Address, poison: Annotated[int, Word(64, below=256)]
) -> bool:
    assume((start & 7 == 0) & (poison >= 0x80))
    shadow = granule_shadow(start, size, address >> 3, poison)
    inside = (address >= start) & (address < start + size)
    return join(byte_is_closed, shadow, address) == no(inside)


def _assume_valid(shadow: Table, address: int, size: int) -> None:
    """No shadow byte lies between 8 and 0x7f: the kernel writes none."""
    for granule in range((size + 6) // 8 + 1):
        value = shadow[(address >> 3) + granule]
        assume((value < 8) | (value >= 0x80))


def _some_closed(shadow: Table, address: int, size: int) -> bool:
    closed = False
    for offset in range(size):
        place = address + offset
        closed = closed | join(byte_is_closed, shadow[place >> 3], place)
    return closed


@theorem(
    "debug.kasan.word",
    "The check of an access of 1, 2, 4 or 8 bytes forbids it exactly when some byte of it is closed.",
    proves=(word_is_closed, byte_is_closed),
    features=("F081",),
    bounds="every valid shadow, every address below 2**62",
    witness={"shadow": table({0x200: 0, 0x201: 5}), "address": 0x1006, "size": 8},
    mutants=(
        Mutant(word_is_closed, "reads only the last granule", "< size - 1 and", "< 0 and"),
        Mutant(word_is_closed, "checks the byte behind", "address + size - 1", "address + size"),
        Mutant(byte_is_closed, "allows one byte behind", ">= shadow)", "> shadow)"),
    ),
)
def word_check_is_exact(shadow: Bytes, address: Address, size: Annotated[int, each((1, 2, 4, 8))]) -> bool:
    _assume_valid(shadow, address, size)
    return word_is_closed(shadow, address, size) == _some_closed(shadow, address, size)


@theorem(
    "debug.kasan.range",
    "The check of a memory function forbids it exactly when some byte of the range is closed.",
    proves=(range_is_closed, byte_is_closed),
    features=("F081",),
    method="bounded",
    bounds="every valid shadow, every address below 2**62, ranges of 1 to 20 bytes",
    witness={"shadow": table({0x201: 5}), "address": 0x1004, "size": 13, "offset": 9},
    mutants=(
        Mutant(range_is_closed, "leaves the last granule out", "address + size - 1", "address + size - 9"),
        Mutant(range_is_closed, "skips granules", "granule += 1", "granule += 2"),
    ),
)
def range_check_is_exact(
    shadow: Bytes, address: Address, size: Annotated[int, each(range(1, 21))], offset: Address
) -> bool:
    assume((address >= 16) & (offset < size))
    _assume_valid(shadow, address, size)
    last, place = address + size - 1, address + offset
    found = join(byte_is_closed, shadow[last >> 3], last)
    for number in range((size + 6) // 8):
        end = (((address >> 3) + number) << 3) + 7
        found = found | ((end < last) & join(byte_is_closed, shadow[end >> 3], end))
    closed = range_is_closed(shadow, address, size)
    return (closed == found) & implies(join(byte_is_closed, shadow[place >> 3], place), closed)


@theorem(
    "debug.kasan.address",
    "Bytes of the same granule share a shadow byte, and neighbouring granules have neighbouring ones.",
    proves=(shadow_address,),
    features=("F081",),
    bounds="every address below 2**62, every offset below 2**62",
    witness={"address": 0x1007, "offset": 0x1000},
    mutants=(
        Mutant(shadow_address, "packs sixteen bytes", ">> GRANULE_SHIFT", ">> GRANULE_SHIFT + 1"),
        Mutant(shadow_address, "packs four bytes", ">> GRANULE_SHIFT", ">> GRANULE_SHIFT - 1"),
    ),
)
def shadow_addresses_follow_granules(address: Address, offset: Address) -> bool:
    here = shadow_address(address, offset)
    return implies(address & 7 != 7, shadow_address(address + 1, offset) == here) & (
        shadow_address(address + 8, offset) == here + 1
    )
