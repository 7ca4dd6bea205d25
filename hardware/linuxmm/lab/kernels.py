"""Kernels by name: the distribution's, or anyone's own image.

A kernel that was fetched stands in the cache as `image` (bzImage), `modules/`, and, after its first boot,
`kallsyms` and `btf` as that kernel stated them.
"""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from linuxmm.lab.btf import Btf
from linuxmm.lab.debian import ARCHITECTURES, Apt, Package, unpack
from linuxmm.lab.host import NAMES, PAHOLE, program, require
from linuxmm.lab.places import cache_root
from linuxmm.lab.symbols import parse_kallsyms
from linuxmm.spec.errors import LinuxmmError

_WANTED: Final = re.compile(
    r"^boot/(vmlinuz|config)-|^(usr/)?lib/modules/[^/]+/(modules\.builtin$|kernel/(fs|lib|crypto|mm|drivers/(block|"
    r"nvdimm|dax|virtio|acpi/nfit|md)|arch/x86/crypto)/)"
)
_DEBUG: Final = re.compile(r"^usr/lib/debug/boot/vmlinux-")
_BUSYBOX: Final = re.compile(r"^(usr/)?bin/busybox$")
_HEADERS: Final = re.compile(r"^usr/(include/|lib/i386-linux-gnu/.*\.[ao]$|lib/gcc/)")
_SYSROOT: Final = ("libc6-dev", r"libgcc-\d+-dev", "linux-libc-dev")
_MAGIC_AT: Final = 0x202
_MAGIC: Final = b"HdrS"


@dataclass(frozen=True)
class KernelImage:
    """A kernel that can be booted.

    name     how it was asked for         image    the bzImage
    modules  folder with .ko files, None when it has none
    facts    folder with what the kernel said of itself (kallsyms, btf)
    bits     32 or 64
    """

    name: str
    image: Path
    modules: Path | None
    facts: Path
    bits: int

    @property
    def known(self) -> bool:
        """Whether a first boot told the kernel's symbols and types."""
        return (self.facts / "kallsyms").is_file() and (self.facts / "btf").is_file()

    @cached_property
    def btf(self) -> Btf:
        """The kernel's types.

        Errors    LinuxmmError when it does not say them
        """
        file = self.facts / "btf"
        if not file.is_file():
            raise LinuxmmError(
                f"{self.name}: its types are not known: build it with CONFIG_DEBUG_INFO_BTF, "
                "or give --btf FILE (pahole --btf_encode_detached FILE vmlinux makes it)"
            )
        return Btf(file.read_bytes(), str(file))

    @cached_property
    def symbols(self) -> Mapping[str, int]:
        """Addresses of the kernel's functions and variables; a kernel may keep variables to itself."""
        found: dict[str, int] = {}
        for file in (self.facts / "System.map", self.facts / "kallsyms"):
            if file.is_file():
                found |= parse_kallsyms(file.read_text().splitlines(), str(file))
        return found


def offered() -> list[Package]:
    """Kernels that apt offers, for both architectures; brings apt's lists up to date first."""
    found: list[Package] = []
    for architecture in ARCHITECTURES:
        apt = Apt(cache_root(), architecture)
        apt.update()
        found += [
            package for package in apt.kernels() if architecture == "amd64" or "686-pae" in package.name
        ]
    return found


def fetched() -> list[KernelImage]:
    """Kernels in the cache."""
    folder = cache_root() / "kernels"
    return [_cached(place) for place in sorted(folder.glob("*")) if (place / "image").is_file()]


def _cached(place: Path) -> KernelImage:
    modules = place / "modules"
    return KernelImage(
        place.name, place / "image", modules if modules.is_dir() else None, place, bits_of(place / "image")
    )


