"""The guest's root file system: busybox, the guest's tool, a workload, and the modules that it needs."""

import functools
import gzip
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from linuxmm.lab import cpio, modules
from linuxmm.lab.host import BUSYBOX, COMPILER, program
from linuxmm.lab.kernels import KernelImage
from linuxmm.spec.errors import LinuxmmError

SOURCES: Final = ("main.c", "mailbox.c", "memory.c", "files.c", "features.c", "calls.c", "areas.c")
BASE_MODULES: Final = ("virtio_pci", "virtio_blk", "crc32c_generic")
_COMPILE_SECONDS: Final = 120


def guest_text(name: str) -> str:
    """A file of the guest that comes with this package."""
    return resources.files("linuxmm.lab").joinpath("guest", name).read_text()


@functools.cache
def guest_tool(bits: int, sysroot: Path | None = None) -> bytes:
    """The guest's tool as a static program.

    sysroot   32-bit headers and libraries; the machine's own when None
    Errors    LinuxmmError with the compiler's words
    """
    with tempfile.TemporaryDirectory(prefix="linuxmm-lab-") as name:
        folder = Path(name)
        for file in (*SOURCES, "guest.h"):
            (folder / file).write_text(guest_text(file))
        command = [program(COMPILER), "-static", "-O2", "-Wall", "-o", "guest", *SOURCES]
        if bits == 32:
            command[1:1] = ["-m32", *(_from_sysroot(sysroot) if sysroot is not None else ())]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_COMPILE_SECONDS
        )
        if done.returncode:
            raise LinuxmmError(f"the guest's tool does not compile: {done.stderr.strip()[-500:]}")
        return (folder / "guest").read_bytes()


def _from_sysroot(sysroot: Path) -> list[str]:
    """Options by which the compiler takes headers and libraries for 32 bits from a folder alone."""
    own = subprocess.run(
        [program(COMPILER), "-print-file-name=include"], capture_output=True, text=True, check=True
    ).stdout.strip()
    headers = (own, sysroot / "usr/include", sysroot / "usr/include/i386-linux-gnu")
    libraries = (sysroot / "usr/lib/i386-linux-gnu", *sorted(sysroot.glob("usr/lib/gcc/*/*")))
    words = ["-nostdinc"]
    words += [word for place in headers for word in ("-isystem", str(place))]
    return words + [f"{option}{place}/" for place in libraries for option in ("-B", "-L")]


def build(
    kernel: KernelImage,
    *,
    workload: str,
    wanted: Iterable[str] = (),
    files: Mapping[str, bytes] | None = None,
    busybox: Path | None = None,
) -> bytes:
    """The compressed archive.

    workload  a shell script            wanted  modules that it needs besides the ones for disks
    files     more files by path, such as etc/probes/...
    Errors    LinuxmmError, Missing
    """
    shell = busybox or kernel.facts / "busybox"
    if not shell.is_file():
        shell = Path(program(BUSYBOX))
    sysroot = kernel.facts / "sysroot"
    entries = {
        "init": cpio.file(guest_text("init").encode(), 0o755),
        "lib.sh": cpio.file(guest_text("lib.sh").encode()),
        "workload.sh": cpio.file(workload.encode()),
        "bin/busybox": cpio.file(shell.read_bytes(), 0o755),
        "bin/sh": cpio.link("busybox"),
        "bin/guest": cpio.file(guest_tool(kernel.bits, sysroot if sysroot.is_dir() else None), 0o755),
        "dev/console": cpio.device(5, 1),
        "dev/null": cpio.device(1, 3),
    }
    found: dict[str, bytes] = {}
    if kernel.modules is not None:
        found = modules.load_order(kernel.modules, (*BASE_MODULES, *wanted))
    for name, elf in found.items():
        entries[f"modules/{name}.ko"] = cpio.file(elf)
    entries["etc/modules"] = cpio.file("".join(f"{name}\n" for name in found).encode())
    for path, content in (files or {}).items():
        entries[path] = cpio.file(content)
    return gzip.compress(cpio.archive(entries), 1, mtime=0)
