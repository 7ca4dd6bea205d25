"""Kernel modules that a guest needs, in the order in which they must be loaded.

Dependencies are read from the modules themselves, so neither depmod nor modprobe is needed.
"""

import gzip
import lzma
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import zstandard

from linuxmm.spec.errors import LinuxmmError

_LIMIT: Final = 1 << 27
_DEPENDS: Final = re.compile(rb"\0depends=([^\0]*)\0")
_SUFFIX: Final = re.compile(r"\.ko(\.xz|\.gz|\.zst)?$")


def content(file: Path) -> bytes:
    """A module's ELF file, decompressed."""
    raw = file.read_bytes()
    match file.suffix:
        case ".xz":
            return lzma.decompress(raw)
        case ".gz":
            return gzip.decompress(raw)
        case ".zst":
            return zstandard.ZstdDecompressor().decompress(raw, max_output_size=_LIMIT)
        case _:
            return raw


def module_name(file: Path | str) -> str:
    """A module's name: dashes are underscores."""
    return _SUFFIX.sub("", Path(file).name).replace("-", "_")


def depends(elf: bytes) -> tuple[str, ...]:
    """The modules that a module says it needs."""
    found = _DEPENDS.search(elf)
    if found is None or not found[1]:
        return ()
    return tuple(name.replace("-", "_") for name in found[1].decode().split(","))


def load_order(folder: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """The wanted modules and all that they need, those needed first: name -> ELF file.

    Ensures   a module that the kernel has built in, or does not have, is left out
    Errors    LinuxmmError when modules need each other in a circle
    """
    files = {module_name(file): file for file in sorted(folder.rglob("*.ko*")) if _SUFFIX.search(file.name)}
    ordered: dict[str, bytes] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in ordered or name not in files:
            return
        if name in above:
            raise LinuxmmError(f"modules need each other in a circle: {' '.join((*above, name))}")
        elf = content(files[name])
        for needed in depends(elf):
            add(needed, (*above, name))
        ordered[name] = elf

    for name in wanted:
        add(name.replace("-", "_"), ())
    return ordered
