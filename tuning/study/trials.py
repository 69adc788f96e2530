"""The trials of a sweep as its study has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuning.faults import FAULT

RAY_ID, LOST = "ray_id", "lost"
"""Attributes of a trial in the study: its id in Tune, and that Tune knows nothing of it."""
LETTERS = {"model.heads": "H", "model.experts": "N", "model.dim": "D", "model.blocks": "L", "seed": "seed "}
"""Parameters that a run's name shows, by the paper's letters."""


def run_name(params: Mapping[str, Any], trial_id: str) -> str:
    """Return ``H2 N4 D64``, or the trial's id where the search looks at none of these."""
    words = [f"{letter}{params[key]}" for key, letter in LETTERS.items() if key in params]
    return " ".join(words) or trial_id


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a value, best first: those that finished, then those that were stopped."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if score(trial) is not None]
    return sorted(trials, key=lambda trial: (trial.state == TrialState.COMPLETE, score(trial)), reverse=True)


def score(trial: FrozenTrial) -> float | None:
    """Best validation metric that is known of a trial."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    if trial.state == TrialState.FAIL or FAULT in trial.user_attrs or RAY_ID not in trial.user_attrs:
        return None
    return max(trial.intermediate_values.values(), default=None)
