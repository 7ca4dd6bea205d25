"""Over what theorems about flushes range: counts, truth values, and maps of them from any number of CPUs."""

from typing import Annotated, Final

from linuxmm.proofs.domain import Integer, MapOf, Truth
from linuxmm.spec.vm.total import Total

Count = Annotated[int, Integer(least=0)]
Flag = Annotated[bool, Truth()]
Counts = Annotated[Total[int], MapOf((Integer(least=0),), Integer(least=0), 0)]
Truths = Annotated[Total[bool], MapOf((Integer(least=0),), Truth())]


class _Nobody:
    """The map that is False everywhere, until it is changed."""

    def __getitem__(self, cpu: int) -> bool:
        return False

    def set(self, cpu: int, value: bool) -> "_Nobody":
        raise TypeError("the map of a flush that has just begun was changed within the step")


NOBODY: Final = _Nobody()
