"""The system calls on areas, as data: one dataclass per call, arguments as a program passes them.

Addresses and lengths are unsigned words; flags are those of `linuxmm.spec.vm.flags`.

Linux: mm/mmap.c, mm/mprotect.c, mm/mremap.c, mm/madvise.c, mm/mlock.c, mm/mincore.c, mm/msync.c.
Seed 2.8 (F057, F059).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mmap:
    """mmap.  file: identity of an opened file, -1 when none is passed; offset in bytes."""

    address: int
    length: int
    prot: int
    flags: int
    file: int = -1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Munmap:
    """munmap."""

    address: int
    length: int


@dataclass(frozen=True, slots=True)
class Mprotect:
    """mprotect."""

    address: int
    length: int
    prot: int


@dataclass(frozen=True, slots=True)
class Mremap:
    """mremap; new_address counts with MREMAP_FIXED or MREMAP_DONTUNMAP."""

    address: int
    old_length: int
    new_length: int
    flags: int = 0
    new_address: int = 0


@dataclass(frozen=True, slots=True)
class Brk:
    """brk, the system call: it returns the heap's end, changed or not."""

    address: int


@dataclass(frozen=True, slots=True)
class Madvise:
    """madvise."""

    address: int
    length: int
    advice: int


@dataclass(frozen=True, slots=True)
class Mlock:
    """mlock, and mlock2 when `second`; only mlock2 has flags."""

    address: int
    length: int
    flags: int = 0
    second: bool = False


@dataclass(frozen=True, slots=True)
class Munlock:
    """munlock."""

    address: int
    length: int


@dataclass(frozen=True, slots=True)
class Mlockall:
    """mlockall."""

    flags: int


@dataclass(frozen=True, slots=True)
class Munlockall:
    """munlockall."""


@dataclass(frozen=True, slots=True)
class Mincore:
    """mincore; vector: whether the place for the answer can be written."""

    address: int
    length: int
    vector: bool = True


@dataclass(frozen=True, slots=True)
class Msync:
    """msync."""

    address: int
    length: int
    flags: int


@dataclass(frozen=True, slots=True)
class SetName:
    """prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME); name: None clears."""

    address: int
    length: int
    name: str | None


@dataclass(frozen=True, slots=True)
class Mseal:
    """mseal."""

    address: int
    length: int
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Store:
    """A system call copies `data` to memory (as read() does)."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """A system call copies `length` bytes from memory (as write() does)."""

    address: int
    length: int


@dataclass(frozen=True, slots=True)
class SetLimit:
    """setrlimit of one limit, by its field in `linuxmm.spec.vm.space.Limits`; soft value in bytes."""

    limit: str
    value: int


@dataclass(frozen=True, slots=True)
class Fork:
    """fork; the child reports its areas and exits."""


SystemCall = (
    Mmap
    | Munmap
    | Mprotect
    | Mremap
    | Brk
    | Madvise
    | Mlock
    | Munlock
    | Mlockall
    | Munlockall
    | Mincore
    | Msync
    | SetName
    | Mseal
    | Store
    | Load
    | SetLimit
    | Fork
)
