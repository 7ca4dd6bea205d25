"""Hashes of what a proof depends on: a function and everything of linuxmm that it reads, transitively.

The hash covers syntax trees without docstrings, comments and layout, so it changes exactly when the
meaning may.  It is the same for every supported Python version.
"""

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from enum import Enum
from types import FunctionType
from typing import Any, Final

from linuxmm.spec.relink import global_names

Function = Callable[..., Any]
_OURS: Final = ("linuxmm.spec.", "linuxmm.hardware.", "linuxmm.model.")
_IGNORED: Final = frozenset({"type_params", "type_comment", "kind", "ctx"})


def source_hash(function: Function, *, ours: tuple[str, ...] = _OURS) -> str:
    """Sixteen hexadecimal digits that stand for the function and for all of `ours` that it reads."""
    digest = hashlib.sha256()
    for name, text in sorted(_closure(function, ours).items()):
        digest.update(f"{name}\n{text}\n".encode())
    return digest.hexdigest()[:16]


def _closure(function: Function, ours: tuple[str, ...]) -> dict[str, str]:
    """Qualified name -> normalised text of everything reachable."""
    found: dict[str, str] = {}
    pending: list[Any] = [function]
    while pending:
        item = pending.pop()
        name = f"{item.__module__}.{item.__qualname__}"
        if name in found:
            continue
        found[name] = normalised(item)
        for label, value in _globals_read(item):
            if isinstance(value, FunctionType | type) and not isinstance(value, type(Enum)):
                if value.__module__.startswith(ours):
                    pending.append(value)
            elif isinstance(value, type):
                if value.__module__.startswith(ours):
                    found[f"{value.__module__}.{value.__qualname__}"] = repr(list(value))  # type: ignore[call-overload]
            elif _is_constant(value):
                found[f"{item.__module__}.{label}"] = repr(value)
    return found


def _is_constant(value: object) -> bool:
    if isinstance(value, tuple | frozenset):
        return all(map(_is_constant, value))
    return value is None or isinstance(value, bool | int | float | str | bytes | Enum)


def _globals_read(item: Any) -> Iterator[tuple[str, Any]]:
    """Global names that a function, or the methods of a class, read, with their values."""
    functions = [item] if isinstance(item, FunctionType) else _methods(item)
    for function in functions:
        for name in sorted(set(global_names(function))):
            if name in function.__globals__:
                yield name, function.__globals__[name]


def _methods(cls: type) -> list[FunctionType]:
    found: list[FunctionType] = []
    for value in vars(cls).values():
        if isinstance(value, property) and isinstance(value.fget, FunctionType):
            found.append(value.fget)
        elif isinstance(value, FunctionType) and value.__module__ == cls.__module__:
            found.append(value)
    return [function for function in found if not function.__code__.co_filename.startswith("<")]


def normalised(item: Any) -> str:
    """The syntax tree of a function or class as text, without docstrings and decorators of functions."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(item)))
    except (OSError, TypeError):
        return f"no source: {item.__module__}.{item.__qualname__}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = []
    return _dump(tree)


def _dump(node: object) -> str:
    """Like `ast.dump`, which differs between Python versions in the empty fields that it prints."""
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_dump(value)}"
            for name, value in ast.iter_fields(node)
            if name not in _IGNORED and value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    return repr(node)
