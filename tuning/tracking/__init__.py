"""The sweep in MLflow: a parent run per sweep, one child run per trial.

    records.py     what is to be written, as plain data
    spool.py       the file in which it waits
    delivery.py    the thread that takes it to MLflow
    writer.py      carries records out, each with the effect of once
    runs.py        names and texts as MLflow takes them, batches, searches
    store.py       the address, and what its errors mean
    sweep_run.py   the sweep's own run, at its beginning and end
    callback.py    Tune's events
    agreement.py   what MLflow lacks of the study

`Tracker` is the only writer, in the process that drives the sweep. Runs are found again by their tags, so a sweep
that was killed and resumed goes on in the same runs. When the store does not answer, writes wait in the sweep's
folder and the sweep goes on; they are delivered in their order when it answers again, or by the resumed sweep.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import UserError
from fame.runtime.provenance import mask_credentials
from tuning.tracking.records import (
    OpenTrialsEnd,
    Status,
    SweepEnd,
    SweepFile,
    SweepStart,
    SweepValues,
    TrialEnd,
    TrialEpoch,
    TrialStart,
)
from tuning.tracking.runs import PARAM_LENGTH, TAG_LENGTH, texts
from tuning.tracking.spool import Spool
from tuning.tracking.store import StoreAwayError, be_patient, check_tracking_uri

if TYPE_CHECKING:
    from tuning.tracking.delivery import Delivery

CHILD_TAGS = ("dataset", "fingerprint", "commit")
"""Tags of the sweep that each trial carries too, to search for."""
TRIAL = "trial"
"""Tag `kind` of the runs of trials."""
FINISH_SECONDS = 10.0
"""Longest time the end of a sweep waits for a store that does not answer."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A trial in MLflow."""

    status: str
    """`running`, or how it ended."""
    last_epoch: int
    """Of a trial that has ended."""


