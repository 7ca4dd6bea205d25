"""Where the kernel's functions and variables are: `/proc/kallsyms`.

Boot with `nokaslr`, and the addresses of one build are the same in every boot.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from linuxmm.spec.errors import BadEvidence


def parse_kallsyms(lines: Iterable[str], name: str = "kallsyms") -> Mapping[str, int]:
    """Addresses by name; the first of a name counts, and symbols of modules do not.

    Errors    BadEvidence for a line that is not "address type name", and when every address is hidden
    """
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        parts = line.split()
        if len(parts) == 4 and parts[3].startswith("["):
            continue
        if len(parts) != 3:
            raise BadEvidence(name, f"expected address, type and name, found {line[:80]!r}", line=number)
        try:
            address = int(parts[0], 16)
        except ValueError:
            raise BadEvidence(
                name, f"expected a hexadecimal address, found {parts[0][:40]!r}", line=number
            ) from None
        found.setdefault(parts[2], address)
    if not any(found.values()):
        raise BadEvidence(
            name, "expected addresses, found zeros: they were read without the right to see them"
        )
    return MappingProxyType(found)
