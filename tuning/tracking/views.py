"""The view of a sweep's trials on MLflow's page: which runs, their order, and the columns.

MLflow hides the columns of metrics and parameters. Its button "Share" keeps a view as a tag of the experiment, and a link
names the tag. A sweep writes the same tag.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tuning.tracking.vocabulary import metric_name, valid_name

TAG = "mlflow.sharedViewState."
"""Start of the tag's name. The view's key follows."""
VIEW_LENGTH = 5000
"""MLflow's limit for a tag of an experiment (`mlflow.utils.validation`)."""
FIRST = ("attributes.`Duration`", "tags.`status`")
"""Columns of every sweep."""


def order_of(metric: str) -> dict[str, str]:
    """Return the parameters of MLflow's page that put the best trials first."""
    return {"orderByKey": f"metrics.`{metric_name(f'best_{metric}')}`", "orderByAsc": "false"}


def filter_of(sweep: str) -> str:
    """Return the search for a sweep's runs. Names of sweeps have no quotes."""
    return f"tags.sweep = '{sweep}'"


def view_of(sweep: str, metric: str, numbers: Sequence[str], settings: Sequence[str]) -> str:
    """Return the view as MLflow's page reads it. `numbers` are names in reports, `settings` the searched keys.

    The last columns are left out where MLflow would not take all of them.
    """
    metrics = [f"best_{metric}", "best_epoch", f"test/{metric}", *numbers]
    columns = [*FIRST, *(f"metrics.`{metric_name(name)}`" for name in metrics)]
    columns += [f"params.`{valid_name(key)}`" for key in settings]
    order = order_of(metric) | {"orderByAsc": False}
    while True:
        text = json.dumps({"searchFilter": filter_of(sweep), **order, "selectedColumns": columns})
        if len(text) <= VIEW_LENGTH:
            return text
        columns.pop()
