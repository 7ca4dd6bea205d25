"""A flush on all CPUs of a small machine: every interleaving of its steps."""

from immutables import Map

from linuxmm.spec.vm.shootdown import (
    Shootdown,
    answered,
    ask,
    begin,
    change,
    complete,
    consistent_at,
    flush_itself,
    take,
)

CPUS = range(3)
NOBODY = Map(dict.fromkeys(CPUS, False))
START = Shootdown(0, 0, 0, False, Map(dict.fromkeys(CPUS, 0)), NOBODY, NOBODY)


def steps(state: Shootdown) -> list[Shootdown]:
    """Every step that may be made."""
    found = []
    if state.tables < 2:
        found.append(change(state))
    if not state.active:
        found.append(begin(state, NOBODY))
    elif all(answered(state, cpu) for cpu in CPUS):
        found.append(complete(state))
    for cpu in CPUS:
        if state.active and not state.asked[cpu]:
            found.append(ask(state, cpu))
        if state.pending[cpu]:
            found.append(take(state, cpu))
        found.append(flush_itself(state, cpu))
    return found


def test_no_interleaving_leaves_an_old_translation() -> None:
    seen, pending = {START}, [START]
    while pending:
        state = pending.pop()
        assert all(consistent_at(state, cpu) for cpu in CPUS)
        for after in steps(state):
            if after not in seen:
                seen.add(after)
                pending.append(after)
    assert len(seen) > 1000
    assert any(state.done == 2 for state in seen)


def test_completing_without_an_answer_is_found() -> None:
    state = begin(change(START), NOBODY)
    state = take(ask(state, 0), 0)
    early = complete(ask(state, 1))
    assert [consistent_at(early, cpu) for cpu in CPUS] == [True, False, False]
