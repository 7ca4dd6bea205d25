"""Faults of debugging tools: reports of KASAN and slub_debug, kmemleak's list, the dump of page tables."""

import re
from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Change,
    Document,
    Edit,
    Lines,
    document,
    dropped,
    fault,
    first_of,
    line,
    raised,
    removal,
    text,
)
from linuxmm.spec.errors import LinuxmmError

_REPORTS: Final = "data/report*.txt"
_LIST: Final = "data/kmemleak.txt"
_DUMP: Final = "marks/*/sys/kernel/debug/page_tables/kernel"
_TABLES: Final = "marks/*/tables.json.gz"
_NX: Final = 1 << 63
_WRITABLE: Final = 2


def _reported(change: Change) -> Edit:
    return Edit(_REPORTS, change)


def _listed(change: Change) -> Edit:
    return Edit(_LIST, change)


def _dumped(change: Change) -> Edit:
    return Edit(_DUMP, change)


def _cut_at(which: str) -> Change:
    """The text ends before the first line with `which`."""

    def edit(lines: Lines) -> Lines:
        at = next((number for number, each in enumerate(lines) if re.search(which, each)), None)
        if at is None:
            raise LinuxmmError(f"no line has {which}")
        return lines[:at]

    return text(edit)


def _other_address(seen: re.Match[str]) -> str:
    return f"0x{int(seen[1], 16) - 0x20:x}"


def _other_byte(seen: re.Match[str]) -> str:
    return f"First byte 0x{int(seen[1], 16) ^ 3:02x}"


def _longer(seen: re.Match[str]) -> str:
    return f"-0x{int(seen[1], 16) + 1:x}="


def _without_first(lines: Lines) -> Lines:
    """A list without its first object."""
    begins = [number for number, each in enumerate(lines) if each.startswith("unreferenced object")]
    if len(begins) < 2:
        raise LinuxmmError("the list has no two objects")
    return lines[begins[1] :]


def _executable(state: Document) -> None:
    """An entry of the tables that may be written may be executed too."""
    run = first_of(run for run in state["leaves"] if run[2] & _NX and run[2] & _WRITABLE)
    run[2] ^= _NX


def _one_less(state: Document) -> None:
    """A table of the kernel has an entry less."""
    run = first_of(run for run in state["leaves"] if run[3] > 1)
    run[3] -= 1


