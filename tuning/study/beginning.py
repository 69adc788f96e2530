"""The beginning of a study: its origin, its start points, and the trials of earlier sweeps that teach its sampler."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from tuning.space import Space
from tuning.study.aims import Limit
from tuning.study.distributions import distributions
from tuning.study.lessons import TAUGHT_BY, Lesson
from tuning.study.trials import NUMBERS

ORIGIN = "origin"
"""Attribute of a study: its search space and metric."""


def open_study(storage: BaseStorage, name: str, sampler: BaseSampler) -> optuna.Study:
    """Return the study of a sweep, new or continued."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=sampler,
        pruner=optuna.pruners.NopPruner(),
        load_if_exists=True,
    )


def begin(study: optuna.Study, space: Space, metric: str, lessons: Sequence[Lesson], limits: Sequence[Limit]) -> bool:
    """Fill a new study. Return whether the study is of this search space and metric."""
    origin = json.loads(json.dumps({"space": space.to_dict(), "metric": metric, "mode": "max"}))
    if ORIGIN in study.user_attrs:
        return _without_epochs(study.user_attrs[ORIGIN]) == _without_epochs(origin)
    for point in space.start:
        study.enqueue_trial(dict(point), skip_if_exists=True)  # a killed driver may have queued some
    _teach(study, space, lessons, limits)
    study.set_user_attr(ORIGIN, origin)
    return True


def _teach(study: optuna.Study, space: Space, lessons: Sequence[Lesson], limits: Sequence[Limit]) -> None:
    """Add trials of earlier sweeps, without those that a killed driver has added."""
    known = {trial.user_attrs.get(TAUGHT_BY) for trial in study.get_trials(deepcopy=False)}
    for lesson in lessons:
        if lesson.origin not in known:
            taught = optuna.create_trial(
                state=TrialState.COMPLETE,
                value=lesson.value,
                params=dict(lesson.point),
                distributions=distributions(space, lesson.point),
                user_attrs={TAUGHT_BY: lesson.origin, NUMBERS: dict(lesson.numbers)},
            )
            for limit in limits:
                taught.set_constraint(str(limit), limit.excess(lesson.numbers[limit.name]))
            study.add_trial(taught)


def _without_epochs(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the origin of a study without the number of epochs, which a resumed sweep may raise."""

    def without(base: Mapping[str, Any]) -> dict[str, Any]:
        if "models" in base:
            return {"models": {name: without(one) for name, one in base["models"].items()}}
        return {**base, "train": {key: v for key, v in (base.get("train") or {}).items() if key != "epochs"}}

    return {**origin, "space": {**origin["space"], "base": without(origin["space"]["base"])}}
