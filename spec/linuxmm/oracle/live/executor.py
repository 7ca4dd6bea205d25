"""Makes the system calls that it reads, one a line, and says what came of them (docs/formats/vm-calls.md).

A program of its own: it imports nothing of linuxmm, so that its address space is small and stays as it is.
"""

import ctypes
import os
import re
import resource
import sys

NOBODY = 65534
NO_RANDOMIZE = 0x0040000
PAGE = 4096
BUFFER = 1 << 20
WORD = (1 << (8 * ctypes.sizeof(ctypes.c_void_p))) - 1
NUMBERS = {
    "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "mremap": 25, "msync": 26, "mincore": 27,
    "madvise": 28, "mlock": 149, "munlock": 150, "mlockall": 151, "munlockall": 152, "mlock2": 325,
    "mseal": 462,
}  # fmt: skip
PERSONALITY, PRCTL = 135, 157
PR_SET_DUMPABLE, PR_SET_VMA = 4, 0x53564D61
LIMITS = {
    "address_space": resource.RLIMIT_AS,
    "data": resource.RLIMIT_DATA,
    "stack": resource.RLIMIT_STACK,
    "locked": resource.RLIMIT_MEMLOCK,
}
SHOWN = re.compile(rb"^([0-9a-f]+-[^\n]*\n)|^VmFlags: ([^\n]*\n)", re.M)
COUNTED = re.compile(rb"^Vm(?:Size|Lck|Data|Stk):\s+(\d+)", re.M)

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.malloc.restype = ctypes.c_void_p


def system_call(number: int, *words: int) -> tuple[int, int]:
    """(result as an unsigned word, error number)."""
    ctypes.set_errno(0)
    found = libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(word & WORD) for word in words))
    return found & WORD, ctypes.get_errno() if found == -1 else 0


HEAP = 32 << 20
"""Bytes that the C library is given once: when they are used up it maps more, which the judge would see."""


def settle_memory() -> None:
    """Let the C library take no more memory from the kernel: its heap is large enough, and never trimmed."""
    for option, value in ((-4, 0), (-1, 1 << 30), (-2, 1 << 22), (-8, 1)):
        libc.mallopt(option, value)
    held = libc.malloc(ctypes.c_size_t(HEAP))
    libc.free(ctypes.c_void_p(held))


def without_randomization() -> None:
    """Run with a layout that is the same every time; starts this program anew."""
    found = libc.syscall(PERSONALITY, ctypes.c_ulong(0xFFFFFFFF))
    if found & NO_RANDOMIZE:
        return
    if libc.syscall(PERSONALITY, ctypes.c_ulong(found | NO_RANDOMIZE)) == -1:
        print("! the layout cannot be fixed: personality(ADDR_NO_RANDOMIZE) is refused", flush=True)
        sys.exit(4)
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        del os.environ[name]
    os.environ.update(PYTHONMALLOC="malloc", PYTHONHASHSEED="0", MALLOC_ARENA_MAX="1")
    # Not -I: it ignores PYTHONMALLOC, and Python's own allocator maps memory when it likes.
    os.execv(sys.executable, [sys.executable, "-P", "-s", "-S", "-B", *sys.argv])


