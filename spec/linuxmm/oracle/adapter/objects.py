"""Object allocators in a child process: the requests of the line protocol for kmalloc and named caches."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from linuxmm.oracle.adapter.allocator import Fault
from linuxmm.oracle.adapter.process import LineProcess
from linuxmm.oracle.adapter.protocol import VERSION, decode_errno
from linuxmm.spec.objects.heap import Answer, Create, Destroy, Get, Op, Put, Resize, Usable
from linuxmm.spec.step import Errno


class SlabLine(msgspec.Struct, frozen=True, array_like=True):
    """One slab: its address, from one object to the next, how many objects, the numbers of the free ones."""

    address: int
    size: int
    objects: int
    free: tuple[int, ...]


class Reply(msgspec.Struct, frozen=True):
    """Any reply; exactly one field is there."""

    ok: bool | None = None
    error: str | None = None
    address: int | None = None
    size: int | None = None
    count: int | None = None
    bytes: str | None = None
    slabs: tuple[SlabLine, ...] | None = None


class ObjectAllocator(Protocol):
    """An object allocator under judgement; every answer is taken as given."""

    def start(self, start: int, size: int) -> None:
        """Forget everything and manage `size` bytes from address `start` on."""

    def do(self, op: Op, zero: bool = False) -> Answer:
        """Carry an operation out; zero: with __GFP_ZERO."""

    def fill(self, address: int, length: int, value: int) -> None:
        """Write as the holder of an object."""

    def read(self, address: int, length: int) -> bytes:
        """Read as the holder of an object."""

    def count(self) -> int:
        """Objects in use, pages of kmalloc beyond its largest class included."""

    def slabs(self) -> tuple[SlabLine, ...] | None:
        """Every slab; None: cannot say."""

    def close(self) -> None:
        """Let go of what `start` took."""


_DECODER: Final = msgspec.json.Decoder(Reply)


class ProcessHeap(LineProcess):
    """An object allocator in a child process; a fresh one for every `start`.

    Errors   BrokenImplementation when it dies, hangs, or says what is no reply
    """

    def __init__(self, command: Sequence[str], timeout: float = 5.0) -> None:
        super().__init__(command, timeout)

    def start(self, start: int, size: int) -> None:
        """A new process, told of its memory."""
        self.spawn()
        self._done({"op": "init_objects", "version": VERSION, "start": start, "bytes": size})

    def do(self, op: Op, zero: bool = False) -> Answer:
        """Carry an operation out."""
        request = _request(op, zero)
        reply = self._ask(request)
        if reply.error is not None:
            try:
                return decode_errno(reply.error)
            except ValueError as error:
                raise self.broken(Fault.GARBAGE, str(request["op"]), str(error)) from error
        wanted = "address" if isinstance(op, Get | Resize) else "size" if isinstance(op, Usable) else "ok"
        value: int | bool | None = getattr(reply, wanted)
        if value is None or value is False:
            raise self.broken(Fault.GARBAGE, str(request["op"]), f"{reply}, expected {wanted} or error")
        return None if wanted == "ok" else value

    def fill(self, address: int, length: int, value: int) -> None:
        """Write into an object."""
        self._done({"op": "fill", "address": address, "length": length, "value": value})

    def read(self, address: int, length: int) -> bytes:
        """Read an object."""
        reply = self._ask({"op": "read", "address": address, "length": length})
        try:
            found = bytes.fromhex(reply.bytes or "")
        except ValueError as error:
            raise self.broken(Fault.GARBAGE, "read", str(error)) from error
        if len(found) != length:
            raise self.broken(Fault.GARBAGE, "read", f"{len(found)} bytes, expected {length}")
        return found

    def count(self) -> int:
        """Objects in use."""
        reply = self._ask({"op": "objects"})
        if reply.count is None:
            raise self.broken(Fault.GARBAGE, "objects", f"{reply}, expected count")
        return reply.count

    def slabs(self) -> tuple[SlabLine, ...] | None:
        """Every slab, or None when the implementation answers ENOENT."""
        reply = self._ask({"op": "slabs"})
        if reply.slabs is None and reply.error != Errno.ENOENT.name:
            raise self.broken(Fault.GARBAGE, "slabs", f"{reply}, expected slabs or the error ENOENT")
        return reply.slabs

    def _done(self, request: dict[str, object]) -> None:
        reply = self._ask(request)
        if reply.ok is not True:
            raise self.broken(Fault.GARBAGE, str(request["op"]), f"{reply}, expected ok")

    def _ask(self, request: dict[str, object]) -> Reply:
        line = msgspec.json.encode(request)
        text = line.decode()
        answer = self.exchange(line + b"\n", text)
        try:
            reply = _DECODER.decode(answer)
        except msgspec.MsgspecError as error:
            raise self.broken(Fault.GARBAGE, text, f"{answer[:120]!r} ({error})") from error
        if sum(getattr(reply, name) is not None for name in reply.__struct_fields__) != 1:
            raise self.broken(Fault.GARBAGE, text, f"{answer[:120]!r} (expected exactly one known field)")
        return reply


def _request(op: Op, zero: bool) -> dict[str, object]:
    if isinstance(op, Get) and op.cache:
        return {"op": "cache_alloc", "cache": op.cache, "zero": zero}
    if isinstance(op, Get):
        return {"op": "kmalloc", "size": op.size, "zero": zero}
    if isinstance(op, Put) and op.cache:
        return {"op": "cache_free", "cache": op.cache, "address": op.address}
    if isinstance(op, Put):
        return {"op": "kfree", "address": op.address}
    if isinstance(op, Resize):
        return {"op": "krealloc", "address": op.address, "size": op.size}
    if isinstance(op, Usable):
        return {"op": "ksize", "address": op.address}
    if isinstance(op, Create):
        return {"op": "cache_create", "cache": op.cache, "size": op.size, "align": op.align}
    assert isinstance(op, Destroy)
    return {"op": "cache_destroy", "cache": op.cache}
