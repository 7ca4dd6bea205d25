"""`make test-bounds` would see an index out of bounds in what is compiled as all kernels are."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import numpy
from numba import njit
from linuxmm.fast.scan import SETTINGS
settings = {**SETTINGS, "cache": False}
read = njit(**settings)(lambda words, at: words[numpy.uintp(at)])
print(read(numpy.arange(4), int(input())))
"""


@pytest.mark.parametrize(("at", "found"), [("3", "3\n"), ("9", "IndexError: index is out of bounds\n")])
def test_checks_are_compiled_in_when_they_are_asked_for(at: str, found: str) -> None:
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, input=at, env=environment, capture_output=True, text=True, check=False)
    assert (done.stdout or done.stderr).endswith(found)
