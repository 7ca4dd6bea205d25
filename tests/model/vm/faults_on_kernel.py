"""Runs faults, forks and system calls in this process and a child, and prints what /proc/self/pagemap says.

There are three areas: anonymous memory, a private mapping of a file, a shared one.  Reads one operation a
line, `space name page`, pages counted through all areas; prints one line of JSON for each: for both spaces
(present, mapped once) of every page, or null for a space that is not there.
"""

import ctypes
import json
import os
import sys

PAGE = 4096
PAGES = 16
FILE_PAGES = 40
BASES = (0x100_0000_0000, 0x100_0020_5000, 0x100_0040_3000)
SIZES = (PAGES, FILE_PAGES, FILE_PAGES)
CACHED = 30
FIXED = 0x100010
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t) + (ctypes.c_int,) * 3 + (ctypes.c_long,)
LIBC.madvise.argtypes = LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
LIBC.mremap.restype = ctypes.c_void_p
LIBC.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
NOHUGEPAGE, DONTNEED, POPULATE_WRITE = 15, 4, 23
"""Advice; kernels before 5.14 do not know the last, and a page is written instead."""
PRESENT, ONCE = 1 << 63, 1 << 56


def seen() -> list[tuple[bool, bool]]:
    """(present, mapped once) of every page."""
    found = []
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        for base, size in zip(BASES, SIZES, strict=True):
            pagemap.seek(base // PAGE * 8)
            words = memoryview(pagemap.read(size * 8)).cast("Q")
            found += [(bool(word & PRESENT), bool(word & ONCE)) for word in words]
    return found


def address(page: int) -> int:
    """Where a page is, counted through all areas."""
    for base, size in zip(BASES, SIZES, strict=True):
        if page < size:
            return base + page * PAGE
        page -= size
    raise ValueError(page)


def do(name: str, page: int) -> None:
    """One operation on a page; `protect` and `allow` concern all of the anonymous ones."""
    base, at = BASES[0], address(page)
    if name == "write":
        ctypes.memset(at, page + 1, 8)
    elif name == "read":
        ctypes.string_at(at, 1)
    elif name == "protect":
        assert LIBC.mprotect(base, PAGES * PAGE, 1) == 0
    elif name == "allow":
        assert LIBC.mprotect(base, PAGES * PAGE, 3) == 0
    elif name == "discard":
        assert LIBC.madvise(at, PAGE, DONTNEED) == 0
    elif LIBC.madvise(at, PAGE, POPULATE_WRITE) != 0:
        ctypes.memset(at, ctypes.string_at(at, 1)[0], 1)


def child(commands: int, answers: int) -> None:
    """Serve a parent until it has no more commands."""
    with os.fdopen(commands) as lines, os.fdopen(answers, "w") as out:
        for line in lines:
            name, page = line.split()
            if name != "look":
                do(name, int(page))
            print(json.dumps(seen()), file=out, flush=True)
    os._exit(0)


def main() -> None:
    """Map the areas, and do what the lines say."""
    file = os.memfd_create("faults")
    os.ftruncate(file, FILE_PAGES * PAGE)
    os.pwrite(file, bytes(range(1, 256)) * (CACHED * PAGE // 255 + 1), 0)
    os.ftruncate(file, CACHED * PAGE)
    os.ftruncate(file, FILE_PAGES * PAGE)
    for base, size, flags in zip(BASES, SIZES, (0x22, 0x02, 0x01), strict=True):
        where = LIBC.mmap(base, size * PAGE, 3, flags | FIXED, -1 if flags == 0x22 else file, 0)
        assert where == base
        assert LIBC.madvise(base, size * PAGE, NOHUGEPAGE) == 0
    pid, to, answers = 0, None, None
    for line in sys.stdin:
        space, name, page = line.split()
        if name == "fork":
            commands, back = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(commands[1])
                os.close(back[0])
                child(commands[0], back[1])
            os.close(commands[0])
            os.close(back[1])
            to, answers = os.fdopen(commands[1], "w"), os.fdopen(back[0])
        elif name == "exit":
            assert to is not None
            to.close()
            os.waitpid(pid, 0)
            to = answers = None
        elif space == "1":
            do(name, int(page))
        else:
            assert to is not None
            assert answers is not None
            print(name, page, file=to, flush=True)
            answers.readline()
        other = None
        if to is not None and answers is not None:
            print("look 0", file=to, flush=True)
            other = json.loads(answers.readline())
        print(json.dumps([seen(), other]), flush=True)


if __name__ == "__main__":
    main()
