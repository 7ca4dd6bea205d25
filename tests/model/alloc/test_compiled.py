"""The compiled allocator and the model, from the state of a real kernel, stay equal."""

from pathlib import Path
from random import Random

import pytest

from linuxmm.fast.engine import ALLOC_FAST, ALLOC_MIN, FREE, Engine
from linuxmm.model.alloc.freelist import NOTHING
from linuxmm.model.alloc.pcp import drain_pages_zone
from linuxmm.model.alloc.strategies import GFPS, Allocator, quiet
from linuxmm.oracle.exact.machine import kernel_of, machine_of, rules_of
from linuxmm.oracle.formats.capture import open_capture, read_state
from linuxmm.spec.alloc.request import request


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaWarning")
def test_compiled_and_model_agree_from_a_real_state() -> None:
    capture = open_capture(Path(__file__).parents[2] / "real" / "alloc-churn-6.12")
    state = read_state(capture.path / "marks" / "A" / "state.json.gz")
    rules = rules_of(kernel_of(capture.description, state), state)
    start = machine_of(state, rules)
    model, engine, draw = Allocator(rules, start), Engine(rules, start), Random(20)
    held: list[tuple[int, int]] = []
    for stretch in range(8):
        for _ in range(60):
            kind = draw.choice("aaaafffd")
            if kind == "a":
                order = draw.choice([0, 0, 0, 1, 2, 3, 4, 9])
                one = request(order, draw.choice(GFPS))
                pfn = model.alloc(one)
                fast = engine.run(ALLOC_FAST, request=one)
                fast = engine.run(ALLOC_MIN, request=one) if fast == NOTHING else fast
                assert fast == pfn
                held += [(pfn, order)] if pfn != NOTHING else []
            elif kind == "f" and held:
                pfn, order = held.pop(draw.randrange(len(held)))
                model.free(0, pfn, order)
                engine.run(FREE, pfn=pfn, order=order)
            elif kind == "d" and stretch % 2:
                model.drain(0, 5000)
                engine.interpret(drain_pages_zone, engine.zone_of(5000), 0)
            model.machine = quiet(model.machine)
        assert engine.machine == model.machine
