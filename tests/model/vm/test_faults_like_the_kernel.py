"""Faults, copies on write and forks on the kernel that runs this test: its page map, bit by bit."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.objects import write_object
from linuxmm.model.vm.page_profile import page_rules, profile_of
from linuxmm.model.vm.state import Backing, Pages, small_pages
from linuxmm.model.vm.table import leaves
from linuxmm.spec.vm.flags import VM_SHARED
from linuxmm.spec.vm.page_layer import PageArea
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_mapped

PAGE, FILE_PAGES, CACHED, FILE = 4096, 40, 30, 7
WORKLOAD = Path(__file__).with_name("faults_on_kernel.py")
ANON = PageArea(0x100_0000_0000, 0x100_0000_0000 + 16 * PAGE, 0x73)
PRIVATE = PageArea(0x100_0020_5000, 0x100_0020_5000 + FILE_PAGES * PAGE, 0x73, 0, FILE)
SHARED = PageArea(0x100_0040_3000, 0x100_0040_3000 + FILE_PAGES * PAGE, 0xFB, 0, FILE)
AREAS = (ANON, PRIVATE, SHARED)
EVERY = tuple(at for area in AREAS for at in range(area.start, area.end, PAGE))
"""The pages of all areas, counted through."""
NAMES = ("write",) * 5 + ("read",) * 4 + ("discard", "populate", "protect", "allow", "fork", "exit")
Map = list[list[bool]]


def planned(seed: int, length: int) -> list[tuple[int, str, int]]:
    """Operations that can all be done: no write to what is protected, one child at most."""
    rng, forked = random.Random(seed), False
    operations: list[tuple[int, str, int]] = []
    protected = {1: False, 2: False}
    while len(operations) < length:
        space = rng.choice((1, 2)) if forked else 1
        name, page = rng.choice(NAMES), rng.randrange(len(EVERY))
        if (name == "fork") == forked and name in ("fork", "exit"):
            continue
        if protected[space] and name in ("write", "populate") and EVERY[page] < ANON.end:
            continue
        if name == "fork":
            forked, protected[2], space = True, protected[1], 1
        elif name == "exit":
            forked = False
        elif name in ("protect", "allow"):
            protected[space] = name == "protect"
        operations.append((space, name, page))
    return operations


def page_map(pages: Pages, space: int) -> Map:
    """(present, mapped once) of every page, as /proc/self/pagemap has them."""
    entries = {
        address: value
        for area in AREAS
        for address, _, value in leaves(pages, space, area.start, area.end)
        if is_mapped(value)
    }
    return [[at in entries, at in entries and is_sole(pages, entries[at])] for at in EVERY]


def is_sole(pages: Pages, value: int) -> bool:
    """Whether an entry maps a page that no other entry maps."""
    return not value & SPECIAL and pages.pages[frame_of(value)].maps == 1


class Model:
    """The model of both processes."""

    def __init__(self) -> None:
        layer = TableLayer(page_rules(profile_of(os.uname().release)), small_pages(400))
        layer = layer.with_object(FILE, Backing(FILE_PAGES * PAGE, swaps=True))
        pages, _ = write_object(layer.pages, FILE, 0, bytes(CACHED * PAGE))
        self.layer = replace(layer, pages=pages)
        self.areas: dict[int, tuple[PageArea, ...]] = {1: AREAS}

    def do(self, space: int, name: str, page: int) -> None:
        """One operation."""
        at = EVERY[page]
        area = next(area for area in self.areas[space] if area.start <= at < area.end)
        if name in ("write", "populate") and area.flags & VM_SHARED == 0:
            area = self.changed(space, area._replace(anon=1))
        if name == "write":
            self.layer = self.layer.write(space, lambda _: area, at, bytes([page + 1]) * 8)[0]
        elif name == "read":
            self.layer = self.layer.read(space, lambda _: area, at, 1)[0]
        elif name == "discard":
            self.layer = self.layer.discard(space, area, at, at + PAGE)
        elif name == "populate":
            self.layer = self.layer.populate(space, area, at, at + PAGE, True)[0]
        elif name == "fork":
            self.layer = self.layer.copy(1, 2, self.areas[1])
            self.areas[2] = self.areas[1]
        elif name == "exit":
            self.layer = self.layer.drop(2)
            del self.areas[2]
        else:
            flags = 0x71 if name == "protect" else 0x73
            area = self.changed(space, self.areas[space][0]._replace(flags=flags))
            self.layer = self.layer.protect(space, area, area.start, area.end)

    def changed(self, space: int, area: PageArea) -> PageArea:
        """The area, in place of what it was."""
        areas = self.areas[space]
        self.areas[space] = tuple(area if each.start == area.start else each for each in areas)
        return area

    def seen(self) -> list[Map | None]:
        """What the page maps of both say."""
        pages = self.layer.pages
        empty = [[False, False] for _ in EVERY]
        parent: Map = page_map(pages, 1) if 1 in pages.mms else empty
        return [parent, (page_map(pages, 2) if 2 in pages.mms else empty) if 2 in self.areas else None]


@pytest.mark.parametrize("seed", range(4))
def test_the_page_map_of_the_kernel_is_the_model_s(seed: int) -> None:
    operations = planned(seed, 250)
    text = "".join(f"{space} {name} {page}\n" for space, name, page in operations)
    done = subprocess.run(
        [sys.executable, str(WORKLOAD)], input=text, capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    model = Model()
    for number, (operation, line) in enumerate(zip(operations, lines, strict=True)):
        model.do(*operation)
        assert line == model.seen(), f"operation {number} of seed {seed}: {operation}"


def test_another_answer_would_be_noticed() -> None:
    model = Model()
    model.do(1, "write", 3)
    model.do(1, "fork", 0)
    once = model.seen()
    model.do(2, "write", 3)
    assert once != model.seen()
