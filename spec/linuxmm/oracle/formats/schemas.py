"""The parts of docs/formats that are generated: JSON Schemas and the table of event kinds.

Run `python -m linuxmm.oracle.formats.schemas docs/formats` after a change of format.
"""

import json
import sys
from pathlib import Path

import msgspec

from linuxmm.oracle.formats.archive import Metadata
from linuxmm.oracle.formats.areas import AREAS
from linuxmm.oracle.formats.capture import Description
from linuxmm.oracle.formats.jsonl import Line
from linuxmm.oracle.formats.kinds import LAYOUTS, Column, Field, Kind
from linuxmm.oracle.formats.state import MachineState


def documents() -> dict[str, str]:
    """The content of every generated file of docs/formats, by its name there."""
    schemas = {"capture": Description, "state": MachineState, "archive": Metadata, "operations": Line} | AREAS
    found = {
        f"schema/{name}.json": json.dumps(msgspec.json.schema(kind), indent=1, sort_keys=True) + "\n"
        for name, kind in schemas.items()
    }
    return found | {"schema/kinds.txt": kinds_table()}


def kinds_table() -> str:
    """A table of every kind: its number, what it is known by, and where its fields are."""
    lines = [
        "| number | kind | known by | fields and their columns |",
        "|---:|---|---|---|",
        f"| {int(Kind.MARK)} | `MARK` | `tracing_mark_write: SYNC NAME begin` or `end` "
        "| index of NAME in `marks`: `a`; 0 begin, 1 end: `b` |",
    ]
    for layout in sorted(LAYOUTS, key=lambda layout: layout.kind):
        names = ", ".join(f"`{name}`" for name in layout.names)
        if layout.symbols:
            at = "return from" if layout.returns else "at"
            names += f" {at} " + ", ".join(f"`{symbol}`" for symbol in layout.symbols)
        fields = "; ".join(_place(field) for field in layout.fields if field.column is not Column.NONE)
        lines.append(f"| {int(layout.kind)} | `{layout.kind.name}` | {names} | {fields} |")
    return "\n".join(lines) + "\n"


def _place(field: Field) -> str:
    column = "pfn" if field.column is Column.PAGE else field.column.name.lower()
    bits = f" bits {field.shift} to {field.shift + field.bits - 1}" if field.bits < 64 else ""
    optional = "" if field.required else " (may be missing)"
    return f"{field.key}: `{column}`{bits}{optional}"


def write(folder: Path) -> None:
    """Write every generated file below `folder`."""
    for name, content in documents().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
