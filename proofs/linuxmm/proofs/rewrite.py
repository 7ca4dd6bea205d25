"""A function taken apart at one of its loops, or with its small decisions merged: its own text, run in parts.

Induction over a loop needs the loop's turn by itself: `begin` gives what holds when the loop begins, `turn`
makes one turn from any state, `finish` what follows once the loop is left.  What each turn keeps, the loop
keeps.  The parts are cut from the function that is linked, so a mutant is cut the same way.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any, Final, Literal, NamedTuple

from linuxmm.proofs.sym import SymB, choose
from linuxmm.proofs.theorem import join

Function = Callable[..., Any]
State = dict[str, Any]
How = Literal["again", "left", "returned"]
WORD: Final = 64


class LoopGoesOn(Exception):
    """A loop does not end where a theorem says that it does."""


class Turn(NamedTuple):
    """How a turn ended, and the local variables then; `value` holds what a return inside the loop gave."""

    how: How
    state: State
    value: Any = None


def begin(function: Function, *arguments: object, loop: int = 0) -> State:
    """Run what stands before a loop; the local variables there."""
    made: State = _part(function, "before", loop)(*arguments)
    return made


def turn(function: Function, state: State, loop: int = 0) -> Turn:
    """Make one turn of a loop from `state`: variables that it does not name are not set yet.

    loop  the number of the loop in the text; a turn of a `for` finds its targets in `state`
    """
    how, now, value = _run(_part(function, "turn", loop), state)
    return Turn(how, {**state, **now}, value)


def whole(function: Function, state: State, loop: int, most: int) -> State:
    """Run one loop of the function to its end; the local variables there.

    Errors    LoopGoesOn when it makes more than `most` turns
    """
    for _ in range(most + 1):
        how, state, _value = turn(function, state, loop)
        if how == "left":
            return state
    raise LoopGoesOn(f"loop {loop} of {function.__name__} makes more than {most} turns")


def finish(function: Function, state: State, loop: int = 0) -> Any:
    """Run what stands behind a loop, once it is left in `state`."""
    return _run(_part(function, "after", loop), state)


def merged(function: Function, *arguments: object) -> Any:
    """Run the function with every `if` that only assigns turned into a choice, so that it forks no path.

    Numbers that depend on a decision become words of WORD bits.
    """
    return _linked(function, _merged_code(function.__code__, function))(*arguments)


# ---- cutting ---------------------------------------------------------------------------------------------


def _part(function: Function, part: str, loop: int) -> Function:
    return _linked(function, _part_code(function.__code__, function, part, loop))


def _run(part: Function, state: State) -> Any:
    """Run a part; variables that the function does not have are left out."""
    return part(**{name: value for name, value in state.items() if name in part.__code__.co_varnames})


def _linked(function: Function, code: CodeType) -> Function:
    """The code with the globals of the function, as one that fills in missing arguments by None."""
    names = {"_merge_truth": _truth, "_merge_choose": _choose}
    made = FunctionType(code, {**function.__globals__, **names}, code.co_name)
    made.__defaults__ = (None,) * code.co_argcount
    return made


def _tree(function: Function) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    node = tree.body[0]
    if not isinstance(node, ast.FunctionDef):
        raise TypeError(f"{function!r} is not defined by a def statement")
    node.decorator_list = []
    return node


@cache
def _part_code(code: CodeType, function: Function, part: str, loop: int) -> CodeType:
    node = _tree(function)
    loops = list(_loops(node.body))
    if loop >= len(loops):
        raise TypeError(f"{node.name} has {len(loops)} loops; number {loop} was asked for")
    cut = loops[loop]
    if part in ("before", "after"):
        if cut not in node.body:
            raise TypeError(f"loop {loop} of {node.name} lies within another statement")
        at = node.body.index(cut)
        node.body = [*node.body[:at], *_parse("return locals()")] if part == "before" else node.body[at + 1 :]
        node.body = node.body or [ast.Pass()]
    else:
        node.body = [_one_turn(cut), *_parse("return 'left', locals(), None")]
    if part != "before":
        node.args = _keywords(code)
    return _compiled(node)


def _one_turn(cut: ast.While | ast.For) -> ast.While | ast.For:
    body: list[ast.stmt] = [_Ends().visit(statement) for statement in cut.body]
    body += _parse("return 'again', locals(), None")
    if isinstance(cut, ast.While):
        return ast.While(cut.test, body, [])
    once = ast.Tuple([ast.Constant(None)], ast.Load())
    return ast.For(ast.Name("_once", ast.Store()), once, body, [])


class _Ends(ast.NodeTransformer):
    """Has `continue` end the turn, and a return give its value as the turn's."""

    def __init__(self) -> None:
        self.depth = 0

    def visit_Continue(self, node: ast.Continue) -> ast.stmt:
        return node if self.depth else _parse("return 'again', locals(), None")[0]

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        value = node.value or ast.Constant(None)
        state = ast.Call(ast.Name("locals", ast.Load()), [], [])
        return ast.Return(ast.Tuple([ast.Constant("returned"), state, value], ast.Load()))

    def _nested(self, node: ast.stmt) -> ast.AST:
        self.depth += 1
        found = self.generic_visit(node)
        self.depth -= 1
        return found

    def visit_While(self, node: ast.While) -> ast.AST:
        return self._nested(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        return self._nested(node)


def _loops(body: list[ast.stmt]) -> Iterator[ast.While | ast.For]:
    for statement in body:
        if isinstance(statement, ast.While | ast.For):
            yield statement
        for name in ("body", "orelse"):
            yield from _loops(getattr(statement, name, []))


def _keywords(code: CodeType) -> ast.arguments:
    names = [ast.arg(name) for name in code.co_varnames]
    return ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])


