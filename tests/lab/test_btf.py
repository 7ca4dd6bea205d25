"""The reader of a kernel's types, on a blob written by hand."""

import struct

import pytest

from linuxmm.lab.btf import Btf, Place
from linuxmm.spec.errors import BadEvidence


@pytest.fixture(scope="module")
def btf(small_btf: bytes) -> Btf:
    return Btf(small_btf, "small")


def test_fields_by_path(btf: Btf) -> None:
    zone = btf.id_of("zone")
    assert btf.offset("zone", "free_area[1].nr_free") == 24 + 40 + 32
    assert btf.offset("zone", "free_area[1].free_list[1].prev") == 24 + 40 + 16 + 8
    assert btf.offset("zone", "spanned_pages") == 16, "inside an unnamed union"
    assert btf.find(zone, "free_area.nr_free") is None, "an array has no fields"
    assert btf.find(zone, "name.x") is None
    assert btf.find(zone, "nothing") is None


def test_sizes_and_signs(btf: Btf) -> None:
    assert btf.pointer == 8
    assert btf.size_of(btf.id_of("zone")) == 128
    diff = btf.find(btf.id_of("zone"), "diff")
    assert diff is not None
    assert btf.size_of(diff.type) == 4
    assert btf.signed(btf.array(diff.type).element)
    flags = btf.find(btf.id_of("zone"), "flags")
    assert flags is not None
    assert not btf.signed(flags.type), "const is seen through"


def test_bit_fields(btf: Btf) -> None:
    high = btf.find(btf.id_of("packed"), "high")
    assert high is not None
    assert high._replace(type=0) == Place(0, 0, shift=3, bits=5)


def test_enumerations_and_functions(btf: Btf) -> None:
    assert btf.enumeration("migratetype") == {
        "MIGRATE_UNMOVABLE": 0,
        "MIGRATE_MOVABLE": 1,
        "MIGRATE_NONE": -1,
    }
    parameters = btf.parameters("free_one_page")
    assert parameters is not None
    assert [name for name, _ in parameters] == ["zone", "pfn", "fpi_flags"]
    assert btf.through(btf.pointed(parameters[0][1])) == btf.id_of("zone")
    assert btf.parameters("no_such_function") is None


def test_names_that_are_not_there(btf: Btf) -> None:
    assert not btf.has("pglist_data")
    with pytest.raises(KeyError):
        btf.id_of("pglist_data")
    with pytest.raises(KeyError):
        btf.offset("zone", "watermark")


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "small: expected BTF, found 0 bytes"),
        (b"\0" * 24, "small: expected BTF of version 1, found magic 0x0 version 0"),
    ],
)
def test_what_is_no_btf(blob: bytes, why: str) -> None:
    with pytest.raises(BadEvidence) as error:
        Btf(blob, "small")
    assert str(error.value).startswith(why)


def test_a_blob_that_was_cut(small_btf: bytes) -> None:
    with pytest.raises(BadEvidence, match=f"expected {len(small_btf)} bytes, found {len(small_btf) - 1}"):
        Btf(small_btf[:-1], "small")


def test_a_kind_that_does_not_exist(small_btf: bytes) -> None:
    blob = bytearray(small_btf)
    struct.pack_into("<I", blob, 24 + 4, 31 << 24)
    with pytest.raises(BadEvidence, match="expected a type at byte 0 of the types"):
        Btf(bytes(blob), "small")
