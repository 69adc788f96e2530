"""The study adds up how trials came to the results of shared stages."""

from __future__ import annotations

import optuna

from fame.training.shared_stages import StageUse
from tuning.study.stage_uses import ATTRIBUTE, Uses, from_metrics, note_uses, reported_uses, to_metrics, total


def use(shared: bool, seconds: float, waited: float = 0.0, rebuilt: bool = False, stage: str = "backbone") -> StageUse:
    return StageUse(stage=stage, shared=shared, seconds=seconds, waited=waited, rebuilt=rebuilt)


def test_the_study_adds_up_by_stage_what_trials_report(tmp_path, monkeypatch):
    study = optuna.create_study()
    assert total(study) == {}
    of_trials = [
        [use(False, 0.5, stage="text"), use(False, 3.0)],
        [use(True, 0.5, stage="text"), use(True, 3.0, waited=2.0)],
        [use(True, 0.5, stage="text"), use(False, 4.0, rebuilt=True)],
        [],
    ]
    for uses in of_trials:
        monkeypatch.setattr("tuning.study.stage_uses.read_uses", lambda folder, uses=uses: uses)
        trial = study.ask()
        report = {"epoch": 1, "ndcg@10": 0.5, "training_iteration": 1, **reported_uses(tmp_path)}
        for _ in range(2):  # every report of a trial has it
            note_uses(study._storage, study.get_trials()[trial.number], report)
    assert [ATTRIBUTE in trial.user_attrs for trial in study.get_trials()] == [True, True, True, False]
    found = total(study)
    assert found == {
        "text": Uses(computed=1, shared=2, seconds_saved=1.0),
        "backbone": Uses(computed=2, shared=1, rebuilt=1, seconds_saved=3.0, seconds_waited=2.0),
    }
    assert str(found["text"]) == "3 needed, 1 computed, 2 shared: 1.0 s of training saved"
    rebuilt = "3 needed, 2 computed (1 in place of a damaged one), 1 shared: 3.0 s of training saved, 2.0 s waited"
    assert str(found["backbone"]) == rebuilt
    assert from_metrics(to_metrics(found)) == found
    assert to_metrics(found)["stage_backbone_seconds_saved"] == 3.0