def _parse(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _compiled(node: ast.FunctionDef) -> CodeType:
    for argument in [*node.args.args, node]:
        if isinstance(argument, ast.arg):
            argument.annotation = None
    node.returns = None
    module = ast.fix_missing_locations(ast.Module([node], []))
    outer = compile(module, f"<part of {node.name}>", "exec")
    return next(constant for constant in outer.co_consts if isinstance(constant, CodeType))


# ---- merging ---------------------------------------------------------------------------------------------


@cache
def _merged_code(code: CodeType, function: Function) -> CodeType:
    node = _tree(function)
    _Merges().generic_visit(node)
    return _compiled(node)


class _Merges(ast.NodeTransformer):
    """if T: x |= e   becomes   d = truth(lambda: T); x = choose(d, lambda: x | e, x)."""

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        if any(isinstance(statement, ast.If) for statement in node.body):
            self.generic_visit(node)
            return node
        parts = [self._choice(statement) for statement in node.body]
        if node.orelse or not all(parts):
            return node
        test = ast.Lambda(_nothing(), node.test)
        truth = ast.Call(ast.Name("_merge_truth", ast.Load()), [test], [])
        decided: ast.stmt = ast.Assign([ast.Name("_decided", ast.Store())], truth)
        return [decided, *(part for part in parts if part is not None)]

    def _choice(self, statement: ast.stmt) -> ast.stmt | None:
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            value: ast.expr = ast.BinOp(ast.Name(name, ast.Load()), statement.op, statement.value)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name, value = statement.targets[0].id, statement.value
        else:
            return None
        old = ast.Name(name, ast.Load())
        arguments = [ast.Name("_decided", ast.Load()), ast.Lambda(_nothing(), value), old]
        chosen = ast.Call(ast.Name("_merge_choose", ast.Load()), arguments, [])
        return ast.Assign([ast.Name(name, ast.Store())], chosen)


def _nothing() -> ast.arguments:
    return ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])


def _truth(test: Callable[[], Any]) -> Any:
    return join(lambda: bool(test()))


def _choose(decided: Any, then: Callable[[], Any], otherwise: Any) -> Any:
    if not isinstance(decided, SymB):
        return then() if decided else otherwise
    return choose(decided, then(), otherwise, WORD)
