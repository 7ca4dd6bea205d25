"""Exceptions for callers who misuse linuxmm.

Kernel errors are values (`linuxmm.spec.step`); these are for us.
"""


class LinuxmmError(Exception):
    """Base of every error that linuxmm raises on purpose."""


class ImpossibleProfile(LinuxmmError):
    """A version, configuration or machine that cannot exist."""


class Unmodelled(LinuxmmError):
    """A case that the real kernel has and linuxmm does not describe (yet); names it."""


class BadEvidence(LinuxmmError):
    """Input that cannot be read: names the file, the line or offset, the field, and what was expected."""

    def __init__(self, file: str, expected: str, *, line: int | None = None, where: str = "") -> None:
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {where + ': ' if where else ''}{expected}")
        self.file = file
        self.line = line
        self.where = where
        self.expected = expected
