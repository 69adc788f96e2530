"""What Optuna's samplers propose, kept to what a space allows and the study has not tried."""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from fame.errors import UserError
from tuning.space import Space
from tuning.space.domains import Domain
from tuning.study.trials import LOST, RAY_ID

PROPOSALS = 10
"""Proposals of the sampler that are tried before one is drawn at random (a GP proposal takes seconds)."""
DRAWS = 10_000


class FeasibleSampler(BaseSampler):
    """Another sampler's proposals, without those that the space forbids or the study has already tried.

    Proposals are drawn again until one is allowed. So the sampler's own choice is kept, restricted to
    the allowed points, and nothing that never ran enters the study. The other ways are worse: choices
    that depend on other keys break TPE's model, which needs fixed ones; repairing a proposal runs
    another point than the sampler asked for; rejected proposals told as FAIL are ignored by TPE, so it
    repeats them, and told as PRUNED they count as bad settings of all their keys.

    It has no state: each proposal takes a fresh sampler, seeded by the seed and the trial's place, so
    that a resumed sweep goes on as the unbroken one would have.
    """

    def __init__(self, space: Space, name: str, seed: int, trials: int) -> None:
        self.space, self.name, self.seed = space, name, seed
        # Ten random trials, Optuna's default, would be all of a short sweep.
        self.startup = max(3, min(10, trials // 4))
        self.grid = space.grid() if space.is_small() or name == "grid" else None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {key: distribution(parameter.domain) for key, parameter in self.space.search.items()}

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: dict) -> dict[str, Any]:
        # By its place among those that count: a kill between a proposal and its run adds a lost one.
        place = sum(LOST not in earlier.user_attrs for earlier in study.get_trials(deepcopy=False)[: trial.number])
        seed = int(np.random.SeedSequence([self.seed, place]).generate_state(1)[0])
        tried = points_tried(study)
        sampler = self._sampler(seed)
        for _ in range(PROPOSALS if sampler else 0):
            point = self._propose(sampler, study, trial)
            if identity(point) not in tried and self.space.problem(point) is None:
                return point
        rng = random.Random(seed)
        if self.grid is not None:
            return rng.choice(self.untried(study))
        for _ in range(DRAWS):
            point = self.space.draw(rng)
            if identity(point) not in tried and self.space.problem(point) is None:
                return point
        raise UserError(f"{self.space.source}: {DRAWS:,} random configurations had no new one that is allowed")

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name}: proposals and start points are complete")

    def untried(self, study: optuna.Study) -> list[dict[str, Any]]:
        """Points of a small space that no trial has had."""
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
                # Groups: keys that exist only under a condition are modelled with the trials that had them.
                return TPESampler(
                    seed=seed, n_startup_trials=self.startup, multivariate=True, group=True, constant_liar=True
                )
        return None


def distribution(domain: Domain) -> BaseDistribution:
    kinds = {"categorical": CategoricalDistribution, "int": IntDistribution, "float": FloatDistribution}
    return kinds[domain.kind](**domain.arguments())


def identity(point: Mapping[str, Any]) -> frozenset:
    return frozenset(point.items())


def points_tried(study: optuna.Study) -> set[frozenset]:
    """Points of all trials, running and failed ones too: a point that failed would fail again."""
    trials = study.get_trials(deepcopy=False)
    return {identity(t.params) for t in trials if RAY_ID in t.user_attrs and LOST not in t.user_attrs}
