"""All 86 features, in the order of the seed."""

from typing import Final

from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature import Claim, Feature
from linuxmm.spec.feature_table_allocators import ALLOCATORS
from linuxmm.spec.feature_table_machines import MACHINES
from linuxmm.spec.feature_table_processes import PROCESSES

FEATURES: Final[tuple[Feature, ...]] = ALLOCATORS + PROCESSES + MACHINES
_BY_ID: Final = {feature.id: feature for feature in FEATURES}


def find_feature(id: str) -> Feature:
    """The feature called `id` (either case).

    Errors    LinuxmmError, with the range of ids
    """
    feature = _BY_ID.get(id.upper())
    if feature is None:
        raise LinuxmmError(f"no feature is called {id!r}: expected {FEATURES[0].id} to {FEATURES[-1].id}")
    return feature


def features_of(claim: Claim) -> tuple[Feature, ...]:
    """The features that a claim is about."""
    return tuple(find_feature(id) for id in claim.features)
