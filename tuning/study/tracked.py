"""The sweep's run in MLflow, noted in the study: pages that know the study alone link to it."""

from __future__ import annotations

from collections.abc import Mapping

import optuna

ATTRIBUTE = "mlflow"
"""Attribute of a study: ids of the run and its experiment."""


def tracked_of(study: optuna.Study) -> Mapping[str, str] | None:
    """Return the ids in MLflow. None before a store has answered, and for sweeps of earlier versions."""
    return study.user_attrs.get(ATTRIBUTE)
