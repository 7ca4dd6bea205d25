"""Events' `format` files: number, fields, and the names of GFP flags that the kernel would print."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linuxmm.spec.alloc.gfp import parse_gfp
from linuxmm.spec.errors import BadEvidence

_FIELD: Final = re.compile(
    r"\s*field:(?P<what>[^;]{1,500});\s*offset:(?P<offset>\d{1,6});\s*size:(?P<size>\d{1,6});"
    r"(?:\s*signed:(?P<signed>[01]);)?\s*$"
)
_FLAG: Final = re.compile(r'\{\s*([^{}"]{1,2000}?)\s*,\s*"([A-Za-z_]{1,64})"\s*\}')
_CAST: Final = re.compile(r"\(\s*(?:__force\s+)?(?:unsigned\s+long|unsigned\s+int|unsigned|gfp_t|u32)\s*\)")
_SUFFIX: Final = re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RawField:
    """One field of a record: offset and size in bytes."""

    name: str
    offset: int
    size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class EventFormat:
    """One event: its name, its number in the trace, its fields by name, how it is printed."""

    file: str
    name: str
    number: int
    fields: Mapping[str, RawField]
    print_fmt: str


def parse_format(text: str, file: str) -> EventFormat:
    """Read a `format` file.

    Errors    BadEvidence naming file, line and what was expected
    """
    if len(text) > _LIMIT:
        raise BadEvidence(file, f"expected a format file of at most {_LIMIT} bytes")
    name, number, printed = "", -1, ""
    fields: dict[str, RawField] = {}
    for line, content in enumerate(text.split("\n"), 1):
        if content.startswith("name:"):
            name = content[5:].strip()
        elif content.startswith("ID:"):
            digits = content[3:].strip()
            if not re.fullmatch(r"\d{1,5}", digits) or int(digits) > 0xFFFF:
                raise BadEvidence(file, "expected a number of 0 to 65535", line=line, where="ID")
            number = int(digits)
        elif content.startswith("print fmt:"):
            printed = content[10:].strip()
        elif "field:" in content:
            field = _field(content, file, line)
            fields[field.name] = field
    if not name or number < 0:
        raise BadEvidence(file, "expected an event format with 'name:' and 'ID:'")
    return EventFormat(file, name, number, fields, printed)


def _field(content: str, file: str, line: int) -> RawField:
    found = _FIELD.match(content)
    if found is None:
        expected = "expected 'field:TYPE NAME; offset:N; size:N; signed:N;'"
        raise BadEvidence(file, expected, line=line, where="field")
    words = re.sub(r"\[[^\]]*\]", "", found["what"]).replace("*", " ").split()
    name = words[-1] if words else ""
    return RawField(name, int(found["offset"]), int(found["size"]), found["signed"] == "1")


class GfpNames:
    """From the numbers of GFP masks that a kernel stores to canonical words, by the names it would print."""

    def __init__(self, event: EventFormat) -> None:
        self.event = event
        _, _, table = event.print_fmt.partition("__print_flags(REC->gfp_flags")
        self.flags = [(_constant(value), name) for value, name in _FLAG.findall(table[:_LIMIT])]
        self.words: dict[int, int] = {}

    def text(self, mask: int) -> str:
        """What the kernel would print for `mask`."""
        parts = []
        for value, name in self.flags:
            if value and mask & value == value:
                parts.append(name)
                mask &= ~value
        if mask:
            parts.append(f"0x{mask:x}")
        return "|".join(parts) or "none"

    def word(self, mask: int) -> int:
        """The canonical word of `mask`.

        Errors    BadEvidence when the format file does not say what its flags are called
        """
        if mask not in self.words:
            if not self.flags or any(value < 0 for value, _ in self.flags):
                expected = "expected a table of GFP flag names after __print_flags"
                raise BadEvidence(self.event.file, expected, where="print fmt")
            try:
                self.words[mask] = parse_gfp(self.text(mask))
            except ValueError as error:
                raise BadEvidence(self.event.file, str(error), where="print fmt") from None
        return self.words[mask]


def _constant(text: str) -> int:
    """The value of a C constant expression of numbers, casts, |, &, <<, + and -; -1 when it is none."""
    try:
        return _evaluate(ast.parse(_SUFFIX.sub(r"\1", _CAST.sub("", text)).strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return -1


def _evaluate(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(value)) if 0 <= value < 1 << 64:
            return value
        case ast.BinOp(left, ast.BitOr(), right):
            return _evaluate(left) | _evaluate(right)
        case ast.BinOp(left, ast.BitAnd(), right):
            return _evaluate(left) & _evaluate(right)
        case ast.BinOp(left, ast.Add(), right):
            return _evaluate(left) + _evaluate(right)
        case ast.BinOp(left, ast.Sub(), right):
            return _evaluate(left) - _evaluate(right)
        case ast.BinOp(left, ast.LShift(), right):
            shift = _evaluate(right)
            if not 0 <= shift < 64:
                raise ValueError("shift")
            return _evaluate(left) << shift
        case ast.UnaryOp(ast.Invert(), operand):
            return ~_evaluate(operand)
        case _:
            raise ValueError("not a constant")