class Tracker:
    """Writes one sweep to MLflow. Made by `Tracker.open`."""

    def __init__(self, delivery: Delivery, sweep: str, child_tags: dict[str, str]) -> None:
        self.sweep = sweep
        self._delivery = delivery
        self._child_tags = child_tags
        self._names: dict[str, str] = {}

    @classmethod
    def open(
        cls,
        tracking_uri: str,
        experiment: str,
        sweep: str,
        tags: Mapping[str, object],
        spool: Path,
        artifact_location: str | None = None,
        *,
        resume: bool = False,
    ) -> Tracker:
        """Connect, make what is missing (store, experiment, parent run), or find the parent run again.

        `spool` is the file for what waits; what another process has left there is delivered first. It is made with
        the first write, in the sweep's folder, in which files that are logged lie.

        Raises `UserError` if the address cannot be used, if nobody answers there (a sweep that is resumed then goes
        on), or if the experiment has a sweep of this name with trials that is not to be resumed.
        """
        uri, where = check_tracking_uri(tracking_uri), mask_credentials(tracking_uri)
        be_patient()
        # Here, for MLflow takes seconds to import.
        from tuning.tracking.delivery import Delivery
        from tuning.tracking.writer import Writer

        writer = Writer(uri, experiment, sweep, spool.parent, artifact_location)
        away = None
        try:
            connection = writer.connect()
            if connection.children and not resume:
                raise UserError(
                    f"sweep '{sweep}' has runs in the MLflow experiment '{experiment}' at '{where}'; "
                    "choose another --name, or --resume it"
                )
        except StoreAwayError as error:
            if not resume:
                raise
            away = error
        if not resume:
            spool.unlink(missing_ok=True)  # of a sweep that was killed before it began
        delivery = Delivery(Spool(spool), writer, where)
        if away is not None:
            delivery.note_away(away)
        delivery.start()
        tags = texts(tags, TAG_LENGTH)
        tracker = cls(delivery, sweep, {key: tags[key] for key in CHILD_TAGS if key in tags})
        delivery.submit(SweepStart(tags=tags, when=_now()))
        _opened[sweep] = tracker
        return tracker

    @property
    def where(self) -> str:
        """Tracking address without passwords, to show."""
        return self._delivery.where

    @property
    def spool(self) -> Path:
        """The file in which writes wait."""
        return self._delivery.spool.path

    @property
    def waiting(self) -> int:
        """Writes that MLflow has not got yet."""
        return self._delivery.spool.count

    @property
    def away(self) -> str | None:
        """Why MLflow took nothing when it was last tried; None if it did."""
        return self._delivery.away

    # The parent run.

    def log_params(self, params: Mapping[str, object]) -> None:
        """Settings of the sweep, flat; a value that changed since the first start becomes a tag."""
        self._delivery.submit(SweepValues(params=texts(params, PARAM_LENGTH), when=_now()))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Tags of the sweep."""
        self._delivery.submit(SweepValues(tags=texts(tags, TAG_LENGTH), when=_now()))

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Final figures of the sweep: one value each, the last one written counts."""
        self._delivery.submit(SweepValues(metrics={k: float(v) for k, v in metrics.items()}, when=_now()))

    def log_file(self, path: str | Path, folder: str | None = None) -> None:
        """A file in the sweep's folder as artifact."""
        relative = os.path.relpath(path, self.spool.parent)
        self._delivery.submit(SweepFile(path=relative, folder=folder, when=_now()))

    def finish(self, status: Status, tags: Mapping[str, object] | None = None) -> int:
        """End the sweep's run, write what waits, and let go of MLflow; returns how many writes still wait."""
        self._delivery.submit(SweepEnd(status=status, tags=texts(tags or {}, TAG_LENGTH), when=_now()))
        left = self.flush()
        self._delivery.close()
        return left

    # The child runs.

    def start_trial(self, trial_id: str, params: Mapping[str, object], name: str, kind: str = TRIAL) -> None:
        """Begin a trial's run, or take it up again after a restart, or with other parameters.

        `kind` is a tag: what the trial is to the sweep.
        """
        self._names[trial_id] = name
        shown, tags = texts(params, PARAM_LENGTH), {**self._child_tags, "kind": kind}
        self._delivery.submit(TrialStart(trial=trial_id, name=name, params=shown, tags=tags, when=_now()))

    def knows(self, trial_id: str) -> bool:
        """Whether the trial was started in this process."""
        return trial_id in self._names

    def log_epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """One epoch's metrics; an epoch that the run has is left as it is."""
        self._delivery.submit(TrialEpoch(trial=trial_id, epoch=epoch, metrics=dict(metrics), when=_now()))

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
        shown = texts(tags or {}, TAG_LENGTH)
        self._delivery.submit(TrialEnd(trial=trial_id, status=status, name=name, tags=shown, when=_now()))

    def close_open_trials(self, outcomes: Mapping[str, Status]) -> None:
        """End the children that still run, as `outcomes` says by trial; others were interrupted."""
        self._delivery.submit(OpenTrialsEnd(outcomes=dict(outcomes), when=_now()))

    def recorded(self) -> dict[str, Recorded] | None:
        """Trials that MLflow has, those whose runs a user deleted too; None as long as writes wait."""
        connection = self._delivery.writer.connection
        if self.flush() or connection is None:
            return None
        gone = Recorded(status="deleted", last_epoch=0)
        found = {id: Recorded(status=run.status, last_epoch=run.last_epoch) for id, run in connection.children.items()}
        return {**dict.fromkeys(connection.deleted, gone), **found}

    def flush(self, seconds: float = FINISH_SECONDS) -> int:
        """Write what waits, as long as the store does not fall silent for so long; returns how many writes are left."""
        return self._delivery.flush(seconds)


_opened: dict[str, Tracker] = {}


def opened(sweep: str) -> Tracker:
    """The tracker of a sweep that this process opened; a restored Tune callback finds it here."""
    return _opened[sweep]


def _now() -> int:
    return int(time.time() * 1000)
