"""Carries records out in MLflow: many in few requests, each with the effect of once.

What MLflow has is found out when it is connected to, by the runs' tags, and kept up to date from then on. After a
request that failed it is not known whether it took effect, so what it was about is asked for again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fame.runtime.provenance import mask_credentials
from tuning.tracking.records import (
    OpenTrialsEnd,
    Record,
    SweepEnd,
    SweepFile,
    SweepStart,
    SweepValues,
    TrialEpoch,
    TrialRecord,
    TrialStart,
)
from tuning.tracking.runs import Batch, changed_params, children, current_params, find, like
from tuning.tracking.store import connect, first_line, in_one_line, is_refusal

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

MLFLOW_STATUS = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow has no status for a pruned run; the tag `status` tells it from a finished one."""
EPOCHS = "epochs"
"""Tag of a trial that has ended: its last epoch in MLflow."""


@dataclass(kw_only=True)
class Child:
    """A trial's run, as far as it is known."""

    run_id: str
    status: str
    """The tag: `running`, or how it ended."""
    params: dict[str, str]
    """With changes; dropped once the trial has ended."""
    last_epoch: int
    epochs: set[int] | None = None
    """Those that the run has; None where it has to be asked."""

    @classmethod
    def of(cls, run: Run) -> Child:
        tags = run.data.tags
        last = int(tags.get(EPOCHS, 0))
        params = current_params(run)
        return cls(run_id=run.info.run_id, status=tags.get("status", "running"), params=params, last_epoch=last)


@dataclass(kw_only=True)
class Connection:
    """MLflow's client, and what it said there is of the sweep."""

    client: MlflowClient
    experiment_id: str
    parent_id: str
    children: dict[str, Child] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """Trials whose runs somebody has deleted: they stay so."""


