"""Every release composes one set of rules, and what never existed is refused."""

import pytest

from linuxmm.model.alloc.profile import max_page_order, pageblock_order, rules_for
from linuxmm.spec.errors import ImpossibleProfile
from linuxmm.spec.kernel import Arch, behaviours, kernel
from linuxmm.spec.registry import built, load

RELEASES = [
    *(f"2.6.{n}" for n in range(40)),
    *(f"3.{n}" for n in range(20)),
    *(f"4.{n}" for n in range(21)),
    *(f"5.{n}" for n in range(20)),
    *(f"6.{n}" for n in range(13)),
    "6.1.192",
    "6.12.117",
]

FEATURES = [
    "F001",
    "F002",
    "F003",
    "F006",
    *(f"F{n:03}" for n in range(10, 15)),
    *(f"F{n:03}" for n in range(16, 32)),
]


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_composes_its_rules(release: str) -> None:
    rules = rules_for(kernel(release))
    assert (rules.max_order, rules.pageblock_order) == (10, 9 if RELEASES.index(release) >= 24 else 10)
    assert all(callable(value) or isinstance(value, int) for value in rules)


@pytest.mark.parametrize("release", RELEASES)
def test_no_rule_has_two_behaviours_in_one_release(release: str) -> None:
    machine = kernel(release)
    seen: dict[str, str] = {}
    for behaviour in behaviours():
        if behaviour.rule.startswith("alloc.") and behaviour.applies(machine.version):
            assert behaviour.rule not in seen, f"{seen.get(behaviour.rule)} and {behaviour.name}"
            seen[behaviour.rule] = behaviour.name


@pytest.mark.parametrize(
    ("version", "arch", "options", "message"),
    [
        ("2.3", Arch.I386, {}, "kernel version 2.3.0 is outside what linuxmm describes, 2.4 to 6.18"),
        ("6.19", Arch.X86_64, {}, "kernel version 6.19 is outside what linuxmm describes, 2.4 to 6.18"),
        ("six", Arch.X86_64, {}, "kernel version 'six': expected something like 2.6.24, 5.13 or 6.1.192"),
        ("3.4", Arch.X86_64, {"cma": True}, "kernel 3.4 on x86_64: CMA was merged in 3.5"),
        ("3.6", Arch.ARM64, {}, "kernel 3.6 on arm64: arm64 was merged in 3.7"),
        (
            "6.1",
            Arch.X86_64,
            {"highmem": True},
            "kernel 6.1 on x86_64: HIGHMEM exists only on 32-bit architectures",
        ),
        ("6.1", Arch.X86_64, {"colour": True}, "unknown configuration option 'colour'"),
        (
            "6.1",
            Arch.X86_64,
            {"force_max_zoneorder": 15},
            "kernel 6.1 on x86_64: FORCE_MAX_ZONEORDER 15 is outside 1 to 14",
        ),
    ],
)
def test_what_never_existed_is_refused(
    version: str, arch: Arch, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ImpossibleProfile) as caught:
        kernel(version, arch, **options)
    assert str(caught.value) == message


def test_the_size_of_a_pageblock() -> None:
    assert [max_page_order(kernel("2.4", Arch.I386)), max_page_order(kernel("6.1"))] == [9, 10]
    assert pageblock_order(kernel("5.10", Arch.I386)) == 10
    assert pageblock_order(kernel("6.1", hugetlb_page=False)) == 10


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_of_the_page_allocator_is_registered(feature: str) -> None:
    load("linuxmm.spec", "linuxmm.model")
    have = built(feature)
    assert have.spec > 0
    assert have.verbs
