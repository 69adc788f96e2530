"""The assumptions of an excerpt of a study about Optuna."""

from __future__ import annotations

import optuna
import pytest

from tuning.study.excerpt import excerpt


def objective(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", 0, 1)


@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.GPSampler])
def test_a_sampler_reads_an_excerpt_and_notes_its_proposal_in_both_studies(sampler: type) -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, 12)
    asking = study.ask()
    trials = study.get_trials(deepcopy=False)
    part = excerpt([*trials[3:8], trials[-1]], notes=study._storage)
    assert [trial.number for trial in part.trials] == [3, 4, 5, 6, 7, 12] and part.trials[0] is trials[3]
    chosen = sampler(seed=0, n_startup_trials=2)
    space = chosen.infer_relative_search_space(part, trials[-1]) or {"x": trials[0].distributions["x"]}
    chosen.sample_relative(part, trials[-1], space)
    noted = study.get_trials()[-1].system_attrs
    if isinstance(chosen, optuna.samplers.GPSampler):  # TPE, in one variable, proposes the keys one by one
        assert noted
    assert part.trials[-1].system_attrs == noted and asking.number == 12


def test_an_excerpt_says_nothing_and_leaves_optunas_messages_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    """`python -m tuning.report` had told of two new studies in memory."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        optuna.create_study()
        assert "A new study" in caplog.text
        caplog.clear()
        excerpt([])
        assert not caplog.records and optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(level)
