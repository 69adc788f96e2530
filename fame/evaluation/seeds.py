"""Results as `metrics.json` has them: the metrics of a part, with one seed or several."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def over_seeds(results: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Mean, standard deviation (of a sample; 0 for one seed) and values of every metric of a part."""
    return {
        name: {
            "mean": statistics.fmean(values),
            "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
            "values": values,
        }
        for name in results[0]
        for values in [[result[name] for result in results]]
    }


def measured(metrics: Mapping[str, Any], part: str) -> dict[str, float]:
    """Return all metrics of a part, of accuracy and of lists. An early export has none of lists."""
    found: dict[str, float] = metrics[part] | metrics.get("lists", {}).get(part, {})
    return found


def shown(metrics: Mapping[str, Any], part: str, name: str) -> str:
    """Return a metric of `metrics.json` as text: mean and standard deviation for several seeds."""
    seeds = metrics.get("seeds")
    return f"{metrics[part][name]:.4f}" if seeds is None else mean_sd(seeds[part][name])


def mean_sd(summary: Mapping[str, Any]) -> str:
    """``.0612 ± .0007`` of one metric."""
    return f"{summary['mean']:.4f} ± {summary['sd']:.4f}"
