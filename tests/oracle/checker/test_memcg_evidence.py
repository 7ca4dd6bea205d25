"""Control groups of real kernels keep the clauses; each planted fault is found.

memcg_evidence/groups-*: files of groups while a workload ran, on Debian's 6.1.192 in a QEMU guest;
groups-files-*: the workload memcg-files, on Debian's 6.1.192 and 6.12.117.
"""

import gzip
from pathlib import Path
from typing import NamedTuple

import pytest

from linuxmm.model.memcg.swap import Peaks, peak_moves, peak_read, peak_write
from linuxmm.oracle.checker.memcg import Counted, Group, judge_groups, judge_memcg, read_snapshots
from linuxmm.oracle.faults_areas import change_of
from linuxmm.oracle.faults_plant import line
from linuxmm.oracle.formats import open_capture
from linuxmm.oracle.formats.areas import MemcgState, area_state
from linuxmm.oracle.memcg_states import judge_memcg_state
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.memcg.counter import PAGE_COUNTER_MAX
from linuxmm.spec.memcg.files import (
    pages_of,
    read_figures,
    reclaimed_as_asked,
    tunable_text,
    write_results,
)
from linuxmm.spec.step import Errno
from linuxmm.spec.verdict import Judgement, Verdict

HERE = Path(__file__).parent / "memcg_evidence"
REAL = Path(__file__).parents[2] / "real" / "areas"


def log_of(name: str) -> str:
    packed = HERE / f"groups-{name}.txt.gz"
    if packed.exists():
        return gzip.decompress(packed.read_bytes()).decode()
    return (REAL / f"memcg-{name}" / "data" / "groups.txt").read_text()


def judged(text: str) -> Judgement:
    judgement = Judgement()
    judge_memcg(judgement, read_snapshots(text.splitlines(), "groups"))
    return judgement


@pytest.mark.parametrize("name", ["v1-6.1", "v2-6.1", "v1-6.12", "v2-6.12", "files-6.1", "files-6.12"])
def test_files_of_real_groups_hang_together(name: str) -> None:
    judgement = judged(log_of(name))
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.clauses["memcg.grows"].checked >= 24
    assert judgement.clauses["memcg.counter.watermark"].checked >= 10


@pytest.mark.parametrize("name", ["memcg-v1-6.12", "memcg-v2-6.12"])
@pytest.mark.parametrize("mark", ["A", "B", "C"])
def test_counters_of_real_groups_add_up(name: str, mark: str) -> None:
    state = area_state(open_capture(REAL / name), mark, "memcg")
    assert isinstance(state, MemcgState)
    judgement = Judgement()
    judge_memcg_state(judgement, state, mark)
    assert (judgement.verdict, judgement.divergences, judgement.gaps) == (Verdict.CONFORMS, [], {})
    assert judgement.clauses["memcg.hierarchy"].checked >= 4


@pytest.mark.parametrize(
    ("log", "name", "clause"),
    [
        ("v2-6.1", "stat-sum-off", "memcg.stat.sums"),
        ("v2-6.1", "stolen-unscanned", "memcg.stat.steal"),
        ("v2-6.1", "event-misnamed", "memcg.events.keys"),
        ("v2-6.1", "peak-below-current", "memcg.counter.watermark"),
        ("v2-6.1", "event-uncounted", "memcg.grows"),
        ("v1-6.1", "swap-below-memory", "memcg.memsw"),
    ],
)
def test_planted_faults_of_an_older_kernel_are_found(log: str, name: str, clause: str) -> None:
    """Those of 6.12, and of counters at marks, in test_area_faults.py."""
    planted = change_of("memcg", name)(log_of(log).encode()).decode()
    assert clause in {found.clause for found in judged(planted).divergences}


def test_events_of_a_group_alone_are_counted_with_those_below() -> None:
    """memory.events.local, which 6.1 has in this log and the captures do not."""
    planted = line(r"/cg/p/memory\.events\.local:max ", r"\d+$", "990", 10**6)(log_of("v2-6.1").encode())
    assert "memcg.events.local" in {found.clause for found in judged(planted.decode()).divergences}


@pytest.mark.parametrize(("again", "broken"), [(20480, []), (24576, ["memcg.memsw"])])
def test_a_group_may_shrink_while_its_files_are_read_in_turn(again: int, broken: list[str]) -> None:
    """Seen on 6.1: the counters of children that were just removed are given back between two reads."""
    files = {"usage_in_bytes": 90112, "memsw.usage_in_bytes": 20480}
    lines = [f"/cg1/p/memory.{name}:{figure}" for name, figure in files.items()]
    text = "\n".join(["## end", *lines, f"/cg1/p/memory.usage_in_bytes:{again}"])
    assert [found.clause for found in judged(text).divergences] == broken


class Fault(NamedTuple):
    """A replacement where it fits last, and the clause that finds it."""

    clause: str
    old: str
    new: str


WRITES = (
    Fault(
        "memcg.write.result",
        "put p/a/memory.swap.max 3M: good",
        "put p/a/memory.swap.max 3M: Invalid argument",
    ),
    Fault("memcg.write.result", "nonsense: Invalid argument", "nonsense: good"),
    Fault("memcg.write.result", "memory.high 1M: good", "memory.high 1M: Device or resource busy"),
    Fault("memcg.write.reclaim", "put p/a/memory.reclaim 2M: good", "put p/a/memory.reclaim 3M: good"),
    Fault("memcg.swap.limit", "/cg/p/a/memory.swap.current:2891776", "/cg/p/a/memory.swap.current:3149824"),
)


