"""Mutants: a function of linuxmm with one named fault in its source.

The edit is textual and has to match exactly once in the body or signature (decorators and the docstring do
not count), so that a mutant breaks loudly when the function changes.
"""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

Function = Callable[..., Any]


class BadMutant(Exception):
    """The edit does not apply, does not compile, or changes nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`function` with the text `old` replaced by `new`; `fault` says in words what is wrong with it."""

    function: Function
    fault: str
    old: str
    new: str

    def build(self) -> Function:
        """The faulty function, sharing the globals of the real one; its text can be read like any other's.

        Errors    BadMutant
        """
        name = f"{self.function.__module__}.{self.function.__qualname__}"
        if not isinstance(self.function, FunctionType) or self.function.__closure__:
            raise BadMutant(f"{name} is not a plain function")
        text = code_text(self.function)
        count = text.count(self.old)
        if count != 1:
            raise BadMutant(
                f"mutant {self.fault!r} of {name}: {self.old!r} occurs {count} times, expected once"
            )
        changed = text.replace(self.old, self.new)
        try:
            tree = ast.parse(changed)
        except SyntaxError as error:
            raise BadMutant(f"mutant {self.fault!r} of {name} does not parse: {error}") from error
        if ast.dump(tree) == ast.dump(ast.parse(text)):
            raise BadMutant(f"mutant {self.fault!r} of {name} changes nothing")
        namespace: dict[str, Any] = dict(self.function.__globals__)
        file = f"<mutant of {name}: {self.fault}>"
        linecache.cache[file] = (len(changed), None, changed.splitlines(keepends=True), file)
        exec(compile(tree, file, "exec"), namespace)
        mutated: Function = namespace[self.function.__name__]
        return mutated


def code_text(function: Function) -> str:
    """The source of a function without decorators and docstring."""
    text = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(text).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise BadMutant(f"{function!r} is not defined by a def statement")
    lines = text.splitlines()
    if ast.get_docstring(node, clean=False) is not None:
        document = node.body[0]
        del lines[document.lineno - 1 : document.end_lineno]
        if len(node.body) == 1:
            lines.append("    pass")
    return "\n".join(lines[node.lineno - 1 :]) + "\n"
