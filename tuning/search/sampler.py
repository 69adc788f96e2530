"""Optuna's samplers, restricted to points that the space allows and the study has not tried."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from fame.errors import UserError
from tuning.space import Space
from tuning.space.domains import Domain
from tuning.study.aims import direction, values_of
from tuning.study.distributions import distribution
from tuning.study.lessons import TAUGHT_BY
from tuning.study.trials import SweepTrial, place_of, trials_of

PROPOSALS = 10
"""Proposals of the sampler before a point is drawn at random. A proposal of the Gaussian process takes seconds."""
DRAWS = 10_000
"""Random points that are drawn before the search gives up."""


class FeasibleSampler(BaseSampler):
    """Another sampler's proposals, without points that the space forbids or the study has tried.

    Proposals are drawn again until one is allowed. The sampler keeps its own choice among the allowed points, and no
    point enters the study without a run. Three other ways are worse:

    - Choices that depend on other keys break TPE's model, which needs fixed choices.
    - A repaired proposal is another point than the sampler asked for.
    - TPE ignores rejected points told as FAIL, so it repeats them. Told as PRUNED, they make all their keys look bad.

    The sampler has no state. Each proposal takes a fresh sampler, seeded by the seed and the trial's place. So a resumed
    sweep continues as the unbroken sweep would have.
    """

    def __init__(self, space: Space, name: str, seed: int, trials: int, aims: Sequence[str] = ()) -> None:
        self.space, self.name, self.seed, self.aims = space, name, seed, aims
        # Optuna's default of ten random trials would be all of a short sweep.
        self.startup = max(3, min(10, trials // 4))
        self.grid = space.grid() if space.is_small() or name == "grid" else None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {key: distribution(parameter.domain) for key, parameter in self.space.search.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        seed = int(np.random.SeedSequence([self.seed, place_of(study, trial.number)]).generate_state(1)[0])
        tried = points_tried(study)
        sampler = self._sampler(seed)
        if sampler is not None:
            taught, asking = study, trial
            if len(self.aims) > 1:
                taught = by_all_aims(study, trial, self.aims)
                asking = taught.get_trials(deepcopy=False)[-1]
            for _ in range(PROPOSALS):
                point = self._propose(sampler, taught, asking)
                if identity(point) not in tried and self.space.problem(point) is None:
                    return point
        rng = random.Random(seed)
        if self.grid is not None:
            return rng.choice(self.untried(study))
        for _ in range(DRAWS):
            point = self.space.draw(rng)
            if identity(point) not in tried and self.space.problem(point) is None:
                return point
        raise UserError(
            f"{self.space.source}: {DRAWS:,} random configurations had no new one that the space allows; "
            "widen the ranges, or lower --trials"
        )

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name}: proposals and start points are complete")

    def untried(self, study: optuna.Study) -> list[dict[str, Any]]:
        """Return the points of a small space that no trial has had."""
        tried = points_tried(study)
        return [point for point in self.grid or () if identity(point) not in tried]

    def _propose(self, sampler: BaseSampler, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        together = sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial))

        def choose(key: str, domain: Domain) -> Any:
            if key in together:
                return domain.tidy(together[key])
            return domain.tidy(sampler.sample_independent(study, trial, key, distribution(domain)))

        return self.space.walk(choose)

    def _sampler(self, seed: int) -> BaseSampler | None:
        if self.name == "random":
            return RandomSampler(seed=seed)
        if self.name == "gp":
            return GPSampler(seed=seed, n_startup_trials=self.startup, warn_independent_sampling=False)
        if self.name == "tpe":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                # Groups: keys that exist under a condition are modelled with the trials that had them.
                return TPESampler(
                    seed=seed, n_startup_trials=self.startup, multivariate=True, group=True, constant_liar=True
                )
        return None


def identity(point: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(point.items())


def points_tried(study: optuna.Study) -> set[frozenset[tuple[str, Any]]]:
    """Return the points of all trials, and of earlier sweeps that teach. A point that failed would fail again."""
    taught = {identity(t.params) for t in study.get_trials(deepcopy=False) if TAUGHT_BY in t.user_attrs}
    return taught | {identity(trial.point) for trial in trials_of(study)}


def by_all_aims(study: optuna.Study, asking: FrozenTrial, aims: Sequence[str]) -> optuna.Study:
    """Return a copy of the study in memory, in which trials have their values by all aims.

    Optuna compares trials by several aims only if they are complete. So the trials that a scheduler stopped count with the
    values that they reached. Trials without values are left out, unless they run or break a constraint.
    The asking trial comes last: TPE notes its proposal there.
    """
    copy = optuna.create_study(directions=[direction(aim) for aim in aims])
    for trial in study.get_trials(deepcopy=True):
        if trial.number == asking.number:
            continue
        values = values_of(SweepTrial(trial), aims)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and values is not None:
            trial.state, trial.values = TrialState.COMPLETE, values
        elif any(value > 0 for value in trial.constraints.values()):
            trial.state, trial.values = TrialState.PRUNED, None
        elif trial.state != TrialState.RUNNING:
            continue
        copy.add_trial(trial)
    copy.add_trial(asking)
    return copy
