"""What SLUB debugging says of misuse, line for line as real kernels said it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from immutables import Map

from linuxmm.model.debug.slub import alloc, discard, free, remaining, validate
from linuxmm.model.debug.slub_slab import DebugCache, DebugSlab, Names, Track, new_slab, write
from linuxmm.spec.debug.slub_layout import SlubOptions
from linuxmm.spec.debug.slub_words import STACK, WARNING
from linuxmm.spec.kernel import kernel

REAL = Path(__file__).parents[2] / "real" / "areas"
ALL = SlubOptions(red_zone=True, poison=True, store_user=True)
ONE = bytes([0x5A])

# ---- evidence ----------------------------------------------------------------------------------------------

_STAMP = re.compile(r"^\[ *\d+\.\d{6}\] ?")
_TRACK = re.compile(r"^(Allocated|Freed) in \S+( \[\w+\])? age=\d+ cpu=\d+ pid=\d+$")
_TAINT = re.compile(r"\((?:Not tainted|Tainted: [A-Z ]+)\)")


def told(lines: list[str]) -> list[str]:
    """What a kernel said, without what depends on who was running, when: names, ages and stacks."""
    found: list[str] = []
    rest = iter(_STAMP.sub("", line.rstrip("\n")) for line in lines)
    for line in rest:
        if line.startswith("------------[ cut here"):
            end = "---[ end trace"
            wrong = [each for each in _until(rest, end) if each.startswith("cache_from_obj: ")]
            found += [*wrong, WARNING]
        elif line.startswith("CPU: "):
            list(_until(rest, " </TASK>"))
            found.append(STACK)
        elif not line.startswith((" ", "Disabling lock debugging", "debugfs: ", "misuse: ", "slubbad")):
            found.append(neutral(line))
    return found


def _until(lines: Iterator[str], end: str) -> Iterator[str]:
    for line in lines:
        if line.startswith(end):
            return
        yield line


def neutral(line: str) -> str:
    match = _TRACK.match(line)
    if match:
        return f"{match[1]} in who"
    return _TAINT.sub("(taint)", line)


def said(slab: DebugSlab) -> list[str]:
    """What the model said, likewise."""
    return [neutral(line) for line in slab.log if not line.startswith(" ")]


def environment(lines: list[str]) -> tuple[int, Names]:
    """Address of the first object, and the names of the slab in the first report."""
    text = "\n".join(lines)
    place = re.search(r"obj(?:ect)?\s+(?:p=)?([0-9a-f]{16})", text)
    assert place is not None
    slab = re.search(r"Slab 0x([0-9a-f]{16}) .* flags=(.*)", text)
    names = Names(Map({1: "f+0x1/0x2"}), Map({1: (" f+0x1/0x2",)}))
    if slab is not None:
        names = names._replace(page=int(slab[1], 16), flags=slab[2])
    return int(place[1], 16), names


# ---- 6.1: a module's eleven misuses ------------------------------------------------------------------------


def runs_of(number: int) -> list[list[str]]:
    """The module was loaded twice by each test: the lines of each run."""
    text = (REAL / "debug-slub-6.1" / "data" / f"report_{number}.txt").read_text().splitlines()
    starts = [index for index, line in enumerate(text) if "slubbad test=" in line]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def first_slab(lines: list[str]) -> tuple[DebugSlab, int, int]:
    """The module's cache with two objects in use."""
    pointer, names = environment(lines)
    cache = DebugCache(kernel("6.1.192"), "lab_objs", 40, 8, 0, ALL)
    slab, p = alloc(new_slab(cache, pointer - 8, names), 40, Track(1))
    slab, q = alloc(slab, 40, Track(1))
    assert p == pointer
    return slab, p, q


def misused(number: int, lines: list[str]) -> DebugSlab:
    slab, p, q = first_slab(lines)
    match number:
        case 1:
            return free(write(slab, p + 40, ONE), p, Track(1))[0]
        case 2:
            slab = write(free(slab, p, Track(1))[0], p + 8, ONE)
            return alloc(slab, 40, Track(1))[0]
        case 3:
            return free(free(slab, p, Track(1))[0], p, Track(1))[0]
        case 4:
            return free(slab, p + 8, Track(1))[0]
        case 5:
            return free(write(slab, p - 1, ONE), p, Track(1))[0]
        case 6:
            return free(slab, p, Track(1), to="lab_objs2")[0]
        case 7:
            return remaining(slab)
        case 8:
            slab = free(free(slab, p, Track(1))[0], q, Track(1))[0]
            return discard(write(slab, p + 39, bytes([0x6B])))
        case _:
            raise AssertionError(number)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_reports_of_a_6_1_kernel_are_these(number: int) -> None:
    runs = runs_of(number)
    assert len(runs) == 2
    for lines in runs:
        expected = told(lines)
        if number == 7:  # behind the list a warning of kmem_cache_destroy, which is not the slab's
            expected = expected[: expected.index(WARNING)]
        assert said(misused(number, lines)) == [line for line in expected if not _module(line)]


def _module(line: str) -> bool:
    return line.startswith("slubbad")


@pytest.mark.parametrize("number", [9, 10, 11])
def test_what_a_6_1_kernel_did_not_notice(number: int) -> None:
    for lines in runs_of(number):
        assert not [line for line in told(lines) if line.startswith(("BUG", "FIX"))]


# ---- 6.12: wrong uses of an own module ---------------------------------------------------------------------


def test_the_reports_of_a_6_12_kernel_are_these() -> None:
    """One slab through the whole run, so that later reports tell what earlier ones left."""
    text = (REAL / "objects-slub-debug-6.12" / "data" / "reports.txt").read_text()
    pointer, names = environment(text.splitlines())
    slab = new_slab(DebugCache(kernel("6.12.117"), "misuse", 64, 8, 0, ALL), pointer - 8, names)
    checked = []
    for block in text.split("## ")[1:]:
        how, *lines = block.splitlines()
        slab, got = alloc(replace(slab, log=()), 64, Track(1))
        named = re.search(r"of object ([0-9a-f]{16})", block)
        assert named is not None
        assert got == int(named[1], 16), how
        slab = validate(_after(how, slab, got))
        assert said(slab) == told(lines), how
        checked.append(how)
    assert checked == ["right", "after-end", "before-start", "after-free", "twice", "right"]


def _after(how: str, slab: DebugSlab, got: int) -> DebugSlab:
    match how:
        case "right":
            return free(write(slab, got + 63, bytes([1])), got, Track(1))[0]
        case "after-end":
            return free(write(slab, got + 64, bytes([0x11])), got, Track(1))[0]
        case "before-start":
            return free(write(slab, got - 1, bytes([0x22])), got, Track(1))[0]
        case "after-free":
            return write(free(slab, got, Track(1))[0], got + 40, bytes([0x33]))
        case _:
            return free(free(slab, got, Track(1))[0], got, Track(1))[0]
