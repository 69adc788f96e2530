"""Metrics against those of RecTools on the same rankings; `rectools_metrics.py` says how its numbers were made."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from fame.config import EvaluateConfig
from fame.config.metrics import ACCURACY, LISTS
from fame.datasets.batches import device_values
from fame.datasets.sequences import Sequences
from fame.evaluation.evaluator import Evaluator
from fame.evaluation.lists import LabelVectors
from tests.fame.evaluation.naive import LastItemModel
from tests.fame.evaluation.rectools_metrics import CUTOFFS, FIXTURE
from tests.fame.helpers import CPU, split_sequences

CASES = json.loads(FIXTURE.read_text(encoding="utf-8"))["cases"]


def evaluator(given: dict[str, Any], single: Any) -> tuple[Evaluator, LastItemModel]:
    sequences = sequences_of_case(given)
    config = EvaluateConfig(cutoffs=CUTOFFS, metrics=ACCURACY)
    scores = torch.tensor(given["scores"][1:]).float()
    return Evaluator(sequences, device_values(sequences, CPU), "test", 5, config, single), LastItemModel(scores)


def sequences_of_case(given: dict[str, Any]) -> Sequences:
    """All of a history is the training part, so that RecTools' previous interactions are ours."""
    return split_sequences(
        [(one["history"], [], one["targets"]) for one in given["users"]], item_count=len(given["labels"])
    )


@pytest.mark.parametrize("name", CASES)
def test_accuracy_is_that_of_rectools(name, single):
    given, expected = CASES[name]["case"], CASES[name]["metrics"]
    ours, model = evaluator(given, single)
    found = ours.metrics(model)
    assert found.keys() == {f"{kind}@{k}" for kind in ACCURACY for k in CUTOFFS}
    assert found == pytest.approx({key: expected[key] for key in found}, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_coverage_novelty_popularity_and_diversity_are_those_of_rectools(name, single):
    given, expected = CASES[name]["case"], CASES[name]["metrics"]
    ours, model = evaluator(given, single)
    names = [f"{kind}@{k}" for kind in LISTS if kind != "gini" for k in CUTOFFS]
    found = ours.lists(model, names, LabelVectors(["|".join(labels) for labels in given["labels"]]))
    assert found == pytest.approx({key: expected[key] for key in names}, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gini_is_the_mean_difference_of_how_often_two_items_are_recommended(name, single):
    """RecTools has no Gini index; this is its definition."""
    ours, model = evaluator(CASES[name]["case"], single)
    lists = ours.top(model, 20)
    for k in CUTOFFS:
        counts = np.bincount(lists[:, :k].flatten(), minlength=40)
        expected = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
        assert ours.lists(model, [f"gini@{k}"])[f"gini@{k}"] == pytest.approx(expected, abs=1e-12)
