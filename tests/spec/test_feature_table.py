"""The tables of features and claims."""

import pytest

from linuxmm.spec.claim_table import CLAIMS, find_claim
from linuxmm.spec.errors import LinuxmmError
from linuxmm.spec.feature import Status
from linuxmm.spec.feature_table import FEATURES, features_of, find_feature
from linuxmm.spec.kernel import Version


def release(text: str) -> Version:
    numbers = [int(part) for part in text.split(".")]
    return Version(*numbers)


def test_all_rows_are_there_in_order() -> None:
    assert [feature.id for feature in FEATURES] == [f"F{n:03}" for n in range(1, 87)]
    assert [claim.id for claim in CLAIMS] == [f"H{n:02}" for n in range(1, 19)]


def test_a_feature_ends_after_it_began() -> None:
    for feature in FEATURES:
        if feature.until:
            assert release(feature.since) <= release(feature.until), feature.id


def test_releases_agree_with_the_status() -> None:
    for feature in FEATURES:
        if feature.status is Status.REMOVED:
            assert feature.until, feature.id
        if feature.status is Status.NEVER_MERGED:
            assert not feature.since, feature.id
            assert not feature.until, feature.id


def test_every_row_is_written_out() -> None:
    for feature in FEATURES:
        assert feature.sources, feature.id
        assert feature.seed, feature.id
        for sentence in filter(None, (feature.summary, feature.corrects)):
            assert sentence.endswith("."), feature.id


def test_claims_name_features() -> None:
    assert [feature.id for feature in features_of(find_claim("h01"))] == ["F018", "F029", "F030"]
    for claim in CLAIMS:
        assert features_of(claim), claim.id


def test_an_unknown_id_is_one_clear_error() -> None:
    with pytest.raises(LinuxmmError, match=r"^no feature is called 'F087': expected F001 to F086$"):
        find_feature("F087")
    with pytest.raises(LinuxmmError, match=r"^no claim is called 'H19': expected H01 to H18$"):
        find_claim("H19")
