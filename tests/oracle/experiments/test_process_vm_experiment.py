"""H16: a pipe copies twice, process_vm_readv once, and the message arrives."""

import pytest

from linuxmm.oracle.experiments import process_vm
from linuxmm.oracle.experiments.process_vm import Moved, copied, copies_per_byte
from linuxmm.spec.experiment import Scale, Standing


@pytest.mark.parametrize(
    ("way", "copies"),
    [
        ("pipe", 2.0),
        ("shared memory, taken out", 2.0),
        ("shared memory, used in place", 1.0),
        ("process_vm_readv", 1.0),
    ],
)
@pytest.mark.parametrize("size", [64, 1 << 17])
def test_how_often_a_byte_is_copied(way: str, size: int, copies: float) -> None:
    assert copies_per_byte("6.12", way, size) == copies


def test_a_message_that_does_not_arrive_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(moved: Moved, size: int) -> Moved:
        return copied(moved, 1, process_vm.OWN.start, 2, process_vm.OWN.start, size - 1)

    monkeypatch.setitem(process_vm.WAYS, "pipe", short)
    with pytest.raises(AssertionError, match="pipe: the message of 64 bytes did not arrive"):
        copies_per_byte("6.1", "pipe", 64)


def test_the_claim_stands() -> None:
    outcome = process_vm.process_vm(Scale.QUICK)
    assert outcome.standing is Standing.CONFIRMED
    assert {figure.value for figure in outcome.figures} == {1.0, 2.0}
