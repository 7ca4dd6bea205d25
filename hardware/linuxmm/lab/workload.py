"""Workloads: shell scripts that run in the guest, each with a header that says what it needs.

A header line is `# key: value` before the first command:

    area, title              what it is evidence for
    memory, cpus, nodes, slots, disk (once per disk: SIZE [QEMU's words]), append
    modules                  modules to load
    probes                   sets of probes to define
    dump                     what to read at each mark besides the page allocator: lru, tasks, vmalloc, ...
                             (docs/formats/capture.md)
    bits, needs              32 or 64; symbols that the kernel must have
    quick                    "yes" when `--quick` includes it
    seconds                  time limit
"""

import re
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Final

from linuxmm.lab.machine import Disk, Machine, size_in_bytes
from linuxmm.spec.errors import BadEvidence, LinuxmmError

_HEADER: Final = re.compile(r"^# ([a-z_]+): *(.*)$")
_KEYS: Final = (
    "area", "title", "memory", "cpus", "nodes", "slots", "disk", "append", "modules", "probes", "dump",
    "bits", "needs", "quick", "seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """One workload.

    needs  what the kernel must have for it: symbols, such as cma_alloc
    bits   0 for any kernel, else 32 or 64
    """

    name: str
    area: str
    title: str
    script: str
    machine: Machine
    modules: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    dumps: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    bits: int = 0
    quick: bool = False
    seconds: float = 300.0
    file: str = field(default="", compare=False)


def parse(name: str, text: str, file: str = "") -> Workload:
    """A workload from its script.

    Errors    BadEvidence naming file, line and key
    """
    values: dict[str, str] = {}
    disks: list[Disk] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#!") or not line.strip():
            continue
        seen = _HEADER.match(line)
        if seen is None:
            break
        key, value = seen[1], seen[2].strip()
        if key not in _KEYS:
            expected = f"expected one of {', '.join(sorted(_KEYS))}; found {key!r}"
            raise BadEvidence(file or name, expected, line=number)
        if key == "disk":
            size, _, options = value.partition(" ")
            disks.append(Disk(size, options.strip()))
        else:
            values[key] = value
    for key in ("area", "title"):
        if not values.get(key):
            raise BadEvidence(file or name, f"expected a line '# {key}: ...' at the top", where=key)
    return Workload(
        name=name,
        area=values["area"],
        title=values["title"],
        script=text,
        machine=Machine(
            memory=values.get("memory", "256M"),
            cpus=_number(values, "cpus", 1, file or name),
            nodes=_number(values, "nodes", 1, file or name),
            disks=tuple(disks),
            append=values.get("append", ""),
            slots=size_in_bytes(values.get("slots", "0")),
        ),
        modules=tuple(values.get("modules", "").split()),
        probes=tuple(values.get("probes", "").split()),
        dumps=tuple(values.get("dump", "").split()),
        needs=tuple(values.get("needs", "").split()),
        bits=_number(values, "bits", 0, file or name),
        quick=values.get("quick") == "yes",
        seconds=float(_number(values, "seconds", 300, file or name)),
        file=file,
    )


def _number(values: dict[str, str], key: str, default: int, file: str) -> int:
    text = values.get(key, str(default))
    if not text.isdecimal():
        raise BadEvidence(file, f"expected a number, found {text!r}", where=key)
    return int(text)


def shipped() -> list[Workload]:
    """The workloads that come with linuxmm, by area and name."""
    folder = resources.files("linuxmm.lab").joinpath("guest", "workloads")
    found = [
        parse(item.name.removesuffix(".sh"), item.read_text(), item.name)
        for item in folder.iterdir()
        if item.name.endswith(".sh")
    ]
    return sorted(found, key=lambda workload: (workload.area != "alloc", workload.area, workload.name))


def find_workload(name: str) -> Workload:
    """A shipped workload by name, or anyone's script by its path.

    Errors    LinuxmmError naming what there is
    """
    path = Path(name)
    if "/" in name or path.suffix == ".sh":
        if not path.is_file():
            raise LinuxmmError(f"{name}: no such workload script")
        return parse(path.stem, path.read_text(), str(path))
    for workload in shipped():
        if workload.name == name:
            return workload
    known = ", ".join(workload.name for workload in shipped())
    raise LinuxmmError(f"no workload {name!r}; there are {known}; or give the path of a script")


def on(workload: Workload, **changes: object) -> Workload:
    """The workload on another machine: the fields of `Machine` that are given and not None."""
    given = {key: value for key, value in changes.items() if value is not None}
    if "append" in given:
        given["append"] = f"{workload.machine.append} {given['append']}".strip()
    return replace(workload, machine=replace(workload.machine, **given))  # type: ignore[arg-type]
