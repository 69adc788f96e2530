"""Texts and batches as MLflow takes them, and searches for runs by their tags."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tuning.tracking.vocabulary import metric_name, valid_name

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

METRICS_PER_BATCH = 1000
"""Most metrics and other entries of a request together."""
ENTRIES_PER_BATCH = 100
"""Parameters, or tags."""
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
"""MLflow's limits (`mlflow.utils.validation`)."""
PAGE = 200
"""Runs per answer to a search. A thousand runs can take longer than a request may."""


def texts(values: Mapping[str, object], length: int) -> dict[str, str]:
    """Return names and values as MLflow takes them: valid names, and texts that are not too long."""
    texts = {valid_name(k): v if isinstance(v, str) else json.dumps(v, default=str) for k, v in values.items()}
    return {key: shortened(text, length) for key, text in texts.items()}


def shortened(text: str, length: int) -> str:
    """Return the text, cut off if it is longer than MLflow takes."""
    return text if len(text) <= length else text[: length - 1] + "…"


def current_params(run: Run) -> dict[str, str]:
    """Return a run's parameters with the changes that its tags note."""
    return {key: run.data.tags.get(f"now.{key}", value) for key, value in run.data.params.items()}


@dataclass(kw_only=True)
class RunBatch:
    """Writes for one run, sent in as few requests as MLflow's limits allow."""

    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def add_metrics(self, metrics: Mapping[str, float], step: int, when: int) -> None:
        """Add numbers at a step.

        A number that is not finite becomes the tag ``not_finite.NAME``. MLflow stores infinity as 1.8e308, which spoils
        the axis of every chart.
        """
        from mlflow.entities import Metric

        for key, value in metrics.items():
            if math.isfinite(value):
                self.metrics.append(Metric(metric_name(key), value, when, step))
            else:
                self.tags[valid_name(f"not_finite.{key}")] = f"{value} at epoch {step}"

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Write the batch. It is empty afterwards."""
        from mlflow.entities import Param, RunTag

        params = [Param(key, value) for key, value in self.params.items()]
        tags = [RunTag(key, value) for key, value in self.tags.items()]
        metrics = self.metrics
        while params or tags or metrics:
            some_params, some_tags = params[:ENTRIES_PER_BATCH], tags[:ENTRIES_PER_BATCH]
            room = METRICS_PER_BATCH - len(some_params) - len(some_tags)
            client.log_batch(run_id, metrics=metrics[:room], params=some_params, tags=some_tags, synchronous=True)
            params, tags, metrics = params[ENTRIES_PER_BATCH:], tags[ENTRIES_PER_BATCH:], metrics[room:]
        self.params, self.tags, self.metrics = {}, {}, []


def changed_params(known: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the parameters and tags that a run with `known` lacks.

    Parameters cannot be overwritten in MLflow: a new value (population based training) is a tag.
    """
    params = {key: value for key, value in wanted.items() if key not in known}
    return params, {f"now.{key}": value for key, value in wanted.items() if known.get(key, value) != value}


def like(tag: str, value: str) -> str:
    """Return a filter on a tag. MLflow cannot escape quotes, so they become a wildcard. `find` compares exactly."""
    pattern = re.sub(r"['\"\\]", "_", value)
    return f"tags.{tag} LIKE '{pattern}'"


def find(client: MlflowClient, experiment_id: str, query: str, tags: Mapping[str, str]) -> Run | None:
    """Return the oldest run that matches the query and has exactly these tags."""
    for run in search(client, experiment_id, query):
        if all(run.data.tags.get(key) == value for key, value in tags.items()):
            return run
    return None


def children(client: MlflowClient, experiment_id: str, parent_id: str) -> list[Run]:
    """Return the runs below another one, oldest first, deleted ones too."""
    return search(client, experiment_id, f"tags.`mlflow.parentRunId` = '{parent_id}'", deleted=True)


def search(client: MlflowClient, experiment_id: str, query: str, *, deleted: bool = False) -> list[Run]:
    from mlflow.entities import ViewType

    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id], query, view, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += page
        token = page.token
        if not token:
            return found


def milliseconds(when: datetime | None) -> int:
    """Return a time as MLflow takes it; now for None."""
    return int((time.time() if when is None else when.timestamp()) * 1000)
