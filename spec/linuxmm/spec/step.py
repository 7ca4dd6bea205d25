"""The shape of a transition: the new state, what the caller gets, and the events that a tracer would see."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

S = TypeVar("S")
R = TypeVar("R")
Q = TypeVar("Q")


@dataclass(frozen=True, slots=True)
class Event:
    """Base of the typed events; subclasses are named and shaped as the kernel's tracepoints."""


@dataclass(frozen=True, slots=True)
class Step(Generic[S, R]):
    """One transition: `state` after it, `result` for the caller, `events` in the order they happen."""

    state: S
    result: R
    events: tuple[Event, ...] = ()

    def then(self, verb: "Callable[[S, R], Step[S, Q]]") -> "Step[S, Q]":
        """Run `verb` on the state and result of this step; the events of both, in order."""
        following = verb(self.state, self.result)
        return Step(following.state, following.result, self.events + following.events)


class Errno(Enum):
    """Error numbers that MM returns, as <errno.h> numbers them."""

    EPERM = 1
    ENOENT = 2
    ESRCH = 3
    EINTR = 4
    EIO = 5
    EBADF = 9
    EAGAIN = 11
    ENOMEM = 12
    EACCES = 13
    EFAULT = 14
    EBUSY = 16
    EEXIST = 17
    ENODEV = 19
    EINVAL = 22
    ETXTBSY = 26
    ENOSPC = 28
    EOVERFLOW = 75
    EOPNOTSUPP = 95


@dataclass(frozen=True, slots=True)
class Err:
    """A kernel error, as a value."""

    errno: Errno


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a specification forbids or refuses an operation; the state stays as it was.

    clause  the registered clause that says so
    why     in words, with the figures of this case
    """

    clause: str
    why: str
