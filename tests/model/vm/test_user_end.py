"""Where user space ends: an address space ends whole, whatever the format of its tables."""

import pytest
from immutables import Map

from linuxmm.model.vm.layer import TableLayer
from linuxmm.model.vm.page_profile import page_rules
from linuxmm.model.vm.process import SPACE
from linuxmm.model.vm.state import small_pages
from linuxmm.model.vm.table import create
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.area import Vma
from linuxmm.spec.vm.x86_format import FORMATS, I386, PAE, X86_64, X86Format, user_end


def test_with_32_bits_the_kernel_has_the_last_gigabyte() -> None:
    assert [user_end(fmt) for fmt in (I386, PAE, X86_64)] == [0xC000_0000, 0xC000_0000, 1 << 47]


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=list(FORMATS))
def test_memory_up_to_the_end_of_user_space_goes_with_it(fmt: X86Format) -> None:
    """Found by comparing forks: above 2 GiB tables of a 32-bit address space were left behind."""
    rules = page_rules(kernel("2.6.24"))
    pages, done = create(small_pages(20, fmt), SPACE)
    assert done
    last = user_end(fmt) - 4096
    layer, refused = TableLayer(rules, pages).populate(
        SPACE, Vma(last, last + 4096, 0x73, 0), last, last + 4096, True
    )
    assert refused is None
    assert layer.pages.tables == fmt.top + 1
    gone = layer.drop(SPACE).pages
    assert (gone.mms, gone.pages, gone.tables) == (Map(), Map(), 0)
