"""Compile the model's algorithms over the arena.

An algorithm and everything that it calls are rebuilt with the arena's primitives (`linuxmm.spec.relink`) and
compiled into one function.  What is compiled is fingerprinted, so that a cached binary is never used for
another text.
"""

import hashlib
import marshal
from collections.abc import Mapping
from types import CodeType, FunctionType
from typing import Any, Final

from numba import njit

from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.rules import Rules
from linuxmm.spec.kernel import kernel
from linuxmm.spec.relink import Function, Relinker, global_names

_COMMON: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
_INLINE: dict[str, Any] = {
    **_COMMON,
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_OUTLINE: dict[str, Any] = {**_COMMON, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


RULES: Final[Rules] = rules_for(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""


class Linked:
    """A set of algorithms compiled for one kernel's rules and one set of primitives.

    cold: functions that are called rarely, compiled on their own instead of into their callers
    """

    def __init__(
        self, rules: Rules, primitives: Mapping[Function, Function], cold: frozenset[str] = frozenset()
    ) -> None:
        self._seen: list[str] = []
        self._cold = cold
        self._relink = Relinker(primitives, wrap=self._compile)
        self.rules = Rules._make(
            self._relink(value) if isinstance(value, FunctionType) else value for value in rules
        )

    def __call__(self, function: Function) -> Function:
        """The compiled form of an algorithm, callable from other compiled functions."""
        return self._relink(function)

    def entry(self, function: Function) -> Function:
        """A kernel callable from Python; it reads `RULES` and the algorithms that it names.

        The kernel is written as an ordinary function over a zone and arrays; every linuxmm function that it
        names is replaced by the compiled one, and a global called RULES by this kernel's rules.
        """
        if not isinstance(function, FunctionType):
            raise TypeError(f"{function!r} is not a plain function")
        namespace = dict(function.__globals__)
        for name in global_names(function):
            value = namespace.get(name)
            if name == "RULES":
                namespace[name] = self.rules
            elif isinstance(value, FunctionType) and value.__module__.startswith("linuxmm."):
                namespace[name] = self._relink(value)
        rebuilt = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
        rebuilt.__module__ = function.__module__
        rebuilt.__qualname__ = f"{function.__name__}_{self._fingerprint(function.__code__)}"
        compiled: Function = njit(cache=True, **_COMMON)(rebuilt)
        return compiled

    def _compile(self, function: Function) -> Function:
        self._seen.append(f"{function.__module__}.{function.__qualname__}:{_digest(function.__code__)}")
        options = _OUTLINE if function.__name__ in self._cold else _INLINE
        compiled: Function = njit(**options)(function)
        return compiled

    def _fingerprint(self, code: CodeType) -> str:
        parts = [*sorted(self._seen), _digest(code)]
        for name, value in self.rules._asdict().items():
            text = value if isinstance(value, (int, bool)) else getattr(value, "__name__", "")
            parts.append(f"{name}={text}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _digest(code: CodeType) -> str:
    """Digest of a function's text as far as it matters: no line numbers, no file names."""
    constants = [_digest(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    material = marshal.dumps((code.co_code, tuple(constants), code.co_names, code.co_varnames))
    return hashlib.sha256(material).hexdigest()[:16]
