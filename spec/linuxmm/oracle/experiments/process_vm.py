"""H16: how often bytes are copied on their way from one process to another.

A message goes from a buffer of one process to a buffer of another: through a pipe, through memory that both
map, by process_vm_readv.  Every store of bytes is counted, on the model's page tables.

Linux: mm/process_vm_access.c (3.2), fs/pipe.c.  Seed 2.14.3 (F086).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import Backing, small_pages
from linuxmm.spec.experiment import Curve, Figure, Outcome, Scale, Standing, experiment
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.process_vm import Call, Segment, transfer
from linuxmm.spec.vocabulary import PAGE_SIZE

SENDER, RECEIVER, PIPE = 1, 2, 3
PIPE_BYTES: Final = 16 * PAGE_SIZE
VERSIONS: Final = ("3.2", "6.1", "6.12")
QUICK_VERSIONS: Final = ("6.1",)
SIZES: Final = tuple(1 << shift for shift in range(6, 21, 2))
SHARED: Final = 1


class Buffer(NamedTuple):
    """An area: anonymous, or of the shared object."""

    start: int
    end: int
    flags: int = 0x73
    pgoff: int = 0
    file: int | None = None
    anon: int | None = None


OWN: Final = Buffer(0x10_0000, 0x30_0000)
BOTH: Final = Buffer(0x40_0000, 0x60_0000, 0xFB, 0, SHARED)


def find(address: int) -> Buffer | None:
    """The area of either process that holds an address."""
    return next((area for area in (OWN, BOTH) if area.start <= address < area.end), None)


class Moved(NamedTuple):
    """A layer, and how many bytes were stored by copies since the message was there."""

    layer: TableLayer
    bytes: int = 0


def copied(moved: Moved, source: int, at: int, target: int, to: int, size: int) -> Moved:
    """One copy by a processor, from an address of one space to an address of another."""
    layer, seen = moved.layer.read(source, find, at, size)
    layer, stored = layer.write(target, find, to, seen.data)
    return Moved(layer, moved.bytes + stored.length)


def by_pipe(moved: Moved, size: int) -> Moved:
    """write() fills the pipe, read() empties it, until all has gone through."""
    for at in range(0, size, PIPE_BYTES):
        part = min(PIPE_BYTES, size - at)
        moved = copied(moved, SENDER, OWN.start + at, PIPE, OWN.start, part)
        moved = copied(moved, PIPE, OWN.start, RECEIVER, OWN.start + at, part)
    return moved


def by_shared_memory(moved: Moved, size: int) -> Moved:
    """The sender stores the message in memory that both map, the receiver takes it out."""
    moved = copied(moved, SENDER, OWN.start, SENDER, BOTH.start, size)
    return copied(moved, RECEIVER, BOTH.start, RECEIVER, OWN.start, size)


def in_place(moved: Moved, size: int) -> Moved:
    """The sender stores the message in memory that both map, and the receiver uses it there."""
    return copied(moved, SENDER, OWN.start, SENDER, BOTH.start, size)


def by_process_vm(moved: Moved, size: int) -> Moved:
    """The receiver calls process_vm_readv."""
    call = Call(False, (Segment(OWN.start, size),), (Segment(OWN.start, size),))
    layer, result = transfer(moved.layer, call, RECEIVER, find, SENDER, find)
    if not isinstance(result, int):
        raise AssertionError(f"process_vm_readv of {size} bytes gives {result}")
    return Moved(layer, moved.bytes + result)


WAYS: Final[dict[str, Callable[[Moved, int], Moved]]] = {
    "pipe": by_pipe,
    "shared memory, taken out": by_shared_memory,
    "shared memory, used in place": in_place,
    "process_vm_readv": by_process_vm,
}


def copies_per_byte(version: str, way: str, size: int) -> float:
    """How often each byte of a message is stored on its way."""
    layer = TableLayer(page_rules(kernel(version)), small_pages(size // PAGE_SIZE * 4 + 120))
    layer = layer.with_object(SHARED, Backing(2 << 20, swaps=True))
    message = bytes(range(256)) * (size // 256) or bytes(range(size))
    moved = WAYS[way](Moved(layer.write(SENDER, find, OWN.start, message)[0]), size)
    arrived = BOTH if way == "shared memory, used in place" else OWN
    if moved.layer.read(RECEIVER, find, arrived.start, size)[1].data != message:
        raise AssertionError(f"{way}: the message of {size} bytes did not arrive")
    return moved.bytes / size


@experiment(
    "H16",
    title="Copies between two processes",
    reported="one copy instead of two",
    versions="a pipe or shared memory before 3.2; process_vm_readv since; on 3.2, 6.1 and 6.12",
    workload="one message of 64 bytes to 1 MiB from a buffer of one process to a buffer of another",
    left_out=(
        "time: what copies, faults, pins and system calls cost",
        "vmsplice and splice, by which a pipe may pass pages on instead of copying them",
    ),
    source="mm/process_vm_access.c:process_vm_rw_pages; fs/pipe.c:pipe_write, pipe_read",
)
def process_vm(scale: Scale) -> Outcome:
    """Copies of each byte, by way and size."""
    figures: list[Figure] = []
    curves: list[Curve] = []
    found: dict[str, set[float]] = {way: set() for way in WAYS}
    for version in QUICK_VERSIONS if scale is Scale.QUICK else VERSIONS:
        for way in WAYS:
            ys = tuple(copies_per_byte(version, way, size) for size in SIZES)
            found[way].update(ys)
            figures += [
                Figure("copies per byte", f"{way}, {size} bytes", version, y)
                for size, y in zip(SIZES, ys, strict=True)
            ]
            xs = tuple(float(size) for size in SIZES)
            curves.append(Curve(version, way, "bytes of the message", "copies of each byte", xs, ys, True))
    once = found["process_vm_readv"] == {1.0}
    twice = found["pipe"] == found["shared memory, taken out"] == {2.0}
    why = (
        "Each byte is stored once by process_vm_readv, twice through a pipe, and twice through shared memory "
        "when the receiver wants it in a buffer of its own; a receiver that uses shared memory in place "
        "needs one copy as well, and none where the sender makes its message there."
    )
    return Outcome(
        tuple(figures), tuple(curves), Standing.CONFIRMED if once and twice else Standing.NOT_CONFIRMED, why
    )
