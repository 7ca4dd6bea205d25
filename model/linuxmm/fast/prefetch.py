"""Asking for a cache line before it is needed.

A batch of operations is known in advance, so the memory that a later one touches can be on its way while
earlier ones run: what an operation costs then depends little on how much memory the machine has.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from linuxmm.fast.arena import Int32s, Int64s
from linuxmm.spec.relink import Function

_FOR_WRITING = 1
_KEEP = 3
_DATA = 1


@intrinsic  # type: ignore[untyped-decorator]
def _ask(typing: Any, array: Any, index: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        line = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        ask = builder.module.declare_intrinsic(
            "llvm.prefetch", [line.type], ir.FunctionType(ir.VoidType(), [line.type, word, word, word])
        )
        builder.call(ask, [line, word(_FOR_WRITING), word(_KEEP), word(_DATA)])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


def ask(array: Int32s | Int64s, index: int) -> None:
    """Have the line that holds array[index] brought in; nothing else changes, whatever the index.

    Without a compiler it does nothing.
    """


def _ask_of_processor(array: Int32s | Int64s, index: int) -> None:
    _ask(array, index)


COMPILED: Final[dict[Function, Function]] = {ask: _ask_of_processor}
"""`ask` -> what compiled code does."""
