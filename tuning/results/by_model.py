"""The best value of each model of a sweep, and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tuning.space.space import MODEL
from tuning.study.trials import SweepTrial, ranked


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A model's part of a sweep."""

    model: str
    trials: int
    best: SweepTrial | None
    epochs: int
    seconds: float
    """Time of its trials together, from their start to their end."""


def by_model(trials: Sequence[SweepTrial], now: datetime) -> list[Reached]:
    """Return the models of a sweep, the best one first. Empty for a sweep of one model."""
    found = []
    for model in dict.fromkeys(trial.point[MODEL] for trial in trials if MODEL in trial.point):
        own = [trial for trial in trials if trial.point[MODEL] == model]
        found.append(
            Reached(
                model=model,
                trials=len(own),
                best=next(iter(ranked(own)), None),
                epochs=sum(trial.epoch for trial in own),
                seconds=sum(trial.seconds(now) for trial in own),
            )
        )
    order = ranked(one.best for one in found if one.best is not None)
    return sorted(found, key=lambda one: order.index(one.best) if one.best is not None else len(order))
