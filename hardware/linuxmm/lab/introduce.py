"""The first boot of a kernel, in which it states its symbols and its types; they are kept with it."""

import os
from collections.abc import Callable
from pathlib import Path

from linuxmm.lab.boot import Outcome, boot
from linuxmm.lab.initramfs import build
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.machine import Machine
from linuxmm.lab.symbols import parse_kallsyms
from linuxmm.spec.errors import LinuxmmError


class FolderSink:
    """Writes files from the guest below a folder; a name that leads out of it is refused."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: set[str] = set()

    def write(self, name: str, part: bytes) -> None:
        """Append to a file; the first part of a name replaces what was there."""
        parts = name.split("/")
        if not name or name.startswith("/") or ".." in parts or "\0" in name:
            raise LinuxmmError(f"the guest sent a file named {name!r}")
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("ab" if name in self.written else "wb") as file:
            file.write(part)
        self.written.add(name)


def introduce(kernel: KernelImage, note: Callable[[str], None] = lambda _: None) -> Outcome | None:
    """Boot a kernel once to learn its symbols and types; None when they are known.

    Errors    LinuxmmError when it does not boot, hides its addresses, or does not say its types
    """
    if kernel.known:
        return None
    note(f"first boot of {kernel.name}: symbols and types")
    draft = kernel.facts / f".facts.{os.getpid()}"
    sink = FolderSink(draft)
    archive = build(kernel, workload="", files={"etc/introduce": b""})
    try:
        outcome = boot(kernel, Machine(), archive, sink, note=note, limit=120)
        parse_kallsyms((draft / "kallsyms").read_text().splitlines())
        for name in sorted(sink.written):
            if name != "btf" or not (kernel.facts / "btf").is_file():
                (draft / name).replace(kernel.facts / name)
    finally:
        for name in sink.written:
            (draft / name).unlink(missing_ok=True)
        if draft.is_dir():
            draft.rmdir()
    _ = kernel.btf
    return outcome
