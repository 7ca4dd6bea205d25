"""The kernel version nearest to a captured one whose rules predict a recording without a difference."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from linuxmm.model.alloc.rules import Rules
from linuxmm.oracle.exact.check import predict_windows
from linuxmm.oracle.exact.machine import kernel_of, rules_of
from linuxmm.oracle.formats import Capture
from linuxmm.oracle.formats.state import MachineState
from linuxmm.spec.errors import ImpossibleProfile, Unmodelled
from linuxmm.spec.kernel import Version, behaviours

TRIES: Final = 12


def nearest_version(
    capture: Capture,
    states: Mapping[str, MachineState],
    judged: Version,
    progress: Callable[[str], None] = lambda _: None,
) -> str:
    """The nearest version that predicts every choice of a recording, "" when none of the TRIES nearest does.

    Versions are tried at which a rule of the page allocator changes, nearest first; those whose rules are
    the same, or whose lists are not shaped as the recorded ones, are passed over.
    judged    the version whose prediction failed; it is not tried again
    progress  told each version that is tried
    """
    state = next(iter(states.values()))
    lists = max((len(pcp.lists) for _, zone in state.zones() for pcp in zone.pcp.values()), default=0)
    seen: set[Rules] = {rules_of(kernel_of(capture.description, state, str(judged)), state)}
    tried = 0
    for version in by_distance(judged):
        try:
            profile = kernel_of(capture.description, state, str(version))
            rules = rules_of(profile, state)
        except (ImpossibleProfile, Unmodelled):
            continue
        if rules in seen or rules.nr_pcp_lists != lists:
            continue
        seen.add(rules)
        tried += 1
        progress(str(version))
        results = predict_windows(capture, states, profile, limit=1)
        if all(not result.unexplained and result.state_equal for result in results):
            return str(version)
        if tried == TRIES:
            break
    return ""


def by_distance(version: Version) -> Iterator[Version]:
    """Versions at which a rule of the page allocator changes, by how many changes lie in between."""
    changes = sorted(
        {
            change
            for behaviour in behaviours()
            if behaviour.rule.startswith("alloc.")
            for change in (behaviour.since, *behaviour.backports, *behaviour.replaced_in)
        }
    )
    here = sum(change <= version for change in changes) - 1
    order = sorted(range(len(changes)), key=lambda at: (abs(at - here), at))
    return (changes[at] for at in order)
