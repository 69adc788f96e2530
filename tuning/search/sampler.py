"""Optuna's samplers, restricted to points that the space allows and the study has not tried."""

from __future__ import annotations

import random
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial

from fame.errors import UserError
from tuning.search.examples import Examples
from tuning.space import Space
from tuning.space.domains import Domain
from tuning.study.distributions import distribution
from tuning.study.overview import identity, overview

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

    The sampler knows nothing that the study does not have. Each proposal takes a fresh sampler, seeded by the seed and
    the trial's place. So a resumed sweep continues as the unbroken sweep would have.
    """

    def __init__(self, space: Space, name: str, seed: int, trials: int, aims: Sequence[str] = ()) -> None:
        self.space, self.name, self.seed, self.aims = space, name, seed, aims
        self.examples = Examples(aims)
        # Optuna's default of ten random trials would be all of a short sweep.
        self.startup = max(3, min(10, trials // 4))
        self.grid = space.grid() if space.is_small() or name == "grid" else None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {key: distribution(parameter.domain) for key, parameter in self.space.search.items()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        known = overview(study)
        seed = int(np.random.SeedSequence([self.seed, known.place(trial.number)]).generate_state(1)[0])
        sampler = self._sampler(seed)
        if sampler is not None:
            taught = self.examples.study(study, known)
            for _ in range(PROPOSALS):
                point = self._propose(sampler, taught, trial)
                if identity(point) not in known.tried and self.space.problem(point) is None:
                    return point
        rng = random.Random(seed)
        if self.grid is not None:
            return rng.choice(self.untried(known.tried))
        for _ in range(DRAWS):
            point = self.space.draw(rng)
            if identity(point) not in known.tried and self.space.problem(point) is None:
                return point
        raise UserError(
            f"{self.space.source}: {DRAWS:,} random configurations had no new one that the space allows; "
            "widen the ranges, or lower --trials"
        )

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name}: proposals and start points are complete")

    def untried(self, tried: Collection[tuple[Any, ...]]) -> list[dict[str, Any]]:
        """Return the points of a small space that no trial has had. A point that failed would fail again."""
        return [point for point in self.grid or () if identity(point) not in tried]

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles the sampler with the sweep. The next process chooses its examples from the study."""
        return {**self.__dict__, "examples": Examples(self.aims)}

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
