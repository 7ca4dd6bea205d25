"""What tables mean: each clause accepts what it should and rejects what it should not."""

from immutables import Map

from linuxmm.spec.step import Refusal
from linuxmm.spec.vm.mapping import (
    AddressMap,
    MapPage,
    Mapping,
    ProtectPage,
    SplitPage,
    UnmapPage,
    after,
    one_owner,
    permits,
    refusals,
)

ONE, TWO = Mapping(0x10, True, True, False), Mapping(0x20, False, True, True)
STATE = AddressMap(Map({1: ONE}))


def test_a_page_is_mapped_where_nothing_is() -> None:
    assert refusals(STATE, MapPage(2, TWO)) == frozenset()
    assert after(STATE, MapPage(2, TWO)) == AddressMap(Map({1: ONE, 2: TWO}))
    assert refusals(STATE, MapPage(1, TWO)) == {Refusal("vm.map.vacant", "page 0x1 is mapped to frame 0x10")}


def test_only_a_mapped_page_is_protected_or_split() -> None:
    weaker = Mapping(0x10, False, True, False)
    assert after(STATE, ProtectPage(1, writable=False, executable=False)) == AddressMap(Map({1: weaker}))
    assert after(STATE, SplitPage(1)) == STATE
    for operation in (ProtectPage(2, writable=False, executable=False), SplitPage(2)):
        assert refusals(STATE, operation) == {Refusal("vm.map.present", "page 0x2 is not mapped")}


def test_unmapping_is_always_permitted() -> None:
    assert after(STATE, UnmapPage(1)) == AddressMap()
    assert after(STATE, UnmapPage(2)) == STATE
    assert refusals(STATE, UnmapPage(2)) == frozenset()


def test_a_change_of_another_page_is_found() -> None:
    good = AddressMap(Map({1: ONE, 2: TWO}))
    assert permits(STATE, MapPage(2, TWO), good) == frozenset()
    bad = AddressMap(Map({2: TWO}))
    assert permits(STATE, MapPage(2, TWO), bad) == {
        Refusal("vm.map.frame", f"page 0x1: expected {ONE}, found None")
    }
    assert permits(STATE, MapPage(1, TWO), STATE) == refusals(STATE, MapPage(1, TWO))


def test_a_table_has_one_owner() -> None:
    assert one_owner([(0x1000, 0x2000), (0x1008, 0x3000)])
    assert not one_owner([(0x1000, 0x2000), (0x1008, 0x2000)])
