"""Compile the model's algorithms over the arena.

An algorithm and everything that it calls are rebuilt with the arena's primitives (`linuxmm.spec.relink`) and
compiled into one function.  What is compiled is fingerprinted, so that a cached binary is never used for
another text.
"""

import hashlib
import marshal
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType
from typing import Final, get_args

from linuxmm.fast import bound, parts, prefetch
from linuxmm.fast.bound import AnyRules, BoundRules
from linuxmm.fast.parts import kernel_of, part
from linuxmm.hardware.tlb import Tlb
from linuxmm.model.alloc import request_2_4, request_2_4_0
from linuxmm.model.alloc.freelist import Zone
from linuxmm.model.alloc.machine import Machine
from linuxmm.model.alloc.profile import rules_for
from linuxmm.model.alloc.rules import Rules
from linuxmm.model.objects.slub_state import Cache
from linuxmm.model.reclaim.state import Lruvec
from linuxmm.model.vm.state import Pages
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import kernel
from linuxmm.spec.relink import Function, Relinker, global_names

RULES: Final[Rules] = rules_for(kernel("6.12"))
"""What a compiled entry calls the rules of its kernel; not compiled, an entry runs with these."""

STATES: Final = (Zone, Machine, Cache, Lruvec, Pages, Tlb)
"""States that compiled functions change in place."""

NOT_COMPILED: Final[frozenset[Function]] = frozenset(
    {
        request_2_4_0.walk_plenty,
        request_2_4.walk_by_own_mark,
        request_2_4.walk_adding_marks,
        request_2_4.walk_by_class_mark,
    }
)
"""Rules that are written for reading only: a kernel with one of them does not run compiled."""

NO_CONSTANTS: Final[Mapping[str, object]] = {}

_COMPILER: Final = hashlib.sha256(
    b"".join(
        Path(file).read_bytes()
        for file in (str(bound.__file__), str(parts.__file__), str(prefetch.__file__), __file__)
    )
).hexdigest()


class Linked:
    """A set of algorithms compiled for one kernel's rules and one set of primitives.

    cold: functions that are called rarely, compiled on their own instead of into their callers
    compiled: False leaves everything to the interpreter, for tests
    constants: what an entry's globals of these names are, numbers or records of numbers
    Errors    Unmodelled, naming the rule, for a kernel of which a rule is not compiled
    """

    def __init__(
        self,
        rules: AnyRules,
        primitives: Mapping[Function, Function],
        cold: frozenset[str] = frozenset(),
        *,
        compiled: bool = True,
        constants: Mapping[str, object] = NO_CONSTANTS,
    ) -> None:
        refused = [name for name, value in rules._asdict().items() if value in NOT_COMPILED]
        if compiled and refused:
            which = getattr(getattr(rules, refused[0]), "__name__", "")
            raise Unmodelled(f"rule {refused[0]!r} of this kernel ({which}) does not run compiled")
        self._seen: list[str] = []
        self._compiled = compiled
        self._cold = cold
        self._constants = constants
        self._tag = _tag(rules, primitives, cold)
        self._relink = Relinker(primitives, wrap=self._compile)
        self.rules = type(rules)._make(
            self._relink(value) if isinstance(value, FunctionType) else value for value in rules
        )
        self._bound = BoundRules(self.rules)

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
        namespace = {**function.__globals__, **self._constants}
        for name in global_names(function):
            value = namespace.get(name)
            if name == "RULES":
                namespace[name] = self._bound if self._compiled else self.rules
            elif isinstance(value, FunctionType) and value.__module__.startswith("linuxmm."):
                namespace[name] = self._relink(value)
        rebuilt = FunctionType(function.__code__, namespace, function.__name__, function.__defaults__)
        rebuilt.__module__ = function.__module__
        rebuilt.__qualname__ = f"{function.__name__}_{self._fingerprint(rebuilt)}"
        return kernel_of(rebuilt) if self._compiled else rebuilt

    def _compile(self, function: Function) -> Function:
        assert isinstance(function, FunctionType)
        _as_words(function)
        self._seen.append(f"{function.__module__}.{function.__qualname__}:{_text(function)}")
        if not self._compiled:
            return function
        function.__qualname__ += self._tag
        if function.__name__ not in self._cold:
            return part(function, inline=True)
        outlined = part(function, inline=False)
        same = in_place(function, outlined)
        if same is None:
            return outlined
        same.__qualname__ = f"{function.__qualname__}_in_place"
        return part(same, inline=True)

    def _fingerprint(self, function: FunctionType) -> str:
        text = [*sorted(self._seen), *sorted(self._cold), _text(function), _COMPILER]
        text += [f"{name}={value!r}" for name, value in self._constants.items()]
        for name, value in self.rules._asdict().items():
            shown = value if isinstance(value, (int, bool)) else getattr(value, "__name__", "")
            text.append(f"{name}={shown}")
        return hashlib.sha256("\n".join(text).encode()).hexdigest()[:16]


def _as_words(function: FunctionType) -> None:
    """Give the constants that a function reads the form that a signed machine word has."""
    for name in set(global_names(function)):
        value = function.__globals__.get(name)
        if isinstance(value, int) and not isinstance(value, Enum) and value >= 1 << 63:
            function.__globals__[name] = value - (1 << 64)


def _tag(rules: AnyRules, primitives: Mapping[Function, Function], cold: frozenset[str]) -> str:
    """Part of the name of every compiled function.

    Machine code is linked by name, also code that was cached by another process; so functions of two kernels
    must never have the same name.
    """
    named = [f"{name}={_shown(value)}" for name, value in rules._asdict().items()]
    named += sorted(_shown(function) for function in primitives.values()) + sorted(cold)
    return "_" + hashlib.sha256("\n".join(named).encode()).hexdigest()[:12]


def _shown(value: object) -> str:
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__name__}:{_text(value)}"
    return repr(value)


def in_place(function: FunctionType, outlined: Function) -> FunctionType | None:
    """A call of `outlined` that answers with the caller's zone, machine or cache, or None.

    Arrays change in place, so the state returned is the state passed; without this the compiler would have to
    keep both apart.
    """
    answer = function.__annotations__.get("return")
    state = next((kind for kind in STATES if answer is kind or kind in get_args(answer)[:1]), None)
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    if state is None:
        return None
    passed = next(name for name in names if function.__annotations__.get(name) is state)
    rest = [f"r{at}" for at in range(1, len(get_args(answer)))]
    call = f"outlined({', '.join(names)})"
    body = f"_, {', '.join(rest)} = {call}" if rest else call
    text = f"def {function.__name__}({', '.join(names)}):\n {body}\n return {', '.join([passed, *rest])}\n"
    namespace: dict[str, Function] = {"outlined": outlined}
    exec(text, namespace)
    made = namespace[function.__name__]
    assert isinstance(made, FunctionType)
    return made


def _text(function: FunctionType) -> str:
    """Digest of a function and of the constants that it reads."""
    names = sorted(set(global_names(function)))
    values = ((name, function.__globals__.get(name)) for name in names)
    constants = [f"{name}={value!r}" for name, value in values if isinstance(value, (int, tuple))]
    return _digest(function.__code__) + ",".join(constants)


def _digest(code: CodeType) -> str:
    """Digest of a function's text as far as it matters: no line numbers, no file names."""
    constants = [_digest(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    material = marshal.dumps((code.co_code, tuple(constants), code.co_names, code.co_varnames))
    return hashlib.sha256(material).hexdigest()[:16]
