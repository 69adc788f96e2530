"""Brings MLflow up to date with the study, every few seconds, at the sweep's end, and when a sweep is resumed.

One thread of the driver is the only writer. It compares the study with the runs in MLflow and writes what they lack,
so a store that is away costs the sweep nothing. It makes no difference whether a run lacks something because the store
was away, because the driver was killed, or because the trial has just reported.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.errors import UserError
from fame.runtime.provenance import mask_credentials
from tuning.study.trials import SweepTrial
from tuning.tracking.addresses import check_tracking_uri
from tuning.tracking.links import Place
from tuning.tracking.machine import MachineLoad
from tuning.tracking.reports import Reports
from tuning.tracking.runs import PARAM_LENGTH, TAG_LENGTH, texts
from tuning.tracking.store import StoreAwayError, be_patient, environment_changed, first_line, is_refusal
from tuning.tracking.wanted import CHILD_TAGS, TRIAL, Followed, Status, WantedRun, WantedSweep, status_of

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

    from tuning.tracking.writer import Connection, Writer

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
"""Time between two comparisons. Reports of that time are written together."""
FINISH_SECONDS = 10.0
"""Longest time that the end of a sweep waits for a store that does not answer."""


class Projection:
    """One sweep in MLflow. Made by `Projection.open`."""

    def __init__(self, writer: Writer, where: str, metric: str, wanted: WantedSweep) -> None:
        self.sweep, self.where, self.reports = writer.sweep, where, Reports(metric)
        """`where`: the address without passwords, to show."""
        self.away: str | None = None
        """Why the store took nothing when it was last tried; None if it did."""
        self.place: Place | None = None
        """The sweep's run. None if the store has not answered yet."""
        self._writer, self._wanted = writer, wanted
        self.machine: MachineLoad | None = None
        self._connection: Connection | None = None
        self._followed: list[Followed] = []
        self._settled: set[str] = set()
        """Trials whose runs are as they have to be for good, are refused by MLflow, or were deleted by a user."""
        self._begun = self._over = False
        self._rounds = 0
        self._answered = time.monotonic()
        """When the store last took something."""
        self._broken: BaseException | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)

    @classmethod
    def open(
        cls,
        tracking_uri: str,
        experiment: str,
        sweep: str,
        metric: str,
        *,
        tags: Mapping[str, object],
        params: Mapping[str, object],
        dataset: DatasetInput | None = None,
        note: Callable[[Place], str] | None = None,
        numbers: Sequence[str] = (),
        searched: Sequence[str] = (),
        machine: bool = False,
        resume: bool = False,
    ) -> Projection:
        """Connect, and make the store, the experiment and the sweep's run if they are missing.

        `dataset` is the input of all runs, `note` writes the description of the sweep's run. The page of the trials shows
        `numbers` of their reports and the `searched` settings. With `machine`, the load of this machine is recorded.

        Raises `UserError` if the address cannot be used, or if nobody answers there (a resumed sweep then goes on).
        Also if the experiment has a sweep of this name with trials, and the sweep is not resumed.
        """
        uri, where = check_tracking_uri(tracking_uri), mask_credentials(tracking_uri)
        be_patient()
        from tuning.tracking.writer import Writer  # MLflow takes seconds to import

        wanted = WantedSweep(
            tags=texts(tags, TAG_LENGTH),
            params=texts(params, PARAM_LENGTH),
            dataset=dataset,
            note=note,
            numbers=numbers,
            searched=searched,
        )
        projection = cls(Writer(uri, experiment, sweep, metric), where, metric, wanted)
        try:
            if projection._connect().children and not resume:
                raise UserError(
                    f"sweep '{sweep}' has runs in the MLflow experiment '{experiment}' at '{where}'; "
                    "choose another --name, or --resume it"
                )
        except StoreAwayError as error:
            if not resume:
                raise
            projection._note_away(error)
        projection.machine = MachineLoad(uri) if machine else None
        projection._thread.start()
        _opened[sweep] = projection
        return projection

    def follow(
        self,
        trials: Callable[[], Mapping[str, SweepTrial]],
        folder: str,
        kind: str = TRIAL,
        settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        """Keep the runs of a study's trials up to date. The arguments are the fields of `Followed`."""
        self._followed.append(Followed(trials=trials, folder=folder, kind=kind, settings=settings))

    @property
    def behind(self) -> int:
        """Number of trials whose runs lack something."""
        return sum(len(self._unsettled(one.trials())) for one in self._followed)

    @property
    def is_complete(self) -> bool:
        """Whether MLflow has all of the sweep, its end too."""
        return self._over

    def check(self) -> None:
        """Raise an error of our own that ended the thread."""
        if self._broken is not None:
            raise RuntimeError("writing to MLflow broke") from self._broken

    def update(self, seconds: float = FINISH_SECONDS) -> bool:
        """Bring MLflow up to date now, and return whether it is. Give up on a store that is silent for so long.

        A store that has been silent for longer is asked once more.
        """
        rounds = self._rounds + 2  # the round under way may have begun before
        while self._rounds < rounds or self.away is not None:
            self.check()
            if not self._thread.is_alive():  # closed before
                return self._over
            silent = self.away is not None and time.monotonic() - self._answered >= seconds
            if silent and self._rounds >= rounds:
                return False
            self._wake.set()
            time.sleep(0.02 if self.away is None else 0.2)
        return True

    def finish(
        self,
        status: Status,
        *,
        tags: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        files: Sequence[tuple[Path, str | None]] = (),
        front: Sequence[str] = (),
        note: Callable[[Place], str] | None = None,
        seconds: float = FINISH_SECONDS,
    ) -> bool:
        """End the sweep's run and all trials that still run, and let go of MLflow; return whether it has all.

        Trials that have not ended were interrupted. Those on the Pareto front, `front`, get the tag `pareto_front`.
        """
        self._wanted.end(status, tags or {}, metrics or {}, files, front, note)
        done = self.update(seconds)
        self.close()
        return done

    def close(self) -> None:
        """Stop writing. A request under way may take long, and nobody has to wait for it."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=EVERY_SECONDS)

    # The thread.
    def _run(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            while not self._closing.is_set():
                self._wake.wait(EVERY_SECONDS)
                self._wake.clear()
                if self._closing.is_set():
                    return
                if self.machine is not None:
                    self.machine.look()
                try:
                    self._bring_up_to_date()
                except (MlflowException, UserError, OSError, KeyError) as error:
                    self._connection = None
                    if environment_changed(error):
                        self._wake.set()  # it compares again at once
                        continue
                    if isinstance(error, KeyError):
                        raise
                    self._note_away(error)
                else:
                    self._answered = time.monotonic()
                    if self.away is not None:
                        log.warning("MLflow at %s answers again", self.where)
                        self.away = None
                self._rounds += 1
        except BaseException as error:  # `check` raises it in the main thread
            self._broken = error

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._writer.connect()
            self.place = self._connection.place
        return self._connection

    def _bring_up_to_date(self) -> None:
        connection = self._connect()
        self._settled |= connection.deleted
        if not self._begun:
            self._writer.begin_sweep(connection, self._wanted)
            self._begun = True
        if self.machine is not None and self.machine.samples:
            self._writer.write_machine(connection, self.machine.samples)
            self.machine.samples.clear()
        status, known = self._wanted.status, set[str]()
        for followed in self._followed:
            trials = followed.trials()
            known.update(trials)
            for trial_id in self._unsettled(trials):
                if self._closing.is_set():
                    return
                self._bring_trial(connection, followed, trials[trial_id], over=status != "running")
        if status != "running" and not self._over:
            self._writer.interrupt_others(connection, known)
            self._writer.end_sweep(connection, self._wanted)
            self._over = True

    def _unsettled(self, trials: Mapping[str, SweepTrial]) -> list[str]:
        """Return the ids of trials whose runs lack something."""
        return [trial_id for trial_id in trials if trial_id not in self._settled]

    def _bring_trial(self, connection: Connection, followed: Followed, trial: SweepTrial, over: bool) -> None:
        """Bring one trial's run up to date. `over` says that the sweep has ended."""
        child, is_open = connection.children.get(trial.id), self.reports.is_open(trial.id)
        begun = trial.ended or trial.curve or is_open
        if child is None and not begun:  # Tune has not started it, or never knew it
            if trial.state == "lost":
                self._settled.add(trial.id)
            return
        status = status_of(trial, is_open, over)
        wanted = WantedRun.of(trial, followed.settings(self.reports.point(trial)), status)
        if child is not None and status != "running" and child.agrees(wanted):
            self._settle(trial, wanted)
            return
        try:
            missing = self._writer.missing_epochs(connection, wanted)
            epochs = self.reports.of(trial, followed.folder, missing, complete=over or not is_open)
            if status == "running" and not epochs and child is not None and child.has(wanted):
                return
            tags = {key: self._wanted.tags[key] for key in CHILD_TAGS if key in self._wanted.tags}
            self._writer.write_trial(connection, wanted, epochs, followed.kind, tags, self._wanted.dataset)
        except Exception as error:
            if not is_refusal(error, self._writer.uri):
                raise
            self._settled.add(trial.id)
            log.warning("MLflow refuses a write of trial %s (%s): left out", trial.id, first_line(error))
            return
        self._answered = time.monotonic()
        self.reports.written(trial.id, epochs)
        if status != "running":
            self._settle(trial, wanted)

    def _settle(self, trial: SweepTrial, wanted: WantedRun) -> None:
        """A run is as it has to be for good, unless the trial goes on in another process."""
        self._settled.add(trial.id)
        self.reports.written(trial.id, wanted.epochs)

    def _note_away(self, error: Exception) -> None:
        """Remember, and say once, that the store does not answer."""
        before, self.away = self.away, first_line(error)
        if before is None:
            rest = "the sweep goes on, and MLflow is brought up to date when it answers"
            log.warning("MLflow at %s does not answer (%s); %s", self.where, self.away, rest)


_opened: dict[str, Projection] = {}


def opened(sweep: str) -> Projection:
    """Return the projection that this process opened for a sweep. A restored Tune callback finds it here."""
    return _opened[sweep]
