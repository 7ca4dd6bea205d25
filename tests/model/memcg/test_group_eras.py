"""Every rule of control groups has one behaviour in each release from its first on."""

import pytest

from linuxmm.model.memcg import charge, high, objects, oom_lock, soft, swap, writes
from linuxmm.spec.errors import Unmodelled
from linuxmm.spec.kernel import Behaviour, behaviours, kernel

MODULES = (charge, high, objects, oom_lock, soft, swap, writes)
RELEASES = (
    *(f"2.6.{patch}" for patch in range(25, 40)),
    *(f"3.{minor}" for minor in range(20)),
    *(f"4.{minor}" for minor in range(21)),
    *(f"5.{minor}" for minor in range(20)),
    *(f"6.{minor}" for minor in range(13)),
    "4.4.155",
    "4.19.95",
    "5.6.4",
    "5.15.15",
    "5.15.16",
    "6.1.157",
    "6.1.158",
)


def rules() -> dict[str, list[Behaviour]]:
    found: dict[str, list[Behaviour]] = {}
    for each in behaviours():
        if each.rule.startswith("memcg."):
            found.setdefault(each.rule, []).append(each)
    return found


def test_rules_have_no_gaps_and_no_doubts() -> None:
    assert len(rules()) >= 45
    for name, own in rules().items():
        first = min(each.since for each in own)
        last = max(each.until for each in own)
        for release in RELEASES:
            now = kernel(release)
            if first <= now.version.branch <= last.branch:
                assert now.behaviour(name).rule == name
            else:
                with pytest.raises(Unmodelled, match=f"rule '{name}' has no behaviour registered"):
                    now.behaviour(name)


def test_what_a_span_says_was_read_or_is_said_not_to_be() -> None:
    """Each names a file of the kernel, and the releases in which it was read."""
    assert all(module.__doc__ for module in MODULES)
    for own in rules().values():
        for each in own:
            assert ".c:" in each.source or ".h:" in each.source
            assert "read in" in each.source, each.name
