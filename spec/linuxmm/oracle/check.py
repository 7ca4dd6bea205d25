"""Judge evidence of any form: the specification alone, and on request the model's prediction on top."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linuxmm.oracle.checker.trace import Progress, TraceCheck
from linuxmm.oracle.debug_evidence import has_debug, judge_debug
from linuxmm.oracle.defrag_evidence import has_defrag, judge_defrag
from linuxmm.oracle.formats import (
    Archive,
    Capture,
    DatTrace,
    Evidence,
    Kind,
    Operations,
    RawTrace,
    TextTrace,
    absences,
    losses,
    open_evidence,
)
from linuxmm.oracle.large_evidence import has_large, judge_large
from linuxmm.oracle.memcg_evidence import has_memcg, judge_groups_of
from linuxmm.oracle.object_evidence import has_objects, judge_objects
from linuxmm.oracle.pmem_evidence import has_pmem, judge_pmem
from linuxmm.oracle.reclaim_evidence import has_reclaim, judge_reclaim
from linuxmm.spec.errors import BadEvidence, LinuxmmError, Unmodelled
from linuxmm.spec.kernel import parse_version
from linuxmm.spec.verdict import Divergence, Judgement, Verdict


@dataclass(frozen=True, slots=True)
class ExactResult:
    """What the prediction of one window between two marks found."""

    window: str
    operations: int
    predicted: int
    steps: int
    explained: dict[str, int]
    unexplained: int
    state_equal: bool
    differences: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """The judgement of one piece of evidence.

    nearest  the nearest version that predicts what `kernel` does not; "" when none was found, None when no
             search was made
    """

    evidence: str
    kernel: str
    areas: tuple[str, ...]
    judgement: Judgement
    exact: list[ExactResult] = field(default_factory=list)
    nearest: str | None = None

    @property
    def verdict(self) -> Verdict:
        """The outcome of everything that was judged.

        A prediction from evidence with gaps may fail because of them, so it makes nothing diverge.
        """
        wrong = any(result.unexplained or not result.state_equal for result in self.exact)
        if wrong and not self.judgement.gaps:
            return Verdict.DIVERGES
        return self.judgement.verdict


@dataclass(frozen=True, slots=True)
class Area:
    """How the evidence of one area is judged.

    shows  whether a capture has anything to judge
    judge  holds a capture against the area's clauses; the last argument is the kernel's version
    """

    shows: Callable[[Capture], bool]
    judge: Callable[[Judgement, Capture, str], None]


_BESIDE_PAGES: Final[dict[str, Area]] = {
    "objects": Area(has_objects, judge_objects),
    "large": Area(has_large, judge_large),
    "reclaim": Area(has_reclaim, judge_reclaim),
    "defrag": Area(has_defrag, judge_defrag),
    "memcg": Area(has_memcg, judge_groups_of),
    "debug": Area(has_debug, judge_debug),
    "pmem": Area(has_pmem, judge_pmem),
}
"""Areas judged beside the page allocator, wherever a capture shows them; a new one is a line here."""

AREAS: Final = ("alloc", *_BESIDE_PAGES)
"""Areas whose judge is built."""


def shows(path: Path, area: str) -> bool:
    """Whether a capture has anything that the judge of an area looks at.

    Requires  the area has a judge
    """
    evidence = open_evidence(path)
    return area not in _BESIDE_PAGES or (
        isinstance(evidence, Capture) and _BESIDE_PAGES[area].shows(evidence)
    )


def check(
    path: Path | str,
    *,
    exact: bool = False,
    nearest: bool = False,
    version: str | None = None,
    only: str | None = None,
    progress: Progress = lambda _: None,
    limit: int = 100,
) -> Report:
    """Judge the evidence at `path`.

    exact    also predict every choice
    nearest  where a prediction fails, search the nearest version whose prediction does not
    version  judge as if the kernel were this one
    only     the one area to judge
    Errors   BadEvidence, ImpossibleProfile, Unmodelled; LinuxmmError for an area without a judge
    """
    if only is not None and only not in AREAS:
        raise LinuxmmError(f"area {only!r} has no judge yet; built: {', '.join(AREAS)}")
    if version is not None:
        parse_version(version)
    evidence = open_evidence(path)
    if isinstance(evidence, Capture):
        if only in _BESIDE_PAGES:
            return _check_area(evidence, only, version, limit)
        report = _check_capture(evidence, exact, nearest, version, progress, limit)
        beside = [name for name, area in _BESIDE_PAGES.items() if only is None and area.shows(evidence)]
        for name in beside:
            try:
                _BESIDE_PAGES[name].judge(report.judgement, evidence, report.kernel)
            except Unmodelled as error:
                report.judgement.gap(f"area {name}: {error}")
        report.areas = ("alloc", *beside)
        return report
    if only in _BESIDE_PAGES:
        raise LinuxmmError(f"area {only!r} is judged in captures: give a capture folder")
    if exact:
        raise LinuxmmError("a prediction needs exact states: give a capture folder with marks")
    judgement = Judgement(limit=limit)
    TraceCheck(judgement=judgement).run(_batches(evidence), progress)
    return Report(str(path), version or "unknown", ("alloc",), judgement)


def _batches(evidence: Evidence) -> TextTrace | RawTrace | DatTrace | Archive | Operations:
    if isinstance(evidence, Capture):
        raise TypeError("a capture holds traces; iterate one of them")
    return evidence


def _check_area(capture: Capture, name: str, version: str | None, limit: int) -> Report:
    """One area beside the page allocator; evidence without anything of it is incomplete."""
    judgement = Judgement(limit=limit)
    for loss in (*losses(capture), *absences(capture)):
        judgement.gap(loss)
    kernel = version or capture.description.kernel.release
    if _BESIDE_PAGES[name].shows(capture):
        _BESIDE_PAGES[name].judge(judgement, capture, kernel)
    else:
        judgement.gap(f"the capture shows nothing of area {name!r}")
    return Report(capture.name, kernel, (name,), judgement)


def _check_capture(
    capture: Capture, exact: bool, nearest: bool, version: str | None, progress: Progress, limit: int
) -> Report:
    judgement = Judgement(limit=limit)
    states = {mark: capture.state(mark) for mark in capture.marks if capture.has_state(mark)}
    for loss in (*losses(capture), *absences(capture)):
        judgement.gap(loss)
    traces = [name for name in capture.traces if capture.file(capture.info(name).file).is_file()]
    for name in traces:
        check_one = TraceCheck(states, probes_of(capture, name), judgement=judgement)
        check_one.run(capture.trace(name), progress)
    for missing in sorted(set(capture.traces) - set(traces)):
        judgement.gap(f"trace {missing}: its file is not in the capture")
    kernel = version or capture.description.kernel.release
    report = Report(capture.name, kernel, ("alloc",), judgement)
    if exact:
        from linuxmm.oracle.exact.check import predict_capture

        if not states:
            raise BadEvidence(capture.name, "expected marks with exact states for a prediction")
        report.kernel, report.exact = predict_capture(capture, states, version)
        if nearest and any(result.unexplained or not result.state_equal for result in report.exact):
            from linuxmm.oracle.exact.nearest import nearest_version

            report.nearest = nearest_version(capture, states, parse_version(report.kernel))
    return report


def probes_of(capture: Capture, trace: str) -> frozenset[int]:
    """Kinds of events that a trace would contain if they happened, from its list of enabled events."""
    listing = capture.info(trace).events
    if listing is None or not capture.file(listing).is_file():
        return frozenset()
    names = {line.rpartition(":")[2].strip() for line in capture.file(listing).read_text().splitlines()}
    return frozenset(int(kind) for kind in Kind if kind.name.lower() in names)


def divergence_lines(divergence: Divergence) -> Iterator[str]:
    """A divergence for a reader: what, where, why, what was allowed, and the witness."""
    place = "state" if divergence.event < 0 else f"event {divergence.event}"
    if divergence.line >= 0:
        place += f", line {divergence.line}"
    yield f"{divergence.clause} at {place}"
    yield f"  observed   {divergence.observed}"
    yield f"  permitted  {divergence.permitted}"
    yield f"  because    {divergence.why}"
    if divergence.around:
        yield f"  around     {divergence.around}"
    yield f"  accepted   {divergence.nearest or 'by no version of Linux'}"
    for number, seen in enumerate(divergence.witness, 1):
        yield f"  witness {number}  line {seen.line}: {seen.text}"