_KASAN: Final = (
    fault(
        "kasan-open",
        "the memory that was reported is open",
        "debug.kasan.closed",
        _reported(line("^>", "fc fc", "00 00")),
    ),
    fault(
        "kasan-other-name",
        "a use of freed memory is called another thing",
        "debug.kasan.named",
        _reported(line("KASAN: slab-use-after-free in", "slab-use-after-free", "slab-out-of-bounds")),
    ),
    fault(
        "kasan-other-free",
        "a second release is called another thing",
        "debug.kasan.named",
        _reported(line("KASAN: double-free in", "double-free", "invalid-free")),
    ),
    fault(
        "kasan-distance",
        "the access is a byte further from the object than told",
        "debug.kasan.placed",
        _reported(raised(r"located \d+ bytes to the right of", "located ", 1)),
    ),
    fault(
        "kasan-side",
        "the access is on another side of the object than told",
        "debug.kasan.placed",
        _reported(line(r"located \d+ bytes inside of", "inside of", "to the left of")),
    ),
    fault(
        "kasan-caret",
        "the mark is under another byte",
        "debug.kasan.placed",
        _reported(line(r"^ +\^$", r"\^", r"   ^")),
    ),
    fault(
        "kasan-freed-open",
        "memory of a freed object is open",
        "debug.kasan.region",
        _reported(line("^>.*: fa fb fb fb", "fa fb fb fb", "fa fb 00 fb")),
    ),
    fault(
        "kasan-live-closed",
        "memory of an object in use is closed",
        "debug.kasan.region",
        _reported(line("^>.*: 00 00 00 00 fc", "00 00 00 00 fc", "00 fb 00 00 fc")),
    ),
    removal(
        "kasan-torn",
        "a report ends before its shadow",
        "debug.kasan.closed",
        _reported(_cut_at("^Memory state")),
    ),
)
_SLUB: Final = (
    fault(
        "slub-first-byte",
        "the dump shows another byte than was reported",
        "debug.slub.first-byte",
        _reported(line("First byte 0x", r"First byte 0x(\w\w)", _other_byte)),
    ),
    fault(
        "slub-other-place",
        "the bytes are not where the report says",
        "debug.slub.where",
        _reported(line("Right Redzone overwritten", "Right Redzone", "Left Redzone")),
    ),
    fault(
        "slub-offset",
        "the bytes are eight further in the slab than told",
        "debug.slub.where",
        _reported(raised("First byte 0x", "@offset=", 8)),
    ),
    fault(
        "slub-other-pattern",
        "the pattern is not that of the place",
        "debug.slub.pattern",
        _reported(line("First byte 0x.. instead of", r"instead of 0x\w\w", "instead of 0x6b")),
    ),
    fault(
        "slub-strange-byte",
        "a byte that nobody blamed is strange too",
        "debug.slub.pattern",
        _reported(line(r"Redzone  \w+: (?!cc|bb)", r": (\w\w) cc cc", r": \1 cc 00")),
    ),
    fault(
        "slub-restored-other",
        "other bytes were restored than were blamed",
        "debug.slub.restored",
        _reported(line("FIX .*: Restoring", r"-0x(\w+)=", _longer)),
    ),
    removal(
        "slub-torn",
        "a report ends before its dump",
        "debug.slub.first-byte",
        _reported(_cut_at(r"Redzone  \w+: ")),
    ),
)
_KMEMLEAK: Final = (
    fault(
        "leak-overlap",
        "an object of the list lies in another",
        "debug.kmemleak.apart",
        _listed(line("^unreferenced object", r"0x(\w+)", _other_address, 1)),
    ),
    fault(
        "leak-bytes-missing",
        "fewer bytes of an object are shown than told",
        "debug.kmemleak.dumped",
        _listed(raised("hex dump", r"\(first ", 16)),
    ),
    fault(
        "leak-text",
        "the text is not that of the bytes",
        "debug.kmemleak.dumped",
        _listed(line("^    00 00", r"00  \.", "41  .")),
    ),
    fault(
        "leak-unlisted",
        "a lost object is not on the list",
        "debug.kmemleak.found",
        _listed(text(_without_first)),
    ),
    fault(
        "leak-miscounted",
        "the kernel counts a leak more than it lists",
        "debug.kmemleak.found",
        _reported(raised("new suspected memory leaks", "kmemleak: ", 1)),
    ),
    removal("list-removed", "kmemleak's list is gone", "debug.kmemleak.found", Edit(_LIST, None)),
)
_PTDUMP: Final = (
    *(
        fault(name, sentence, "vm.ptdump.text", _dumped(line(old, old, new)))
        for name, sentence, old, new in (
            ("dump-read-only", "a range is read-only in the dump alone", " RW ", " ro "),
            ("dump-not-global", "a range is not global in the dump alone", "GLB", "   "),
            ("dump-small", "a range has small pages in the dump alone", "PSE", "   "),
            ("dump-level", "a range is of another level in the dump", "pte", "pmd"),
            ("dump-marker", "a part has another name in the dump", r"vmalloc\(\) Area", "Vmemmap"),
        )
    ),
    fault(
        "dump-executable",
        "a range is executable in the tables alone",
        "vm.ptdump.text",
        Edit(_TABLES, document(_executable)),
    ),
    fault(
        "dump-beyond",
        "the dump shows a page that the tables do not have",
        "vm.ptdump.text",
        Edit(_TABLES, document(_one_less)),
    ),
    fault(
        "dump-hole",
        "the dump leaves a range out",
        "vm.ptdump.partition",
        _dumped(dropped("pte")),
    ),
    removal("dump-removed", "a dump is not in the folder", "vm.ptdump.text", Edit(_DUMP, None)),
    removal("tables-removed", "the tables of a dump are gone", "vm.ptdump.text", Edit(_TABLES, None)),
)

_SLAB: Final = tuple(
    fault(name, sentence, f"debug.slab.{clause}", Edit(_REPORTS, line(old, old, new)))
    for name, sentence, clause, old, new in (
        (
            "slab-other-error",
            "SLAB names another error than the red words show",
            "red-words",
            "memory outside object was overwritten",
            "double free detected",
        ),
        (
            "slab-red-word",
            "the red words are whole and SLAB reports the object",
            "red-words",
            "redzone 2:0xd84156c563568811",
            "redzone 2:0xd84156c5635688c0",
        ),
        (
            "slab-line-of-poison",
            "SLAB shows a line that is all poison",
            "lines",
            "33 6b 6b 6b 6b 6b 6b 6b ",
            "6b 6b 6b 6b 6b 6b 6b 6b ",
        ),
        (
            "slab-one-bit",
            "one bit differs and SLAB suspects nothing",
            "single-bit",
            "33 6b 6b 6b 6b 6b 6b 6b ",
            "6a 6b 6b 6b 6b 6b 6b 6b ",
        ),
        (
            "slab-neighbour-elsewhere",
            "the next object is shown from where none begins",
            "neighbours",
            "Next obj: start=(f*[0-9a-f]+)8",
            r"Next obj: start=\g<1>0",
        ),
    )
)

DEBUG_FAULTS: Final[tuple[AreaFault, ...]] = (*_KASAN, *_SLUB, *_SLAB, *_KMEMLEAK, *_PTDUMP)
