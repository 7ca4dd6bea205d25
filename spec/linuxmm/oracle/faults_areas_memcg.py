"""Faults of control groups: what their files say while a workload runs, and their counters at marks."""

from collections.abc import Callable
from typing import Final

from linuxmm.oracle.faults_plant import (
    AreaFault,
    Document,
    Edit,
    Lines,
    document,
    fault,
    line,
    raised,
    removal,
    text,
)
from linuxmm.spec.errors import LinuxmmError

_FILES: Final = "data/groups.txt"
_STATE: Final = "marks/*/memcg.json.gz"
_LAST: Final = 10**6
"""More lines than any file has: the last one with the words."""
_P: Final = "^/cg1?/p/memory"
_BYTES: Final = 1 << 40


def _said(which: str, by: int) -> Edit:
    """The last figure of a file is higher."""
    return Edit(_FILES, raised(rf"{_P}\.{which}\d+$", rf"{_P}\.{which}", by, _LAST))


def _swap_limited(lines: Lines) -> Lines:
    """A group may have a page in swap, from the start."""
    return [each.replace(":max", ":4096") if "/p/memory.swap.max:" in each else each for each in lines]


def _set(which: str, figure: int) -> Edit:
    """The last figure of a file is another, every time that it is read in that snapshot."""

    def edit(lines: Lines) -> Lines:
        change = line(rf"{_P}\.{which}\d+$", r"\d+$", str(figure), _LAST)
        return change("".join(lines).encode()).decode().splitlines(keepends=True)

    return Edit(_FILES, text(edit))


def _group(edit: Callable[[Document, list[Document]], bool]) -> Edit:
    """A state in which `edit` finds a group that it can change; its second argument: all groups."""

    def change(state: Document) -> None:
        if not any(edit(group, state["groups"]) for group in state["groups"]):
            raise LinuxmmError("no group of the state is of this kind")

    return Edit(_STATE, document(change))


def _children(group: Document, groups: list[Document]) -> list[Document]:
    path = group["path"].rstrip("/")
    return [each for each in groups if each["path"].rpartition("/")[0] == path and each is not group]


def _child_above(counter: str) -> Edit:
    def edit(group: Document, groups: list[Document]) -> bool:
        for child in _children(group, groups):
            if counter in child["counters"]:
                figures = child["counters"][counter]
                figures["usage"] = group["counters"][counter]["usage"] + 1
                figures["watermark"] = max(figures["watermark"], figures["usage"])
                return True
        return False

    return _group(edit)


def _watermark_low(group: Document, groups: list[Document]) -> bool:
    for figures in group["counters"].values():
        if figures["usage"]:
            figures["watermark"] = figures["usage"] - 1
            return True
    return False


def _event_uncounted(group: Document, groups: list[Document]) -> bool:
    for child in _children(group, groups):
        if group["path"] != "/":
            child["events"]["max"] = group["events"]["max"] + 1
            return True
    return False


MEMCG_FAULTS: Final[tuple[AreaFault, ...]] = (
    fault(
        "activated-unrefaulted",
        "more refaults activated a page than there were",
        "memcg.stat.workingset",
        _said("stat:workingset_activate_anon ", 10**9),
    ),
    fault(
        "swap-over-limit",
        "a group has more in swap than its limit",
        "memcg.swap.limit",
        Edit(_FILES, text(_swap_limited)),
        Edit(_FILES, line(rf"{_P}\.swap\.current:", ":[0-9]+", ":99999999999744", _LAST)),
    ),
    fault("stat-sum-off", "slab is not the sum of its parts", "memcg.stat.sums", _said("stat:slab ", 4096)),
    fault(
        "stolen-unscanned",
        "more pages were freed than looked at",
        "memcg.stat.steal",
        _said("stat:pgsteal ", 10**9),
    ),
    fault(
        "event-misnamed",
        "a file of events has another name",
        "memcg.events.keys",
        Edit(_FILES, line(rf"{_P}\.events:oom_kill ", "oom_kill ", "oom_slain ", _LAST)),
    ),
    fault(
        "event-missing-name",
        "a file of events lacks one",
        "memcg.events.keys",
        Edit(_FILES, line(rf"{_P}\.events:low ", r"^.*\n", "", _LAST)),
    ),
    fault(
        "peak-below-current",
        "a group uses more than its peak",
        "memcg.counter.watermark",
        _said("current:", _BYTES),
    ),
    fault(
        "most-below-usage",
        "a group uses more than it ever did",
        "memcg.counter.watermark",
        _said("usage_in_bytes:", _BYTES),
        _said(r"memsw\.usage_in_bytes:", 2 * _BYTES),
    ),
    fault("event-uncounted", "a count of events fell", "memcg.grows", _set("events:max ", 0)),
    fault("peak-fell", "the peak of a group fell", "memcg.grows", _set("peak:", 0)),
    fault("failures-fell", "a count of failed charges fell", "memcg.grows", _set("failcnt:", 0)),
    fault(
        "swap-below-memory",
        "memory with swap is less than memory",
        "memcg.memsw",
        _set(r"memsw\.usage_in_bytes:", 0),
    ),
    fault(
        "limit-below-memory",
        "the limit with swap is below that of memory",
        "memcg.memsw",
        _set(r"memsw\.limit_in_bytes:", 0),
    ),
    fault(
        "child-above", "a group uses less memory than its child", "memcg.hierarchy", _child_above("memory")
    ),
    fault(
        "swap-child-above", "a group uses less swap than its child", "memcg.hierarchy", _child_above("swap")
    ),
    fault(
        "memsw-child-above",
        "a group uses less memory with swap than its child",
        "memcg.hierarchy",
        _child_above("memsw"),
    ),
    fault(
        "watermark-low",
        "a counter is above its watermark",
        "memcg.counter.watermark",
        _group(_watermark_low),
    ),
    fault(
        "child-event-uncounted",
        "an event of a child is not counted above it",
        "memcg.events.sum",
        _group(_event_uncounted),
    ),
    removal("files-removed", "what files said is not in the folder", "memcg.grows", Edit(_FILES, None)),
    removal("counters-removed", "a mark has no counters", "memcg.hierarchy", Edit(_STATE, None)),
)
