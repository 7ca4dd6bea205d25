"""What SLAB with CONFIG_DEBUG_SLAB says of misuse, line for line as a real kernel said it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from linuxmm.model.debug.slab import CheckedCache, CheckedSlab, alloc, free, new_slab, objects_of, write
from linuxmm.spec.debug.slub_words import STACK, WARNING

REAL = Path(__file__).parents[2] / "real" / "areas" / "objects-slab-debug-6.1"
SIZE, WHO = 64, 0x1234
_TAINT = re.compile(r"\((?:Not tainted|Tainted: [A-Z ]+)\)")
_USER = re.compile(r"^Last user: \((?!0x0\))\S.*\)$")


def sections() -> list[tuple[str, list[str]]]:
    """(what was done, what the kernel said of it) in order, without names, taints and stacks."""
    found: list[tuple[str, list[str]]] = []
    lines = iter((REAL / "data" / "reports.txt").read_text().splitlines())
    for line in lines:
        if line.startswith("## "):
            found.append((line.removeprefix("## "), []))
            continue
        said = found[-1][1]
        if line.startswith("------------[ cut here"):
            list(_until(lines, "---[ end trace"))
            said.append(WARNING)
        elif line.startswith("CPU: "):
            list(_until(lines, " </TASK>"))
            said.append(STACK)
        elif not line.startswith(("misuse: ", "Disabling lock debugging")):
            said.append(neutral(line))
    return found


def _until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        if line.startswith(end):
            return
        yield line


def neutral(line: str) -> str:
    return _USER.sub("Last user: (who)", _TAINT.sub("(taint)", line))


def misused(slab: CheckedSlab, how: str) -> CheckedSlab:
    """The slab after the module did something wrong with an object that it had just got."""
    slab, pointer = alloc(slab, WHO)
    match how:
        case "right":
            return free(slab, pointer, WHO)
        case "after-end":
            return free(write(slab, pointer + SIZE, b"\x11"), pointer, WHO)
        case "before-start":
            return free(write(slab, pointer - 1, b"\x22"), pointer, WHO)
        case "after-free":
            return write(free(slab, pointer, WHO), pointer + SIZE // 2 + 8, b"\x33")
        case "twice":
            return free(free(slab, pointer, WHO), pointer, WHO)
        case _:
            raise AssertionError(how)


def test_every_report_is_the_models_line_for_line() -> None:
    named = re.search(r"misuse: right of object ([0-9a-f]+)", (REAL / "data" / "reports.txt").read_text())
    assert named is not None
    pointer = int(named[1], 16)
    cache = CheckedCache("misuse", SIZE, hardened=True)
    slab = new_slab(cache, pointer & -4096)
    everything = list(objects_of(slab))
    assert (cache.layout.size, everything.index(pointer)) == (88, 15)  # the last of a batch of 16
    slab = replace(slab, free=(*everything[16:], *everything[:16]))
    told = 0
    for how, said in sections():
        slab = misused(replace(slab, log=tuple(line for line in slab.log if line == WARNING)), how)
        assert [neutral(line) for line in slab.log] == said, how
        told += len(said)
    assert told == 41


def test_without_hardening_an_object_freed_twice_is_listed_twice() -> None:
    for hardened in (False, True):
        slab, pointer = alloc(new_slab(CheckedCache("lab", 40, hardened=hardened), 0x1000), WHO)
        slab = free(free(slab, pointer, WHO), pointer, WHO)
        assert slab.free.count(pointer) == (1 if hardened else 2)
        assert (WARNING in slab.log) is hardened
        again = free(slab, pointer, WHO)
        assert again.log.count(WARNING) == hardened
