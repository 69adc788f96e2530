"""A user's view of MLflow, read without the code under test."""

from __future__ import annotations

from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient


class Seen:
    """A sweep's runs at an address."""

    def __init__(self, uri: str, experiment: str, sweep: str) -> None:
        self.client = MlflowClient(uri)
        self.experiment_id = self.client.get_experiment_by_name(experiment).experiment_id
        self.sweep = sweep

    @property
    def parent(self) -> Run:
        (parent,) = [run for run in self._runs() if run.data.tags.get("kind") == "sweep"]
        return parent

    def children(self, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        """In the order of their trials."""
        parent_id = self.parent.info.run_id
        found = [run for run in self._runs(view) if run.data.tags.get("mlflow.parentRunId") == parent_id]
        return sorted(found, key=lambda run: run.data.tags["trial"])

    def child(self, trial: str) -> Run:
        (run,) = [run for run in self.children() if run.data.tags["trial"] == trial]
        return run

    def statuses(self) -> dict[str, tuple[str, str]]:
        """MLflow's status and ours, by trial."""
        return {run.data.tags["trial"]: (run.info.status, run.data.tags["status"]) for run in self.children()}

    def history(self, trial: str, key: str) -> list[tuple[int, float]]:
        points = self.client.get_metric_history(self.child(trial).info.run_id, key)
        return [(point.step, point.value) for point in points]

    def _runs(self, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        runs = self.client.search_runs([self.experiment_id], "", view)
        return [run for run in runs if run.data.tags.get("sweep") == self.sweep]