@pytest.mark.parametrize("fault", WRITES, ids=lambda fault: f"{fault.clause}-{fault.new}")
def test_planted_faults_of_writes_are_found(fault: Fault) -> None:
    text = log_of("files-6.12")
    at = text.rindex(fault.old)
    planted = text[:at] + fault.new + text[at + len(fault.old) :]
    assert [found.clause for found in judged(planted).divergences] == [fault.clause]


def test_writes_of_real_groups_end_as_they_may() -> None:
    """6.1 asks for all that is missing and gets more; 6.12 asks for a quarter each time."""
    stolen = {}
    for version in ("6.1", "6.12"):
        snapshots = read_snapshots(log_of(f"files-{version}").splitlines(), "groups")
        assert [write.result for at in snapshots for write in at.writes] == [
            None,
            None,
            Errno.EAGAIN,
            None,
            Errno.EAGAIN,
            Errno.EINVAL,
            None,
            None,
            None,
            None,
        ]
        stolen[version] = snapshots[2].groups["p/a"]["stat"]["pgsteal"]
        judgement = judged(log_of(f"files-{version}"))
        counted = {clause: figures.checked for clause, figures in judgement.clauses.items()}
        assert (counted["memcg.write.result"], counted["memcg.write.reclaim"]) == (10, 4)
        assert counted["memcg.swap.limit"] >= 8
    assert stolen == {"6.1": 669, "6.12": 514}


def test_a_real_kernel_loses_the_peak_of_a_file_when_another_is_written() -> None:
    """6.12.117: two files are written at once, a group uses 6 MiB and gives them back, a third is written.

    Each write moves the file's offset by one, so that what is read lacks its first digit.
    """
    lines = dict(line.rsplit(": ", 1) for line in log_of("files-6.12").splitlines() if "peak by" in line)
    one, other = lines.values()
    begun, after = 16384, 159744
    peaks = Peaks(begun, begun, begun, (-1, -1, -1))
    peaks = peak_write(peak_write(peaks, 0), 1)
    peaks = peak_moves(peak_moves(peaks, 6553600), after)
    assert str(peak_read(peaks, 0))[1:] == str(peak_read(peaks, 1))[1:] == one == "553600"
    peaks = peak_write(peaks, 2)
    assert str(peak_read(peaks, 0))[1:] == other == "59744"


def test_writes_that_nobody_knows_are_refused() -> None:
    with pytest.raises(BadEvidence, match=r"^groups:2: expected put GROUP/memory.FILE TEXT: one of good, .*"):
        read_snapshots(["## start", "put p/memory.max 4M: Permission denied"], "groups")
    assert write_results("reclaim", "max") == {Errno.EINVAL}
    assert write_results("max", "8M") == {None}
    assert reclaimed_as_asked(8192, 4096, 4096)
    assert not reclaimed_as_asked(8192, 4096, 0)


def groups(parent: int, child: int, watermark: int, events: int) -> tuple[Group, ...]:
    return (
        Group("/", {"memory": Counted(100, 1000, 100)}, {"max": 0}),
        Group("/p", {"memory": Counted(parent, 50, watermark)}, {"max": events}),
        Group("/p/a", {"memory": Counted(child, 1000, 60)}, {"max": 3}),
    )


def test_version_1_counts_events_where_they_happen() -> None:
    for unified, broken in ((True, ["memcg.events.sum"]), (False, [])):
        judgement = Judgement()
        judge_groups(judgement, groups(40, 30, 40, 2), unified, "A")
        assert [divergence.clause for divergence in judgement.divergences] == broken


def test_a_counter_above_its_limit_is_a_gap_not_a_fault() -> None:
    judgement = Judgement()
    judge_groups(judgement, groups(55, 30, 60, 3), True, "A")
    assert judgement.divergences == []
    assert judgement.gaps == {"counters above their limit: by force, or lowered while in use": 1}


def test_text_of_limits() -> None:
    assert [tunable_text(pages) for pages in (0, 2, PAGE_COUNTER_MAX)] == ["0", "8192", "max"]
    texts = ("8M", "8m\n", "4097", "max", "1E", "9999999E", "-1", "8X", "")
    assert [pages_of(text) for text in texts] == [
        2048,
        2048,
        1,
        PAGE_COUNTER_MAX,
        1 << 48,
        PAGE_COUNTER_MAX,
        None,
        None,
        None,
    ]
    assert read_figures("anon 5\nfile 6\n", "stat") == {"anon": 5, "file": 6}


def test_bad_figures_are_refused() -> None:
    with pytest.raises(BadEvidence, match=r"^stat:2: expected NAME NUMBER, each name once: 'anon 6'$"):
        read_figures("anon 5\nanon 6\n", "stat")
    with pytest.raises(BadEvidence, match=r"^groups:2: expected a figure or max: '/cg/p/memory.peak:x'$"):
        read_snapshots(["## start", "/cg/p/memory.peak:x"], "groups")
