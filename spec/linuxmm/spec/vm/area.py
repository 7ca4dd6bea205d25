"""Areas of an address space: ranges of pages with one set of attributes (VMAs).

Linux: include/linux/mm_types.h:struct vm_area_struct.  Seed 2.8 (F059, F057).  2.4 to 6.18.
"""

from dataclasses import dataclass
from enum import Enum

from linuxmm.spec.vm.flags import VM_SHARED, VM_WRITE
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Vma:
    """One area.

    start, end  bytes, page-aligned, half open
    flags       VM_* bits, as `linuxmm.spec.vm.flags` numbers them
    pgoff       offset into the file in pages; anonymous private areas: start >> PAGE_SHIFT where they began
    file        identity of the opened file (`AddressSpace.files`), of the shmem object that backs shared
                anonymous memory, or None
    anon        identity of the anon_vma that the area's private pages belong to; None before the first
    chain       how many anon_vmas its pages may belong to: 0 without `anon`, more than 1 after a fork
    name        what PR_SET_VMA_ANON_NAME called it
    special     what the kernel itself calls it ("[vdso]"); "" for areas of the process
    """

    start: int
    end: int
    flags: int
    pgoff: int
    file: int | None = None
    anon: int | None = None
    chain: int = 0
    name: str | None = None
    special: str = ""

    @property
    def pages(self) -> int:
        """How many pages it spans."""
        return (self.end - self.start) // PAGE_SIZE

    def pgoff_at(self, address: int) -> int:
        """The offset in pages that belongs to `address`."""
        return self.pgoff + ((address - self.start) >> PAGE_SHIFT)


class FileKind(Enum):
    """What stands behind a mapping of an opened file.

    SHARED_ANONYMOUS is the unlinked shmem file that the kernel makes for MAP_SHARED | MAP_ANONYMOUS;
    UNMAPPABLE a file without the operation (a directory, a pipe).
    """

    REGULAR = "regular"
    SHMEM = "shmem"
    SHARED_ANONYMOUS = "shared anonymous"
    UNMAPPABLE = "unmappable"


@dataclass(frozen=True, slots=True)
class MappedFile:
    """An opened file, as far as mappings care.

    id                  identity of the open (struct file), not of the inode: two opens do not merge
    path                as /proc/PID/maps prints it
    major, minor        device numbers
    inode               number, as /proc/PID/maps prints it
    contents            number of the contents that two opens share; 0: its own, `id`
    readable, writable  how it was opened
    size                bytes
    append_only, swap, no_exec, sealed_write  reasons to refuse some mappings
    committed           pages that are accounted for the file itself: shared anonymous memory
    """

    id: int
    path: str
    major: int = 0
    minor: int = 0
    inode: int = 0
    contents: int = 0
    readable: bool = True
    writable: bool = True
    size: int = 0
    kind: FileKind = FileKind.REGULAR
    append_only: bool = False
    swap: bool = False
    no_exec: bool = False
    sealed_write: bool = False
    committed: int = 0


def is_private_writable(flags: int) -> bool:
    """Whether pages of such an area, once written, belong to this address space alone.

    Source    mm/internal.h:is_data_mapping (stacks left aside)
    """
    return flags & (VM_WRITE | VM_SHARED) == VM_WRITE
