"""What faults, forks, moves and changes of rights do in the kernels that did them differently."""

from dataclasses import replace

import pytest
from immutables import Map

from linuxmm.model.vm import gup
from linuxmm.model.vm.audit import broken
from linuxmm.model.vm.examples import ANON, COPIES, FILE, SHARED, find_in
from linuxmm.model.vm.fault import Served, handle_fault
from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules, profile_of, table_lines
from linuxmm.model.vm.state import (
    NOTHING,
    Backing,
    Counters,
    PageFaultUser,
    Pages,
    TlbFlush,
    entry,
    small_pages,
    with_entry,
)
from linuxmm.model.vm.table import find
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.page_layer import BUS_ADRERR, SIGBUS, PageArea, Signal
from linuxmm.spec.vm.pte import PROTNONE, frame_of
from linuxmm.spec.vm.rights import Accessor
from linuxmm.spec.vm.x86_entry import PF_PROT, PF_USER, PF_WRITE, PRESENT, WRITABLE

PAGE = 4096
TABLE = 512 * PAGE
BIG = PageArea(0, 4 * TABLE, 0x73, anon=1)
AWAY = PageArea(1 << 30, (1 << 30) + 4 * TABLE, 0x73, anon=1)
READ_LIST = PageArea(0x40_0000, 0x40_0000 + 64 * PAGE, 0x71, 0, FILE, None)


def layer(version: str, frames: int = 60) -> TableLayer:
    """Nothing mapped yet; a file of 40 pages."""
    stored = Map({index: bytes([index + 1]) * PAGE for index in range(40)})
    made = TableLayer(page_rules(kernel(version)), small_pages(frames))
    return made.with_object(FILE, Backing(40 * PAGE, stored=stored))


def find_area(address: int) -> PageArea | None:
    """The area of the examples that holds an address."""
    return find_in((ANON, COPIES, SHARED, READ_LIST, AWAY, BIG), address)


def at(made: TableLayer, address: int, space: int = 1) -> int:
    """The entry for an address; 0 without a table."""
    where = find(made.pages, space, address)
    return entry(made.pages, where) if where != NOTHING else 0


@pytest.mark.parametrize(
    ("version", "zero", "anon"),
    [("2.6.20", True, 0), ("2.6.24", False, 1), ("2.6.31", False, 1), ("2.6.32", True, 0)],
)
def test_a_first_read_maps_the_zero_page_but_for_some_years(version: str, zero: bool, anon: int) -> None:
    made = layer(version).read(1, find_area, ANON.start, 1)[0]
    assert (frame_of(at(made, ANON.start)) == made.pages.zero) == zero
    assert made.pages.mms[1].counters == Counters(anon=anon, tables=(1, 1, 1, 0))


@pytest.mark.parametrize(("version", "maps"), [("3.14", 1), ("3.15", 15), ("6.12", 15)])
def test_faults_around_map_what_is_cached(version: str, maps: int) -> None:
    made = layer(version, 100)
    for index in (*range(17, 31), 39):
        made = made.read(2, find_area, READ_LIST.start + index * PAGE, 1)[0]
    made = made.read(1, find_area, READ_LIST.start + 20 * PAGE, 1)[0]
    mapped = [i for i in range(64) if at(made, READ_LIST.start + i * PAGE) & PRESENT]
    assert mapped == ([20] if maps == 1 else list(range(17, 31)))
    found, _ = handle_fault(made.rules, made.pages, 1, READ_LIST, READ_LIST.start + 31 * PAGE, False)
    assert found.mms[1].counters.file == len(mapped) + 1


def test_a_read_of_a_file_is_major_once() -> None:
    made = layer("6.1").read(1, find_area, ANON.start, 1)[0]
    pages, outcome = handle_fault(made.rules, made.pages, 1, READ_LIST, READ_LIST.start, False)
    assert outcome is Served.MAJOR
    again = TableLayer(made.rules, pages).read(2, find_area, ANON.start, 1)[0]
    assert handle_fault(made.rules, again.pages, 2, READ_LIST, READ_LIST.start, False)[1] is Served.MINOR
    assert handle_fault(made.rules, pages, 1, READ_LIST, READ_LIST.start + 40 * PAGE, True)[1] is Served.BUS
    assert made.read(1, find_area, READ_LIST.start + 40 * PAGE, 1)[1].signal == Signal(
        SIGBUS, BUS_ADRERR, READ_LIST.start + 40 * PAGE
    )


