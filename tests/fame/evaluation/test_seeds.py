"""Results over seeds against their definitions."""

from __future__ import annotations

import pytest

from fame.evaluation.seeds import mean_sd, measured, over_seeds


def test_mean_and_sample_standard_deviation_of_every_metric():
    found = over_seeds([{"hr@1": 0.25, "ndcg@1": 1.0}, {"hr@1": 0.75, "ndcg@1": 1.0}, {"hr@1": 0.5, "ndcg@1": 1.0}])
    assert list(found) == ["hr@1", "ndcg@1"]
    assert found["hr@1"]["values"] == [0.25, 0.75, 0.5]
    assert (found["hr@1"]["mean"], found["hr@1"]["sd"]) == pytest.approx((0.5, 0.25))  # (2 · 0.25² / 2)^½
    assert (found["ndcg@1"]["mean"], found["ndcg@1"]["sd"]) == (1.0, 0.0)
    assert mean_sd(found["hr@1"]) == "0.5000 ± 0.2500"


def test_one_seed_has_no_spread():
    assert over_seeds([{"hr@1": 0.25}])["hr@1"] == {"mean": 0.25, "sd": 0.0, "values": [0.25]}


def test_a_part_has_the_metrics_of_accuracy_and_of_lists_if_there_are_any() -> None:
    parts = {"test": {"ndcg@10": 0.2}, "lists": {"test": {"coverage@10": 0.5}}}
    assert measured(parts, "test") == {"ndcg@10": 0.2, "coverage@10": 0.5}
    assert measured({"test": {"ndcg@10": 0.2}}, "test") == {"ndcg@10": 0.2}
