"""Tune's events are noted for MLflow."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen
from tuning.faults import Fault, end
from tuning.tracking.callback import TrackingCallback


def fake_trial(trial_id: str, config: dict, **last_result: object) -> SimpleNamespace:
    return SimpleNamespace(trial_id=trial_id, config=config, last_result=last_result)


def test_reports_of_tune_become_metrics_and_a_fault_does_not(open_sweep: Open, uri: str, experiment: str) -> None:
    sweep = open_sweep("events")
    callback = TrackingCallback(sweep.projection)
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.projection is sweep.projection and uri.encode() not in pickle.dumps(callback)
    config = {"model.heads": 2, "model.experts": 4, "model.dim": 64, "train.lr": 0.001}
    report = {"epoch": 1, "ndcg@10": 0.1, "best_ndcg@10": 0.2, "stage": "fame", "pid": 4, "time_total_s": 2.0}
    done, broken = fake_trial("done", config), fake_trial("broken", config)
    for trial in (done, broken):
        sweep.begin(trial.trial_id, config)
        callback.on_trial_start(0, [], trial)
        sweep.report(trial.trial_id, 1, 0.1)
        callback.on_trial_result(0, [], trial, {**report, "epoch": 2, "finished": trial is done})
        sweep.report(trial.trial_id, 2, 0.1)
    callback.on_trial_result(0, [], broken, end(Fault(kind="infeasible", reason="too large"), 3, "ndcg@10"))
    sweep.end("done", "finished")
    callback.on_trial_complete(0, [], done)
    callback.on_trial_error(0, [], broken)
    callback.on_step_end(0, [])
    assert sweep.projection.update()
    seen = Seen(uri, experiment, "events")
    assert seen.child("done").info.run_name == "H2 N4 D64 · 0.1000"
    assert seen.child("done").data.metrics == {"validation/ndcg_10": 0.1, "best/ndcg_10": 0.2}
    assert [step for step, _ in seen.history("broken", "validation/ndcg_10")] == [1, 2]
