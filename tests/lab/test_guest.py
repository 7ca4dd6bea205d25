"""Machines, workloads, probes, and what comes back from a guest."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from linuxmm.lab import capture, mailbox, probes
from linuxmm.lab.introduce import FolderSink
from linuxmm.lab.kernels import KernelImage
from linuxmm.lab.machine import Disk, Machine, arguments
from linuxmm.lab.mailbox import Mailbox, Request, RequestKind
from linuxmm.lab.probe_sets import SETS, Probe
from linuxmm.lab.workload import find_workload, on, parse, shipped
from linuxmm.oracle.formats.capture import Buffers
from linuxmm.spec.errors import BadEvidence, LinuxmmError

SCRIPT = """# area: alloc
# title: a test
# memory: 128M
# cpus: 2
# disk: 64M throttling.bps-write=4000000
# disk: 1M
# probes: alloc
# quick: yes
mark A
"""


def test_a_workload_says_what_it_needs() -> None:
    found = parse("test", SCRIPT)
    assert found.machine == Machine(
        memory="128M", cpus=2, disks=(Disk("64M", "throttling.bps-write=4000000"), Disk("1M"))
    )
    assert (found.area, found.title, found.probes, found.quick) == ("alloc", "a test", ("alloc",), True)
    larger = on(found, memory="512M", append="cma=16M", cpus=None).machine
    assert (larger.memory, larger.cpus, larger.append) == ("512M", 2, "cma=16M")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("# area: alloc\n", "w: title: expected a line '# title: ...' at the top"),
        ("# area: a\n# title: t\n# cpus: two\n", "w: cpus: expected a number, found 'two'"),
    ],
)
def test_a_header_that_cannot_be(script: str, why: str) -> None:
    with pytest.raises(BadEvidence) as error:
        parse("w", script)
    assert str(error.value) == why
    with pytest.raises(BadEvidence, match=r"w:1: expected one of append, area, .*; found 'colour'"):
        parse("w", "# colour: red\n")


def test_shipped_workloads_are_sound() -> None:
    for workload in shipped():
        assert find_workload(workload.name) == workload
        assert "mark A" in workload.script or "guest" in workload.script
        for name in workload.probes:
            assert name in SETS
    with pytest.raises(LinuxmmError, match="no workload 'nothing'; there are alloc-"):
        find_workload("nothing")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"memory": "lots"}, "expected a size such as 256M, found 'lots'"),
        ({"memory": "4G"}, "memory 4G: expected 32M to 3G"),
        ({"cpus": 0}, "0 CPUs: expected 1 to 32"),
        ({"nodes": 2}, "2 NUMA nodes with 1 CPUs: expected a CPU on each, at most 8"),
    ],
)
def test_machines_that_cannot_be(changes: dict[str, object], why: str) -> None:
    with pytest.raises(LinuxmmError) as error:
        on(parse("w", "# area: a\n# title: t\n"), **changes)
    assert str(error.value) == why


def test_the_command_line_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linuxmm.lab.machine.program", lambda tool: tool.program)
    machine = Machine(memory="256M", cpus=3, nodes=2, disks=(Disk("64M"),), append="cma=1M")
    words = arguments(machine, 64, Path("bzImage"), Path("initramfs"), tmp_path)
    line = " ".join(words)
    assert words[0] == "qemu-system-x86_64"
    assert "-accel tcg,thread=single" in line
    assert f"memory-backend-file,id=ram1,size={128 << 20},mem-path={tmp_path}/ram1,share=on" in line
    assert "-numa node,nodeid=0,cpus=0-0,memdev=ram0 " in line
    assert "-numa node,nodeid=1,cpus=1-2,memdev=ram1 " in line
    assert f"file={tmp_path}/disk0,format=raw" in line
    assert "nokaslr" in machine.command_line.split()
    assert machine.command_line.endswith(" cma=1M")
    assert [segment.base for segment in machine.segments(tmp_path)] == [0, 128 << 20]


# ---- what comes back -------------------------------------------------------------------------------------


def ask(path: Path, kind: int, name: str, data: bytes) -> None:
    """What a guest writes into the shared memory."""
    with path.open("r+b") as file:
        file.write(struct.pack("<6I", mailbox.MAGIC, 1, 0, kind, len(data), 0) + name.encode() + b"\0")
        file.seek(4096)
        file.write(data)


def test_a_request_and_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "box"
    with Mailbox(path) as box:
        assert box.poll() is None
        ask(path, 2, "logs/x", b"text")
        assert box.poll() == Request(RequestKind.FILE_PART, "logs/x", b"text")
        box.answer(7)
        assert box.poll() is None
        assert struct.unpack("<6I", path.read_bytes()[:24]) == (mailbox.MAGIC, 1, 1, 2, 4, 7)
        ask(path, 99, "", b"")
        with pytest.raises(LinuxmmError, match="the guest sent a request of kind 99 with 0 bytes"):
            box.poll()


def test_files_of_a_mark() -> None:
    data = b"".join(
        struct.pack("<II", len(name), len(text)) + name + text
        for name, text in ((b"/proc/buddyinfo", b"Node 0\n"), (b"/proc/swaps", b""))
    )
    assert mailbox.files_in(data) == {"/proc/buddyinfo": b"Node 0\n", "/proc/swaps": b""}
    with pytest.raises(LinuxmmError, match="a mark's files end in the middle"):
        mailbox.files_in(data[:-1])


def test_files_from_a_guest_stay_in_their_folder(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "files")
    sink.write("trace/alloc.txt", b"one ")
    sink.write("trace/alloc.txt", b"two")
    assert (tmp_path / "files/trace/alloc.txt").read_bytes() == b"one two"
    for name in ("../out", "/etc/passwd", "a/../../b", ""):
        with pytest.raises(LinuxmmError, match="the guest sent a file named"):
            sink.write(name, b"x")


def test_losses_are_counted() -> None:
    text = "cpu cpu0\nentries: 10\noverrun: 2\ncommit overrun: 1\ndropped events: 3\nbytes: 99\n"
    text += "cpu cpu1\nentries: 4\n"
    assert capture.buffers(text) == {"cpu0": Buffers(10, 2, 1, 3), "cpu1": Buffers(4)}
    assert capture.probe_misses("  commit  120  0\n  isol  7  2\n") == {"isol": 2}


def test_events_while_the_machine_is_stopped_are_seen(tmp_path: Path) -> None:
    lines = [
        "init-1 [000] ..... 1.0: mm_page_free: pfn=0x1",
        "init-1 [000] ..... 2.0: tracing_mark_write: SYNC A begin",
        "init-1 [000] ..... 3.0: tracing_mark_write: SYNC A end",
        "init-1 [000] ..... 4.0: tracing_mark_write: SYNC B begin",
        "idle-0 [001] ..s.. 5.0: mm_page_free: pfn=0x2",
        "init-1 [000] ..... 6.0: tracing_mark_write: SYNC B end",
    ]
    (tmp_path / "alloc.txt").write_text("".join(f"{line}\n" for line in lines))
    assert capture._while_stopping(tmp_path) == ["mark B: 1 events of alloc while the machine was stopped"]


# ---- probes ----------------------------------------------------------------------------------------------


Make = Callable[[int, str], KernelImage]


@pytest.fixture
def kernel(tmp_path: Path, small_btf: bytes) -> Make:
    """A kernel of some bits with some symbols."""

    def make(bits: int, symbols: str) -> KernelImage:
        (tmp_path / "btf").write_bytes(small_btf)
        (tmp_path / "kallsyms").write_text(symbols)
        return KernelImage("small", tmp_path / "image", None, tmp_path, bits)

    return make


def test_probes_are_written_for_a_kernel(kernel: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Probe(
        "freeone",
        ("free_one_page",),
        (("zone", "zone", "x64"), ("pfn", "pfn", "u64"), ("fl", "zone->flags", "x64")),
    )
    monkeypatch.setattr(probes, "SETS", {"test": (made,)})
    symbols = "ffffffff81000000 t free_one_page.constprop.0\n"
    assert probes.render(kernel(64, symbols), "test") == (
        "test/freeone p free_one_page.constprop.0 zone=%di:x64 pfn=%si:u64 fl=+112(%di):x32",
    )
    assert probes.render(kernel(32, symbols), "test") == (
        "test/freeone p free_one_page.constprop.0 zone=%ax:x32 pfn=%dx:u32 fl=+112(%ax):x32",
    )


def test_probes_that_a_kernel_cannot_have(kernel: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    required = Probe("one", ("free_one_page",), (("mt", "migratetype", "s32"),))
    optional = Probe("two", ("free_one_page",), (("mt?", "migratetype", "s32"), ("pfn", "pfn", "u64")))
    other = Probe("three", ("steal",), (("page", "page", "x64"),))
    either = Probe("five", ("free_one_page",), (("pfn?", "frame", "u64"), ("pfn?", "pfn", "u64")))
    returned = Probe("four", ("no_such", "free_one_page"), (("ret", "$retval", "s64"),), returns=True)
    monkeypatch.setattr(probes, "SETS", {"test": (required, optional, other, returned, either)})
    assert probes.render(kernel(64, "ffffffff81000000 t free_one_page\n"), "test") == (
        "test/two p free_one_page pfn=%si:u64",
        "test/four r free_one_page ret=$retval:s64",
        "test/five p free_one_page pfn=%si:u64",
    )
