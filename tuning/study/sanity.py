"""The sanity lines in the study: the metrics of models that count, beside those of the trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import optuna

ATTRIBUTE = "sanity"
"""Attribute of a study: its sanity lines."""

Sanity: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Model, part (validation or test), metric: the value."""


def sanity_of(study: optuna.Study) -> Sanity:
    """Return the sanity lines of a sweep. They are empty before they are computed."""
    return study.user_attrs.get(ATTRIBUTE, {})


def figures(sanity: Sanity, metric: str) -> dict[str, float]:
    """Return the lines by one metric as plain figures for MLflow: `sanity/popularity_test_ndcg@10`.

    MLflow draws a chart for each figure, and the report has them all.
    """
    return {
        f"sanity/{model}_{part}_{metric}": metrics[metric]
        for model, parts in sanity.items()
        for part, metrics in parts.items()
    }


def judgement(sanity: Sanity, metric: str, test: float | None) -> str | None:
    """Say how the best model's test value compares with each line. None without lines."""
    if test is None or not sanity:
        return None
    values = {model: parts["test"][metric] for model, parts in sanity.items()}
    times = ", ".join(f"{test / value:.1f} × {model}" for model, value in values.items() if value > 0)
    better = [model for model, value in values.items() if value >= test]
    if better:
        return f"at least as good on test without training: {', '.join(better)}; search longer, or look at the data"
    return f"{times} on test" if times else None
