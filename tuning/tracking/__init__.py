"""The sweep in MLflow: a parent run per sweep, one child run per trial.

`Tracker` is the only writer, in the process that drives the sweep. Runs are found again by their
tags, so a sweep that was killed and resumed goes on in the same runs. When the store does not answer,
writes wait in memory in their order and the sweep goes on.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fame.errors import UserError
from fame.provenance import mask_credentials
from tuning.tracking.runs import (
    PARAM_LENGTH,
    TAG_LENGTH,
    batches,
    children,
    current_params,
    find,
    like,
    metric_name,
    same_params,
    texts,
)
from tuning.tracking.store import check_tracking_uri, connect, first_line, is_unavailable, patience

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

Status = Literal["finished", "pruned", "failed", "interrupted"]
MLFLOW_STATUS = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow has no status for a pruned run; the tag `status` tells it from a finished one."""

CHILD_TAGS = ("dataset", "fingerprint", "commit")
"""Tags of the sweep that each trial carries too, to search for."""

DRAIN_SECONDS = 2.0
"""Longest time one call spends on writes that had to wait."""
FINISH_SECONDS = 10.0
"""Longest time the end of a sweep waits for a store that does not answer."""
WAITING_SHARE = 0.05
"""Largest share of the driver's time spent on asking a store that does not answer."""


