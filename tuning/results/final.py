"""The last step of a sweep: its best configurations are trained again, each with several seeds.

A trial's value depends on its seed. So this step uses other seeds and chooses by the mean validation metric. Its
trainings are trials of a study of their own, whose points are all known. They run, stop, resume and leave files as the
sweep's trials do:

    <storage>/<name>/final/    sweep.yaml (the configurations), study.log, tune/, trials/
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fame.datasets import Dataset
from fame.evaluation.seeds import over_seeds
from tuning.plan.sweep_plan import Plan
from tuning.results.best import Best, export_chosen
from tuning.space.domains import Choices, Parameter
from tuning.storage.layout import Storage
from tuning.study.overview import identity
from tuning.study.trials import SweepTrial, ranked
from tuning.trial.checkpoints import read_trial

KIND = "final"
"""Tag `kind` of these trainings in MLflow. The sweep's trials have `trial`."""


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A configuration that is trained again."""

    trial: str
    """Id of the trial that had it."""
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Final:
    """The configurations that are trained again, and their sweep."""

    plan: Plan
    storage: Storage
    finalists: tuple[Finalist, ...]
    seeds: tuple[int, ...]
    resumed: bool
    """Whether the step had begun before."""

    @classmethod
    def of(cls, plan: Plan, storage: Storage, trials: Iterable[SweepTrial]) -> Final | None:
        """Return the last step of a sweep whose trials have ended. None if it has none, or no trial has a value.

        A step that had begun continues with the same configurations.
        """
        if not plan.options.final_top:
            return None
        resumed = storage.final.exists
        if not resumed:
            best = ranked(trials)[: plan.options.final_top]
            if not best:
                return None
            storage.final.create({"finalists": [{"trial": trial.id, "params": dict(trial.point)} for trial in best]})
        finalists = tuple(Finalist(**one) for one in storage.final.read_record()["finalists"])
        seeds = plan.final_seeds
        points = tuple({**one.params, "seed": seed} for seed in seeds for one in finalists)
        search = {**plan.space.search, "seed": Parameter(Choices(seeds))}
        unlimited: dict[str, Any] = dict.fromkeys(("time_budget", "trial_time", "stop_after"))
        options = dataclasses.replace(plan.options, scheduler="none", sampler="random", trials=len(points), **unlimited)
        space = dataclasses.replace(plan.space, search=search, start=points)
        again = dataclasses.replace(plan, options=options, space=space, trials=len(points), extended=0, lessons=())
        return cls(plan=again, storage=storage.final, finalists=finalists, seeds=seeds, resumed=resumed)

    def __str__(self) -> str:
        return f"{len(self.finalists)} configurations, each with the seeds {', '.join(map(str, self.seeds))}"


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """The finished trainings of a finalist."""

    finalist: Finalist
    values: Mapping[int, float]
    """Best validation metric by seed."""
    trials: Mapping[int, str]
    """Ids of the trainings by seed."""

    @property
    def rank(self) -> tuple[int, float]:
        """Sorting key. A configuration that fails or breaks a limit with some seeds comes after those that do not."""
        return len(self.values), statistics.fmean(self.values.values())

    def to_dict(self) -> dict[str, Any]:
        value = over_seeds([{"value": one} for one in self.values.values()])["value"]
        return {"trial": self.finalist.trial, "params": dict(self.finalist.params), "seeds": list(self.values)} | value


def repeats(final: Final, trials: Iterable[SweepTrial]) -> list[Repeats]:
    """Return the finalists with a finished training that keeps the limits, best first."""
    found = []
    by_point = {
        identity(trial.point): (trial.value, trial.id)
        for trial in trials
        if trial.state == "finished" and trial.value is not None
    }
    for finalist in final.finalists:
        points = {seed: identity({**finalist.params, "seed": seed}) for seed in final.seeds}
        finished = {seed: by_point[point] for seed, point in points.items() if point in by_point}
        if finished:
            values = {seed: value for seed, (value, _) in finished.items()}
            ids = {seed: id for seed, (_, id) in finished.items()}
            found.append(Repeats(finalist=finalist, values=values, trials=ids))
    return sorted(found, key=lambda one: one.rank, reverse=True)


def export_final(final: Final, trials: Iterable[SweepTrial], storage: Storage, dataset: Dataset) -> Best | None:
    """Export the configuration with the best mean. Return None if no training finished.

    The model is that of the best seed. The test metrics are computed here, once, for the models of the chosen
    configuration.
    """
    found = repeats(final, trials)
    if not found:
        return None
    chosen = found[0]
    read = {seed: read_trial(final.storage.trials, id) for seed, id in chosen.trials.items()}
    lost = [seed for seed, one in read.items() if one is None]
    if lost:
        print(f"the final trainings of {chosen.finalist.trial} with the seeds {lost} cannot be read: left out")
    trained = {seed: one for seed, one in read.items() if one is not None}
    if not trained:
        return None
    best_seed = max(trained, key=lambda seed: chosen.values[seed])
    extra = {
        "sweep": storage.name,
        "trial": chosen.finalist.trial,
        "finished": True,
        "final": [one.to_dict() for one in found],
    }
    others = [one for seed, one in trained.items() if seed != best_seed]
    return Best(
        trial_id=chosen.finalist.trial,
        point=chosen.finalist.params,
        finished=True,
        metrics=export_chosen(storage, trained[best_seed], dataset, extra, others, final.plan.options.refit == "all"),
        place=storage.publish_best(),
    )
