"""SLUB debugging: how kernels word and lay out the same report.

Before 5.14 lines about an object began with "INFO: ", and what was put right was not named; before 3.3 the
head did not tell the taint; before 3.1 dumps had rows of their own; before 2.6.26 nothing told how
many objects a slab has.

Linux: mm/slub.c:slab_bug, print_section, check_bytes_and_report.  Seed 2.13.2 (F077).  2.6.23 to 6.12.
"""

from typing import Final, NamedTuple

from linuxmm.spec.kernel import behaviour
from linuxmm.spec.registry import formula
from linuxmm.spec.vocabulary import PAGE_SIZE

STACK: Final = "(the stack of who is running)"
"""Stands for the lines of a stack dump."""
WARNING: Final = "(a warning with the stack of who is running)"
"""Stands for the lines of a warning, which may end the run (panic_on_warn)."""
ZEROS: Final = "0" * 16
SHORT_NAMES: Final = {"Left Redzone": "Redzone", "Right Redzone": "Redzone", "End Poison": "Poison"}
"""What 5.12 and older call parts that later kernels tell apart."""


class ReportStyle(NamedTuple):
    """How kernels differ in the same report.

    what_first  the changed bytes are named before the head, which says "Object corrupt"; and reports end with
                a warning instead of a stack
    info        lines about an object begin with this
    tainted     the head tells what taints the kernel
    told        a line that says what was put right names it; earlier ones are followed by an empty line
    objects     the line about a slab says how many objects it has
    passed      the numbers of a report about a slab are passed on to who prints it
    """

    what_first: bool
    info: str = ""
    tainted: bool = True
    told: bool = True
    objects: bool = True
    passed: bool = True

    @property
    def end(self) -> str:
        """What ends the dump of an object."""
        return WARNING if self.what_first else STACK

    @property
    def stop(self) -> str:
        """What ends the lines about counts that were adjusted."""
        return "" if self.told else "."


@behaviour(
    "debug.slub.report",
    since="2.6.23",
    until="2.6.25",
    features=("F077",),
    source="mm/slub.c:slab_bug, slab_err, print_page_info; read in a kernel before 2.6.26",
)
def slabs_of_one_size() -> ReportStyle:
    """Every slab of a cache has as many objects, so nothing tells how many."""
    return ReportStyle(
        what_first=False, info="INFO: ", tainted=False, told=False, objects=False, passed=False
    )


@behaviour(
    "debug.slub.report",
    since="2.6.26",
    until="3.2",
    features=("F077",),
    source="mm/slub.c:slab_bug, print_trailer; 3.0 (2.6.26 to 2.6.39, 3.1, 3.2 unconfirmed)",
)
def untainted_info() -> ReportStyle:
    """Lines begin with INFO, and the head does not tell what taints the kernel."""
    return ReportStyle(what_first=False, info="INFO: ", tainted=False, told=False)


@behaviour(
    "debug.slub.report",
    since="3.3",
    until="5.13",
    features=("F077",),
    source="mm/slub.c:slab_bug, print_trailer; 3.10, 4.9, 4.19, 5.10 (others unconfirmed)",
)
def info_lines() -> ReportStyle:
    """Lines begin with INFO."""
    return ReportStyle(what_first=False, info="INFO: ", told=False)


@behaviour(
    "debug.slub.report",
    since="5.14",
    until="6.14",
    features=("F077",),
    source="mm/slub.c:check_bytes_and_report, print_trailer; 6.1 (5.14 to 6.0, 6.2 to 6.14 unconfirmed)",
    replaced_in=("6.12.117",),
)
def head_says_what() -> ReportStyle:
    """The head names the part that was overwritten."""
    return ReportStyle(what_first=False)


@behaviour(
    "debug.slub.report",
    since="6.15",
    features=("F077",),
    source="mm/slub.c:check_bytes_and_report, object_err; 6.12.117 (6.15 unconfirmed)",
    backports=("6.12.117",),
)
def what_before_head() -> ReportStyle:
    """A line before the head names it."""
    return ReportStyle(what_first=True)


# ---- dumps -----------------------------------------------------------------------------------------------


class DumpStyle(NamedTuple):
    """How bytes are shown.

    width   of the label before the address; the oldest kernels set it flush right, with 0x before the address
    sided   parts on the left and on the right have names of their own
    """

    width: int
    right: bool
    sided: bool


@behaviour(
    "debug.slub.dump",
    since="2.6.23",
    until="3.0",
    features=("F077",),
    source="mm/slub.c:print_section; 3.0 (2.6.23 to 2.6.39 unconfirmed)",
)
def own_rows() -> DumpStyle:
    """Rows of SLUB's own, with every printable byte of Latin-1 as a character."""
    return DumpStyle(width=8, right=True, sided=False)


@behaviour(
    "debug.slub.dump",
    since="3.1",
    until="5.12",
    features=("F077",),
    source="mm/slub.c:print_section; 3.10, 4.9, 4.19 (3.1 to 3.9, 5.0 to 5.12 unconfirmed)",
    replaced_in=("5.10.46",),
)
def hex_dump_rows() -> DumpStyle:
    """Rows of print_hex_dump behind labels as long as they are."""
    return DumpStyle(width=0, right=False, sided=False)


