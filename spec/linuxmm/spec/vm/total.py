"""Maps that have a value for every CPU, or for every generation: what protocols of any size are written over.

Proofs put uninterpreted functions in their place, searches rows of a given length.  Seed 2.3.2 (F041).
"""

from typing import Protocol, Self, TypeVar

V = TypeVar("V")


class Total(Protocol[V]):
    """A total map from CPUs or generations."""

    def __getitem__(self, key: int, /) -> V:
        """The value at a key."""

    def set(self, key: int, value: V, /) -> Self:
        """The map with another value at a key."""


class Row(tuple[V, ...]):
    """A map of the numbers below its length, for a given number of CPUs."""

    __slots__ = ()

    def set(self, key: int, value: V) -> "Row[V]":
        """The row with another value at a key, or longer by one."""
        return Row((*self[:key], value, *self[key + 1 :]))
