"""Lines of a kernel's log, without the stamps that printk may put in front.

Linux: kernel/printk/printk.c:info_print_prefix.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_STAMP: Final = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?")


def log_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number from 1, what was printed)."""
    for number, line in enumerate(lines, 1):
        yield number, _STAMP.sub("", line.rstrip("\r\n"))
