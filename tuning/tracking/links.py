"""The pages of a sweep in MLflow.

MLflow opens an experiment on its page for language models, which shows no runs. Links with the right fragment show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import quote, urlencode

from tuning.tracking.views import filter_of, order_of

PORT = 5000
"""The port of `mlflow server` unless another one is given."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A sweep's run in MLflow."""

    experiment_id: str
    run_id: str
    view: str = ""
    """Key of the view of the trials that the experiment has (`views.py`). Sweeps of earlier versions have none."""

    @classmethod
    def of(cls, values: Mapping[str, str] | None) -> Place | None:
        """Invert `to_dict`."""
        return None if values is None else cls(**values)

    def to_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def run(self) -> str:
        """The fragment of the sweep's own run."""
        return f"#/experiments/{self.experiment_id}/runs/{self.run_id}?workflowType=machine_learning"

    def trials(self, sweep: str, metric: str, **more: str) -> str:
        """Return the fragment of the sweep's trials, best first. `more` are further parameters of MLflow's page."""
        # MLflow ignores the view if the link has a search, too.
        query = (
            {"viewStateShareKey": self.view} if self.view else {"searchFilter": filter_of(sweep), **order_of(metric)}
        )
        return self._runs(**query, **more)

    def trial(self, id: str, metric: str) -> str:
        """Return the fragment of one trial's run. Without an order by a metric, MLflow folds it below the sweep's run."""
        return self._runs(searchFilter=f"tags.trial = '{id}'", **order_of(metric))

    def _runs(self, **more: str) -> str:
        query = {"workflowType": "machine_learning", **more}
        return f"#/experiments/{self.experiment_id}/runs?{urlencode(query, quote_via=quote)}"


def address(tracking_uri: str) -> str:
    """Return where MLflow's pages of a tracking address are: on this machine for a database, once they are served."""
    return f"{tracking_uri.rstrip('/')}/" if tracking_uri.startswith("http") else f"http://127.0.0.1:{PORT}/"
