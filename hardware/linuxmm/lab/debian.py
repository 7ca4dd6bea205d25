"""Kernels from the distribution's own packages, unpacked and never installed.

apt runs on a state of its own in the lab's cache: the machine's lists and packages are not touched, and
another architecture (686-pae) needs no `dpkg --add-architecture`.
"""

import re
import subprocess
import tarfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, NamedTuple

from linuxmm.lab.host import FETCH, PACKAGES, UNPACKER, program, require
from linuxmm.spec.errors import LinuxmmError

_DAY: Final = 86400
_TIMEOUT: Final = 1800
_NAME: Final = re.compile(
    r"^linux-image-(?P<series>\d+\.\d+)(?P<rest>[0-9.]*(?:[+~][0-9a-z.~]+)?(?:-\d+)?)-(?P<flavour>amd64|generic|686-pae)$"
)
_FLAVOUR: Final = {"amd64": "", "generic": "-generic", "686-pae": "-686-pae"}
ARCHITECTURES: Final = ("amd64", "i386")


class Package(NamedTuple):
    """A kernel that apt offers.

    name     how the lab calls it: "6.12", "6.1-686-pae"
    package  apt's name; version apt's version of it; architecture apt's word
    """

    name: str
    package: str
    version: str
    architecture: str


class Apt:
    """apt on its own state in `folder`, for one architecture."""

    def __init__(self, folder: Path, architecture: str) -> None:
        require(FETCH)
        self.folder = folder / f"apt-{architecture}"
        self.architecture = architecture
        for part in ("lists/partial", "cache/archives/partial", "download"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)

    def _run(self, *words: str, cwd: Path | None = None) -> str:
        options = {
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "Dir::State::lists": str(self.folder / "lists"),
            "Dir::Cache": str(self.folder / "cache"),
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
        }
        command = [
            program(PACKAGES).replace("apt-get", words[0]) if words[0] != "apt-get" else program(PACKAGES)
        ]
        command += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        done = subprocess.run(
            [*command, *words[1:]], cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        if done.returncode and words[1] != "update":
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise LinuxmmError(f"{' '.join(words)}: {last}")
        return done.stdout

    def update(self, *, force: bool = False) -> None:
        """Bring lists older than a day up to date; a list that cannot be had is left out."""
        stamp = self.folder / "updated"
        if force or not stamp.exists() or time.time() - stamp.stat().st_mtime > _DAY:
            self._run("apt-get", "update")
            stamp.touch()

    def kernels(self) -> list[Package]:
        """The newest kernel of each series that apt offers, oldest series first."""
        newest: dict[str, str] = {}
        for name in self._run("apt-cache", "pkgnames", "linux-image-").split():
            seen = _NAME.match(name)
            if seen is None:
                continue
            called = seen["series"] + _FLAVOUR[seen["flavour"]]
            newest[called] = max(newest.get(called, ""), name, key=release_key)
        candidates = self._versions(newest.values())
        found = [
            Package(called, package, candidates[package], self.architecture)
            for called, package in newest.items()
            if package in candidates
        ]
        return sorted(found, key=lambda package: release_key(package.name))

    def _versions(self, packages: Iterable[str]) -> dict[str, str]:
        listed = list(packages)
        if not listed:
            return {}
        found: dict[str, str] = {}
        current = ""
        for line in self._run("apt-cache", "policy", *listed).splitlines():
            if not line.startswith(" "):
                current = line.removesuffix(":").partition(":")[0]
            elif line.startswith("  Candidate: ") and not line.endswith("(none)"):
                found[current] = line.removeprefix("  Candidate: ").strip()
        return found

    def download(self, package: Package) -> Path:
        """Fetch a package's file.

        Errors    LinuxmmError with apt's own last words
        """
        return self._file(package.package, package.version)

    def download_debug(self, package: Package) -> Path:
        """Fetch the package with a kernel's debugging symbols."""
        return self._file(f"{package.package}-dbg", package.version)

    def download_other(self, pattern: str) -> Path:
        """Fetch the newest package whose name matches a pattern, such as libgcc-\\d+-dev.

        Errors    LinuxmmError when apt offers none
        """
        fixed = re.split(r"[\\\\\[(]", pattern)[0]
        names = [n for n in self._run("apt-cache", "pkgnames", fixed).split() if re.fullmatch(pattern, n)]
        versions = self._versions(sorted(names))
        if not versions:
            raise LinuxmmError(f"apt offers no package {pattern} for {self.architecture}")
        name = max(versions, key=release_key)
        return self._file(name, versions[name])

    def _file(self, name: str, version: str) -> Path:
        place = self.folder / "download"
        before = {path.name for path in place.glob(f"{name}_*.deb")}
        for old in before:
            (place / old).unlink()
        self._run("apt-get", "download", f"{name}={version}", cwd=place)
        return next(place.glob(f"{name}_*.deb"))


def release_key(name: str) -> tuple[int, ...]:
    """The numbers in a name, for comparing releases."""
    return tuple(int(number) for number in re.findall(r"\d+", name))


def unpack(deb: Path, wanted: re.Pattern[str], target: Path) -> list[Path]:
    """Write the files of a package whose path matches `wanted` below `target`; returns them.

    Errors    LinuxmmError when the package cannot be read
    """
    written: list[Path] = []
    with subprocess.Popen([program(UNPACKER), "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./")
                    if not member.isfile() or not wanted.match(path) or ".." in path.split("/"):
                        continue
                    content = archive.extractfile(member)
                    assert content is not None
                    written.append(_write(content, target / path))
        except tarfile.TarError as error:
            raise LinuxmmError(f"{deb.name}: {error}") from error
    return written


def _write(content: IO[bytes], place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        while piece := content.read(1 << 20):
            file.write(piece)
    return place
