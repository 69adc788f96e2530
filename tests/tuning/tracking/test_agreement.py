"""What a kill kept from MLflow is added from the study and the checkpoints."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from fame.config.tree import experiment_from_dict
from fame.datasets import load_dataset
from fame.training.fit import fit
from tests.commands import TINY
from tests.tuning.tracking.conftest import Open
from tests.tuning.tracking.seen import Seen
from tuning.storage.layout import Storage
from tuning.study.trials import RAY_ID
from tuning.tracking.agreement import agree
from tuning.trial.checkpoints import Checkpoints
from tuning.trial.loop import reported_metrics

pytestmark = pytest.mark.filterwarnings("ignore:The `(json|parse_obj)` method:DeprecationWarning")  # of Ray Train

METRIC = "ndcg@10"
DOMAIN = optuna.distributions.FloatDistribution(0, 1)


def test_what_mlflow_lacks_is_added_and_nothing_else_changes(
    open_tracker: Open, uri: str, experiment: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("FAME_DATA", str(tmp_path / "data"))
    tiny = experiment_from_dict(TINY)
    (tmp_path / "fit").mkdir()
    tracker = open_tracker("s")
    storage = Storage.of(str(tracker.spool.parent.parent), tracker.spool.parent.name)
    checkpoints, reports = Checkpoints(storage.trials, "known", 0), []
    for report in fit(tiny, load_dataset(tiny.data).sequences, tmp_path / "fit"):
        reports.append(reported_metrics(report, METRIC))
        checkpoints.add(tmp_path / "fit", reports[-1])

    study = optuna.create_study(direction="maximize")
    curve = {report["epoch"]: report[METRIC] for report in reports}

    def add(id: str, state: TrialState, epochs: int) -> None:
        values = {epoch: curve[epoch] for epoch in range(1, epochs + 1)}
        value = max(values.values(), default=None) if state == TrialState.COMPLETE else None
        study.add_trial(
            optuna.trial.create_trial(
                state=state, value=value, params={"x": 0.5}, distributions={"x": DOMAIN},
                user_attrs={RAY_ID: id}, intermediate_values=values,
            )
        )  # fmt: skip

    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    outcomes = {"same": "finished", "known": "finished", "lacking": "pruned", "missing": "failed", "deleted": "pruned"}
    for id, outcome in outcomes.items():
        add(id, states[outcome], 0 if id == "missing" else 2)
    add("goes on", TrialState.RUNNING, 2)
    outcomes["lost"] = "interrupted"  # Tune never knew it

    for id in ("same", "known", "lacking", "deleted", "goes on"):
        tracker.start_trial(id, {"x": 0.5}, id)
        tracker.log_epoch(id, 1, {METRIC: curve[1], "loss": 7.0})
    tracker.log_epoch("same", 2, {METRIC: curve[2]})
    tracker.end_trial("same", "finished")
    assert tracker.flush() == 0
    seen = Seen(uri, experiment, "s")
    seen.client.delete_run(seen.child("deleted").info.run_id)
    before = seen.client.get_run(seen.child("same").info.run_id).to_dictionary()

    tracker = open_tracker("s", resume=True)
    for _ in range(2):  # the second time there is nothing to do
        agree(tracker, study, outcomes, storage, METRIC)
        assert tracker.flush() == 0
        assert seen.statuses() == {
            "same": ("FINISHED", "finished"),
            "known": ("FINISHED", "finished"),
            "lacking": ("FINISHED", "pruned"),
            "missing": ("FAILED", "failed"),
            "goes on": ("KILLED", "interrupted"),
        }
    assert seen.client.get_run(seen.child("same").info.run_id).to_dictionary() == before
    for id in ("known", "lacking"):
        assert seen.history(id, "ndcg_at_10") == [(epoch, curve[epoch]) for epoch in (1, 2)]
    assert seen.history("known", "loss") == [(1, 7.0), (2, reports[1]["loss"])]  # from its checkpoint
    assert seen.history("lacking", "loss") == [(1, 7.0)]  # it has none
    assert seen.child("missing").data.params == {"x": "0.5"}
    assert seen.child("known").info.run_name == f"known · {max(curve[1], curve[2]):.4f}"