def test_a_shared_write_is_told_to_the_file() -> None:
    made = layer("6.12").read(1, find_area, SHARED.start, 1)[0]
    assert at(made, SHARED.start) & WRITABLE == 0
    assert not made.pages.pages[frame_of(at(made, SHARED.start))].dirty
    made = made.write(1, find_area, SHARED.start, b"x")[0]
    assert at(made, SHARED.start) & WRITABLE
    assert made.pages.pages[frame_of(at(made, SHARED.start))].dirty
    assert made.log == (
        PageFaultUser(1, SHARED.start, PF_USER | PF_WRITE | PF_PROT),
        TlbFlush(1, SHARED.start, SHARED.start + PAGE),
    )


def test_the_error_code_is_the_hardware_s() -> None:
    made = layer("6.12")
    logs = (
        made.read(1, find_area, ANON.start, 1)[0].log,
        made.write(1, find_area, ANON.start, b"x")[0].log,
    )
    assert logs == (
        (PageFaultUser(1, ANON.start, PF_USER),),
        (PageFaultUser(1, ANON.start, PF_USER | PF_WRITE),),
    )
    refused = made.read(1, find_area, 0x900_0000_0000, 1)[0]
    assert refused.log == (PageFaultUser(1, 0x900_0000_0000, PF_USER),)
    away = made.read(1, find_area, ANON.start, 1)[0].write(1, find_area, ANON.start, b"x")[0]
    assert away.log == (
        PageFaultUser(1, ANON.start, PF_USER | PF_WRITE | PF_PROT),
        TlbFlush(1, ANON.start, ANON.start + PAGE),
    )


@pytest.mark.parametrize(
    ("version", "printed"),
    [("2.6.32", (("VmPTE", 8),)), ("4.1", (("VmPTE", 8), ("VmPMD", 8))), ("6.12", (("VmPTE", 20),))],
)
def test_page_tables_are_printed_by_era(version: str, printed: tuple[tuple[str, int], ...]) -> None:
    made = layer(version).write(1, lambda _: BIG, 0, b"x")[0].write(1, lambda _: BIG, 1 << 31, b"x")[0]
    assert made.pages.mms[1].counters.tables == (2, 2, 1, 0)
    assert table_lines(kernel(version), made.pages, 1) == printed


def test_a_private_write_moves_the_count_from_file_to_anon() -> None:
    made = layer("6.12").read(1, find_area, COPIES.start, 1)[0]
    assert made.pages.mms[1].counters[:2] == (1, 0)
    made = made.write(1, find_area, COPIES.start, b"x")[0]
    assert made.pages.mms[1].counters[:2] == (0, 1)
    assert broken(made.rules, made.pages, {1: (COPIES,)}) == []


@pytest.mark.parametrize(("version", "tables"), [("2.6.13", True), ("2.6.14", False), ("6.12", False)])
def test_fork_leaves_files_to_be_faulted_in(version: str, tables: bool) -> None:
    made = layer(version).read(1, find_area, READ_LIST.start, 1)[0].copy(1, 2, (READ_LIST,))
    assert bool(at(made, READ_LIST.start, 2)) == tables


@pytest.mark.parametrize(("version", "writable"), [("5.15", False), ("6.1", True), ("6.12", True)])
def test_rights_given_back_may_be_usable_at_once(version: str, writable: bool) -> None:
    made = layer(version).write(1, find_area, ANON.start, b"x")[0]
    made = made.protect(1, ANON._replace(flags=0x70), ANON.start, ANON.end)
    assert at(made, ANON.start) & (PRESENT | PROTNONE) == PROTNONE
    made = made.protect(1, ANON, ANON.start, ANON.end)
    assert (at(made, ANON.start) & WRITABLE != 0) == writable
    made = made.write(1, find_area, ANON.start, b"y")[0]
    assert made.pages.mms[1].counters.anon == 1
    assert made.read(1, find_area, ANON.start, 1)[1].data == b"y"


