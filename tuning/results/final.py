"""The last step of a sweep: its best configurations again, each with several seeds.

The value that made a trial the best is also the luck of its seed, so the seeds here are other ones, and the
configuration is chosen by the mean of its validation metric over them. The trainings are trials of a study of
their own, whose points are all known beforehand: they run, stop, resume and leave files as the sweep's do, in

    <storage>/<name>/final/    sweep.yaml (which configurations), study.log, tune/, trials/
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from fame.datasets import Dataset
from fame.evaluation.seeds import over_seeds
from fame.serving.export import export_model
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best
from tuning.search.sampler import identity
from tuning.space.domains import Choices, Parameter
from tuning.storage.layout import Storage
from tuning.study.trials import RAY_ID, ranked
from tuning.trial.checkpoints import read_trial

KIND = "final"
"""Tag of these trainings in MLflow, where the sweep's trials have `trial`."""


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A configuration that is trained again."""

    trial: str
    """Ray's id of the trial that had it."""
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Final:
    """Which configurations are trained again, and how."""

    plan: Plan
    storage: Storage
    finalists: tuple[Finalist, ...]
    seeds: tuple[int, ...]
    resumed: bool
    """Whether it was begun before."""

    @classmethod
    def of(cls, plan: Plan, storage: Storage, study: optuna.Study) -> Final | None:
        """The final step of a sweep whose trials have ended; None if it has none, or no trial has a result.

        What was begun goes on with the same configurations.
        """
        if not plan.options.final_top:
            return None
        resumed = storage.final.exists
        if not resumed:
            best = ranked(study)[: plan.options.final_top]
            if not best:
                return None
            record = [{"trial": trial.user_attrs[RAY_ID], "params": dict(trial.params)} for trial in best]
            storage.final.create({"finalists": record})
        finalists = tuple(Finalist(**one) for one in storage.final.read_record()["finalists"])
        seeds = plan.final_seeds
        points = tuple({**one.params, "seed": seed} for seed in seeds for one in finalists)
        search = {**plan.space.search, "seed": Parameter(Choices(seeds))}
        options = dataclasses.replace(plan.options, scheduler="none", sampler="random")
        space = dataclasses.replace(plan.space, search=search, start=points)
        again = dataclasses.replace(plan, options=options, space=space, trials=len(points))
        return cls(plan=again, storage=storage.final, finalists=finalists, seeds=seeds, resumed=resumed)

    def __str__(self) -> str:
        return f"{len(self.finalists)} configurations, each with the seeds {', '.join(map(str, self.seeds))}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the trainings of a finalist came to."""

    finalist: Finalist
    values: Mapping[int, float]
    """Best validation metric by seed, of those that finished."""
    trials: Mapping[int, str]
    """Ray's ids of the trainings by seed."""

    @property
    def rank(self) -> tuple[int, float]:
        """To sort by: a configuration that fails with some seeds comes after all that do not."""
        return len(self.values), statistics.fmean(self.values.values())

    def to_dict(self) -> dict[str, Any]:
        value = over_seeds([{"value": one} for one in self.values.values()])["value"]
        return {"trial": self.finalist.trial, "params": dict(self.finalist.params), "seeds": list(self.values)} | value


def outcomes(final: Final, study: optuna.Study) -> list[Outcome]:
    """Finalists of which a training finished, best first."""
    found = []
    trials = {
        identity(trial.params): trial for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    }
    for finalist in final.finalists:
        points = {seed: identity({**finalist.params, "seed": seed}) for seed in final.seeds}
        finished = {seed: trials[point] for seed, point in points.items() if point in trials}
        if finished:
            values = {seed: trial.value for seed, trial in finished.items()}
            ids = {seed: trial.user_attrs[RAY_ID] for seed, trial in finished.items()}
            found.append(Outcome(finalist=finalist, values=values, trials=ids))
    return sorted(found, key=lambda outcome: outcome.rank, reverse=True)


def export_final(
    final: Final, final_study: optuna.Study, study: optuna.Study, storage: Storage, dataset: Dataset
) -> Best | None:
    """Export the configuration with the best mean, its model being that of its best seed; None if none finished.

    The test metrics are computed here, once, for the models of the chosen configuration alone.
    """
    found = outcomes(final, final_study)
    if not found:
        return None
    chosen = found[0]
    trained = {seed: read_trial(final.storage.trials, id) for seed, id in chosen.trials.items()}
    lost = [seed for seed, one in trained.items() if one is None]
    if lost:
        print(f"the final trainings of {chosen.finalist.trial} with the seeds {lost} cannot be read: left out")
    trained = {seed: one for seed, one in trained.items() if one is not None}
    if not trained:
        return None
    best_seed = max(trained, key=lambda seed: chosen.values[seed])
    extra = {
        "sweep": storage.name,
        "trial": chosen.finalist.trial,
        "finished": True,
        "final": [outcome.to_dict() for outcome in found],
    }
    repeats = [one for seed, one in trained.items() if seed != best_seed]
    metrics = export_model(storage.best, trained[best_seed], dataset, extra, repeats)
    (trial,) = [t for t in study.get_trials(deepcopy=False) if t.user_attrs.get(RAY_ID) == chosen.finalist.trial]
    return Best(
        trial=trial, trial_id=chosen.finalist.trial, finished=True, metrics=metrics, place=storage.publish_best()
    )
