"""Compiling many small functions into one kernel, quickly.

Numba optimises and emits every compiled function on its own, and again in each function that calls it.  Here
a part is only translated; the kernel links all its parts and is optimised and emitted once.  A part is
translated once for a type of argument, not for each constant that it is called with.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.types.misc import unliteral

_COMMON: Final[dict[str, Any]] = {"nogil": True, "error_model": "numpy", "_nrt": False}


class _Detached:
    """The code generator as a part sees it: a part is not in memory, so it has no environment to fill in."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, name: str, env: Any) -> None:
        return None


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of one part: never run by itself."""

    @property
    def codegen(self) -> Any:
        return _Detached(self._codegen)

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


class _KernelLibrary(JITCodeLibrary):  # type: ignore[misc]
    """The code of a kernel with all the parts that it reaches."""

    def finalize(self) -> None:
        self._linking_libraries: list[Any] = _callers_first(self._linking_libraries)
        super().finalize()


def _callers_first(libraries: list[Any]) -> list[Any]:
    """The libraries and all that they call, each after its callers: linking drops what nobody calls yet."""
    called: list[Any] = []
    seen: set[int] = set()

    def visit(library: Any) -> None:
        if id(library) not in seen:
            seen.add(id(library))
            for other in library._linking_libraries:
                visit(other)
            called.append(library)

    for library in libraries:
        visit(library)
    return called[::-1]


@contextmanager
def _libraries(codegen: Any, kind: type) -> Iterator[None]:
    before = codegen._library_class
    codegen._library_class = kind
    try:
        yield
    finally:
        codegen._library_class = before


class _PartCompiler(Compiler):  # type: ignore[misc]
    def compile_extra(self, function: Callable[..., Any]) -> Any:
        with _libraries(self.state.targetctx.codegen(), _PartLibrary):
            return super().compile_extra(function)


class _KernelCompiler(Compiler):  # type: ignore[misc]
    def compile_extra(self, function: Callable[..., Any]) -> Any:
        with _libraries(self.state.targetctx.codegen(), _KernelLibrary):
            return super().compile_extra(function)


def part(function: Callable[..., Any], *, inline: bool) -> Callable[..., Any]:
    """Compile a function that kernels call.

    inline: into its callers; otherwise the compiler decides
    """
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _PartCompiler}
    compiled = njit(forceinline=inline, **options, **_COMMON)(function)
    specific = compiled.get_call_template

    def general(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return specific(tuple(unliteral(a) for a in args), {k: unliteral(a) for k, a in kws.items()})

    compiled.get_call_template = general
    return compiled  # type: ignore[no-any-return]


def kernel_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function that Python calls; its machine code is cached on disk."""
    return njit(cache=True, pipeline_class=_KernelCompiler, **_COMMON)(function)  # type: ignore[no-any-return]
