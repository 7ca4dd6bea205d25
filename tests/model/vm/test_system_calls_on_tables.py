"""System calls on areas drive page tables and the meaning of memory alike, through the one seam."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxmm.model.vm.audit import ALWAYS, GUARDED, broken
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.process import SPACE, Process, call, view
from linuxmm.model.vm.profile import rules_for
from linuxmm.model.vm.state import small_pages
from linuxmm.model.vm.strategies import empty_space, system_calls
from linuxmm.spec.kernel import kernel
from linuxmm.spec.step import Err
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.content_layer import ContentLayer
from linuxmm.spec.vm.page_layer import Area, Find, Read, Written
from linuxmm.spec.vm.rights import Accessor
from linuxmm.spec.vm.system_calls import SystemCall


def no_tables() -> TableLayer:
    """Page tables of a machine on which nothing runs yet."""
    return TableLayer(page_rules(kernel("6.12")), small_pages(300))


@dataclass(frozen=True, slots=True)
class Both(ContentLayer):
    """The meaning of memory, and page tables that are asked the same and must say the same."""

    table: TableLayer = field(default_factory=no_tables)

    def beside(self, made: ContentLayer, table: TableLayer) -> "Both":
        """Both, after a step of each."""
        assert isinstance(made, Both)
        return replace(made, table=table)

    def zap(self, space: int, start: int, end: int, beside: tuple[int, int] | None = None) -> "Both":
        made = ContentLayer.zap(self, space, start, end, beside)
        return self.beside(made, self.table.zap(space, start, end, beside))

    def move(self, space: int, old: int, new: int, length: int) -> "Both":
        made = ContentLayer.move(self, space, old, new, length)
        return self.beside(made, self.table.move(space, old, new, length))

    def protect(self, space: int, area: Area, start: int, end: int) -> "Both":
        return self.beside(self, self.table.protect(space, area, start, end))

    def discard(self, space: int, area: Area, start: int, end: int) -> "Both":
        made = ContentLayer.discard(self, space, area, start, end)
        return self.beside(made, self.table.discard(space, area, start, end))

    def free_lazily(self, space: int, area: Area, start: int, end: int) -> "Both":
        made = ContentLayer.free_lazily(self, space, area, start, end)
        return self.beside(made, self.table.free_lazily(space, area, start, end))

    def populate(
        self, space: int, area: Area, start: int, end: int, write: bool
    ) -> "tuple[Both, Err | None]":
        made, expected = ContentLayer.populate(self, space, area, start, end, write)
        table, found = self.table.populate(space, area, start, end, write)
        assert found == expected
        return self.beside(made, table), expected

    def copy(self, space: int, child: int, areas: Iterable[Area]) -> "Both":
        copied = tuple(areas)
        made = ContentLayer.copy(self, space, child, copied)
        return self.beside(made, self.table.copy(space, child, copied))

    def read(
        self, space: int, find: Find, address: int, length: int, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[Both, Read]":
        made, expected = ContentLayer.read(self, space, find, address, length, accessor)
        table, found = self.table.read(space, find, address, length, accessor)
        assert found.signal == expected.signal
        assert len(found.pieces) == len(expected.pieces)
        assert all(one[0] in forms for one, forms in zip(found.pieces, expected.pieces, strict=True))
        return self.beside(made, table), expected

    def write(
        self, space: int, find: Find, address: int, data: bytes, accessor: Accessor = Accessor.THREAD
    ) -> "tuple[Both, Written]":
        made, expected = ContentLayer.write(self, space, find, address, data, accessor)
        table, found = self.table.write(space, find, address, data, accessor)
        assert found == expected
        return self.beside(made, table), expected


def loads() -> st.SearchStrategy[SystemCall]:
    """Reads of the pages on which `system_calls` works."""
    return st.builds(calls.Load, st.integers(0, 11).map(lambda n: 0x10000000 + n * 4096), st.just(5000))


@pytest.mark.parametrize(
    ("version", "questions"), [("4.19", ALWAYS), ("6.12", ALWAYS | GUARDED), ("6.18", ALWAYS | GUARDED)]
)
@settings(max_examples=150, deadline=None)
@given(what=st.lists(st.one_of(system_calls(), loads()), max_size=30))
def test_system_calls_mean_the_same_on_page_tables(
    version: str, questions: dict[str, object], what: list[SystemCall]
) -> None:
    tables = TableLayer(page_rules(kernel(version)), small_pages(300))
    rules, process = rules_for(kernel(version)), Process(empty_space(), Both(table=tables))
    for one in what:
        process = call(rules, process, one).state
        layer = process.layer
        assert isinstance(layer, Both)
        pages = layer.table.pages
        areas = tuple(view(process.space, area) for area in process.space.areas)
        assert broken(layer.table.rules, pages, {SPACE: areas}, questions) == []
        for area in areas:
            found = layer.table.resident(SPACE, area, area.start, area.end)
            seen = tuple(page is True for page in found)
            assert layer.judge_resident(SPACE, area, area.start, area.end, seen) is None
