"""The study adds up how trials came to the results of shared stages."""

from __future__ import annotations

from fame.training.shared_stages import StageUse
from tests.tuning.search.studies import METRIC, make
from tuning.study.stage_uses import Uses, from_metrics, reported_uses, to_metrics
from tuning.study.trials import total_uses


def use(shared: bool, seconds: float, waited: float = 0.0, rebuilt: bool = False, stage: str = "backbone") -> StageUse:
    return StageUse(stage=stage, shared=shared, seconds=seconds, waited=waited, rebuilt=rebuilt)


def test_the_study_adds_up_by_stage_what_trials_report(tmp_path, monkeypatch):
    search, names = make(tmp_path), "abcd"
    of_trials = [
        [use(False, 0.5, stage="text"), use(False, 3.0)],
        [use(True, 0.5, stage="text"), use(True, 3.0, waited=2.0)],
        [use(True, 0.5, stage="text"), use(False, 4.0, rebuilt=True)],
        [],
    ]
    for name, uses in zip(names, of_trials, strict=True):
        monkeypatch.setattr("tuning.study.stage_uses.read_uses", lambda folder, uses=uses: uses)
        search.suggest(name)
        for epoch in (1, 2):  # every report of a trial has it
            search.on_trial_result(name, {"epoch": epoch, METRIC: 0.5, **reported_uses(tmp_path)})
    trials = search.record.trials()
    assert [bool(trial.uses) for trial in trials] == [True, True, True, False]
    found = total_uses(trials)
    assert found == {
        "text": Uses(computed=1, shared=2, seconds_saved=1.0),
        "backbone": Uses(computed=2, shared=1, rebuilt=1, seconds_saved=3.0, seconds_waited=2.0),
    }
    assert str(found["text"]) == "3 needed, 1 computed, 2 shared: 1.0 s of training saved"
    rebuilt = "3 needed, 2 computed (1 in place of a damaged one), 1 shared: 3.0 s of training saved, 2.0 s waited"
    assert str(found["backbone"]) == rebuilt
    assert from_metrics(to_metrics(found)) == found
    assert to_metrics(found)["stage_backbone_seconds_saved"] == 3.0
