"""The page of eras: it shows its record, and the record is what a fresh run counts."""

import json
from pathlib import Path

import pytest

from linuxmm.fast import lru
from linuxmm.model.reclaim.profile import rules_for
from linuxmm.model.reclaim.rules import Rules
from linuxmm.oracle.eras import BASELINES, TRACES, VERSIONS, Record, curves, page, run
from linuxmm.spec.kernel import Kernel, kernel

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


@pytest.fixture(scope="module")
def record() -> Record:
    found: Record = json.loads((GUIDE / "eras.json").read_text())
    return found


def test_the_page_shows_the_record(record: Record) -> None:
    assert (GUIDE / "eras.md").read_text() == page(record)
    assert tuple(record) == tuple(TRACES)
    assert all(tuple(rows) == (*VERSIONS, *BASELINES) for rows in record.values())
    assert len(curves(record)) == 2 * len(TRACES)


def test_a_fresh_run_counts_the_same(record: Record) -> None:
    chosen = ("2.6.24", "3.5", "6.12", "6.12 with lru_gen")
    fresh = run(chosen)
    assert fresh == {name: {version: rows[version] for version in chosen} for name, rows in record.items()}


def test_every_era_reclaims_and_refuses_nothing(record: Record) -> None:
    for rows in record.values():
        for version, row in rows.items():
            assert row["refused"] == 0
            assert 0 < row["reclaimed"] <= row["scanned"]
            assert row["refaults"] <= row["misses"]
            assert version == "6.1 with lru_gen" or row["refaults_activated"] <= row["refaults"]


def test_generations_keep_a_hot_set_through_a_scan(record: Record) -> None:
    """Half of the references go to pages that never come back: no fewer than half can miss."""
    for version in ("6.1", "6.12"):
        with_generations, without = record["scan"][f"{version} with lru_gen"], record["scan"][version]
        assert 0.5 < with_generations["misses"] / with_generations["references"] < 0.52
        assert without["misses"] > 1.1 * with_generations["misses"]


def test_one_rule_makes_the_difference_between_4_9_and_4_12(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When files' active pages are taken down: with the earlier answer every trace has the earlier misses."""

    def with_earlier_rule(profile: Kernel, batches: bool, generations: bool) -> Rules:
        return rules_for(profile, batches, generations=generations)._replace(
            file_low=rules_for(kernel("4.9")).file_low
        )

    monkeypatch.setattr(lru, "rules_for", with_earlier_rule)
    fresh = run(("4.12",))
    for name in ("zipf", "loop", "scan"):
        assert fresh[name]["4.12"]["misses"] == record[name]["4.9"]["misses"]
    assert record["scan"]["4.12"]["misses"] > record["scan"]["4.9"]["misses"]
