"""Where one behaviour of address spaces ends and the next begins, as the sources of both sides show it."""

from collections.abc import Callable

import pytest

from linuxmm.model.vm.madvise import (
    guards_bring_a_flag,
    guards_bring_anon_vma,
    populate_stops_at_a_hole,
    populate_walks_like_others,
)
from linuxmm.model.vm.merge import only_soft_dirty, soft_dirty_and_guards
from linuxmm.model.vm.mprotect import commit_is_kept, commit_of_untouched_is_given_back
from linuxmm.model.vm.place import alignment_of_large, alignment_of_multiples
from linuxmm.spec.kernel import kernel
from linuxmm.spec.vm.arm64_flush import (
    falling_scales,
    limit_at,
    limit_below,
    limit_beyond_1024,
    rising_scales,
)
from linuxmm.spec.vm.maps import heap_itself, heap_or_beside_it

BORDERS = [
    ("vm.unaccounts", "6.6", commit_is_kept),
    ("vm.unaccounts", "6.7", commit_of_untouched_is_given_back),
    ("vm.heap-printed", "6.6.87", heap_or_beside_it),
    ("vm.heap-printed", "6.7", heap_itself),
    ("vm.populates-apart", "6.9", populate_walks_like_others),
    ("vm.populates-apart", "6.10", populate_stops_at_a_hole),
    ("vm.anonymous-alignment", "6.10", alignment_of_large),
    ("vm.anonymous-alignment", "6.11.11", alignment_of_multiples),
    ("vm.guards-mark", "6.18.33", guards_bring_anon_vma),
    ("vm.guards-mark", "6.18.44", guards_bring_a_flag),
    ("vm.sticky", "6.18.33", only_soft_dirty),
    ("vm.sticky", "6.18.44", soft_dirty_and_guards),
    ("vm.arm64.ranges", "6.6.9", rising_scales),
    ("vm.arm64.ranges", "6.6.80", falling_scales),
    ("vm.arm64.ranges", "6.7", rising_scales),
    ("vm.arm64.ranges", "6.8", falling_scales),
    ("vm.arm64.range-limit", "4.20", limit_beyond_1024),
    ("vm.arm64.range-limit", "5.0", limit_below),
    ("vm.arm64.range-limit", "6.9", limit_below),
    ("vm.arm64.range-limit", "6.10", limit_at),
]


@pytest.mark.parametrize(("rule", "version", "function"), BORDERS)
def test_releases_beside_a_border_have_what_was_read_in_them(
    rule: str, version: str, function: Callable[..., object]
) -> None:
    assert kernel(version).behaviour(rule).function is function
