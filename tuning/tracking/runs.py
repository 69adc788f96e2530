"""Names and texts as MLflow takes them, and searches for runs by their tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

ENTRIES_PER_BATCH = 100
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
"""MLflow's limits (`mlflow.utils.validation`)."""


def metric_name(name: str) -> str:
    """The name of a metric (or parameter, or tag) in MLflow: ``ndcg@10`` is ``ndcg_at_10``.

    MLflow takes letters, digits, ``_ - . : /`` and spaces; anything else becomes ``_``.
    """
    return re.sub(r"[^\w\-.:/ ]", "_", name.replace("@", "_at_"))


def texts(values: Mapping[str, object], length: int) -> dict[str, str]:
    """Names and values as MLflow takes them: valid names, texts that are not too long."""
    texts = {metric_name(k): v if isinstance(v, str) else json.dumps(v, default=str) for k, v in values.items()}
    return {key: text if len(text) <= length else text[: length - 1] + "…" for key, text in texts.items()}


def batches(entries: list[Any]) -> Iterable[list[Any]]:
    return (entries[i : i + ENTRIES_PER_BATCH] for i in range(0, len(entries), ENTRIES_PER_BATCH))


def current_params(run: Run) -> dict[str, str]:
    """Parameters with the changes that tags note."""
    return {key: run.data.tags.get(f"now.{key}", value) for key, value in run.data.params.items()}


def same_params(run: Run, params: Mapping[str, object]) -> bool:
    """Whether nothing that the run has contradicts the parameters."""
    wanted = texts(params, PARAM_LENGTH)
    return all(wanted.get(key, value) == value for key, value in current_params(run).items())


def like(tag: str, value: str) -> str:
    """A filter on a tag. MLflow cannot escape quotes, so they become a wildcard; `find` compares exactly."""
    pattern = re.sub(r"['\"\\]", "_", value)
    return f"tags.{tag} LIKE '{pattern}'"


def find(client: MlflowClient, experiment_id: str, query: str, tags: Mapping[str, str]) -> Run | None:
    """The oldest run that matches the query and has exactly these tags."""
    for run in search(client, experiment_id, query):
        if all(run.data.tags.get(key) == value for key, value in tags.items()):
            return run
    return None


def children(
    client: MlflowClient, experiment_id: str, parent_id: str, condition: str = "", limit: int | None = None
) -> list[Run]:
    query = f"tags.`mlflow.parentRunId` = '{parent_id}'" + (f" and {condition}" if condition else "")
    return search(client, experiment_id, query, limit)


def search(client: MlflowClient, experiment_id: str, query: str, limit: int | None = None) -> list[Run]:
    found: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id], query, max_results=limit or 1000, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += page
        token = page.token
        if limit or not token:
            return found