def package_of(place: KernelImage) -> Mapping[str, str]:
    """Which package a fetched kernel came from; empty for one's own."""
    file = place.facts / "package.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def fetch(name: str) -> KernelImage:
    """Download and unpack a kernel by name, or take it from the cache.

    Errors    LinuxmmError when apt offers no such kernel; Missing
    """
    place = cache_root() / "kernels" / name
    if (place / "image").is_file():
        return _cached(place)
    architecture = "i386" if name.endswith("-686-pae") else "amd64"
    apt = Apt(cache_root(), architecture)
    apt.update()
    kernels = {package.name: package for package in apt.kernels()}
    wanted = _newest(kernels) if name == "newest" else kernels.get(name)
    if wanted is None:
        known = ", ".join(sorted(kernels)) or "none"
        raise LinuxmmError(f"no kernel {name!r}: apt offers {known}; or give the path of a bzImage")
    if name == "newest":
        return fetch(wanted.name)
    if architecture == "i386":
        require([PAHOLE, NAMES])
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place.parent))
    try:
        _fill(apt, wanted, draft)
        draft.chmod(0o755)
        draft.rename(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return _cached(place)


def _newest(kernels: Mapping[str, Package]) -> Package | None:
    return list(kernels.values())[-1] if kernels else None


def _fill(apt: Apt, package: Package, draft: Path) -> None:
    deb = apt.download(package)
    files = unpack(deb, _WANTED, draft / "all")
    deb.unlink()
    image = next((file for file in files if file.name.startswith("vmlinuz-")), None)
    if image is None:
        raise LinuxmmError(f"{package.package}: the package has no boot/vmlinuz")
    image.rename(draft / "image")
    config = next((file for file in files if file.name.startswith("config-")), None)
    if config is not None:
        config.rename(draft / "config")
    modules = next((draft / "all").glob("**/lib/modules/*"), None)
    if modules is not None:
        modules.rename(draft / "modules")
    shutil.rmtree(draft / "all", ignore_errors=True)
    (draft / "package.json").write_text(json.dumps(package._asdict()) + "\n")
    if package.architecture == "i386":
        _types_from_debug(apt, package, draft)
        _tools_for_32_bits(apt, draft)


def _types_from_debug(apt: Apt, package: Package, draft: Path) -> None:
    """32-bit kernels state neither types nor variables: both are in the package of debugging symbols."""
    deb = apt.download_debug(package)
    (vmlinux, *_) = unpack(deb, _DEBUG, draft / "all")
    deb.unlink()
    command = ["pahole", "--btf_encode_detached", str(draft / "btf"), "--btf_gen_floats", str(vmlinux)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    with (draft / "System.map").open("wb") as file:
        subprocess.run([program(NAMES), "--defined-only", str(vmlinux)], stdout=file, check=True, timeout=600)
    shutil.rmtree(draft / "all")
    if done.returncode or not (draft / "btf").is_file():
        raise LinuxmmError(
            f"pahole could not read the types of {package.package}: {done.stderr.strip()[-300:]}"
        )


def _tools_for_32_bits(apt: Apt, draft: Path) -> None:
    """busybox, and what the guest's tool is compiled against: a 64-bit machine need not have them."""
    deb = apt.download_other("busybox-static")
    (shell, *_) = unpack(deb, _BUSYBOX, draft / "all")
    shell.rename(draft / "busybox")
    deb.unlink()
    for pattern in _SYSROOT:
        deb = apt.download_other(pattern)
        unpack(deb, _HEADERS, draft / "sysroot")
        deb.unlink()
    shutil.rmtree(draft / "all")


def own(image: Path, modules: Path | None = None, btf: Path | None = None) -> KernelImage:
    """Anyone's kernel: a bzImage, and the folder with its modules (`lib/modules/RELEASE`) when it needs some.

    Errors    LinuxmmError for a file that is no x86 bzImage
    """
    if not image.is_file():
        raise LinuxmmError(f"{image}: expected a bzImage, found no file")
    bits = bits_of(image)
    if modules is not None and not modules.is_dir():
        raise LinuxmmError(f"{modules}: expected the folder lib/modules/RELEASE of the kernel")
    digest = hashlib.sha256(image.read_bytes()).hexdigest()[:16]
    facts = cache_root() / "own" / digest
    facts.mkdir(parents=True, exist_ok=True)
    if btf is not None:
        shutil.copyfile(btf, facts / "btf")
    return KernelImage(str(image), image, modules, facts, bits)


def find_kernel(name: str, modules: Path | None = None, btf: Path | None = None) -> KernelImage:
    """A kernel by name or path; a name is fetched when it is not in the cache."""
    if "/" in name or Path(name).is_file():
        return own(Path(name), modules, btf)
    if modules is not None or btf is not None:
        raise LinuxmmError("--modules and --btf belong to a kernel that is given by its path")
    return fetch(name)


def bits_of(image: Path) -> int:
    """32 or 64, from the boot header.

    Errors    LinuxmmError for a file that is no bzImage
    Source    Documentation/arch/x86/boot.rst: xloadflags bit 0
    """
    with image.open("rb") as file:
        header = file.read(0x250)
    if header[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise LinuxmmError(f"{image}: expected an x86 bzImage, found something else")
    return 64 if header[0x236] & 1 else 32
