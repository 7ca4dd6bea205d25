"""Faults, copies on write and forks on the kernel that runs this test: its page map, bit by bit."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from linuxmm.model.vm.examples import Stretch
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.state import NOTHING, Pages, entry, small_pages
from linuxmm.model.vm.table import find
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.pte import SPECIAL, frame_of, is_mapped

PAGE, COUNT = 4096, 16
WORKLOAD = Path(__file__).with_name("faults_on_kernel.py")
AREA = Stretch(0x10_0000, 0x10_0000 + COUNT * PAGE, 0x73)
NAMES = ("write",) * 5 + ("read",) * 4 + ("discard", "populate", "protect", "allow", "fork", "exit")
Map = list[list[bool]]


def planned(seed: int, length: int) -> list[tuple[int, str, int]]:
    """Operations that can all be done: no write to what is protected, one child at most."""
    rng, forked = random.Random(seed), False
    operations: list[tuple[int, str, int]] = []
    protected = {1: False, 2: False}
    while len(operations) < length:
        space = rng.choice((1, 2)) if forked else 1
        name, page = rng.choice(NAMES), rng.randrange(COUNT)
        if (name == "fork") == forked and name in ("fork", "exit"):
            continue
        if protected[space] and name in ("write", "populate"):
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
    found = []
    for address in range(AREA.start, AREA.end, PAGE):
        at = find(pages, space, address)
        value = entry(pages, at) if at != NOTHING else 0
        mapped = is_mapped(value)
        found.append([mapped, mapped and not value & SPECIAL and pages.pages[frame_of(value)].maps == 1])
    return found


class Model:
    """The model of both processes."""

    def __init__(self) -> None:
        self.layer = TableLayer(page_rules(kernel("6.18")), small_pages(80))
        self.areas = {1: AREA}

    def do(self, space: int, name: str, page: int) -> None:
        """One operation."""
        at, area = AREA.start + page * PAGE, self.areas[space]
        if name in ("write", "populate"):
            self.areas[space] = area = replace(area, anon=1)
        if name == "write":
            self.layer = self.layer.write(space, lambda _: area, at, bytes([page + 1]) * 8)[0]
        elif name == "read":
            self.layer = self.layer.read(space, lambda _: area, at, 1)[0]
        elif name == "discard":
            self.layer = self.layer.discard(space, area, at, at + PAGE)
        elif name == "free":
            self.layer = self.layer.free_lazily(space, area, at, at + PAGE)
        elif name == "populate":
            self.layer = self.layer.populate(space, area, at, at + PAGE, True)[0]
        elif name == "fork":
            self.layer = self.layer.copy(1, 2, (area,))
            self.areas[2] = area
        elif name == "exit":
            self.layer = self.layer.drop(2)
            del self.areas[2]
        else:
            self.areas[space] = area = replace(area, flags=0x71 if name == "protect" else 0x73)
            self.layer = self.layer.protect(space, area, area.start, area.end)

    def seen(self) -> list[Map | None]:
        """What the page maps of both say."""
        pages = self.layer.pages
        empty = [[False, False] for _ in range(COUNT)]
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
