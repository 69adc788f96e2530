"""The figures of a report, from studies that Optuna warns about."""

from __future__ import annotations

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from tuning.report import figures
from tuning.study.trials import RAY_ID


def test_a_condition_that_few_trials_meet_is_no_warning_on_the_terminal():
    """Warnings are errors in tests; a sweep printed one at each refresh of its page."""
    study = optuna.create_study(direction="maximize")
    similarity, temperature = CategoricalDistribution(["dot", "cosine"]), FloatDistribution(0.1, 1.0)
    for number, kind in enumerate(["dot", "dot", "dot", "cosine"]):
        params = {"model.similarity": kind} | ({"model.temperature": 0.2} if kind == "cosine" else {})
        known = {"model.similarity": similarity, "model.temperature": temperature}
        distributions = {key: known[key] for key in params}
        attributes = {RAY_ID: str(number)}
        made = create_trial(params=params, distributions=distributions, value=0.1 * number, user_attrs=attributes)
        study.add_trial(made)
    figure = figures.importances(study, "ndcg@10")
    assert set(figure.data[0].y) == {"model.similarity", "model.temperature"}
