"""Theorems about injected faults and about poison."""

from typing import Annotated

from linuxmm.proofs.domain import Integer, Truth, Word, each
from linuxmm.proofs.mutant import Mutant
from linuxmm.proofs.theorem import assume, implies, no, theorem
from linuxmm.spec.debug.fault_injection import Draw, FaultAttr, should_fail, spent
from linuxmm.spec.debug.page_poison import PAGE_POISON, SINGLE_BIT, check_poison, single_bit_flip

Count = Annotated[int, Integer(least=0)]
Positive = Annotated[int, Integer(least=1)]
Times = Annotated[int, Integer(least=-1)]
Percent = Annotated[int, Integer(least=0, below=100)]
Flag = Annotated[bool, Truth()]
Interval = Annotated[int, each(range(1, 33))]
Byte = Annotated[int, Word(64, below=256)]


@theorem(
    "debug.faults.counters",
    "A request lowers `times` by one exactly when it is refused, takes its size from `space` only when it is "
    "granted for that, and no counter leaves its range.",
    proves=(should_fail, spent),
    features=("F078",),
    method="inductive",
    bounds="any counters, sizes and dice; intervals 1 to 32",
    witness={
        "probability": 100, "interval": 3, "times": 2, "space": 0, "count": 2, "size": 1, "dice": 0,
        "marked": False, "on_stack": True, "task_filter": False,
    },
    mutants=(
        Mutant(spent, "counts unlimited refusals", "times > 0", "times != 0"),
        Mutant(spent, "never ends", "return times - 1 if times > 0 else times", "return times"),
        Mutant(should_fail, "refuses without a probability", "return attr, False", "return attr, True"),
    ),
)  # fmt: skip
def counters_hold(
    probability: Annotated[int, Integer(least=0, below=101)],
    interval: Interval,
    times: Times,
    space: Count,
    count: Count,
    size: Positive,
    dice: Percent,
    marked: Flag,
    on_stack: Flag,
    task_filter: Flag,
) -> bool:
    attr = FaultAttr(probability, interval, times, space, count, task_filter)
    after, refused = should_fail(attr, size, Draw(dice, marked, on_stack))
    fell = after.times == times - 1
    granted = after.space == space - size
    return (
        implies(refused, (times != 0) & (fell | (times == -1)) & (probability > 0) & (space <= size))
        & implies(no(refused), after.times == times)
        & ((after.space == space) | (granted & (space > size)))
        & ((after.seen == count) | (after.seen == count + 1))
        & (after.times >= -1)
        & implies(times != -1, after.times >= 0)
        & (after.space >= 0)
    )


@theorem(
    "debug.faults.every-kth",
    "With probability 100 and nothing to grant first, a request is refused exactly when its number is a "
    "multiple of the interval and refusals are left.",
    proves=(should_fail,),
    features=("F078",),
    method="inductive",
    bounds="any counters and sizes; intervals 2 to 32",
    witness={"interval": 3, "times": 2, "count": 2, "size": 1, "dice": 99},
    mutants=(
        Mutant(should_fail, "is never asked", "attr.probability == 0", "attr.probability == 100"),
        Mutant(should_fail, "forgets the attributes", "_after_filters(attr, size, draw)", "(attr, True)"),
    ),
)
def every_kth_fails(
    interval: Annotated[int, each(range(2, 33))], times: Times, count: Count, size: Positive, dice: Percent
) -> bool:
    after, refused = should_fail(FaultAttr(100, interval, times, 0, count), size, Draw(dice))
    due = (count + 1) % interval == 0
    return (refused == (due & (times != 0))) & (after.seen == count + 1 if times != 0 else True)


@theorem(
    "debug.poison.detects",
    "Any change of any byte of a poisoned run is reported, at exactly that byte; a single flipped bit is "
    "told from other changes, and writing the poison again is not noticed.",
    proves=(check_poison, single_bit_flip),
    features=("F076",),
    method="bounded",
    bounds="every value at every offset of runs of 1 to 12 bytes",
    witness={"run": (5, 3), "value": 0xAB},
    mutants=(
        Mutant(check_poison, "forgets the last byte", "last = len(memory) - 1", "last = len(memory) - 2"),
        Mutant(
            check_poison,
            "calls any byte a flipped bit",
            " and single_bit_flip(memory[first], PAGE_POISON)",
            "",
        ),
        Mutant(single_bit_flip, "accepts two bits", "error & (error - 1) == 0", "error != 3 and error < 256"),
    ),
)
def poison_detects(
    run: Annotated[tuple[int, int], each((n, at) for n in range(1, 13) for at in range(n))], value: Byte
) -> bool:
    length, at = run
    memory = [PAGE_POISON] * length
    memory[at] = value
    found = check_poison(memory)
    if found is None:
        return value == PAGE_POISON
    flipped = False
    for bit in range(8):
        flipped = flipped | (value == PAGE_POISON ^ (1 << bit))
    alone = (found.first == at) & (found.last == at) & (value != PAGE_POISON)
    return alone & (flipped == (found.line == SINGLE_BIT))


@theorem(
    "debug.poison.pair",
    "Of two changed bytes the report names the first and the last.",
    proves=(check_poison,),
    features=("F076",),
    method="bounded",
    bounds="every two values at every two offsets of runs of 2 to 8 bytes",
    witness={"run": (5, 1, 3), "one": 0, "other": 0},
    mutants=(
        Mutant(check_poison, "reports one byte", "return Corrupted(first, last, CORRUPTION)",
               "return Corrupted(first, first, CORRUPTION)"),
        Mutant(check_poison, "starts one byte late", "first = 0", "first = 1"),
    ),
)  # fmt: skip
def poison_spans(
    run: Annotated[
        tuple[int, int, int], each((n, i, j) for n in range(2, 9) for j in range(n) for i in range(j))
    ],
    one: Byte,
    other: Byte,
) -> bool:
    assume((one != PAGE_POISON) & (other != PAGE_POISON))
    length, first, last = run
    memory = [PAGE_POISON] * length
    memory[first], memory[last] = one, other
    found = check_poison(memory)
    return found is not None and (found.first == first) & (found.last == last)