class Writer:
    """Writes one sweep to the store at a checked address; `folder` is that of the sweep's files."""

    def __init__(self, uri: str, experiment: str, sweep: str, folder: Path, artifact_location: str | None) -> None:
        self.uri, self.experiment, self.sweep, self.folder = uri, experiment, sweep, folder
        self.connection: Connection | None = None
        self._artifact_location = artifact_location
        self._epochs: dict[str, set[int]] = {}

    def connect(self) -> Connection:
        """Find what is there, and make what is missing (store, experiment, the sweep's run).

        Raises `UserError` if the address cannot be used, `StoreAwayError`, which is one, if nobody answers.
        """
        with in_one_line(self.uri):
            self.connection = self._connect()
        return self.connection

    def _connect(self) -> Connection:
        client, experiment_id = connect(self.uri, self.experiment, self._artifact_location)
        query = f"tags.kind = 'sweep' and {like('sweep', self.sweep)}"
        parent = find(client, experiment_id, query, {"sweep": self.sweep})
        if parent is None:
            parent = client.create_run(experiment_id, tags={"sweep": self.sweep, "kind": "sweep"}, run_name=self.sweep)
        connection = Connection(client=client, experiment_id=experiment_id, parent_id=parent.info.run_id)
        for run in children(client, experiment_id, connection.parent_id):
            trial = run.data.tags.get("trial")
            if run.info.lifecycle_stage == "deleted":
                connection.deleted.add(trial)
            elif trial is not None:  # it is not a run that a user has put below the sweep's
                child = connection.children.setdefault(trial, Child.of(run))
                if child.status != "running":
                    child.params = {}
        connection.deleted -= connection.children.keys()
        for trial, epochs in self._epochs.items():  # those that this process wrote are known
            if trial in connection.children:
                connection.children[trial].epochs = epochs
        return connection

    def write(self, records: Sequence[Record]) -> None:
        """Carry records out, those of each run in their order.

        What MLflow refuses is left out with a warning. Any other error is raised, and means that all of the records
        have to be written again.
        """
        connection = self.connection or self.connect()
        sweep: list[Record] = []
        trials: dict[str, list[Record]] = {}
        for record in records:
            if isinstance(record, TrialRecord):
                trials.setdefault(record.trial, []).append(record)
            elif isinstance(record, OpenTrialsEnd):
                self._write_trials(connection, trials)
                trials = {}
                self._end_open_trials(connection, record)
            else:
                sweep.append(record)
        self._write_trials(connection, trials)
        self._attempt(connection, None, sweep)  # last, for it may be its end

    def _write_trials(self, connection: Connection, trials: dict[str, list[Record]]) -> None:
        for trial, records in trials.items():
            if trial not in connection.deleted:
                self._attempt(connection, trial, records)

    def _attempt(self, connection: Connection, trial: str | None, records: Sequence[Record]) -> None:
        """Write the records of one run; if MLflow refuses them, one by one, to leave out only what it means."""
        try:
            if trial is None:
                self._write_sweep(connection, records)
            else:
                self._write_trial(connection, trial, records)
        except Exception as error:
            self._epochs.pop(trial or "", None)
            if not is_refusal(error, self.uri):
                self.connection = None
                raise
            if trial in connection.children:
                connection.children[trial].epochs = None
            if len(records) > 1:
                for record in records:
                    self._attempt(connection, trial, [record])
                return
            whose = f"trial {trial}" if trial else "the sweep"
            log.warning("MLflow refuses a write of %s (%s): left out", whose, first_line(error))

    def _write_trial(self, connection: Connection, trial: str, records: Sequence[TrialRecord]) -> None:
        client = connection.client
        batch = Batch()
        new: set[int] = set()

        def send(child: Child) -> None:
            batch.send(client, child.run_id)
            if new:
                child.epochs = self._known_epochs(client, child) | new
                self._epochs[trial] = child.epochs
                new.clear()

        for record in records:
            if isinstance(record, TrialStart):
                child = self._started(connection, record)
                params, tags = changed_params(child.params, record.params)
                batch.params |= params
                batch.tags |= tags
                child.params |= record.params
                continue
            child = connection.children.get(trial) or self._create(connection, trial, trial, record.when, {})
            if isinstance(record, TrialEpoch):
                if record.epoch not in self._known_epochs(client, child) and record.epoch not in new:
                    batch.add_metrics(record.metrics, record.epoch, record.when)
                    new.add(record.epoch)
                continue
            last = max(self._known_epochs(client, child) | new, default=0)
            batch.tags |= record.tags | {"status": record.status, EPOCHS: str(last)}
            send(child)
            client.set_tag(child.run_id, "mlflow.runName", record.name)
            client.set_terminated(child.run_id, MLFLOW_STATUS[record.status], record.when)
            child.status, child.last_epoch = record.status, last
        send(child)
        if child.status != "running":  # of a thousand trials a few run
            child.params, child.epochs = {}, None
            self._epochs.pop(trial, None)

    def _started(self, connection: Connection, record: TrialStart) -> Child:
        child = connection.children.get(record.trial)
        if child is None:
            return self._create(connection, record.trial, record.name, record.when, record.tags)
        if child.status != "running" or not child.params:
            run = connection.client.get_run(child.run_id)
            connection.children[record.trial] = child = Child.of(run)
            connection.client.update_run(child.run_id, status="RUNNING", name=record.name)
            connection.client.set_tag(child.run_id, "status", "running")
            child.status = "running"
        return child

    def _create(self, connection: Connection, trial: str, name: str, when: int, tags: dict[str, str]) -> Child:
        tags = {"sweep": self.sweep, "trial": trial, "kind": "trial", "status": "running", **tags}
        tags["mlflow.parentRunId"] = connection.parent_id
        run = connection.client.create_run(connection.experiment_id, when, tags=tags, run_name=name)
        child = Child(run_id=run.info.run_id, status="running", params={}, last_epoch=0, epochs=set())
        connection.children[trial] = child
        return child

    def _known_epochs(self, client: MlflowClient, child: Child) -> set[int]:
        if child.epochs is None:
            keys = client.get_run(child.run_id).data.metrics
            histories = [client.get_metric_history(child.run_id, key) for key in keys]
            child.epochs = {point.step for history in histories for point in history}
        return child.epochs

    def _end_open_trials(self, connection: Connection, record: OpenTrialsEnd) -> None:
        for trial, child in connection.children.items():
            if child.status == "running":
                status = record.outcomes.get(trial, "interrupted")
                last = max(self._known_epochs(connection.client, child), default=0)
                batch = Batch(tags={"status": status, EPOCHS: str(last)})
                batch.send(connection.client, child.run_id)
                connection.client.set_terminated(child.run_id, MLFLOW_STATUS[status], record.when)
                child.status, child.last_epoch, child.epochs = status, last, None

    def _write_sweep(self, connection: Connection, records: Sequence[Record]) -> None:
        client, run_id = connection.client, connection.parent_id
        batch = Batch()
        for record in records:
            if isinstance(record, SweepValues):
                if record.params:
                    run = client.get_run(run_id)
                    params, tags = changed_params(current_params(run), record.params)
                    batch.params |= params
                    batch.tags |= tags
                batch.tags |= record.tags
                batch.add_metrics(record.metrics, 0, record.when)
                continue
            batch.send(client, run_id)
            if isinstance(record, SweepStart):
                self._start_sweep(client, run_id, record)
            elif isinstance(record, SweepFile):
                self._log_file(client, run_id, record)
            elif isinstance(record, SweepEnd):
                Batch(tags=record.tags | {"status": record.status}).send(client, run_id)
                client.set_terminated(run_id, MLFLOW_STATUS[record.status], record.when)
        batch.send(client, run_id)

    def _start_sweep(self, client: MlflowClient, run_id: str, record: SweepStart) -> None:
        run = client.get_run(run_id)
        if run.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        # The first start's tags stay; what differs now (command, commit, machine) goes beside them.
        known = run.data.tags
        tags = {key if known.get(key, text) == text else f"resumed.{key}": text for key, text in record.tags.items()}
        Batch(tags=tags | {"status": "running"}).send(client, run_id)

    def _log_file(self, client: MlflowClient, run_id: str, record: SweepFile) -> None:
        path = self.folder / record.path
        if path.is_file():
            try:
                client.log_artifact(run_id, str(path), record.folder)
            except Exception as error:  # each kind of artifact store has its own
                raise OSError(f"artifact store: {first_line(error)}") from error
        else:  # a later export has replaced it, and is recorded itself
            log.warning("%s is no longer there: MLflow at %s does not get it", path, mask_credentials(self.uri))
