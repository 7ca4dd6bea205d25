"""Random system calls in a guest of the lab conform."""

import pytest

from linuxmm.lab.kernels import find_kernel
from linuxmm.model.vm.process import call as make
from linuxmm.oracle.live.guest import judge_log, live_in_guest, run_list
from linuxmm.oracle.live.recorded import list_text, sections_of
from linuxmm.oracle.live.start import read_start
from linuxmm.spec.vm import flags as vm
from linuxmm.spec.vm.system_calls import Mmap

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("name", ["6.1", "6.12", "6.1-686-pae"])
def test_calls_made_in_a_guest_conform(name: str) -> None:
    outcome = live_in_guest(name, 1500, 3)
    assert [(each.refusal.clause, each.refusal.why) for each in outcome.divergences] == []
    assert outcome.events == 1500


@pytest.mark.parametrize("overcommit", [1, 2])
def test_calls_conform_where_commitments_are_not_guessed(overcommit: int) -> None:
    """Always, and never beyond the limit: then calls are refused that a guess grants."""
    outcome = live_in_guest("6.12", 1500, 3, overcommit=overcommit)
    assert [(each.refusal.clause, each.refusal.why) for each in outcome.divergences] == []
    assert outcome.events == 1500


def _map(pages: int, more: int = 0, prot: int = vm.PROT_READ | vm.PROT_WRITE) -> Mmap:
    return Mmap(0, pages << 12, prot, vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | more)


BIG = (
    _map(10_000),  # 40 MB of a machine with 212 MB, of which mode 2 commits half
    _map(10_000),
    _map(10_000),
    _map(10_000, vm.MAP_NORESERVE),
    _map(10_000, prot=vm.PROT_READ),
    _map(100_000),
    _map(100_000, vm.MAP_NORESERVE),
)


@pytest.mark.parametrize(
    ("overcommit", "granted"),
    [(0, "yyyyyny"), (1, "yyyyyyy"), (2, "yynnynn")],
    ids=["guess", "always", "never"],
)
def test_what_may_be_committed_is_what_the_mode_says(overcommit: int, granted: str) -> None:
    """A guess refuses what no machine could hold; the limit counts what is promised, reserved or not."""
    log = sections_of(run_list(find_kernel("6.12"), list_text((BIG,)), overcommit=overcommit))
    events, found = judge_log((BIG,), log)
    assert [(each.refusal.clause, each.refusal.why) for each in found] == []
    assert events == len(BIG)
    start, said = read_start(log[0], "log"), ""
    process = start.process
    for call in BIG:
        step = make(start.rules, process, call)
        said += "y" if isinstance(step.result, int) else "n"
        process = step.state
    assert said == granted
