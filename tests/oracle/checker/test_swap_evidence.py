"""What swap devices say of themselves is what /proc/meminfo says of them; planted faults are found."""

import gzip
from pathlib import Path

import pytest

from linuxmm.oracle.checker.swap import judge_swap, judge_turns, judge_use, read_swap_totals, read_swaps
from linuxmm.oracle.faults_areas import change_of
from linuxmm.spec.errors import BadEvidence
from linuxmm.spec.verdict import Judgement, Verdict

TURNS = Path(__file__).parent / "memcg_evidence" / "swap-turns-6.1.txt.gz"
USED = TURNS.with_name("swap-used-6.1.txt.gz")
REAL = Path(__file__).parents[2] / "real"
SWAPS = "Filename Type Size Used Priority\n/dev/vdb partition 65532 5844 5\n/dev/vdc partition 65532 5888 5\n"
MEMINFO = "SwapTotal: 131064 kB\nSwapFree: 119332 kB\n"


def judged(swaps: str, meminfo: str) -> Judgement:
    judgement = Judgement()
    judge_swap(judgement, swaps, meminfo, "A1")
    return judgement


def test_every_shipped_capture() -> None:
    judgement = Judgement()
    used = 0
    for swaps in sorted(REAL.glob("**/marks/*/proc/swaps")):
        text = swaps.read_text()
        used += sum(use for _, use in read_swaps(text, str(swaps)))
        judge_swap(judgement, text, (swaps.parent / "meminfo").read_text(), swaps.parts[-3])
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert judgement.events >= 30
    assert used > 0


def test_two_devices_of_a_kernel_under_pressure() -> None:
    """Debian's 6.1.192 with two devices of one priority: both are used alike."""
    assert judged(SWAPS, MEMINFO).verdict is Verdict.CONFORMS


def test_a_fault_says_what_the_totals_should_be() -> None:
    swaps = change_of("reclaim", "swap-used-untold")(SWAPS.encode()).decode()
    meminfo = change_of("reclaim", "swap-size-untold")(MEMINFO.encode()).decode()
    for found in (judged(swaps, MEMINFO), judged(SWAPS, meminfo)):
        assert [divergence.clause for divergence in found.divergences] == ["reclaim.swap.total"]
    assert judged(swaps, MEMINFO).divergences[0].permitted == "131064 kB, 119328 kB"


def test_bad_files_are_refused() -> None:
    with pytest.raises(BadEvidence, match=r"^swaps:2: expected NAME TYPE SIZE USED PRIORITY: '/dev/vdb 5'$"):
        read_swaps("header\n/dev/vdb 5\n", "swaps")
    with pytest.raises(BadEvidence, match=r"^meminfo: expected SwapTotal: and SwapFree: with kilobytes$"):
        read_swap_totals("SwapTotal: 5 kB\n", "meminfo")


def test_devices_of_a_real_kernel_take_turns() -> None:
    """Probes of Debian's 6.1.192 with two devices of one priority: batches of 3, 3 and then 64 slots."""
    judgement = Judgement()
    batches = judge_turns(judgement, gzip.decompress(TURNS.read_bytes()).decode().splitlines(), 2)
    assert (judgement.verdict, judgement.divergences) == (Verdict.CONFORMS, [])
    assert batches >= 10
    assert judgement.clauses["reclaim.swap.turn"].checked >= 600


MARKS = {"A": 0, "A1": 2933, "A2": 2981, "B": 1441}
"""Slots that /proc/swaps of the recording shows as used; the rest of it is not shipped."""


def used(lines: list[str], marks: dict[str, int]) -> Judgement:
    judgement = Judgement()
    judge_use(judgement, lines, marks)
    return judgement


def test_what_a_kernel_shows_as_used_are_the_slots_that_it_took() -> None:
    """Debian's 6.1.192 under pressure: 69219 slots were taken and 67778 given back, mostly 64 at once."""
    lines = gzip.decompress(USED.read_bytes()).decode().splitlines()
    judgement = used(lines, MARKS)
    assert (judgement.verdict, judgement.clauses["reclaim.swap.taken"].checked) == (Verdict.CONFORMS, 4)
    assert sum("swaprange" in line and "n=64" in line for line in lines) > 1000
    lost = [line for at, line in enumerate(lines) if at != 500]
    assert {each.clause for each in used(lost, MARKS).divergences} == {"reclaim.swap.taken"}
    wrong = used(lines, MARKS | {"A2": 2980}).divergences
    assert [(each.observed, each.permitted, each.why) for each in wrong] == [
        ("2980 slots used", "2981 slots", "mark A2")
    ]


def test_a_device_out_of_turn_is_found() -> None:
    def found(*lines: str) -> list[tuple[str, str, str]]:
        judgement = Judgement()
        judge_turns(judgement, lines, 2)
        return [(each.observed, each.permitted, each.why) for each in judgement.divergences]

    batch, other = "mm-1: getswap: (f <- g) n=2", " mm-1: getswapf: (f <- g) entry=0x400000000000001"
    slot = "mm-1: getswapf: (f <- g) entry=0x1"
    assert found(batch, slot, slot, batch, other, other) == []
    assert found(batch, slot, slot, batch, slot, slot) == [
        ("device 0", "device 1", "the batch before was of device 0")
    ]
    assert found(batch, slot, other) == [("device 1", "device 0", "the batch is of device 0")]