@pytest.mark.parametrize(("version", "tables"), [("4.20", 2), ("5.0", 1), ("5.10", 1), ("6.12", 1)])
def test_whole_tables_move(version: str, tables: int) -> None:
    made = layer(version).write(1, find_area, TABLE, b"x" * (2 * PAGE))[0]
    moved = made.move(1, TABLE, AWAY.start, TABLE)
    assert moved.read(1, find_area, AWAY.start, PAGE)[1].data == b"x" * PAGE
    assert at(moved, TABLE) == 0
    assert moved.pages.mms[1].counters.tables[0] == tables
    assert moved.log == (TlbFlush(1, TABLE, 2 * TABLE),)
    odd = made.move(1, TABLE, AWAY.start + PAGE, 2 * PAGE)
    assert odd.pages.mms[1].counters.tables[0] == 2
    assert odd.read(1, find_area, AWAY.start + 2 * PAGE, 1)[1].data == b"x"


def test_directories_move_since_5_11() -> None:
    whole = PageArea(0, 1 << 31, 0x73, anon=1)
    for version, directories in (("5.10", 2), ("5.11", 1)):
        made = layer(version).write(1, lambda _: whole, TABLE, b"x")[0].move(1, 0, 1 << 39, 1 << 30)
        assert made.pages.mms[1].counters.tables == (1, directories, 2, 0)
        assert at(made, (1 << 39) + TABLE) & PRESENT


def test_without_a_frame_the_model_says_where_it_ends() -> None:
    made = layer("6.12", 6)
    with pytest.raises(Unmodelled, match="a fault at 0x11000 finds no frame: reclaim and its victim are not"):
        made.write(1, find_area, ANON.start, b"x" * (2 * PAGE))


@pytest.mark.parametrize(("version", "refs"), [("5.5", 2), ("5.6", 1025), ("6.12", 1025)])
def test_a_pin_is_counted_apart_since_5_6(version: str, refs: int) -> None:
    made = layer(version).write(1, find_area, ANON.start, b"x")[0]
    request = gup.Request(True, pin=True)
    pages, frame, _ = gup.get_user_page(made.rules, made.pages, 1, ANON, ANON.start, request)
    pages = gup.hold(made.rules, pages, 1, 1, ANON.start, frame, request, True)
    assert pages.pages[frame].refs == refs
    assert gup.release(made.rules, pages, 1).pages[frame].refs == 1


@pytest.mark.parametrize("version", ["5.15", "6.12"])
def test_a_forced_write_copies_what_nobody_may_write(version: str) -> None:
    area = PageArea(COPIES.start, COPIES.end, 0x71, 1, FILE, 2)
    made, done = layer(version).write(1, lambda _: area, area.start, b"forced", Accessor.FORCED)
    assert done.length == 6
    assert at(made, area.start) & WRITABLE == 0
    assert made.read(1, lambda _: area, area.start, 6)[1].data == b"forced"
    assert made.read(2, find_area, SHARED.start + PAGE, 6)[1].data == b"\2" * 6


def test_every_kind_of_fault_is_found_by_the_audit() -> None:
    made = layer("6.12").write(1, find_area, ANON.start, b"x")[0].copy(1, 2, (ANON,))
    spaces = {1: (ANON,), 2: (ANON,)}
    assert broken(made.rules, made.pages, spaces) == []

    def clauses(pages: Pages) -> set[str]:
        return {found.clause for found in broken(made.rules, pages, spaces)}

    where = find(made.pages, 1, ANON.start)
    writable = with_entry(made.pages, where, entry(made.pages, where) | WRITABLE)
    assert clauses(writable) == {"vm.cow.sole-writer", "vm.cow.marked"}
    assert clauses(with_entry(made.pages, where, 0)) == {
        "vm.page.mapcount",
        "vm.page.refcount",
        "vm.mm.counters",
    }
    frame = frame_of(entry(made.pages, where))
    marked = made.pages.pages.set(frame, made.pages.pages[frame]._replace(exclusive=True))
    assert clauses(replace(made.pages, pages=marked)) == {"vm.cow.exclusive"}
    assert clauses(replace(made.pages, frames=made.pages.frames.give(frame))) == {"vm.frames.once"}
    assert clauses(replace(made.pages, tables=1)) == {"vm.mm.tables"}


def test_a_release_names_its_profile() -> None:
    assert profile_of("6.12.117+deb12-amd64") == kernel("6.12")
    assert profile_of("6.99.1") == profile_of("7.3-rc1") == kernel("6.18")
    with pytest.raises(ImpossibleProfile):
        profile_of("unknown")
