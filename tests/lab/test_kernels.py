"""Kernels by name and by path: names in apt's lists, images, symbols, modules."""

import gzip
import lzma
import re
from pathlib import Path

import pytest

from linuxmm.lab import debian, host, kernels, modules
from linuxmm.lab.symbols import parse_kallsyms
from linuxmm.spec.errors import BadEvidence, LinuxmmError


def bzimage(flags: int = 1) -> bytes:
    image = bytearray(0x400)
    image[0x202:0x206] = b"HdrS"
    image[0x236] = flags
    return bytes(image)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "linuxmm" / "lab"


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("linux-image-6.1.0-56-amd64", "6.1"),
        ("linux-image-6.12.117+deb12-amd64", "6.12"),
        ("linux-image-6.1.0-50-686-pae", "6.1-686-pae"),
        ("linux-image-5.15.0-91-generic", "5.15-generic"),
        ("linux-image-6.1.0-56-cloud-amd64", None),
        ("linux-image-6.12.117+deb12-rt-amd64", None),
        ("linux-image-6.1.0-56-amd64-dbg", None),
        ("linux-image-amd64", None),
    ],
)
def test_which_packages_are_kernels(
    package: str, name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(apt: debian.Apt, *words: str, cwd: Path | None = None) -> str:
        if words[1] == "pkgnames":
            return package + "\n"
        return f"{words[2]}:\n  Installed: (none)\n  Candidate: 1.2-3\n"

    monkeypatch.setattr(debian, "require", lambda tools: None)
    monkeypatch.setattr(debian.Apt, "_run", answer)
    found = debian.Apt(tmp_path, "amd64").kernels()
    assert found == ([] if name is None else [debian.Package(name, package, "1.2-3", "amd64")])


def test_the_newest_release_counts() -> None:
    names = ["linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-10-amd64"]
    assert max(names, key=debian.release_key) == "linux-image-6.1.0-56-amd64"


def test_missing_programs_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "find", lambda tool: None)
    with pytest.raises(host.Missing) as error:
        host.require(host.BOOT)
    assert str(error.value) == (
        "not installed: qemu-system-x86_64, busybox, cc, ld; "
        "on Debian: apt-get install qemu-system-x86 busybox-static gcc binutils"
    )


def test_an_image_of_ones_own(tmp_path: Path, cache: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(bzimage())
    kernel = kernels.find_kernel(str(image))
    assert (kernel.bits, kernel.modules, kernel.known) == (64, None, False)
    assert kernel.facts.parent == cache / "own"
    image.write_bytes(bzimage(flags=0))
    assert kernels.find_kernel(str(image)).bits == 32


def test_what_is_no_kernel(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(LinuxmmError, match="expected a bzImage, found no file"):
        kernels.find_kernel(str(tmp_path / "nothing"))
    text = tmp_path / "text"
    text.write_text("not a kernel")
    with pytest.raises(LinuxmmError, match="expected an x86 bzImage, found something else"):
        kernels.find_kernel(str(text))
    image = tmp_path / "bzImage"
    image.write_bytes(bzimage())
    with pytest.raises(LinuxmmError, match="expected the folder lib/modules/RELEASE"):
        kernels.find_kernel(str(image), modules=tmp_path / "none")
    with pytest.raises(LinuxmmError, match="belong to a kernel that is given by its path"):
        kernels.find_kernel("6.1", modules=tmp_path)
    with pytest.raises(LinuxmmError, match=re.escape("CONFIG_DEBUG_INFO_BTF")):
        _ = kernels.find_kernel(str(image)).btf


def test_symbols() -> None:
    lines = [
        "ffffffff81000000 T _text",
        "ffffffff81000010 t helper",
        "ffffffff81000020 t helper",
        "ffffffffc0001000 t of_module\t[ext4]",
    ]
    assert parse_kallsyms(lines) == {"_text": 0xFFFFFFFF81000000, "helper": 0xFFFFFFFF81000010}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ffffffff81000000 T", "kallsyms:1: expected address, type and name, found 'ffffffff81000000 T'"),
        ("xyz T _text", "kallsyms:1: expected a hexadecimal address, found 'xyz'"),
        (
            "0000000000000000 T _text",
            "kallsyms: expected addresses, found zeros: they were read without the right to see them",
        ),
    ],
)
def test_symbols_that_cannot_be(line: str, why: str) -> None:
    with pytest.raises(BadEvidence) as error:
        parse_kallsyms([line])
    assert str(error.value) == why


def module(*needed: str) -> bytes:
    return b"\x7fELF" + b"\0depends=" + ",".join(needed).encode() + b"\0name=x\0"


def test_modules_come_after_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs" / "ext4.ko.xz").write_bytes(lzma.compress(module("jbd2", "crc-x")))
    (tmp_path / "fs" / "jbd2.ko").write_bytes(module())
    (tmp_path / "crc-x.ko.gz").write_bytes(gzip.compress(module()))
    (tmp_path / "loop.ko").write_bytes(module())
    assert list(modules.load_order(tmp_path, ["ext4", "no-such"])) == ["jbd2", "crc_x", "ext4"]
    assert modules.load_order(tmp_path, ["ext4"])["jbd2"] == module()


def test_modules_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a.ko").write_bytes(module("b"))
    (tmp_path / "b.ko").write_bytes(module("a"))
    with pytest.raises(LinuxmmError, match="modules need each other in a circle: a b a"):
        modules.load_order(tmp_path, ["a"])
