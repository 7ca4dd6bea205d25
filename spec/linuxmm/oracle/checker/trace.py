"""Judge a whole trace by the specification alone, with or without frozen states at marks.

One pass, memory bounded by the number of pages, not of events.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from linuxmm.oracle.checker.pages import PageChecker, anywhere
from linuxmm.oracle.checker.states import (
    judge_after,
    judge_state,
    layout_of,
    on_free_lists,
    set_aside,
)
from linuxmm.oracle.formats.events import Events, rows
from linuxmm.oracle.formats.kinds import Kind
from linuxmm.oracle.formats.state import MachineState
from linuxmm.oracle.observations import Numbering, Row, numbering, rows_of
from linuxmm.spec.alloc.page_state import Layout, Pages
from linuxmm.spec.verdict import Judgement

if TYPE_CHECKING:
    from linuxmm.oracle.checker.compiled import Scanner

WORTH_COMPILING: Final = 20_000
"""Events in a batch from which on the compiled scan is used."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class TraceCheck:
    """A judgement of one trace in progress.

    states     frozen states by the name of their mark
    probes     kinds of events that the evidence would contain if they happened
    max_order  largest order of a block
    layout     zones, where the evidence states them without a frozen state
    compiled   scan plainly permitted events with compiled code, once a batch is large enough to pay for it
    """

    states: Mapping[str, MachineState] = field(default_factory=dict)
    probes: frozenset[int] = frozenset()
    max_order: int = 10
    layout: Layout | None = None
    names: Numbering = field(default_factory=numbering)
    judgement: Judgement = field(default_factory=Judgement)
    compiled: bool = True
    scanner: "Scanner | None" = None

    def run(self, batches: Iterable[Events], progress: Progress = lambda _: None) -> Judgement:
        """Judge every batch in order."""
        if self.states:
            self.names = numbering(next(iter(self.states.values())).migratetypes)
        pages = Pages(self.layout or anywhere(self.max_order))
        checker = PageChecker(self.judgement, pages, self.probes, self.names)
        for mark, state in self.states.items():
            judge_state(self.judgement, state, mark)
        for batch in batches:
            self._batch(checker, batch)
            progress(len(batch))
        if self.scanner is not None:
            self.scanner.tally()
        return self.judgement

    def _batch(self, checker: PageChecker, batch: Events) -> None:
        """One batch; what was known is forgotten where events are missing."""
        losses = sorted(loss.line for loss in batch.lost)
        for loss in batch.lost:
            count = "some" if loss.count < 0 else str(loss.count)
            self.judgement.gap(f"{count} events lost on CPU {loss.cpu}: {loss.why}")
        if losses and losses[0] < 0:
            checker.forget()
            if self.scanner is not None:
                self.scanner.adopt()
        if self.scanner is None and self.compiled and len(batch) >= WORTH_COMPILING:
            from linuxmm.oracle.checker.compiled import Scanner

            self.scanner = Scanner(checker)
            self.scanner.adopt()
        if self.scanner is None:
            self._row_by_row(checker, batch, losses)
        else:
            self._scan(self.scanner, batch, losses)
        self.judgement.events += len(batch)
        if batch.torn:
            self.judgement.gap(f"the trace is torn: {batch.torn}")

    def _row_by_row(self, checker: PageChecker, batch: Events, losses: list[int]) -> None:
        for row in rows_of(batch, self.names, self.judgement.events):
            if losses and losses[0] <= row.line:
                checker.forget()
                losses = [line for line in losses if line > row.line]
            if row.kind == Kind.MARK:
                self._mark(checker, row, batch.marks[row.a])
            else:
                checker.see(row)

    def _scan(self, scanner: "Scanner", batch: Events, losses: list[int]) -> None:
        first = self.judgement.events
        marks = np.flatnonzero(batch.kind == Kind.MARK).tolist() if self.states else ()
        stops = {at for at in marks if batch.marks[batch.a[at]] in self.states}
        lost = set()
        while losses:
            after = np.flatnonzero(batch.line >= losses[0])
            if not after.size:
                break
            lost.add(int(after[0]))
            losses = [line for line in losses if line > int(batch.line[after[0]])]
        start = 0
        for at in sorted({*stops, *lost, len(batch)}):
            scanner.see(batch, start, at, first)
            start = at
            if at in lost:
                scanner.checker.forget()
                scanner.adopt()
            if at in stops:
                scanner.release()
                row = next(rows_of(rows(batch, slice(at, at + 1)), self.names, first + at))
                self._mark(scanner.checker, row, batch.marks[row.a])
                scanner.adopt()
                start = at + 1

    def _mark(self, checker: PageChecker, row: Row, name: str) -> None:
        state = self.states.get(name)
        if state is None:
            return
        if row.b == 0:
            strict = Kind.BULKALLOC_R in self.probes and Kind.ISOL_R in self.probes
            judge_after(self.judgement, checker.pages, state, name, strict and checker.last_taker < 0)
            return
        free = (block for _, zone in state.zones() for block in on_free_lists(zone))
        checker.learn(free, layout_of(state, self.max_order), set_aside(state, self.names))
