"""What MLflow lacks of the study, after a kill: the study has it a moment before it is written down for MLflow.

An epoch, an end, a whole trial can be missing. A trial that goes on reports all its epochs again, so only those
that have ended are looked at. What an epoch measured is in the trial's checkpoint; were that gone, the study has
the metric. It also fills a new MLflow store from a sweep whose old one was lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.trial import FrozenTrial

from tuning.faults import Fault
from tuning.storage.layout import Storage
from tuning.study.trials import RAY_ID, run_name, score
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
    for trial in study.get_trials(deepcopy=False):
        id = trial.user_attrs.get(RAY_ID)
        if outcomes.get(id, "interrupted") == "interrupted" or (id in recorded and recorded[id].status == "deleted"):
            continue
        last = max(trial.intermediate_values, default=0)
        if id not in recorded or recorded[id].status != outcomes[id] or recorded[id].last_epoch < last:
            _add(tracker, trial, id, outcomes[id], storage.trials, metric, kind)


def _add(tracker: Tracker, trial: FrozenTrial, id: str, outcome: Status, trials: str, metric: str, kind: str) -> None:
    """All of a trial; what MLflow has of it is not written again."""
    from tuning.trial.loop import reported_metrics

    tracker.start_trial(id, trial.params, run_name(trial.params, id), kind)
    trained = read_trial(trials, id)
    reports = {report.epoch: reported_metrics(report, metric) for report in trained.history} if trained else {}
    for epoch, value in sorted(trial.intermediate_values.items()):
        tracker.log_epoch(id, epoch, numbers_of(reports.get(epoch, {metric: value})))
    tracker.end_trial(id, outcome, score(trial), tags_of(Fault.of(trial.user_attrs)))