class Executor:
    """The state of one run: opened files, places to read into."""

    def __init__(self) -> None:
        self.files = self.open_files()
        self.scratch = os.memfd_create("scratch")
        os.ftruncate(self.scratch, PAGE)
        self.smaps = os.open("/proc/self/smaps", os.O_RDONLY)
        self.status = os.open("/proc/self/status", os.O_RDONLY)
        self.pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
        self.buffer = bytearray(BUFFER)
        self.window = memoryview(self.buffer)
        self.vector = ctypes.create_string_buffer(PAGE)
        self.shown = b""
        self.out = os.dup(1)

    def open_files(self) -> list[int]:
        """Files to map: 16 pages; 5 pages and a bit, also for reading, for writing; a folder; a pipe."""
        first, second = os.memfd_create("first"), os.memfd_create("second")
        os.write(first, b"".join(bytes([n + 1]) * PAGE for n in range(16)))
        os.write(second, b"".join(bytes([n + 0x41]) * PAGE for n in range(5)) + b"tail" * 25)
        path = f"/proc/self/fd/{second}"
        found = [first, second, os.open(path, os.O_RDONLY), os.open(path, os.O_WRONLY)]
        return [*found, os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.pipe()[0]]

    def hello(self) -> bytes:
        """Everything that the judge has to know of this process and its machine."""
        lines = [f"linuxmm-vm/1 {os.uname().release} {WORD.bit_length()}"]
        stat = whole("/proc/self/stat").rpartition(")")[2].split()
        start_stack, start_data, end_data, start_brk = (int(stat[n]) for n in (25, 42, 43, 44))
        end = system_call(NUMBERS["brk"], 0)[0]
        lines.append(f"heap {start_brk:x} {end:x} {end_data - start_data:x} {start_stack:x}")
        for name, number in LIMITS.items():
            lines.append(f"limit {name} {resource.getrlimit(number)[0] & WORD:x}")
        lines += [f"tunable {name} {value:x}" for name, value in tunables().items()]
        for advice in [*range(26), 100, 101, 102, 103]:
            lines.append(f"advice {advice} {int(system_call(NUMBERS['madvise'], 0, 0, advice)[1] == 0)}")
        floor = system_call(NUMBERS["mmap"], PAGE, PAGE, 0, 0x22, WORD, 0)[0]
        system_call(NUMBERS["munmap"], floor, PAGE)
        lines.append(f"tunable hint_floor {floor:x}")
        key, error = system_call(330, 0, 0)
        lines.append(f"tunable protection_keys {int(not error)}")
        if not error:
            system_call(331, key)
        beyond = system_call(NUMBERS["munmap"], 1 << 47, PAGE)[1] == 0
        lines.append(f"tunable five_levels {int(beyond)}")
        named = system_call(PRCTL, PR_SET_VMA, 0, 0, 0, 0)[1] == 0
        lines.append(f"names {int(named)}")
        for index, file in enumerate(self.files):
            found = os.fstat(file)
            at, error = system_call(NUMBERS["mmap"], 0, PAGE, 4, 2, file, 0)
            no_exec = error == 1
            if not error:
                system_call(NUMBERS["munmap"], at, PAGE)
            kind = "unmappable" if index >= 4 else "shmem"
            rights = ("rw", "rw", "r-", "-w", "r-", "r-")[index]
            path = os.readlink(f"/proc/self/fd/{file}").replace(" ", "\\040")
            major, minor = os.major(found.st_dev), os.minor(found.st_dev)
            lines.append(
                f"file {index} {path} {major:x} {minor:x} {found.st_ino} {rights} {found.st_size} {kind} "
                f"{int(no_exec)}"
            )
        return "\n".join(lines).encode() + b"\n" + self.state(b"")

    def read(self, file: int) -> bytes:
        """All of a file of /proc."""
        at = 0
        while got := os.preadv(file, [self.window[at:]], at):
            at += got
        return bytes(self.window[:at])

    def state(self, prefix: bytes, smaps: int = -1, status: int = -1) -> bytes:
        """The areas with their flags, and the counters; areas only when they changed."""
        text = self.read(self.smaps if smaps < 0 else smaps)
        shown = b"".join(head or prefix + b"v " + flags for head, flags in SHOWN.findall(text))
        same, self.shown = shown == self.shown, shown
        body = b"" if same else shown
        counted = b" ".join(COUNTED.findall(self.read(self.status if status < 0 else status)))
        return (b"~\n" if same else b"") + body + b"c " + counted + b"\n.\n"

    def run(self, line: str) -> bytes:
        """Make one call."""
        name, *words = line.split(" ")
        if name in ("store", "load"):
            result, error, payload = self.transfer(name, words)
        elif name == "fork":
            return self.fork()
        elif name == "limit":
            hard = resource.getrlimit(LIMITS[words[0]])[1]
            value = int(words[1], 16)
            wanted = -1 if value >= 1 << 63 else value
            resource.setrlimit(LIMITS[words[0]], (wanted, hard))
            result, error, payload = 0, 0, b"-"
        elif name == "mincore":
            result, error, payload = self.mincore(words)
        elif name == "name":
            text = None if words[2] == "-" else ctypes.create_string_buffer(bytes.fromhex(words[2][1:]))
            at = 0 if text is None else ctypes.addressof(text)
            result, error = system_call(PRCTL, PR_SET_VMA, 0, int(words[0], 16), int(words[1], 16), at)
            payload = b"-"
        else:
            numbers = [int(word, 16) for word in words]
            if name == "mmap":
                numbers[4] = self.files[numbers[4]] if numbers[4] < len(self.files) else WORD
            result, error = system_call(NUMBERS[name], *numbers)
            payload = b"-"
        return b"= %x %d %s\n" % (result, error, payload) + self.state(b"")

    def transfer(self, name: str, words: list[str]) -> tuple[int, int, bytes]:
        """Copy bytes to or from memory by a system call on a file."""
        address = int(words[0], 16)
        if name == "store":
            data = bytes.fromhex(words[1])
            os.pwrite(self.scratch, data, 0)
            result, error = system_call(17, self.scratch, address, len(data), 0)
            return result, error, b"-"
        length = int(words[1], 16)
        result, error = system_call(18, self.scratch, address, length, 0)
        return result, error, b"-" if error else os.pread(self.scratch, length, 0).hex().encode()

    def mincore(self, words: list[str]) -> tuple[int, int, bytes]:
        """mincore, and what pagemap says of the same pages."""
        address, length, has_vector = (int(word, 16) for word in words)
        vector = ctypes.addressof(self.vector) if has_vector else 0
        result, error = system_call(NUMBERS["mincore"], address, length, vector)
        pages = (length + PAGE - 1) // PAGE
        if error or not pages:
            return result, error, b"-"
        seen = bytes(byte & 1 for byte in self.vector.raw[:pages])
        entries = os.pread(self.pagemap, 8 * pages, address // PAGE * 8)
        tops = bytes(entries[n + 7] >> 4 | (entries[n + 7] & 1) << 4 for n in range(0, len(entries), 8))
        return result, error, seen.hex().encode() + b":" + tops.hex().encode()

    def fork(self) -> bytes:
        """A child that says what its areas are."""
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            smaps = os.open("/proc/self/smaps", os.O_RDONLY)
            status = os.open("/proc/self/status", os.O_RDONLY)
            self.shown = b""
            said = self.state(b"", smaps, status)
            while said:
                said = said[os.write(theirs, said) :]
            os._exit(0)
        os.close(theirs)
        parts = []
        while part := os.read(ours, 1 << 16):
            parts.append(part)
        os.close(ours)
        os.waitpid(child, 0)
        said = b"".join(parts)
        return b"= 1 0 -\n|\n" + said + self.state(b"")


def whole(path: str) -> str:
    """The text of a file of /proc."""
    with open(path) as file:
        return file.read()


def tunables() -> dict[str, int]:
    """Settings of the machine that decide what is refused."""

    def setting(name: str, default: int) -> int:
        try:
            return int(whole(f"/proc/sys/vm/{name}"))
        except OSError:
            return default

    info = dict(re.findall(r"^(\w+):\s+(\d+)", whole("/proc/meminfo"), re.M))
    return {
        "overcommit": setting("overcommit_memory", 0),
        "max_map_count": setting("max_map_count", 65530),
        "min_address": setting("mmap_min_addr", 65536),
        "legacy_layout": setting("legacy_va_layout", 0),
        "total_pages": (int(info["MemTotal"]) + int(info["SwapTotal"])) // 4,
        "swap_pages": int(info["SwapTotal"]) // 4,
    }


def main() -> None:
    """Say hello, then answer line by line until the input ends."""
    without_randomization()
    settle_memory()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    locked = 8 << 20
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (locked, locked))
    run = Executor()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    pending = b""
    run.hello()
    run.shown = b""
    answer = run.hello()
    while True:
        while answer:
            answer = answer[os.write(run.out, answer) :]
        while b"\n" not in pending:
            more = source.read(1 << 14)
            if not more:
                return
            pending += more
        line, _, pending = pending.partition(b"\n")
        answer = run.run(line.decode())


if __name__ == "__main__":
    main()
