"""From what an executor says of itself to the model's process and kernel."""

import re
from dataclasses import dataclass, replace
from typing import Final

from immutables import Map

from linuxmm.model.vm.merge import could_share
from linuxmm.model.vm.process import Process
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.rules import Rules
from linuxmm.oracle.live.wire import FIRST_FILE, State, read_state
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.kernel import Arch, Kernel, Version, kernel, parse_version
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.area import FileKind, MappedFile, Vma
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.contents import Object, object_of
from linuxmm.spec.vm.flags import flags_of_letters
from linuxmm.spec.vm.maps import read_maps
from linuxmm.spec.vm.space import AddressSpace, Limits, System
from linuxmm.spec.vocabulary import PAGE_SHIFT, PAGE_SIZE

FIRST_FOREIGN: Final = 2000
FIRST_SHARED: Final = 1 << 32
LARGE: Final = 1 << 40
_FIVE_LEVELS: Final = (1 << 56) - PAGE_SIZE
"""TASK_SIZE_MAX with five levels of tables (x86-64, 4.14 on)."""
_PAIR: Final = re.compile(rb"([^\n]*\n)v ([^\n]*)\n")


@dataclass(frozen=True, slots=True)
class Start:
    """A run before its first call.

    foreign  the areas that were there; nothing may be done to them
    fixed    end of the heap below which it must not be taken
    """

    kernel: Kernel
    rules: Rules
    process: Process
    state: State
    foreign: tuple[tuple[int, int], ...]


def _ranges(areas: tuple[Vma, ...]) -> tuple[tuple[int, int], ...]:
    """The ranges that areas cover, neighbours taken together."""
    found: list[tuple[int, int]] = []
    for area in areas:
        if found and found[-1][1] == area.start:
            found[-1] = (found[-1][0], area.end)
        else:
            found.append((area.start, area.end))
    return tuple(found)


class Said:
    """The words of a hello, by what they are about."""

    def __init__(self, lines: list[bytes], file: str) -> None:
        self.lines = [line.decode("utf-8", "backslashreplace").split() for line in lines]
        self.file = file

    def one(self, about: str) -> list[str]:
        """The words of the only line about something."""
        found = [line[1:] for line in self.lines if line and line[0] == about]
        if len(found) != 1:
            raise BadEvidence(self.file, f"expected one line {about!r}, got {len(found)}")
        return found[0]

    def named(self, about: str) -> dict[str, int]:
        """name -> number of the lines `about NAME NUMBER`."""
        return {line[1]: int(line[2], 16) for line in self.lines if line and line[0] == about}


def read_start(lines: list[bytes], file: str = "executor") -> Start:
    """The run that a hello describes.

    Errors    BadEvidence; ImpossibleProfile for a release that linuxmm does not describe
    """
    words = lines[0].decode().split()
    if len(words) != 3 or words[0] != "linuxmm-vm/1":
        raise BadEvidence(file, f"expected linuxmm-vm/1 RELEASE BITS, got {lines[0][:80]!r}", line=1)
    said = Said(lines, file)
    version, bits = words[1], int(words[2])
    found = _kernel_of(said, version, bits)
    first = next(n for n, line in enumerate(lines) if re.match(rb"[0-9a-f]+-[0-9a-f]+ ", line))
    state = read_state([line for line in lines[first:] if line != b".\n"], first, file)
    assert state.areas is not None
    space = _space(said, found)
    space, layer = _with_files(said, space)
    space, layer = _with_areas(space, layer, state.areas, file)
    size, locked, data, stack = (kib >> 2 for kib in state.counters)
    space = replace(space, total=size, locked=locked, data=data, stack=stack)
    foreign = _ranges(space.areas)
    return Start(found, rules_for(found), Process(space, layer), state, foreign)


def _kernel_of(said: Said, version: str, bits: int) -> Kernel:
    known = {int(line[1]): line[2] == "1" for line in said.lines if line and line[0] == "advice"}
    return kernel(
        version,
        Arch.X86_64 if bits == 64 else Arch.I386_PAE,
        ksm=known[vm.MADV_MERGEABLE],
        transparent_hugepage=known[vm.MADV_HUGEPAGE] and parse_version(version) >= Version(2, 6, 38),
        memory_failure=known[vm.MADV_HWPOISON],
        anon_vma_name=said.one("names")[0] == "1",
    )


def _window(found: Kernel) -> int:
    return 0x7FFFFFFFF000 if found.arch is Arch.X86_64 else 0xC0000000


