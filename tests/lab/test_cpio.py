"""The archive that a guest boots from."""

import shutil
import stat
import subprocess

import pytest

from linuxmm.lab import cpio


def read(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """What an archive holds, read by the format's definition."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        at = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, archive[at : at + size])
        at = (at + size + 3) & ~3


ENTRIES = {
    "init": cpio.file(b"#!/bin/sh\n", 0o755),
    "bin/sh": cpio.link("busybox"),
    "etc/deep/file": cpio.file(b"x" * 5),
    "dev/console": cpio.device(5, 1),
}


def test_what_is_written_is_read() -> None:
    found = read(cpio.archive(ENTRIES))
    assert found == {
        "init": (stat.S_IFREG | 0o755, b"#!/bin/sh\n"),
        "bin": (stat.S_IFDIR | 0o755, b""),
        "bin/sh": (stat.S_IFLNK | 0o777, b"busybox"),
        "etc": (stat.S_IFDIR | 0o755, b""),
        "etc/deep": (stat.S_IFDIR | 0o755, b""),
        "etc/deep/file": (stat.S_IFREG | 0o644, b"xxxxx"),
        "dev": (stat.S_IFDIR | 0o755, b""),
        "dev/console": (stat.S_IFCHR | 0o600, b""),
    }


def test_folders_come_before_what_is_in_them() -> None:
    names = list(read(cpio.archive(ENTRIES)))
    for name in names:
        if "/" in name:
            assert names.index(name.rpartition("/")[0]) < names.index(name)


def test_equal_entries_give_equal_bytes() -> None:
    assert cpio.archive(ENTRIES) == cpio.archive(dict(reversed(ENTRIES.items())))


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio here to compare with")
def test_cpio_lists_it() -> None:
    done = subprocess.run(
        ["cpio", "-t", "--quiet"], input=cpio.archive(ENTRIES), capture_output=True, check=True
    )
    assert done.stdout.decode().split() == sorted(read(cpio.archive(ENTRIES)))
