"""What MLflow lacks of the study, after a kill: the study has it a moment before it is written down for MLflow.

An epoch, an end, a whole trial can be missing. A trial that goes on reports all its epochs again, so only those
that have ended are looked at. What an epoch measured is in the trial's checkpoint; were that gone, the study has
the metric. It also fills a new MLflow store from a sweep whose old one was lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna

from tuning.storage.layout import Storage
from tuning.study.trials import SweepTrial, trials_of
from tuning.tracking import TRIAL, Status, Tracker
from tuning.tracking.callback import numbers_of, tags_of
from tuning.trial.checkpoints import read_trial


def agree(
    tracker: Tracker,
    study: optuna.Study,
    outcomes: Mapping[str, Status],
    storage: Storage,
    metric: str,
    kind: str = TRIAL,
) -> None:
    """End what still runs in MLflow, and add what it lacks of trials that ended, as `outcomes` says by Ray's id.

    `outcomes` may have trials of other studies of the sweep, too. Without an answer from MLflow it does nothing more: the next `--resume` does.
    """
    tracker.close_open_trials(outcomes)
    recorded = tracker.recorded()
    if recorded is None:
        return
    for trial in trials_of(study):
        id = trial.id
        if outcomes.get(id, "interrupted") == "interrupted" or (id in recorded and recorded[id].status == "deleted"):
            continue
        if id not in recorded or recorded[id].status != outcomes[id] or recorded[id].last_epoch < trial.epoch:
            _add(tracker, trial, outcomes[id], storage.trials, metric, kind)


def _add(tracker: Tracker, trial: SweepTrial, outcome: Status, trials: str, metric: str, kind: str) -> None:
    """All of a trial; what MLflow has of it is not written again."""
    from tuning.trial.loop import reported_metrics

    tracker.start_trial(trial.id, trial.point, trial.name, kind)
    trained = read_trial(trials, trial.id)
    reports = {report.epoch: reported_metrics(report, metric) for report in trained.history} if trained else {}
    for epoch, value in trial.curve.items():
        tracker.log_epoch(trial.id, epoch, numbers_of(reports.get(epoch, {metric: value})))
    tracker.end_trial(trial.id, outcome, trial.value, tags_of(trial.fault))
