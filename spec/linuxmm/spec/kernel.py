"""Kernel profiles: which behaviour of each rule a version, configuration and architecture composes.

A *behaviour* is one way in which a rule of MM was implemented for some span of versions, with the
function that says it.  A `Kernel` resolves every rule once; bodies never test a version.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from linuxmm.spec.errors import ImpossibleProfile, Unmodelled

F = TypeVar("F", bound=Callable[..., object])


class Version(NamedTuple):
    """A kernel release; 2.x releases use all three numbers, later ones major.minor and a stable patch."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        if self.major == 2 or self.patch:
            return f"{self.major}.{self.minor}.{self.patch}"
        return f"{self.major}.{self.minor}"

    @property
    def branch(self) -> "Version":
        """The release that a stable patch belongs to: 6.1.192 -> 6.1 (2.6.x is its own branch)."""
        return self if self.major == 2 else Version(self.major, self.minor)


OLDEST: Final = Version(2, 4, 0)
NEWEST: Final = Version(6, 18, 999)
_RELEASE: Final = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?")


def parse_version(text: str) -> Version:
    """Read "2.6.24", "6.1", "6.1.192" or a release string such as "6.12.117+deb12-amd64".

    Errors    ImpossibleProfile when there is no version in front, or it is outside 2.4 to 6.18
    """
    version = _read_version(text)
    if not OLDEST <= version <= NEWEST:
        raise ImpossibleProfile(f"kernel version {version} is outside what linuxmm describes, 2.4 to 6.18")
    return version


def _read_version(text: str) -> Version:
    match = _RELEASE.match(text.strip())
    if match is None:
        raise ImpossibleProfile(f"kernel version {text!r}: expected something like 2.6.24, 5.13 or 6.1.192")
    return Version(int(match[1]), int(match[2]), int(match[3] or 0))


class Arch(Enum):
    """Architectures whose memory layout the profiles know."""

    I386 = "i386"
    I386_PAE = "i386-pae"
    X86_64 = "x86_64"
    ARM64 = "arm64"


@dataclass(frozen=True, slots=True)
class Config:
    """The build options that change MM semantics, by their kernel names in lower case."""

    smp: bool = True
    numa: bool = True
    zone_dma: bool = True
    highmem: bool = False
    hugetlb_page: bool = True
    transparent_hugepage: bool = True
    cma: bool = False
    ksm: bool = True
    memory_failure: bool = True
    anon_vma_name: bool = True
    memory_isolation: bool = True
    pcp_batch_scale_max: int = 5
    force_max_zoneorder: int = 11


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One function that says how a rule worked in a span of versions.

    since, until  first release with it and last release with it (inclusive, as branches)
    backports     stable branches outside the span that carry it -> first patch level where it was read
    replaced_in   stable branches inside the span that carry a successor -> first patch level
    """

    rule: str
    name: str
    function: Callable[..., object]
    since: Version
    until: Version
    features: tuple[str, ...]
    source: str
    backports: tuple[Version, ...] = ()
    replaced_in: tuple[Version, ...] = ()
    requires: tuple[str, ...] = ()

    def applies(self, version: Version) -> bool:
        """Whether a kernel of `version` has this behaviour."""
        branch = version.branch
        for first in self.backports:
            if branch == first.branch and version >= first:
                return True
        for first in self.replaced_in:
            if branch == first.branch and version >= first:
                return False
        return self.since.branch <= branch <= self.until.branch


_BEHAVIOURS: Final[dict[str, list[Behaviour]]] = {}


def behaviour(
    rule: str,
    *,
    since: str,
    until: str = "6.12.999",
    features: tuple[str, ...],
    source: str,
    backports: tuple[str, ...] = (),
    replaced_in: tuple[str, ...] = (),
    requires: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Register the decorated function as how `rule` worked from `since` to `until`."""

    def register(function: F) -> F:
        entry = Behaviour(
            rule,
            function.__name__,
            function,
            _read_version(since),
            _read_version(until),
            features,
            source,
            tuple(map(parse_version, backports)),
            tuple(map(parse_version, replaced_in)),
            requires,
        )
        _BEHAVIOURS.setdefault(rule, []).append(entry)
        return function

    return register


def behaviours() -> tuple[Behaviour, ...]:
    """Every registered behaviour, by rule and then by age."""
    return tuple(b for rule in sorted(_BEHAVIOURS) for b in sorted(_BEHAVIOURS[rule], key=lambda b: b.since))


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel: version, configuration and architecture.

    Errors    ImpossibleProfile for a combination that never existed
    """

    version: Version
    config: Config = field(default_factory=Config)
    arch: Arch = Arch.X86_64

    def __post_init__(self) -> None:
        complaint = _impossible(self.version, self.config, self.arch)
        if complaint:
            raise ImpossibleProfile(f"kernel {self.version} on {self.arch.value}: {complaint}")

    def behaviour(self, rule: str) -> Behaviour:
        """The one behaviour of `rule` that this kernel has.

        Errors    Unmodelled when no behaviour of the rule covers the version
        """
        found = [b for b in _BEHAVIOURS.get(rule, ()) if b.applies(self.version)]
        if not found:
            raise Unmodelled(f"rule {rule!r} has no behaviour registered for kernel {self.version}")
        if len(found) > 1:
            names = ", ".join(b.name for b in found)
            raise ImpossibleProfile(f"rule {rule!r} of kernel {self.version} is ambiguous: {names}")
        return found[0]


def _impossible(version: Version, config: Config, arch: Arch) -> str:
    if config.highmem and arch not in (Arch.I386, Arch.I386_PAE):
        return "HIGHMEM exists only on 32-bit architectures"
    if arch is Arch.X86_64 and version < Version(2, 6, 0):
        return "x86_64 profiles start at 2.6"
    if arch is Arch.ARM64 and version < Version(3, 7):
        return "arm64 was merged in 3.7"
    if config.cma and version < Version(3, 5):
        return "CMA was merged in 3.5"
    if config.transparent_hugepage and version < Version(2, 6, 38):
        return "transparent huge pages were merged in 2.6.38"
    if not 1 <= config.force_max_zoneorder <= 14:
        return f"FORCE_MAX_ZONEORDER {config.force_max_zoneorder} is outside 1 to 14"
    if not 0 <= config.pcp_batch_scale_max <= 6:
        return f"PCP_BATCH_SCALE_MAX {config.pcp_batch_scale_max} is outside 0 to 6"
    return ""


@lru_cache(maxsize=256)
def kernel(version: str, arch: Arch | None = None, **options: bool | int) -> Kernel:
    """The profile of a version with the usual configuration of its time; `options` override.

    arch      by default x86_64, and i386 before 2.6
    Example   kernel("6.1", cma=True)
    Errors    ImpossibleProfile
    """
    parsed = parse_version(version)
    if arch is None:
        arch = Arch.X86_64 if parsed >= Version(2, 6, 0) else Arch.I386
    settings: dict[str, bool | int] = {
        "transparent_hugepage": parsed >= Version(2, 6, 38),
        "highmem": arch in (Arch.I386, Arch.I386_PAE),
    }
    unknown = options.keys() - Config.__dataclass_fields__.keys()
    if unknown:
        raise ImpossibleProfile(f"unknown configuration option {sorted(unknown)[0]!r}")
    settings.update(options)
    return Kernel(parsed, Config(**settings), arch)  # type: ignore[arg-type]
