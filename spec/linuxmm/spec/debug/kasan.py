"""KASAN, generic mode: one shadow byte says how many of eight bytes may be accessed.

A shadow byte of 0 opens its whole granule, 1 to 7 its first bytes, and a negative one (0x80 and above)
none; which negative one says why.  The compiler puts a check before each access.

Linux: mm/kasan.  Seed 2.13.5 (F081).  Since 4.0.
"""

from enum import IntEnum
from typing import Final, Protocol

from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

GRANULE: Final = 8
GRANULE_SHIFT: Final = 3
OFFSET_X86_64: Final = 0xDFFF_FC00_0000_0000
STACK_LEFT_REDZONE: Final = 32
ALLOC_META: Final = 16
QUARANTINE_FRACTION: Final = 32
QUARANTINE_PERCPU: Final = 1 << 20


class Poison(IntEnum):
    """Why a granule is closed; FREE_META marks a freed object that keeps who freed it, since 5.8."""

    PAGE_FREE = 0xFF
    PAGE_REDZONE = 0xFE
    SLAB_REDZONE = 0xFC
    SLAB_FREE = 0xFB
    SLAB_FREE_META = 0xFA
    GLOBAL_REDZONE = 0xF9
    USE_AFTER_SCOPE = 0xF8
    STACK_PARTIAL = 0xF4
    STACK_RIGHT = 0xF3
    STACK_MID = 0xF2
    STACK_LEFT = 0xF1
    ALLOCA_RIGHT = 0xCB
    ALLOCA_LEFT = 0xCA


BUG_TYPES: Final = {
    Poison.SLAB_REDZONE: "slab-out-of-bounds",
    Poison.PAGE_REDZONE: "slab-out-of-bounds",
    Poison.PAGE_FREE: "use-after-free",
    Poison.SLAB_FREE: "slab-use-after-free",
    Poison.SLAB_FREE_META: "slab-use-after-free",
    Poison.GLOBAL_REDZONE: "global-out-of-bounds",
    Poison.STACK_LEFT: "stack-out-of-bounds",
    Poison.STACK_MID: "stack-out-of-bounds",
    Poison.STACK_RIGHT: "stack-out-of-bounds",
    Poison.STACK_PARTIAL: "stack-out-of-bounds",
    Poison.USE_AFTER_SCOPE: "use-after-scope",
}
"""What a closed granule is called in a report."""
DOUBLE_FREE: Final = "double-free"
INVALID_FREE: Final = "invalid-free"


class Shadow(Protocol):
    """Shadow bytes by granule number (address >> 3)."""

    def __getitem__(self, granule: int, /) -> int:
        """The shadow byte of a granule."""


@formula("F081", source="include/linux/kasan.h:kasan_mem_to_shadow")
def shadow_address(address: int, offset: int) -> int:
    """Address of the shadow byte of an address, in a 64-bit word that wraps.

    Source    kasan_mem_to_shadow; 4.0 to 6.12
    """
    return ((address >> GRANULE_SHIFT) + offset) & 0xFFFF_FFFF_FFFF_FFFF


@formula("F081", source="mm/kasan/shadow.c:kasan_unpoison")
def granule_shadow(start: int, size: int, granule: int, poison: int) -> int:
    """Shadow byte of a granule around an open block [start, start + size) in memory closed by `poison`.

    Requires  start is a multiple of 8; poison >= 0x80
    Ensures   opens exactly the block's bytes
    Source    mm/kasan/shadow.c:kasan_unpoison, kasan_poison_last_granule; 4.0 to 6.12
    """
    address = granule << GRANULE_SHIFT
    if address < start or address >= start + size:
        return poison
    left = start + size - address
    if left >= GRANULE:
        return 0
    return left


@formula("F081", source="mm/kasan/generic.c:memory_is_poisoned_1")
def byte_is_closed(shadow: int, address: int) -> bool:
    """Whether the byte at `address`, whose granule has this shadow byte, may not be accessed.

    Source    the signed comparison of memory_is_poisoned_1; 4.0 to 6.12
    """
    return shadow != 0 and (shadow >= 0x80 or address & (GRANULE - 1) >= shadow)


@formula("F081", source="mm/kasan/generic.c:memory_is_poisoned_2_4_8")
def word_is_closed(shadow: Shadow, address: int, size: int) -> bool:
    """Whether an access of 1, 2, 4 or 8 bytes is forbidden: two shadow bytes at most are read.

    Ensures   true exactly when some byte of it is closed
    Source    memory_is_poisoned_1, memory_is_poisoned_2_4_8; 4.0 to 6.12
    """
    last = address + size - 1
    if last & (GRANULE - 1) < size - 1 and shadow[address >> GRANULE_SHIFT] != 0:
        return True
    return byte_is_closed(shadow[last >> GRANULE_SHIFT], last)


@formula("F081", source="mm/kasan/generic.c:memory_is_poisoned_16")
def pair_is_closed(shadow: Shadow, address: int) -> bool:
    """Whether an access of 16 bytes is forbidden.

    Ensures   true exactly when some byte of it is closed
    Source    memory_is_poisoned_16; 4.0 to 6.12
    """
    first = address >> GRANULE_SHIFT
    if shadow[first] != 0 or shadow[first + 1] != 0:
        return True
    return address & (GRANULE - 1) != 0 and byte_is_closed(shadow[first + 2], address + 15)


