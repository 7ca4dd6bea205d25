"""Traces of references: every format gives the same columns, and what is wrong is named."""

import struct
from pathlib import Path

import numpy as np
import pytest
import zstandard

from linuxmm.fast.lru_trace import BLOCK, read_references, write_oracle_general
from linuxmm.fast.numbering import Numbering
from linuxmm.model.reclaim.workload import ANON, DROP, MAPPED, READ, WRITE
from linuxmm.spec.errors import BadEvidence


def read(path: Path, *, anon: bool = False) -> tuple[list[int], list[int]]:
    places, how = [], []
    for block in read_references(path, Numbering(), anon=anon):
        places += block.places.tolist()
        how += block.how.tolist()
    return places, how


def test_keys_are_numbered_in_order_of_first_use(tmp_path: Path) -> None:
    path = tmp_path / "a.oracleGeneral"
    keys = [70, 5, 70, 1 << 63, 5, 9]
    write_oracle_general(path, keys)
    assert path.stat().st_size == 24 * len(keys)
    assert path.read_bytes()[24:48] == struct.pack("<IQIq", 1, 5, 4096, -1)
    assert read(path) == ([0, 1, 0, 2, 1, 3], [READ] * 6)
    packed = tmp_path / "a.oracleGeneral.zst"
    packed.write_bytes(zstandard.compress(path.read_bytes()))
    assert read(packed) == read(path)


def test_blocks_follow_each_other(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    keys = np.arange(BLOCK + 10) % 1000 + 7
    write_oracle_general(path, keys.tolist())
    blocks = list(read_references(path, Numbering()))
    assert [block.places.size for block in blocks] == [BLOCK, 10]
    assert np.concatenate([block.places for block in blocks]).tolist() == (keys - 7).tolist()


def test_csv_with_and_without_a_header(tmp_path: Path) -> None:
    bare, named = tmp_path / "bare.csv", tmp_path / "named.csv"
    bare.write_text("0,alpha,100,get\n1,beta,100,SET\r\n2,alpha,9,delete\n3,gamma,1")
    named.write_text("op,key\nget,alpha\nset,beta\ndelete,alpha\nread,gamma\n")
    assert read(bare) == read(named) == ([0, 1, 0, 2], [READ, WRITE, DROP, READ])
    only = tmp_path / "only.csv"
    only.write_text("time,obj_id,size\n1,3,4096\n2,4,4096\n")
    assert read(only) == ([0, 1], [READ, READ])


def test_lackey_is_a_mapping_or_anonymous_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.lackey"
    path.write_text("==1== words\nI  04000000,4\n L 04001ffc,8\n S 04000010,1\n")
    assert read(path) == ([0, 1, 2, 0], [MAPPED] * 4)
    assert read(path, anon=True) == ([0, 1, 2, 0], [ANON] * 4)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"", ":0: record: expected a record of 24 bytes, got nothing"),
        ("a.bin", bytes(24 * 3 + 5), ":3: record: expected a record of 24 bytes, got 5 bytes"),
        ("a.bin.zst", b"no zstandard", ": expected zstandard data"),
        ("a.csv", b"", ":1: expected a request, got none"),
        ("a.csv", b"1,a,4,get\n2\n", ":2: key: expected a key, got 1 fields"),
        ("a.csv", b"time,key\n1,\n", ":2: key: expected a key, got nothing"),
        ("a.csv", b"1,a,4,get\n2,b,4,fly\n", ":2: op: expected one of add, append,"),
        ("a.csv", b"wo,man\n", ":1: time: expected a time, or a header with one of key, id,"),
        ("a.csv", b"1,a\n2," + b"x" * 5000, ":2: expected a line of up to 4096 bytes"),
        ("a.csv", b"1,\xff\n", ":1: expected UTF-8"),
        ("a.lackey", b"X  04000000,4\n", ":1: expected 'I  '"),
        ("a.txt", b"", ": expected a name that ends in .csv"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadEvidence) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadEvidence, match="expected a readable file: No such file"):
        read(tmp_path / "gone.csv")