def _space(said: Said, found: Kernel) -> AddressSpace:
    window = _window(found)
    start_brk, brk, data_bytes, start_stack = (int(word, 16) for word in said.one("heap"))
    limits, tunables = said.named("limit"), said.named("tunable")
    top = (1 << (64 if found.arch is Arch.X86_64 else 32)) - 1
    unlimited = {name: (1 << 64) - 1 if value == top else value for name, value in limits.items()}
    gap = min(max(unlimited["stack"] + (256 << PAGE_SHIFT), 128 << 20), window // 6 * 5)
    legacy = (window // 3 + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)
    system = System(
        overcommit=tunables["overcommit"],
        total_pages=tunables["total_pages"],
        commit_pages=tunables.get("commit_pages", 1 << 40),
        committed=tunables.get("committed", 0),
        user_reserve=tunables.get("user_reserve", 0),
        max_map_count=tunables["max_map_count"],
        min_address=tunables["min_address"],
        hint_floor=tunables["hint_floor"],
        protection_keys=bool(tunables["protection_keys"]),
    )
    return AddressSpace(
        (),
        _FIVE_LEVELS if tunables["five_levels"] else window,
        (window - gap) & ~(PAGE_SIZE - 1),
        legacy,
        start_brk,
        brk,
        system=system,
        limits=Limits(**unlimited),
        bottom_up=bool(tunables["legacy_layout"]) or unlimited["stack"] == (1 << 64) - 1,
        data_bytes=data_bytes,
        start_stack=start_stack,
        next_file=FIRST_SHARED,
        map_window=window,
    )


def _with_files(said: Said, space: AddressSpace) -> tuple[AddressSpace, ContentLayer]:
    """The files that the executor has opened, with their contents."""
    layer = ContentLayer(swap=said.named("tunable")["swap_pages"] > 0)
    files: Map[int, MappedFile] = space.files
    for line in said.lines:
        if not line or line[0] != "file":
            continue
        index, inode, size = int(line[1]), int(line[5]), int(line[7])
        unmappable = line[8] == "unmappable"
        file = MappedFile(
            FIRST_FILE + index,
            line[2].replace("\\040", " "),
            int(line[3], 16),
            int(line[4], 16),
            inode,
            FIRST_FILE if index == 0 else FIRST_FILE + 1,
            readable=line[6][0] == "r",
            writable=line[6][1] == "w",
            size=size,
            kind=FileKind.UNMAPPABLE if unmappable else FileKind.SHMEM,
            no_exec=line[9] == "1",
        )
        files = files.set(file.id, file)
    first = b"".join(bytes([n + 1]) * PAGE_SIZE for n in range(16))
    second = b"".join(bytes([n + 0x41]) * PAGE_SIZE for n in range(5)) + b"tail" * 25
    layer = layer.with_object(FIRST_FILE, object_of(first, swaps=True))
    layer = layer.with_object(FIRST_FILE + 1, object_of(second, swaps=True))
    return replace(space, files=files), layer


def _with_areas(
    space: AddressSpace, layer: ContentLayer, text: bytes, file: str
) -> tuple[AddressSpace, ContentLayer]:
    """The areas of a state.

    Those that are accounted are taken to have pages of their own; neighbours that differ in rights alone
    share an anon_vma, as the second of them found that of the first when it was touched.
    """
    areas: list[Vma] = []
    known: dict[tuple[str, int, tuple[int, int]], int] = {}
    for head, letters in _PAIR.findall(text):
        line = read_maps(head, file)[0]
        if line.start >= space.task_size:
            continue
        flags = flags_of_letters(letters.decode()) & ~vm.VM_SOFTDIRTY
        backing: int | None = None
        if line.inode:
            key = (line.name, line.inode, line.device)
            backing = known.setdefault(key, FIRST_FOREIGN + len(known))
            foreign = MappedFile(backing, line.name, *line.device, line.inode, size=LARGE)
            space = replace(space, files=space.files.set(backing, foreign))
            layer = layer.with_object(backing, Object(LARGE))
        pgoff = (line.offset if backing is not None else line.start) >> PAGE_SHIFT
        touched = flags & vm.VM_ACCOUNT and not flags & vm.VM_SHARED
        special = line.name if backing is None and line.name not in ("[heap]", "[stack]") else ""
        area = Vma(line.start, line.end, flags, pgoff, backing, special=special)
        if touched:
            shares = bool(areas) and areas[-1].anon is not None and could_share(areas[-1], area)
            area = replace(area, anon=areas[-1].anon if shares else space.next_anon, chain=1)
        areas.append(area)
        space = replace(space, next_anon=space.next_anon + 1)
    return replace(space, areas=tuple(areas)), layer
