"""Where the lab keeps kernels between runs, and where it works: nothing outside these two."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SHARED_MEMORY: Final = Path("/dev/shm")


def cache_root() -> Path:
    """The user's cache for the lab, made when missing: linuxmm/lab in $XDG_CACHE_HOME or ~/.cache."""
    stated = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(stated) if stated.startswith("/") else Path.home() / ".cache"
    root = base / "linuxmm" / "lab"
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def work_folder(needed: int) -> Iterator[Path]:
    """A folder for one boot, removed at its end; in shared memory when that has `needed` bytes free."""
    in_memory = (
        SHARED_MEMORY.is_dir()
        and os.access(SHARED_MEMORY, os.W_OK)
        and shutil.disk_usage(SHARED_MEMORY).free > needed
    )
    with tempfile.TemporaryDirectory(prefix="linuxmm-lab-", dir=SHARED_MEMORY if in_memory else None) as name:
        yield Path(name)
