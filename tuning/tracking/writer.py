"""MLflow's side: the runs that are there, and the writes that bring them up to date.

The runs are read when the store is connected to, and kept in mind from then on. After a request that failed nobody
knows whether it took effect. Then the connection is dropped, and the next one reads the runs again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tuning.tracking.links import Place
from tuning.tracking.reports import EpochMetrics
from tuning.tracking.runs import (
    TAG_LENGTH,
    RunBatch,
    changed_params,
    children,
    current_params,
    find,
    like,
    milliseconds,
    shortened,
)
from tuning.tracking.store import connect, first_line, in_one_line
from tuning.tracking.views import TAG as VIEW
from tuning.tracking.views import view_of
from tuning.tracking.vocabulary import metric_name
from tuning.tracking.wanted import WantedRun, WantedSweep

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run
    from mlflow.tracking import MlflowClient

log = logging.getLogger(__name__)

MLFLOW_STATUS = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow has no status for a pruned run. The tag `status` distinguishes it from a finished one."""
EPOCHS = "epochs"
"""Tag of a trial that has ended: its last epoch in MLflow."""
NOTE, NOTE_HASH = "mlflow.note.content", "note_hash"
"""Tags of the description that MLflow shows, and of the hash of the one that the sweep wrote."""


@dataclass(kw_only=True)
class Child:
    """A trial's run in MLflow."""

    run_id: str
    name: str
    status: str
    params: dict[str, str] | None
    """With changes. None for an ended run: MLflow is asked if they are needed again."""
    last_epoch: int
    """Last epoch of an ended run."""
    epochs: set[int] | None
    """Epochs that the run has; None if MLflow has to be asked."""
    last_when: int = 0
    """Time of the latest of them. Times that were computed must not be earlier."""
    has_dataset: bool = False

    @classmethod
    def of(cls, run: Run, metric: str) -> Child:
        """Read a run. Epochs that an earlier version wrote under other names count as missing."""
        tags, status = run.data.tags, run.data.tags.get("status", "running")
        if MLFLOW_STATUS.get(status) != run.info.status:  # a kill came between the tag and the end of the run
            status = "running"
        return cls(
            run_id=run.info.run_id,
            name=run.info.run_name,
            status=status,
            params=current_params(run) if status == "running" else None,
            last_epoch=int(tags.get(EPOCHS, 0)) if metric_name(metric) in run.data.metrics else 0,
            epochs=None,
            has_dataset=bool(run.inputs and run.inputs.dataset_inputs),
        )

    def has(self, wanted: WantedRun) -> bool:
        """Whether a running run has the status and the settings that it has to have."""
        return self.status == wanted.status and (self.params or {}).items() >= wanted.params.items()

    def agrees(self, wanted: WantedRun) -> bool:
        """Whether an ended run is as it has to be."""
        return self.status == wanted.status and self.last_epoch == max(wanted.epochs, default=0)


@dataclass(kw_only=True)
class Connection:
    """MLflow's client, and the sweep's runs there."""

    client: MlflowClient
    place: Place
    """The sweep's own run."""
    began: int
    """Start of the sweep's run, in milliseconds since 1970."""
    children: dict[str, Child] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    """Trials whose runs a user has deleted. They stay deleted."""


