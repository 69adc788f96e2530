"""Tune's events as runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen
from tuning.faults import Fault, end
from tuning.tracking.callback import TrackingCallback


def fake_trial(trial_id: str, config: dict, status: str = "RUNNING", **last_result: object) -> SimpleNamespace:
    return SimpleNamespace(trial_id=trial_id, config=config, status=status, last_result=last_result, error_file=None)


def test_tune_events_become_runs(open_tracker: Open, uri: str, experiment: str, tmp_path: Path) -> None:
    tracker = open_tracker("events")
    callback = TrackingCallback(tracker, "ndcg@10")
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.tracker is tracker and uri.encode() not in pickle.dumps(callback)
    config = {"model.heads": 2, "model.experts": 4, "model.dim": 64, "train.lr": 0.001}
    report = {"epoch": 1, "ndcg@10": 0.1, "best_ndcg@10": 0.2, "stage": "fame", "pid": 4, "time_total_s": 2.0}
    done = fake_trial("t1", config, "TERMINATED", **report, finished=True)
    stopped = fake_trial("t2", config, "TERMINATED", **report)
    fault = Fault(kind="infeasible", reason="too large")
    broken = fake_trial("t3", {"train.lr": 0.1}, "TERMINATED", **end(fault, 0, "ndcg@10"))
    running = fake_trial("t4", config)
    for trial in (done, stopped, running):
        callback.on_trial_start(0, [], trial)
        callback.on_trial_result(0, [], trial, {**report, "finished": trial is done})
    callback.on_trial_complete(0, [], done)
    callback.on_trial_complete(0, [], stopped)
    callback.on_trial_complete(0, [], broken)  # ended before it started
    tracker.close_open_trials({})
    assert tracker.flush() == 0
    runs = Seen(uri, experiment, "events").children()
    assert [run.data.tags["status"] for run in runs] == ["finished", "pruned", "failed", "interrupted"]
    assert [run.info.run_name for run in runs] == ["H2 N4 D64 · 0.2000", "H2 N4 D64 · 0.2000", "t3", "H2 N4 D64"]
    assert runs[0].data.metrics == {"ndcg_at_10": 0.1, "best_ndcg_at_10": 0.2}
    assert runs[2].data.tags["error"] == "too large" and runs[2].data.tags["failure"] == "infeasible"
