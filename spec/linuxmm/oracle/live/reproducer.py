"""A run as a C program that stands alone: the same calls, their results, and the areas at the end."""

from collections.abc import Sequence
from typing import Final

from linuxmm.oracle.live.run import Divergence
from linuxmm.oracle.live.wire import FIRST_FILE
from linuxmm.spec.vm import system_calls as calls
from linuxmm.spec.vm.system_calls import SystemCall

_HEAD: Final = """\
/* {clause}: {why}
 * The model says of the last call: {expected}.
 * Build with: cc -o reproducer reproducer.c; addresses hold without randomization (setarch -R ./reproducer).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int files[6];
static unsigned char vector[4096];
static int scratch;

static void show(const char *what, long result)
{{
	printf("%s = %#lx%s%s\\n", what, result, result == -1 ? " " : "", result == -1 ? strerror(errno) : "");
}}

static void maps(void)
{{
	static char text[1 << 16];
	int file = open("/proc/self/smaps", O_RDONLY);
	long got;

	while ((got = read(file, text, sizeof(text))) > 0)
		if (write(1, text, got) < 0)
			_exit(1);
	close(file);
}}

static long limit(int which, unsigned long value)
{{
	struct rlimit old;

	getrlimit(which, &old);
	old.rlim_cur = value;
	return setrlimit(which, &old);
}}

int main(void)
{{
	char page[4096], path[40];

	setvbuf(stdout, 0, _IONBF, 0);
	limit(RLIMIT_MEMLOCK, 8 << 20);
	scratch = memfd_create("scratch", 0);
	files[0] = memfd_create("first", 0);
	files[1] = memfd_create("second", 0);
	for (int n = 0; n < 16; n++) {{
		memset(page, n + 1, sizeof(page));
		if (write(files[0], page, sizeof(page)) < 0)
			return 1;
	}}
	for (int n = 0; n < 5; n++) {{
		memset(page, n + 0x41, sizeof(page));
		if (write(files[1], page, sizeof(page)) < 0)
			return 1;
	}}
	for (int n = 0; n < 25; n++)
		if (write(files[1], "tail", 4) < 0)
			return 1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", files[1]);
	files[2] = open(path, O_RDONLY);
	files[3] = open(path, O_WRONLY);
	files[4] = open("/", O_RDONLY | O_DIRECTORY);
	files[5] = open("/dev/null", O_RDONLY);
	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		return 1;
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
"""
_TAIL: Final = """\
	maps();
	return 0;
}
"""
_LIMITS: Final = {
    "address_space": "RLIMIT_AS",
    "data": "RLIMIT_DATA",
    "stack": "RLIMIT_STACK",
    "locked": "RLIMIT_MEMLOCK",
}


def c_program(found: Divergence) -> str:
    """The C program of a divergence."""
    why = found.refusal.why.replace("*/", "* /")
    head = _HEAD.format(clause=found.refusal.clause, why=why, expected=found.expected)
    return head + "".join(_statement(call) for call in found.calls) + _TAIL


def _statement(call: SystemCall) -> str:
    match call:
        case calls.SetLimit():
            text = f"limit({_LIMITS[call.limit]}, {call.value:#x}ul)"
        case calls.Fork():
            return (
                "\tif (fork() == 0) {\n\t\tmaps();\n\t\t_exit(0);\n\t}\n"
                '\tshow("fork", wait(0) > 0 ? 0 : -1);\n'
            )
        case calls.Store():
            octets = "".join(f"\\x{byte:02x}" for byte in call.data)
            return (
                f'\tif (pwrite(scratch, "{octets}", {len(call.data)}, 0) < 0)\n\t\treturn 1;\n'
                f'\tshow("store", pread(scratch, (void *){call.address:#x}ul, {len(call.data)}, 0));\n'
            )
        case calls.Load():
            text = f"pwrite(scratch, (void *){call.address:#x}ul, {call.length}, 0)"
        case _:
            text = f"syscall({_words(call)})"
    quoted = text.replace('"', '\\"').replace("\\x", "\\\\x")
    return f'\tshow("{quoted}", {text});\n'


def _words(call: SystemCall) -> str:
    name = type(call).__name__.lower()
    match call:
        case calls.Mmap():
            file = f"files[{call.file - FIRST_FILE}]" if call.file >= FIRST_FILE else "-1"
            return _call("mmap", call.address, call.length, call.prot, call.flags, file, call.offset)
        case calls.Mlock() if call.second:
            return _call("mlock2", call.address, call.length, call.flags)
        case calls.Mlock():
            return _call("mlock", call.address, call.length)
        case calls.Mincore():
            return _call("mincore", call.address, call.length, "vector" if call.vector else "(void *)0")
        case calls.SetName():
            octets = "" if call.name is None else "".join(f"\\x{ord(c):02x}" for c in call.name)
            text = "(void *)0" if call.name is None else f'"{octets}"'
            return f"SYS_prctl, 0x53564d61, 0, {call.address:#x}ul, {call.length:#x}ul, {text}"
        case calls.Mseal():
            return f"462, {call.address:#x}ul, {call.length:#x}ul, {call.flags:#x}ul"
        case calls.Mremap():
            return _call(name, call.address, call.old_length, call.new_length, call.flags, call.new_address)
        case calls.Munlockall():
            return "SYS_munlockall"
        case calls.Mlockall():
            return _call(name, call.flags)
        case calls.Brk():
            return _call(name, call.address)
        case calls.Mprotect():
            return _call(name, call.address, call.length, call.prot)
        case calls.Madvise():
            return _call(name, call.address, call.length, call.advice)
        case calls.Msync():
            return _call(name, call.address, call.length, call.flags)
        case calls.Munmap() | calls.Munlock():
            return _call(name, call.address, call.length)
    raise AssertionError(call)


def _call(name: str, *words: int | str) -> str:
    shown = (f"{word:#x}ul" if isinstance(word, int) else word for word in words)
    return ", ".join([f"SYS_{name}", *shown])


def reproducer(found: Divergence) -> str:
    """The calls one a line, as the executor takes them."""
    from linuxmm.oracle.live.wire import encode

    lines: Sequence[str] = [encode(call) for call in found.calls]
    return "\n".join(lines) + "\n"
