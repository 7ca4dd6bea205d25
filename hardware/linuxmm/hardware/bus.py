"""Memory as a page walk sees it: the primitives that read and mark entries, and a log of what they did.

The walkers use nothing else, and never use a bus again after changing it; so the same walkers run over flat
arrays (`linuxmm.fast`) and symbolic maps (`linuxmm.proofs`).
"""

from dataclasses import dataclass, replace

from linuxmm.hardware.memory import (
    AccessError,
    Fault,
    PhysicalMemory,
    read_word,
    write_word,
)

SERVED = 0


@dataclass(frozen=True, slots=True)
class TableAccess:
    """One access of a walk to a table.

    address  physical address of the entry
    size     bytes
    value    what was read, or what stands there after an update
    update   whether it is the locked update of accessed and dirty marks
    """

    address: int
    size: int
    value: int
    update: bool = False


@dataclass(frozen=True, slots=True)
class Bus:
    """Memory, and the accesses of walks since the log was last taken."""

    memory: PhysicalMemory
    log: tuple[TableAccess, ...] = ()


def load_entry(bus: Bus, address: int, size: int) -> tuple[Bus, int, int]:
    """(bus, entry, SERVED or the Fault) of reading the entry at `address`."""
    word = read_word(bus.memory, address, size)
    if isinstance(word, AccessError):
        return bus, 0, int(word.fault)
    return replace(bus, log=(*bus.log, TableAccess(address, size, word))), word, SERVED


def mark_entry(bus: Bus, address: int, size: int, old: int, new: int) -> Bus:
    """The bus after setting marks: `new` in place of `old`, which was just read; nothing if they are equal.

    An entry in ROM keeps its value: the marks are lost, as on the machine.
    """
    if new == old:
        return bus
    memory = write_word(bus.memory, address, new, size)
    if isinstance(memory, AccessError):
        if memory.fault is not Fault.READ_ONLY:
            raise ValueError(f"entry at {address:#x} was read, but cannot be marked: {memory.fault.name}")
        return bus
    return Bus(memory, (*bus.log, TableAccess(address, size, new, update=True)))


def store_entry(bus: Bus, address: int, size: int, value: int) -> Bus:
    """The bus after software has written an entry; the log is that of walks alone.

    Errors    ValueError when no memory takes it
    """
    memory = write_word(bus.memory, address, value, size)
    if isinstance(memory, AccessError):
        raise ValueError(f"entry at {address:#x} cannot be written: {memory.fault.name}")
    return replace(bus, memory=memory)
