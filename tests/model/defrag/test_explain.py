"""The same request on kernels of every age: each answer says what decided."""

from dataclasses import replace

import pytest

from linuxmm.model.defrag.explain import Reason, explain
from linuxmm.model.defrag.picture import memory_of
from linuxmm.model.defrag.profile import rules_for
from linuxmm.model.defrag.rules import Rules
from linuxmm.model.defrag.state import Marks
from linuxmm.spec.defrag.defer import Deferral
from linuxmm.spec.kernel import kernel


def rules_of(version: str) -> Rules:
    return rules_for(kernel(version, force_max_zoneorder=6), block_order=4)


SCATTERED = "a...a..." * 16


@pytest.mark.parametrize(
    ("version", "order", "reason"),
    [
        ("2.6.35", 3, Reason.NOT_PERMITTED),
        ("2.6.35", 4, Reason.COMPACTED),
        ("3.4", 3, Reason.COMPACTED),
        ("4.9", 4, Reason.COMPACTED),
        ("5.4", 4, Reason.CAPTURED),
        ("6.1.192", 4, Reason.CAPTURED),
        ("6.12.117", 4, Reason.CAPTURED),
    ],
)
def test_scattered_movable_pages(version: str, order: int, reason: Reason) -> None:
    found = explain(rules_of(version), memory_of(rules_of(version), SCATTERED), order)
    assert found.reason is reason
    assert found.succeeds is (reason is not Reason.NOT_PERMITTED)


@pytest.mark.parametrize(
    ("pages", "types", "own", "reason"),
    [
        ("." * 64, "", 1, Reason.FREE),
        ("." * 16 + "u" * 48, "", 0, Reason.FALLBACK),
        ("aaaaaaa." * 8, "", 1, Reason.SHORT),
        ("u......." * 16, "", 1, Reason.IN_THE_WAY),
    ],
)
def test_what_decides(pages: str, types: str, own: int, reason: Reason) -> None:
    rules = rules_of("6.1.192")
    found = explain(rules, memory_of(rules, pages, types=types), 4, own)
    assert found.reason is reason


def test_failures_put_it_off_and_want_of_memory_is_no_fragmentation() -> None:
    rules = rules_of("6.1.192")
    memory = memory_of(rules, SCATTERED)
    off = explain(rules, replace(memory, marks=Marks(deferral=Deferral(0, 3, 0))), 4)
    assert off.reason is Reason.PUT_OFF
    scarce = explain(rules, memory_of(rules, "........aaaaaaaa" * 5), 4)
    assert (scarce.reason, scarce.index) == (Reason.NOT_FRAGMENTED, 300)


def test_it_reads_as_a_sentence() -> None:
    rules = rules_of("5.4")
    assert str(explain(rules, memory_of(rules, SCATTERED), 4)) == (
        "succeeds: compaction freed a block, and it was handed over as it merged "
        "(96 pages free, 32 needed, fragmentation index 891, 4 of 12 pages scanned were moved)"
    )