@formula("F081", source="mm/kasan/generic.c:memory_is_poisoned_n")
def range_is_closed(shadow: Shadow, address: int, size: int) -> bool:
    """Whether an access of any size is forbidden: each shadow byte but the last has to be 0.

    Requires  size > 0
    Ensures   true exactly when some byte of it is closed
    Source    memory_is_poisoned_n; 4.0 to 6.12
    """
    granule = address >> GRANULE_SHIFT
    last = address + size - 1
    while granule < last >> GRANULE_SHIFT:
        if shadow[granule] != 0:
            return True
        granule += 1
    return byte_is_closed(shadow[granule], last)


@formula("F081", source="mm/kasan/generic.c:kasan_check_range; memory_is_poisoned")
def bug_of(shadow: Shadow, start: int, length: int) -> str:
    """The kind of bug that an access is; empty when every byte of it is open."""
    if length in (1, 2, 4, 8):
        bad = word_is_closed(shadow, start, length)
    elif length == 16:
        bad = pair_is_closed(shadow, start)
    else:
        bad = range_is_closed(shadow, start, length)
    return bug_type(shadow, start, length) if bad else ""


@formula("F081", source="mm/kasan/report_generic.c:get_shadow_bug_type; 6.4 to 6.12")
def bug_type(shadow: Shadow, start: int, length: int) -> str:
    """The kernel's name of the bug, from the shadow of the first closed byte.

    A partly open granule says nothing of its own: the next granule tells why.
    """
    bad = start
    while not byte_is_closed(shadow[bad >> GRANULE_SHIFT], bad) and bad < start + length - 1:
        bad += 1
    value = shadow[bad >> GRANULE_SHIFT]
    if 0 < value < GRANULE:
        value = shadow[(bad >> GRANULE_SHIFT) + 1]
    return BUG_TYPES[Poison(value)] if value >= 0x80 else "out-of-bounds"


@formula("F081", source="mm/kasan/generic.c:kasan_byte_accessible")
def may_be_freed(shadow: int) -> bool:
    """Whether the first byte of an object is open; if it is not, giving it back is a double free.

    Source    kasan_byte_accessible; 5.13 to 6.12
    """
    return shadow < GRANULE


@formula("F081", source="mm/kasan/generic.c:optimal_redzone")
def redzone_size(object_size: int) -> int:
    """Bytes that are kept closed behind an object of a slab cache: more for larger objects.

    Source    optimal_redzone; 4.0 (mm/kasan/kasan.c) to 6.12
    """
    for limit, size in ((64, 16), (128, 32), (512, 64), (4096, 128), (1 << 14, 256), (1 << 15, 512)):
        if object_size <= limit - size:
            return size
    return 1024 if object_size <= (1 << 16) - 1024 else 2048


@formula("F081", source="mm/kasan/generic.c:kasan_cache_create")
def object_room(object_size: int) -> int:
    """Bytes of an object with its redzone, before the cache aligns it; who allocated it is kept inside.

    Source    kasan_cache_create, for caches without constructor and slub_debug; 6.12
    """
    free_meta = max(16 - object_size, 0)
    return object_size + max(ALLOC_META + free_meta, redzone_size(object_size))


@formula("F081", source="llvm ASanStackFrameLayout.cpp:VarAndRedzoneSize")
def stack_room(size: int) -> int:
    """Bytes of a stack variable with the redzone to its right, when variables are aligned to 32 bytes.

    Source    the compiler's: VarAndRedzoneSize of LLVM
    """
    rounded = -(-size // GRANULE) * GRANULE
    if size <= 4:
        room = 16
    elif size <= 16:
        room = 32
    else:
        room = rounded + (32 if size <= 128 else 64 if size <= 512 else 128 if size <= 4096 else 256)
    return -(-room // STACK_LEFT_REDZONE) * STACK_LEFT_REDZONE


@formula("F081", source="llvm AddressSanitizer.cpp:getRedzoneSizeForGlobal")
def global_redzone(size: int) -> int:
    """Bytes behind a global variable that are closed; with them it fills a multiple of 32 bytes.

    Source    the compiler's: getRedzoneSizeForGlobal of LLVM
    """
    if size <= 16:
        return 32 - size
    redzone = min(max(size // 32 // 4 * 32, 32), 1 << 18)
    return redzone + -size % 32


@formula("F081", source="mm/kasan/quarantine.c:kasan_quarantine_reduce")
def quarantine_limit(pages: int, cpus: int) -> int:
    """Bytes that the common quarantine may hold: a 32nd of memory, less what every CPU keeps for itself.

    Source    kasan_quarantine_reduce; 4.7 to 6.12
    """
    return max(pages * PAGE_SIZE // QUARANTINE_FRACTION - QUARANTINE_PERCPU * cpus, 0)


@formula("F081", source="mm/kasan/quarantine.c:kasan_quarantine_reduce")
def quarantine_batch(pages: int, batches: int) -> int:
    """Bytes after which the common quarantine begins a new batch, so that it uses half of its batches.

    batches   the larger of 1024 and four times CONFIG_NR_CPUS
    Source    kasan_quarantine_reduce; 4.12 to 6.12
    """
    return max(QUARANTINE_PERCPU, 2 * (pages * PAGE_SIZE // QUARANTINE_FRACTION) // batches)


@formula("F081", source="include/linux/kasan.h")
def shadow_bytes(covered: int) -> int:
    """Bytes of shadow for `covered` bytes of memory: one to eight.

    Requires  covered is a multiple of 8
    """
    return covered >> GRANULE_SHIFT
