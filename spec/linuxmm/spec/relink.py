"""Run the same source over another representation of the state.

The algorithms of the model are plain functions over a handful of *primitives* (take a block off its list,
read a pageblock's type, ...).  `relink` rebuilds an algorithm with the primitives of another representation
in their place: flat arrays for the compiled path, symbolic maps for the proofs.  The text is never copied,
so what runs, what is compiled and what is proved is one definition.
"""

import dis
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

Function = Callable[..., Any]


class Relinker:
    """Rebuilds functions, and everything of `packages` that they call, with `primitives` replaced.

    primitives  original function, or class that is called -> its replacement (used as given)
    packages    module prefixes whose functions are rebuilt; others are left alone
    wrap        applied to every rebuilt function and replacement (a compiler's decorator, say)
    """

    def __init__(
        self,
        primitives: Mapping[Function, Function],
        *,
        packages: tuple[str, ...] = ("linuxmm.",),
        wrap: Callable[[Function], Function] = lambda function: function,
    ) -> None:
        self._primitives = dict(primitives)
        self._packages = packages
        self._wrap = wrap
        self._done: dict[Function, Function] = {}
        self._awaited: dict[Function, list[tuple[dict[str, Any], str]]] = {}

    def __call__(self, function: Function) -> Function:
        """The rebuilt function; the same object for the same argument.

        Of functions that call each other in a circle, those called before they are rebuilt are put in place
        when they are.
        """
        if function in self._done:
            return self._done[function]
        source = self._primitives.get(function, function)
        if not isinstance(source, FunctionType):
            raise TypeError(f"{source!r} is not a plain function")
        namespace = dict(source.__globals__)
        self._awaited.setdefault(function, [])
        for name in global_names(source):
            value = namespace.get(name)
            if (isinstance(value, FunctionType) and self._belongs(value)) or (
                isinstance(value, type) and value in self._primitives
            ):
                if value in self._awaited:
                    self._awaited[value].append((namespace, name))
                else:
                    namespace[name] = self(value)
            elif isinstance(value, ModuleType) and value.__name__.startswith(self._packages):
                raise TypeError(
                    f"{source.__module__}.{source.__qualname__} reads module {value.__name__}; "
                    "relinked code imports functions by name"
                )
        rebuilt = FunctionType(source.__code__, namespace, source.__name__, source.__defaults__)
        rebuilt.__kwdefaults__ = source.__kwdefaults__
        rebuilt.__annotations__ = source.__annotations__
        rebuilt.__module__ = source.__module__
        rebuilt.__qualname__ = source.__qualname__
        rebuilt.__doc__ = source.__doc__
        self._done[function] = self._wrap(rebuilt)
        for place, name in self._awaited.pop(function):
            place[name] = self._done[function]
        return self._done[function]

    def _belongs(self, function: FunctionType) -> bool:
        return function in self._primitives or function.__module__.startswith(self._packages)


def global_names(function: FunctionType) -> Iterator[str]:
    """Names of globals that the function reads, those of its comprehensions and lambdas included."""
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        for instruction in dis.get_instructions(code):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                yield instruction.argval
        pending += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
