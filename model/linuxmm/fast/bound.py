"""A kernel's rules as a compile-time constant.

Compiled code sees the record of rules as a value without content: `rules.take` is known to the compiler as
one function, `rules.max_order` as one number.  So passing the rules costs nothing at run time, and compiled
code holds no address of this process and can be cached.
"""

from itertools import count
from typing import Any, Final

from numba.core import types
from numba.core.imputils import lower_constant, lower_getattr_generic
from numba.core.types.containers import NamedUniTuple
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, register_model, typeof_impl

from linuxmm.model.alloc.rules import Rules
from linuxmm.model.objects.slub_rules import Rules as SlubRules
from linuxmm.model.reclaim.plain import Policy
from linuxmm.model.reclaim.rules import Rules as ReclaimRules
from linuxmm.model.vm.page_rules import PageRules

AnyRules = Rules | SlubRules | ReclaimRules | Policy | PageRules
"""What a kernel does in its own way, of an allocator that is compiled."""
_serial: Final = count()


class BoundRules:
    """One kernel's rules, of compiled functions; compiled code takes it for the algorithms' `Rules`."""

    def __init__(self, rules: AnyRules) -> None:
        self.rules = rules
        self.type = RulesType(rules)


class RulesType(types.Opaque):
    """The type of one BoundRules; every BoundRules has its own."""

    def __init__(self, rules: AnyRules) -> None:
        super().__init__(f"Rules{next(_serial)}")
        self.rules = rules


register_model(RulesType)(models.OpaqueModel)


@typeof_impl.register(BoundRules)  # type: ignore[untyped-decorator]
def _typeof(value: BoundRules, context: Any) -> RulesType:
    return value.type


@infer_getattr
class _RulesAttributes(AttributeTemplate):  # type: ignore[misc]
    key = RulesType

    def generic_resolve(self, of: RulesType, name: str) -> Any:
        value = getattr(of.rules, name)
        if isinstance(value, bool):
            return types.boolean
        if isinstance(value, int):
            return types.int64
        if isinstance(value, tuple):
            return NamedUniTuple(types.int64, len(value), type(value))
        return types.Dispatcher(value)


@lower_getattr_generic(RulesType)  # type: ignore[untyped-decorator]
def _lower_attribute(context: Any, builder: Any, of: RulesType, value: Any, name: str) -> Any:
    found = getattr(of.rules, name)
    if isinstance(found, bool):
        return context.get_constant(types.boolean, found)
    if isinstance(found, int):
        return context.get_constant(types.int64, found)
    if isinstance(found, tuple):
        kind = NamedUniTuple(types.int64, len(found), type(found))
        return context.get_constant_generic(builder, kind, found)
    return context.get_dummy_value()


@lower_constant(RulesType)  # type: ignore[untyped-decorator]
def _lower_rules(context: Any, builder: Any, of: RulesType, value: Any) -> Any:
    return context.get_dummy_value()
