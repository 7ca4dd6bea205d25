"""Probes: what to record at which function, written for one kernel.

A probe names parameters as the kernel's source does.  Where they are (registers, stack) follows from the
kernel's own description of the function, and where a field stands from that of the structure, so one table
serves every kernel and architecture.

Linux: Documentation/trace/kprobetrace.rst
"""

import re
from typing import Final

from linuxmm.lab.btf import Btf, BtfKind
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.probe_sets import SETS, Probe

_REGISTERS_64: Final = ("di", "si", "dx", "cx", "r8", "r9")
_REGISTERS_32: Final = ("ax", "dx", "cx")
_FIELD: Final = re.compile(r"^(\w+)((?:->[\w.\[\]]+)*)$")


# The types of parameters whose fields are read, for kernels that do not describe the function.
STRUCTURES: Final = {
    "zone": "zone",
    "pcp": "per_cpu_pages",
    "ac": "alloc_context",
    "cc": "compact_control",
    "data": "compact_control",
    "pgdat": "pglist_data",
}


def render(kernel: KernelImage, name: str) -> tuple[str, ...]:
    """Lines `name kind symbol arguments` for the guest; functions that the kernel lacks are left out."""
    lines = []
    symbols = _plain_names(kernel)
    for probe in SETS[name]:
        function = next((f for f in probe.functions if f in symbols), None)
        if function is None:
            continue
        arguments = _arguments(kernel, probe, function)
        if arguments is not None:
            lines.append(
                f"{name}/{probe.name} {'r' if probe.returns else 'p'} {symbols[function]} {arguments}".strip()
            )
    return tuple(lines)


def _plain_names(kernel: KernelImage) -> dict[str, str]:
    """Functions by their source names; a suffix such as .constprop.0 belongs to the symbol only."""
    wanted = {function for table in SETS.values() for probe in table for function in probe.functions}
    found: dict[str, str] = {}
    for symbol in kernel.symbols:
        plain = symbol.partition(".")[0]
        if plain in wanted and (plain == symbol or (plain not in found and ".cold" not in symbol)):
            found[plain] = symbol
    return found


def _arguments(kernel: KernelImage, probe: Probe, function: str) -> str | None:
    """The probe's arguments; None when the kernel lacks a field that the probe must have."""
    if probe.returns:
        key, path, kind = probe.fields[0]
        value = f"{key}={path}:{_narrow(kind, kernel.bits)}"
        return " ".join([value, *(_heads(kernel) if probe.heads else ())])
    described = kernel.btf.parameters(function)
    names = tuple(name for name, _ in described) if described else probe.parameters
    types = dict(described or ())
    words: dict[str, str] = {}
    for key, path, kind in probe.fields:
        found = _place(kernel, path, names, types)
        plain = key.removesuffix("?")
        if found is None or words.get(plain, "") not in ("", "?"):
            words.setdefault(plain, "" if key == plain else "?")
            continue
        place, size = found
        words[plain] = f"{plain}={place}:{kind[0] + str(8 * size) if size else _narrow(kind, kernel.bits)}"
    if "" in words.values():
        return None
    return " ".join(word for word in words.values() if word != "?")


def _heads(kernel: KernelImage) -> list[str]:
    """The first links of the MOVABLE lists of node 0: a rotation of a list is known by its new head."""
    btf = kernel.btf
    node = btf.id_of("pglist_data")
    pointers = kernel.symbols.get("node_data")
    alone = kernel.symbols.get("contig_page_data", 0)
    words = []
    for zone in range(1, 4):
        for order in range(11):
            place = btf.find(node, f"node_zones[{zone}].free_area[{order}].free_list[1].next")
            if place is None:
                continue
            at = f"@{alone + place.offset:#x}" if pointers is None else f"+{place.offset}(@{pointers:#x})"
            words.append(f"z{zone}h{order}={at}:{_narrow('x64', kernel.bits)}")
    return words


def _narrow(kind: str, bits: int) -> str:
    return kind.replace("64", "32") if bits == 32 else kind


def _place(
    kernel: KernelImage, path: str, names: tuple[str, ...], types: dict[str, int]
) -> tuple[str, int] | None:
    """Where a value is, as a probe's argument, and its size (0: a register's); None when it is nowhere."""
    seen = _FIELD.match(path)
    if seen is None or seen[1] not in names:
        return None
    place = _register(names.index(seen[1]), kernel.bits)
    if place is None:
        return None
    btf = kernel.btf
    structure, size = _structure(btf, seen[1], types), 0
    for step in filter(None, seen[2].split("->")):
        found = btf.find(structure, step) if structure is not None else None
        if found is None or found.bits:
            return None
        place, size = f"+{found.offset}({place})", btf.size_of(found.type)
        target = btf.type(found.type)
        structure = btf.through(target.size) if target.kind == BtfKind.PTR else None
    return place, size


def _structure(btf: Btf, parameter: str, types: dict[str, int]) -> int | None:
    if parameter in types and btf.type(types[parameter]).kind == BtfKind.PTR:
        return btf.through(btf.pointed(types[parameter]))
    named = STRUCTURES.get(parameter)
    return btf.id_of(named) if named is not None and btf.has(named) else None


def _register(number: int, bits: int) -> str | None:
    if bits == 64:
        return f"%{_REGISTERS_64[number]}" if number < len(_REGISTERS_64) else None
    if number < len(_REGISTERS_32):
        return f"%{_REGISTERS_32[number]}"
    return f"$stack{number - len(_REGISTERS_32) + 1}"
