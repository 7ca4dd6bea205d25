"""Hypothesis strategies for addresses, accesses, firmware maps and small x86 address spaces."""

from hypothesis import strategies as st

from linuxmm.hardware.firmware import E820Entry, E820Type
from linuxmm.hardware.table_format import Access
from linuxmm.spec.vm.x86_entry import Control
from linuxmm.spec.vm.x86_format import X86Format, canonical


def addresses(fmt: X86Format) -> st.SearchStrategy[int]:
    """Canonical linear addresses of a format."""
    return st.integers(0, (1 << fmt.va_bits) - 1).map(lambda low: canonical(fmt, low))


def controls() -> st.SearchStrategy[Control]:
    """Every combination of control bits."""
    return st.builds(Control, *[st.booleans()] * len(Control._fields))


def accesses(fmt: X86Format) -> st.SearchStrategy[Access]:
    """Reads, writes and fetches by users and supervisors."""
    return st.builds(Access, addresses(fmt), st.integers(0, 2), st.booleans())


def e820_maps(pages: int = 32) -> st.SearchStrategy[tuple[E820Entry, ...]]:
    """Firmware maps as firmware leaves them: out of order, overlapping, not of whole frames."""
    entry = st.builds(
        E820Entry,
        st.integers(0, pages * 4 - 1).map(lambda n: n * 1024),
        st.integers(0, pages).map(lambda n: n * 1024),
        st.sampled_from(E820Type),
    )
    return st.lists(entry, max_size=8).map(tuple)
