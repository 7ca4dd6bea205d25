"""What a compiled kernel's fingerprint covers, and that its machine code can be cached."""

from types import FunctionType

from linuxmm.fast import engine
from linuxmm.fast.link import RULES, Linked
from linuxmm.fast.machine import PRIMITIVES, UNTRACED
from linuxmm.model.alloc.profile import rules_for
from linuxmm.spec.kernel import kernel


def largest(order: int) -> int:
    """A kernel that reads a number and calls a function of the rules."""
    return RULES.max_order if RULES.pcp_allowed(order, RULES.pageblock_order) else -1


def _name(linked: Linked, function: FunctionType) -> str:
    return str(linked.entry(function).__qualname__)


def test_a_fingerprint_follows_rules_primitives_and_cold_functions() -> None:
    new, old = rules_for(kernel("6.12.117")), rules_for(kernel("5.4"))
    names = {
        _name(Linked(new, PRIMITIVES), engine.step),  # type: ignore[arg-type]
        _name(Linked(old, PRIMITIVES), engine.step),  # type: ignore[arg-type]
        _name(Linked(new, UNTRACED), engine.step),  # type: ignore[arg-type]
        _name(Linked(new, PRIMITIVES, frozenset({"rmqueue"})), engine.step),  # type: ignore[arg-type]
    }
    assert len(names) == 4
    assert _name(Linked(new, PRIMITIVES), engine.step) in names  # type: ignore[arg-type]


def test_rules_are_compile_time_constants() -> None:
    for version, order_3 in (("5.4", -1), ("6.1.192", 10)):
        compiled = Linked(rules_for(kernel(version)), UNTRACED).entry(largest)
        assert [compiled(0), compiled(3), compiled(4)] == [10, order_3, -1]
        (library,) = (result.library for result in compiled.overloads.values())  # type: ignore[attr-defined]
        assert not library.has_dynamic_globals
