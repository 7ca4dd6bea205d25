"""Several CPUs' observations as one stream in time order, holding one batch of each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from linuxmm.oracle.formats.events import Events, concat, empty, rows


def merge(streams: Sequence[Iterator[Events]]) -> Iterator[Events]:
    """Merge streams that are each in time order; of equal times the earlier stream comes first.

    Ensures   what a batch says of losses comes with the first rows taken from it; at least one batch
    """
    waiting: list[Events | None] = [None] * len(streams)
    said: list[Events] = []
    yielded = False
    for number in range(len(streams)):
        waiting[number] = _next(streams[number], said)
    while live := [k for k, batch in enumerate(waiting) if batch is not None]:
        cut = min(int(batch.ts[-1]) for batch in waiting if batch is not None)
        parts = []
        for k in live:
            batch = waiting[k]
            assert batch is not None
            taken = int(np.searchsorted(batch.ts, cut, "right"))
            if taken:
                parts.append(rows(batch, slice(0, taken)))
            waiting[k] = rows(batch, slice(taken, None)) if taken < len(batch) else _next(streams[k], said)
        joined = concat(parts)
        if len(parts) > 1:
            joined = rows(joined, np.argsort(joined.ts, kind="stable"))
        yield _with(joined, said)
        said = []
        yielded = True
    if said or not yielded:
        yield _with(empty(), said)


def _next(stream: Iterator[Events], said: list[Events]) -> Events | None:
    """The next batch with rows; what every batch on the way says is noted."""
    for batch in stream:
        if batch.lost or batch.torn or batch.others or batch.unresolved:
            said.append(replace(empty(), **_notes(batch)))  # type: ignore[arg-type]
        if len(batch):
            return batch
    return None


def _notes(batch: Events) -> dict[str, object]:
    return {name: getattr(batch, name) for name in ("lost", "torn", "others", "unresolved")}


def _with(events: Events, said: list[Events]) -> Events:
    if not said:
        return events
    notes = _notes(concat([*said, empty()]))
    notes["others"] = MappingProxyType(dict(notes["others"]))  # type: ignore[call-overload]
    return replace(events, **notes)  # type: ignore[arg-type]
