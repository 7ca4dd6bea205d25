"""Runs faults, forks and system calls in this process and a child, and prints what /proc/self/pagemap says.

Reads one operation a line, `space name page`; prints one line of JSON for each: for both spaces
(present, mapped once) of every page, or null for a space that is not there.
"""

import ctypes
import json
import os
import sys

PAGE = 4096
PAGES = 16
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t) + (ctypes.c_int,) * 3 + (ctypes.c_long,)
LIBC.madvise.argtypes = LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
LIBC.mremap.restype = ctypes.c_void_p
LIBC.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
NOHUGEPAGE, DONTNEED, FREE, POPULATE_WRITE = 15, 4, 8, 23
PRESENT, ONCE = 1 << 63, 1 << 56


def seen(base: int) -> list[tuple[bool, bool]]:
    """(present, mapped once) of every page."""
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(base // PAGE * 8)
        words = memoryview(pagemap.read(PAGES * 8)).cast("Q")
    return [(bool(word & PRESENT), bool(word & ONCE)) for word in words]


def do(base: int, name: str, page: int) -> None:
    """One operation on a page; `protect` and `allow` concern all of them."""
    at = base + page * PAGE
    if name == "write":
        ctypes.memset(at, page + 1, 8)
    elif name == "read":
        ctypes.string_at(at, 1)
    elif name == "protect":
        assert LIBC.mprotect(base, PAGES * PAGE, 1) == 0
    elif name == "allow":
        assert LIBC.mprotect(base, PAGES * PAGE, 3) == 0
    else:
        advice = {"discard": DONTNEED, "free": FREE, "populate": POPULATE_WRITE}[name]
        assert LIBC.madvise(at, PAGE, advice) == 0, (name, ctypes.get_errno())


def child(base: int, commands: int, answers: int) -> None:
    """Serve a parent until it has no more commands."""
    with os.fdopen(commands) as lines, os.fdopen(answers, "w") as out:
        for line in lines:
            name, page = line.split()
            if name != "look":
                do(base, name, int(page))
            print(json.dumps(seen(base)), file=out, flush=True)
    os._exit(0)


def main() -> None:
    """Map an area, and do what the lines say."""
    base = LIBC.mmap(None, PAGES * PAGE, 3, 0x22, -1, 0)
    assert LIBC.madvise(base, PAGES * PAGE, NOHUGEPAGE) == 0
    pid, to, answers = 0, None, None
    for line in sys.stdin:
        space, name, page = line.split()
        if name == "fork":
            commands, back = os.pipe(), os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(commands[1])
                os.close(back[0])
                child(base, commands[0], back[1])
            os.close(commands[0])
            os.close(back[1])
            to, answers = os.fdopen(commands[1], "w"), os.fdopen(back[0])
        elif name == "exit":
            assert to is not None
            to.close()
            os.waitpid(pid, 0)
            to = answers = None
        elif space == "1":
            do(base, name, int(page))
        else:
            assert to is not None
            assert answers is not None
            print(name, page, file=to, flush=True)
            answers.readline()
        other = None
        if to is not None and answers is not None:
            print("look 0", file=to, flush=True)
            other = json.loads(answers.readline())
        print(json.dumps([seen(base), other]), flush=True)


if __name__ == "__main__":
    main()
