"""A study as Optuna's dashboard gets it: with the metric's and the trials' names, whatever the file says."""

from __future__ import annotations

import optuna

from tuning.dashboards.named_study import NAMES, NamedStudy
from tuning.study.file import open_journal
from tuning.study.trials import RAY_ID


def test_names_and_notes_are_computed_and_the_file_stays_as_it_is(tmp_path):
    storage, _ = open_journal(tmp_path / "study.log")
    study = optuna.create_study(storage=storage, study_name="mine", direction="maximize")
    choice = {"model.heads": optuna.distributions.CategoricalDistribution([2])}
    for attributes in ({RAY_ID: "t0"}, {}):
        trial = optuna.create_trial(value=0.5, params={"model.heads": 2}, distributions=choice, user_attrs=attributes)
        study.add_trial(trial)
    before = (tmp_path / "study.log").read_bytes()
    (named,) = NamedStudy(tmp_path / "study.log", "hr@5", "http://mlflow/").get_all_studies()
    assert named.system_attrs[NAMES] == ["validation hr@5"]
    texts = [value for key, value in named.system_attrs.items() if isinstance(value, str)]
    assert texts == ["**H2** · t0"], "no link without a run, no note without an id"
    assert (tmp_path / "study.log").read_bytes() == before