@behaviour(
    "debug.slub.dump",
    since="5.13",
    features=("F077",),
    source="mm/slub.c:print_section, check_object; 5.10.228, 6.1, 6.12 (5.13 unconfirmed)",
    backports=("5.10.46",),
)
def aligned_rows() -> DumpStyle:
    """Rows of print_hex_dump behind labels of one width; left and right have names of their own."""
    return DumpStyle(width=8, right=False, sided=True)


def dump_row(row: bytes) -> str:
    """Up to 16 bytes in hexadecimal and, where they print, as characters.

    Source    lib/hexdump.c:hex_dump_to_buffer
    """
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
    return f"{row.hex(' '):<47}  {text}"


def _own_row(row: bytes) -> str:
    """A row as kernels up to 3.0 print it: isgraph() of the kernel holds above 0xa0 too."""
    text = "".join(chr(byte) if 0x20 < byte < 0x7F or byte > 0xA0 else "." for byte in row)
    return f" {row.hex(' '):<47} {text:<16}"


@formula("F077", source="mm/slub.c:print_section; lib/hexdump.c:print_hex_dump")
def section(name: str, address: int, memory: bytes, style: DumpStyle) -> tuple[str, ...]:
    """Memory as a report shows it: 16 bytes a line, in hexadecimal and, where they print, as characters.

    Source    print_section; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12
    """
    rows = ((address + at, memory[at : at + 16]) for at in range(0, len(memory), 16))
    if style.right:
        return tuple(f"{name:>{style.width}} 0x{at:016x}: {_own_row(row)}" for at, row in rows)
    return tuple(f"{name:<{style.width}} {at:016x}: {dump_row(row)}" for at, row in rows)


# ---- single facts ----------------------------------------------------------------------------------------


@behaviour(
    "debug.slub.null",
    since="2.6.23",
    until="2.6.28",
    features=("F077",),
    source="lib/vsprintf.c:number; the limits from memory",
)
def null_has_no_name() -> str:
    """What %p prints of a null pointer before it had a name: zeros."""
    return ZEROS


@behaviour(
    "debug.slub.null",
    since="2.6.29",
    until="5.1",
    features=("F077",),
    source="lib/vsprintf.c:pointer; 3.10 (2.6.29 to 3.9, 3.11 to 5.1 unconfirmed)",
)
def null_is_named() -> str:
    """What %p prints of a null pointer: a word, flush right."""
    return f"{'(null)':>16}"


@behaviour(
    "debug.slub.null",
    since="5.2",
    features=("F077",),
    source="lib/vsprintf.c:ptr_to_id; 6.1, 6.12 (5.2 to 6.0 unconfirmed)",
)
def null_is_zero() -> str:
    """What %p prints of a null pointer: zeros."""
    return ZEROS


@behaviour(
    "debug.slub.offset",
    since="2.6.23",
    until="5.3",
    features=("F077",),
    source="mm/slub.c:check_bytes_and_report; 3.0, 3.10, 4.9, 4.19 (5.0 to 5.3 unconfirmed)",
)
def place_not_told() -> bool:
    """Whether the line about changed bytes tells where in the slab they are: no."""
    return False


@behaviour(
    "debug.slub.offset",
    since="5.4",
    features=("F077",),
    source="mm/slub.c:check_bytes_and_report; 5.10, 6.1, 6.12 (5.4 to 5.9 unconfirmed)",
)
def place_told() -> bool:
    """Whether the line about changed bytes tells where in the slab they are: yes."""
    return True


@behaviour(
    "debug.slub.shown",
    since="2.6.23",
    until="2.6.31",
    features=("F077",),
    source="mm/slub.c:print_trailer; (2.6.23 to 2.6.31 unconfirmed)",
)
def shows_128() -> int:
    """Most bytes of an object that are shown: 128."""
    return 128


@behaviour(
    "debug.slub.shown",
    since="2.6.32",
    features=("F077",),
    source="mm/slub.c:print_trailer; 3.0, 3.10, 4.9, 4.19, 5.10, 6.1, 6.12 (2.6.32 to 2.6.39 unconfirmed)",
)
def shows_a_page() -> int:
    """Most bytes of an object that are shown: a page."""
    return PAGE_SIZE


@behaviour(
    "debug.slub.remaining",
    since="5.2",
    until="6.14",
    features=("F077",),
    source="mm/slub.c:free_partial; 5.10, 6.1 (5.2 to 5.9, 5.14 to 6.0, 6.2 to 6.14 unconfirmed)",
    replaced_in=("6.12.117",),
)
def remaining_in_cache(name: str) -> str:
    """The message about objects that are in use when their cache is destroyed: it names the cache."""
    return f"Objects remaining in {name} on __kmem_cache_shutdown()"


@behaviour(
    "debug.slub.remaining",
    since="6.15",
    features=("F077",),
    source="mm/slub.c:list_slab_objects; 6.12.117 (6.15 unconfirmed)",
    backports=("6.12.117",),
)
def remaining_anywhere(name: str) -> str:
    """The message about objects that are in use when their cache is destroyed."""
    return "Objects remaining on __kmem_cache_shutdown()"