class Tracker:
    """Writes one sweep to MLflow. Made by `Tracker.open`."""

    def __init__(self, client: MlflowClient, experiment_id: str, parent_id: str, sweep: str, where: str) -> None:
        self.experiment_id = experiment_id
        self.parent_id = parent_id
        self.sweep = sweep
        self.where = where
        """Tracking address without passwords, to show."""
        self._client = client
        self._child_tags: dict[str, str] = {}
        self._runs: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._epochs: dict[str, set[int]] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._try_again = 0.0
        self._away: str | None = None

    @classmethod
    def open(
        cls,
        tracking_uri: str,
        experiment: str,
        sweep: str,
        tags: Mapping[str, object],
        artifact_location: str | None = None,
        *,
        resume: bool = False,
    ) -> Tracker:
        """Connect, make what is missing (store, experiment, parent run), or find the parent run again.

        Raises `UserError` if the address cannot be used, or if the experiment has a sweep of this
        name with trials that is not to be resumed.
        """
        uri, where = check_tracking_uri(tracking_uri), mask_credentials(tracking_uri)
        client, experiment_id = connect(uri, experiment, artifact_location)
        tags = {"sweep": sweep, "kind": "sweep", "status": "running"} | texts(tags, TAG_LENGTH)
        child_tags = {key: tags[key] for key in CHILD_TAGS if key in tags}
        with patience():
            parent = find(client, experiment_id, f"tags.kind = 'sweep' and {like('sweep', sweep)}", {"sweep": sweep})
            if parent is None:
                parent = client.create_run(experiment_id, tags=tags, run_name=sweep)
            elif not resume and children(client, experiment_id, parent.info.run_id, limit=1):
                raise UserError(
                    f"sweep '{sweep}' has runs in the MLflow experiment '{experiment}' at '{where}'; "
                    "choose another --name, or --resume it"
                )
            else:
                client.update_run(parent.info.run_id, status="RUNNING")
                # The first start's tags stay; what differs now (command, commit, machine) goes beside them.
                known = parent.data.tags | {"status": "running"}
                tags = {key if known.get(key, text) == text else f"resumed.{key}": text for key, text in tags.items()}
        tracker = cls(client, experiment_id, parent.info.run_id, sweep, where)
        tracker._child_tags = child_tags
        tracker.set_tags(tags)
        _opened[sweep] = tracker
        return tracker

    # The parent run.

    def log_params(self, params: Mapping[str, object]) -> None:
        """Settings of the sweep, flat; a value that changed since the first start becomes a tag."""
        self._submit(lambda: self._write_params(self._client.get_run(self.parent_id), params))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Tags of the sweep."""
        self._submit(lambda: self._write_tags(self.parent_id, tags))

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final figures of the sweep: one value each, the last one written counts."""
        from mlflow.entities import Metric

        when = _now()
        points = [Metric(metric_name(key), float(value), when, 0) for key, value in metrics.items()]
        self._submit(lambda: self._client.log_batch(self.parent_id, metrics=points, synchronous=True))

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """A file of the sweep as artifact."""
        self._submit(lambda: self._client.log_artifact(self.parent_id, str(path), folder))

    def finish(self, status: Status, tags: Mapping[str, object] | None = None) -> int:
        """End the sweep's run and write what waits; returns how many writes were lost, said in a warning."""
        ended = _now()
        self._submit(lambda: self._write_end(self.parent_id, status, None, {**(tags or {})}, ended))
        return self.flush()

    # The child runs.

    def start_trial(self, trial_id: str, params: Mapping[str, object], name: str, moved: bool = False) -> None:
        """Begin a trial's run, or take it up again after a restart; `moved`: its parameters were others at first."""
        self._names[trial_id] = name
        params, started = dict(params), _now()
        self._submit(lambda: self._write_start(trial_id, params, name, started, moved))

    def knows(self, trial_id: str) -> bool:
        """Whether the trial was started in this process."""
        return trial_id in self._names

    def log_epoch(
        self, trial_id: str, epoch: int, metrics: Mapping[str, float], timestamp: float | None = None
    ) -> None:
        """One epoch's metrics; an epoch that the run has is left as it is. `timestamp` in seconds.

        A value that is not finite becomes the tag ``not_finite.NAME``: MLflow stores infinity as 1.8e308,
        which spoils the axis of every chart.
        """
        metrics, when = dict(metrics), int(timestamp * 1000) if timestamp else _now()
        self._submit(lambda: self._write_epoch(trial_id, epoch, metrics, when))

    def end_trial(
        self,
        trial_id: str,
        status: Status,
        value: float | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """End a trial's run; `value`, its best validation metric, joins the run's name."""
        name = self._names[trial_id]
        if value is not None and math.isfinite(value):
            name = f"{name} · {value:.4f}"
        ended = _now()
        self._submit(lambda: self._write_end(self._runs[trial_id], status, name, {**(tags or {})}, ended))

    def close_open_trials(self, outcomes: Mapping[str, Status]) -> None:
        """End the children that still run, as `outcomes` says by trial; others were interrupted."""
        ended = _now()

        def write() -> None:
            for run in children(self._client, self.experiment_id, self.parent_id, "attributes.status = 'RUNNING'"):
                outcome = outcomes.get(run.data.tags["trial"], "interrupted")
                self._write_end(run.info.run_id, outcome, None, {}, ended)

        self._submit(write)

    def flush(self, seconds: float = FINISH_SECONDS) -> int:
        """Write what waits, for at most so long; returns how many writes are left."""
        deadline = time.monotonic() + seconds
        self._drain(deadline)
        while self._waiting and time.monotonic() < deadline:
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))
            self._drain(deadline)
        if self._waiting:
            log.warning(
                "MLflow at %s does not answer (%s): %d writes of sweep '%s' are not in it",
                self.where, self._away, len(self._waiting), self.sweep,
            )  # fmt: skip
        return len(self._waiting)

    # Writing: each write is a function that may run twice (an answer can get lost) with the effect of once.

    def _submit(self, write: Callable[[], None]) -> None:
        self._waiting.append(write)
        if time.monotonic() >= self._try_again:
            self._drain(time.monotonic() + DRAIN_SECONDS)

    def _drain(self, deadline: float) -> None:
        while self._waiting and time.monotonic() < deadline:
            started = time.monotonic()
            try:
                with patience():
                    self._waiting[0]()
            except Exception as error:
                if not is_unavailable(error):
                    self._waiting.popleft()
                    raise
                if self._away is None:
                    log.warning("MLflow at %s does not answer; the sweep goes on and its values wait", self.where)
                self._away = first_line(error)
                waited = time.monotonic() - started
                self._try_again = time.monotonic() + max(1.0, waited / WAITING_SHARE)
                return
            self._waiting.popleft()
            if self._away is not None:
                log.warning("MLflow at %s answers again", self.where)
                self._away = None

    def _write_start(self, trial_id: str, params: Mapping[str, object], name: str, started: int, moved: bool) -> None:
        query = f"tags.`mlflow.parentRunId` = '{self.parent_id}' and {like('trial', trial_id)}"
        run = find(self._client, self.experiment_id, query, {"trial": trial_id})
        if run is not None and trial_id not in self._runs and not moved and not same_params(run, params):
            # Killed before Tune saved this trial, and the number went to a new one: not the same trial.
            self._write_end(run.info.run_id, "interrupted", None, {"trial": f"{trial_id} (lost)"}, started)
            run = None
        if run is None:
            tags = {"sweep": self.sweep, "trial": trial_id, "kind": "trial", "status": "running", **self._child_tags}
            tags["mlflow.parentRunId"] = self.parent_id
            run = self._client.create_run(self.experiment_id, started, tags=tags, run_name=name)
        else:
            self._client.update_run(run.info.run_id, status="RUNNING", name=name)
            self._write_tags(run.info.run_id, {"status": "running"})
        run_id = run.info.run_id
        if trial_id not in self._runs:
            histories = [self._client.get_metric_history(run_id, key) for key in run.data.metrics]
            self._epochs[trial_id] = {point.step for history in histories for point in history}
        self._runs[trial_id] = run_id
        self._write_params(run, params)

    def _write_epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float], when: int) -> None:
        from mlflow.entities import Metric, RunTag

        if epoch in self._epochs[trial_id]:
            return
        points = [Metric(metric_name(k), float(v), when, epoch) for k, v in metrics.items() if math.isfinite(v)]
        tags = [
            RunTag(metric_name(f"not_finite.{key}"), f"{value} at epoch {epoch}")
            for key, value in metrics.items()
            if not math.isfinite(value)
        ]
        self._client.log_batch(self._runs[trial_id], metrics=points, tags=tags, synchronous=True)
        self._epochs[trial_id].add(epoch)

    def _write_params(self, run: Run, params: Mapping[str, object]) -> None:
        """Parameters cannot be overwritten in MLflow: a new value (population based training) is a tag."""
        from mlflow.entities import Param

        wanted, known = texts(params, PARAM_LENGTH), run.data.params
        new = [Param(key, value) for key, value in wanted.items() if key not in known]
        for batch in batches(new):
            self._client.log_batch(run.info.run_id, params=batch, synchronous=True)
        current = current_params(run)
        changed = {key: value for key, value in wanted.items() if key in known and current[key] != value}
        self._write_tags(run.info.run_id, {f"now.{key}": value for key, value in changed.items()})

    def _write_tags(self, run_id: str, tags: Mapping[str, object]) -> None:
        from mlflow.entities import RunTag

        for batch in batches([RunTag(key, value) for key, value in texts(tags, TAG_LENGTH).items()]):
            self._client.log_batch(run_id, tags=batch, synchronous=True)

    def _write_end(self, run_id: str, status: Status, name: str | None, tags: dict[str, object], ended: int) -> None:
        self._write_tags(run_id, {**tags, "status": status})
        if name is not None:
            self._client.update_run(run_id, name=name)
        self._client.set_terminated(run_id, MLFLOW_STATUS[status], ended)


_opened: dict[str, Tracker] = {}


def opened(sweep: str) -> Tracker:
    """The tracker of a sweep that this process opened; a restored Tune callback finds it here."""
    return _opened[sweep]


def _now() -> int:
    return int(time.time() * 1000)
