"""The command line: `linuxmm COMMAND`.

Commands live in modules of their own and are imported when they are run, so that help is quick.
"""

from linuxmm.oracle.cli.application import main

__all__ = ["main"]
