"""MLflow's store and experiment where no option names them: the environment's, as every MLflow program takes them."""

from __future__ import annotations

import os

from tuning.plan.credentials import without_credentials

TRACKING_URI, EXPERIMENT_NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
"""MLflow's own variables."""
LOCAL_STORE = "sqlite:///mlflow.db"
TRACKING_HELP = f"MLflow store or server (default: ${TRACKING_URI}, or {LOCAL_STORE})"
EXPERIMENT_HELP = f"MLflow experiment (default: ${EXPERIMENT_NAME}, or the dataset's name)"


def default_tracking_uri() -> str:
    """Return the MLflow address that the environment names, as every MLflow program takes it, or a local database."""
    uri = os.environ.get(TRACKING_URI)
    if not uri:
        return LOCAL_STORE
    os.environ[TRACKING_URI] = without_credentials(uri, TRACKING_URI)  # Ray hands the environment to its processes
    return os.environ[TRACKING_URI]


def default_experiment() -> str | None:
    """Return the MLflow experiment that the environment names, if it names one."""
    return os.environ.get(EXPERIMENT_NAME) or None
