"""What the machine must have installed for the lab."""

import shutil
from collections.abc import Iterable
from typing import Final, NamedTuple

from linuxmm.spec.errors import LinuxmmError


class Tool(NamedTuple):
    """A program, and the Debian package that brings it."""

    program: str
    package: str


QEMU_64: Final = Tool("qemu-system-x86_64", "qemu-system-x86")
QEMU_32: Final = Tool("qemu-system-i386", "qemu-system-x86")
BUSYBOX: Final = Tool("busybox", "busybox-static")
COMPILER: Final = Tool("cc", "gcc")
LINKER: Final = Tool("ld", "binutils")
SET_PRIVILEGES: Final = Tool("setpriv", "util-linux")
NAMES: Final = Tool("nm", "binutils")
PACKAGES: Final = Tool("apt-get", "apt")
UNPACKER: Final = Tool("dpkg-deb", "dpkg")
PAHOLE: Final = Tool("pahole", "dwarves")

BOOT: Final = (QEMU_64, BUSYBOX, COMPILER, LINKER)
"""What every boot needs."""

FETCH: Final = (PACKAGES, UNPACKER)
"""What fetching a distribution's kernel needs."""


class Missing(LinuxmmError):
    """Programs that the lab needs are not installed; names the packages."""

    def __init__(self, tools: tuple[Tool, ...]) -> None:
        self.tools = tools
        programs = ", ".join(tool.program for tool in tools)
        packages = " ".join(dict.fromkeys(tool.package for tool in tools))
        super().__init__(f"not installed: {programs}; on Debian: apt-get install {packages}")


def require(tools: Iterable[Tool]) -> None:
    """Check that all programs are there.

    Errors    Missing, one for all of them
    """
    missing = tuple(dict.fromkeys(tool for tool in tools if find(tool) is None))
    if missing:
        raise Missing(missing)


def find(tool: Tool) -> str | None:
    """Where a program is; the places of administrators' programs are searched too."""
    return shutil.which(tool.program) or shutil.which(tool.program, path="/usr/sbin:/sbin:/usr/local/sbin")


def program(tool: Tool) -> str:
    """Where a program is.

    Errors    Missing
    """
    found = find(tool)
    if found is None:
        raise Missing((tool,))
    return found