class Writer:
    """Writes one sweep to the store at a checked address. `metric` is in every epoch of a trial."""

    def __init__(self, uri: str, experiment: str, sweep: str, metric: str) -> None:
        self.uri, self.experiment, self.sweep, self.metric = uri, experiment, sweep, metric

    def connect(self) -> Connection:
        """Find the runs that are there, and make the store, the experiment and the sweep's run if they are missing.

        Raises `UserError` if the address cannot be used, and its kind `StoreAwayError` if nobody answers.
        """
        with in_one_line(self.uri):
            return self._connect()

    def _connect(self) -> Connection:
        client, experiment_id = connect(self.uri, self.experiment)
        query = f"tags.kind = 'sweep' and {like('sweep', self.sweep)}"
        parent = find(client, experiment_id, query, {"sweep": self.sweep})
        if parent is None:
            parent = client.create_run(experiment_id, tags={"sweep": self.sweep, "kind": "sweep"}, run_name=self.sweep)
        place = Place(experiment_id=experiment_id, run_id=parent.info.run_id, view=parent.info.run_id)
        connection = Connection(client=client, place=place, began=parent.info.start_time)
        for run in children(client, experiment_id, place.run_id):
            trial = run.data.tags.get("trial")
            if trial is None:  # a user has put the run below the sweep's
                continue
            if run.info.lifecycle_stage == "deleted":
                connection.deleted.add(trial)
            else:
                connection.children.setdefault(trial, Child.of(run, self.metric))
        connection.deleted -= connection.children.keys()
        return connection

    def missing_epochs(self, connection: Connection, wanted: WantedRun) -> set[int]:
        """Return the epochs that a trial's run lacks."""
        child = connection.children.get(wanted.trial)
        if child is None:
            return set(wanted.epochs)
        return set(wanted.epochs) - self._epochs(connection.client, child)

    def write_trial(
        self,
        connection: Connection,
        wanted: WantedRun,
        epochs: Mapping[int, EpochMetrics],
        kind: str,
        tags: Mapping[str, str],
        dataset: DatasetInput | None,
    ) -> None:
        """Bring a trial's run up to date. `tags` are those that a new run gets."""
        client, batch = connection.client, RunBatch()
        child = connection.children.get(wanted.trial) or self._create(connection, wanted, kind, tags)
        if dataset is not None and not child.has_dataset:
            client.log_inputs(child.run_id, [dataset])
            child.has_dataset = True
        if child.params is None:
            child.params = current_params(client.get_run(child.run_id))
        if child.status != "running" and child.status != wanted.status:
            client.update_run(child.run_id, status="RUNNING", name=wanted.name)
            batch.tags["status"] = child.status = "running"
        params, changes = changed_params(child.params, wanted.params)
        batch.params |= params
        batch.tags |= changes
        for epoch, found in epochs.items():
            # The search's metric comes last: an epoch that has it has all others.
            ordered = {key: value for key, value in found.metrics.items() if key != self.metric}
            child.last_when = max(child.last_when, found.when)
            batch.add_metrics(ordered | {self.metric: found.metrics[self.metric]}, epoch, child.last_when)
        if wanted.status != "running":
            last = max(self._epochs(client, child) | epochs.keys(), default=0)
            batch.tags |= wanted.tags | {"status": wanted.status, EPOCHS: str(last)}
        batch.send(client, child.run_id)
        child.params = {**child.params, **wanted.params}
        if wanted.status == "running":
            child.epochs = self._epochs(client, child) | epochs.keys()
        else:
            if child.name != wanted.name:
                client.set_tag(child.run_id, "mlflow.runName", wanted.name)
            client.set_terminated(child.run_id, MLFLOW_STATUS[wanted.status], wanted.ended)
            # Of a thousand trials a few run: nothing more is kept of this one.
            child.status, child.last_epoch, child.params, child.epochs = wanted.status, last, None, None

    def interrupt_others(self, connection: Connection, known: set[str]) -> None:
        """End runs that are still running in MLflow and belong to no trial of the study."""
        for trial, child in connection.children.items():
            if trial not in known and child.status == "running":
                last = max(self._epochs(connection.client, child), default=0)
                RunBatch(tags={"status": "interrupted", EPOCHS: str(last)}).send(connection.client, child.run_id)
                connection.client.set_terminated(child.run_id, MLFLOW_STATUS["interrupted"], milliseconds(None))
                child.status, child.last_epoch, child.epochs = "interrupted", last, None

    def begin_sweep(self, connection: Connection, wanted: WantedSweep) -> None:
        """Write the sweep's own run at its start, or when it goes on."""
        client, run_id = connection.client, connection.place.run_id
        run = client.get_run(run_id)
        if run.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        # The first start's tags stay. What differs now (command, commit, machine) goes beside them.
        known = run.data.tags
        tags = {key if known.get(key, text) == text else f"resumed.{key}": text for key, text in wanted.tags.items()}
        params, changes = changed_params(current_params(run), wanted.params)
        tags |= changes | {"status": "running"} | note_tags(known, wanted.note and wanted.note(connection.place))
        RunBatch(params=params, tags=tags).send(client, run_id)
        if wanted.dataset is not None and not (run.inputs and run.inputs.dataset_inputs):
            client.log_inputs(run_id, [wanted.dataset])
        view = view_of(self.sweep, self.metric, wanted.numbers, wanted.searched)
        client.set_experiment_tag(connection.place.experiment_id, f"{VIEW}{connection.place.view}", view)

    def write_machine(self, connection: Connection, samples: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        """Write samples of the driver's machine. Their step is the second of the sweep."""
        batch = RunBatch()
        for when, metrics in samples:
            batch.add_metrics(metrics, max(0, when - connection.began) // 1000, when)
        batch.send(connection.client, connection.place.run_id)

    def end_sweep(self, connection: Connection, wanted: WantedSweep) -> None:
        """Write the sweep's own run at its end."""
        client, run_id = connection.client, connection.place.run_id
        when = milliseconds(None)
        for path, folder in wanted.files:
            try:
                client.log_artifact(run_id, str(path), folder)
            except Exception as error:  # each kind of artifact store has its own
                raise OSError(f"artifact store: {first_line(error)}") from error
        known = client.get_run(run_id).data.tags
        batch = RunBatch(
            tags=wanted.end_tags
            | {"status": wanted.status}
            | note_tags(known, wanted.note and wanted.note(connection.place))
        )
        batch.add_metrics(wanted.metrics, 0, when)
        batch.send(client, run_id)
        if "pareto_front" in known or wanted.front:  # an earlier end may have named others
            for trial, child in connection.children.items():
                client.set_tag(child.run_id, "pareto_front", "yes" if trial in wanted.front else "no")
        client.set_terminated(run_id, MLFLOW_STATUS[wanted.status], when)

    def _create(self, connection: Connection, wanted: WantedRun, kind: str, tags: Mapping[str, str]) -> Child:
        tags = {"sweep": self.sweep, "trial": wanted.trial, "kind": kind, "status": "running", **tags}
        tags["mlflow.parentRunId"] = connection.place.run_id
        run = connection.client.create_run(
            connection.place.experiment_id, wanted.began, tags=tags, run_name=wanted.name
        )
        child = Child(run_id=run.info.run_id, name=wanted.name, status="running", params={}, last_epoch=0, epochs=set())
        connection.children[wanted.trial] = child
        return child

    def _epochs(self, client: MlflowClient, child: Child) -> set[int]:
        if child.epochs is None:
            history = client.get_metric_history(child.run_id, metric_name(self.metric))
            child.epochs = {point.step for point in history}
            child.last_when = max((point.timestamp for point in history), default=0)
        return child.epochs


def note_tags(known: Mapping[str, str], note: str | None) -> dict[str, str]:
    """Return the tags of a run's description. A description that a user has written or changed stays."""
    current = known.get(NOTE)
    if not note or (current and hash_of(current) != known.get(NOTE_HASH)):
        return {}
    text = shortened(note, TAG_LENGTH)
    return {NOTE: text, NOTE_HASH: hash_of(text)}


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
