"""Evidence of what a page allocator did: readers and writers of every form that it comes in.

`open_evidence` tells the forms apart; everything but a capture folder yields `Events` when iterated.
"""

from linuxmm.oracle.formats.archive import Archive, open_archive, write_archive
from linuxmm.oracle.formats.capture import (
    Capture,
    Description,
    absences,
    losses,
    open_capture,
    read_state,
    write_capture,
)
from linuxmm.oracle.formats.detect import Evidence, open_evidence
from linuxmm.oracle.formats.events import (
    Context,
    Events,
    EventSource,
    Lost,
    Observation,
    concat,
    empty,
    observation,
    rows,
)
from linuxmm.oracle.formats.ftrace_raw import RawTrace
from linuxmm.oracle.formats.ftrace_text import TextTrace
from linuxmm.oracle.formats.jsonl import Operations, open_operations, write_operations
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.pagemap import PageMap
from linuxmm.oracle.formats.state import Finding, MachineState, findings
from linuxmm.oracle.formats.trace_dat import DatTrace

__all__ = [
    "Archive",
    "Capture",
    "Context",
    "DatTrace",
    "Description",
    "EventSource",
    "Events",
    "Evidence",
    "Finding",
    "Kind",
    "Lost",
    "MachineState",
    "Observation",
    "Operations",
    "PageMap",
    "RawTrace",
    "TextTrace",
    "absences",
    "concat",
    "empty",
    "findings",
    "losses",
    "observation",
    "open_archive",
    "open_capture",
    "open_evidence",
    "open_operations",
    "read_state",
    "rows",
    "write_archive",
    "write_capture",
    "write_operations",
]
