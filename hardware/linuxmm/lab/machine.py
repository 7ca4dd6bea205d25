"""The machine that QEMU emulates: memory and its nodes, CPUs, disks, and the command line for it."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linuxmm.lab.host import QEMU_32, QEMU_64, program
from linuxmm.lab.mailbox import SIZE
from linuxmm.lab.ram import Segment
from linuxmm.spec.errors import LinuxmmError

_SIZE: Final = re.compile(r"^(\d+)([KMG]?)$")
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_LARGEST: Final = 3 << 30
COMMAND_LINE: Final = (
    "console=ttyS0 panic=-1 oops=panic nokaslr no_hash_pointers quiet loglevel=6 tsc=reliable "
    "no_timer_check norandmaps"
)
"""no_timer_check: on a loaded host the emulated timer is late, and the kernel would panic at boot."""


def size_in_bytes(text: str) -> int:
    """Bytes in a size such as "256M".

    Errors    LinuxmmError
    """
    seen = _SIZE.match(text)
    if seen is None:
        raise LinuxmmError(f"expected a size such as 256M, found {text!r}")
    return int(seen[1]) * _UNITS[seen[2]]


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the guest (/dev/vda, /dev/vdb, ... in order).

    options   more of QEMU's words for the drive, such as a throttle
    """

    size: str
    options: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a guest runs on.

    nodes     NUMA nodes; memory and CPUs are shared out evenly
    slots     extra memory in bytes that can be plugged in while it runs; 0 for none
    append    more words for the kernel's command line
    one_by_one  CPUs take turns in one thread of the host: what happens has one order on all of them
    """

    memory: str = "256M"
    cpus: int = 1
    nodes: int = 1
    disks: tuple[Disk, ...] = ()
    append: str = ""
    slots: int = 0
    accelerator: str = "tcg"
    one_by_one: bool = True
    extra: tuple[str, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        total = size_in_bytes(self.memory)
        if not 32 << 20 <= total <= _LARGEST:
            raise LinuxmmError(f"memory {self.memory}: expected 32M to 3G")
        if not 1 <= self.cpus <= 32:
            raise LinuxmmError(f"{self.cpus} CPUs: expected 1 to 32")
        if not 1 <= self.nodes <= min(8, self.cpus):
            raise LinuxmmError(
                f"{self.nodes} NUMA nodes with {self.cpus} CPUs: expected a CPU on each, at most 8"
            )
        if total // self.nodes % (1 << 21):
            raise LinuxmmError(
                f"memory {self.memory} on {self.nodes} nodes: expected multiples of 2M on each"
            )

    @property
    def command_line(self) -> str:
        """The kernel's command line."""
        return f"{COMMAND_LINE} {self.append}".strip()

    def segments(self, folder: Path) -> tuple[Segment, ...]:
        """The files behind the guest's memory."""
        each = size_in_bytes(self.memory) // self.nodes
        return tuple(Segment(n * each, each, folder / f"ram{n}") for n in range(self.nodes))


def arguments(machine: Machine, bits: int, image: Path, initramfs: Path, folder: Path) -> list[str]:
    """QEMU's command line; files of the run are in `folder`."""
    thread = ",thread=single" if machine.one_by_one and machine.accelerator == "tcg" else ""
    memory = machine.memory
    if machine.slots:
        memory += f",slots=4,maxmem={size_in_bytes(machine.memory) + machine.slots}"
    words = [program(QEMU_64 if bits == 64 else QEMU_32), "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-display", "none", "-accel", machine.accelerator + thread, "-cpu", "max"]
    words += ["-smp", str(machine.cpus), "-m", memory]
    words += _memory(machine, folder)
    words += ["-kernel", str(image), "-initrd", str(initramfs), "-append", machine.command_line]
    words += ["-serial", f"file:{folder / 'console'}"]
    words += ["-qmp", f"unix:{folder / 'qmp'},server=on,wait=off"]
    words += _shared(folder)
    for number, disk in enumerate(machine.disks):
        options = f",{disk.options}" if disk.options else ""
        file = folder / f"disk{number}"
        words += ["-drive", f"file={file},format=raw,if=none,id=disk{number},cache=unsafe{options}"]
        words += ["-device", f"virtio-blk-pci,drive=disk{number},addr={0x10 + number:#x}"]
    return [*words, *machine.extra]


def _shared(folder: Path) -> list[str]:
    backend = f"memory-backend-file,id=box,size={SIZE},mem-path={folder / 'mailbox'},share=on"
    return ["-object", backend, "-device", "ivshmem-plain,memdev=box,addr=0x8"]


def _memory(machine: Machine, folder: Path) -> list[str]:
    words: list[str] = []
    segments = machine.segments(folder)
    for number, segment in enumerate(segments):
        backend = f"memory-backend-file,id=ram{number},size={segment.size},mem-path={segment.path},share=on"
        words += ["-object", backend]
    if machine.nodes == 1:
        return ["-machine", "pc,memory-backend=ram0", *words]
    share = machine.cpus // machine.nodes
    for number in range(machine.nodes):
        last = machine.cpus - 1 if number == machine.nodes - 1 else (number + 1) * share - 1
        words += ["-numa", f"node,nodeid={number},cpus={number * share}-{last},memdev=ram{number}"]
    return ["-machine", "pc", *words]
