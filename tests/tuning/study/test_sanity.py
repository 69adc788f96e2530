"""The values of models that count, beside the trials."""

from __future__ import annotations

from tests.tuning.search.studies import METRIC
from tuning.study.sanity import figures, judgement

SANITY = {
    "popularity": {"validation": {METRIC: 0.0123}, "test": {METRIC: 0.01}},
    "transition": {"validation": {METRIC: 0.0456}, "test": {METRIC: 0.04}},
}


def test_the_best_is_compared_with_what_counting_reaches() -> None:
    assert judgement(SANITY, METRIC, 0.08) == "8.0 × popularity, 2.0 × transition on test"
    assert judgement(SANITY, METRIC, 0.03).startswith("at least as good on test without training: transition;")
    assert judgement({}, METRIC, 0.08) is None


def test_figures_for_mlflow_are_those_of_one_metric() -> None:
    found = figures(SANITY, METRIC)
    assert found[f"sanity/transition_test_{METRIC}"] == 0.04 and len(found) == 4
