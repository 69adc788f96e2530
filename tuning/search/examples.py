"""The trials that a sampler learns from: all of them up to `MOST`, then the good ones and the newest others.

The time of a proposal grows with the number of trials to learn from. Optuna's TPE compares the 25 best trials with all
others (one in ten of all, by several aims). So the best are kept. TPE gives old others little weight.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial, TrialState

from tuning.study.aims import direction, undominated, values_of
from tuning.study.excerpt import excerpt
from tuning.study.overview import Overview
from tuning.study.trials import SweepTrial

MOST = 300
"""Most ended trials that a sampler learns from."""
GOOD = 25
"""The trials that TPE calls good, if it has at least 250. By several aims: the least number."""


class Examples:
    """Chooses among the trials of one study, by `aims` if there are several.

    The choice depends on the study alone, not on the order in which trials ended. It is kept up, so it costs the same
    however many trials there are.
    """

    def __init__(self, aims: Sequence[str]) -> None:
        self.aims = aims if len(aims) > 1 else ()
        self._read = 0
        """Number of trials in `Overview.over` that were chosen from."""
        self._good: list[FrozenTrial] = []
        self._others: list[FrozenTrial] = []

    def study(self, study: optuna.Study, known: Overview) -> optuna.Study:
        """Return an excerpt of the study, with the trials that run."""
        over, self._read = known.over[self._read :], len(known.over)
        self._take([trial for one in over if (trial := self._judged(one)) is not None])
        ended = [*sorted(self._good, key=_age), *self._others][:MOST]
        trials = sorted([*ended, *known.running], key=lambda trial: trial.number)
        if self.aims:
            return excerpt(trials, [direction(aim) for aim in self.aims])
        return excerpt(trials, notes=study._storage)

    def _take(self, trials: list[FrozenTrial]) -> None:
        pool = [*self._good, *trials]
        self._good = self._fronts(pool) if self.aims else sorted(pool, key=_by_tpe)[:GOOD]
        good = {trial.number for trial in self._good}
        left = [trial for trial in pool if trial.number not in good]
        self._others = sorted([*self._others, *left], key=_age)[:MOST]

    def _fronts(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Return whole Pareto fronts, the best first, until they have enough trials."""
        signs = [1 if direction(aim) == "maximize" else -1 for aim in self.aims]
        left = {
            trial.number: (tuple(sign * value for sign, value in zip(signs, trial.values, strict=True)), trial)
            for trial in trials
            if trial.values is not None
        }
        fronts: list[FrozenTrial] = []
        while left and len(fronts) < GOOD:
            for trial in undominated(list(left.values())):
                fronts.append(trial)
                del left[trial.number]
        return fronts

    def _judged(self, trial: FrozenTrial) -> FrozenTrial | None:
        """Return the trial as the sampler has to see it. None if it has nothing to learn from.

        Optuna compares trials by several aims only if they are complete. So the trials that a scheduler stopped count
        with the values that they reached. Trials without values are left out, unless they break a constraint.
        """
        if not self.aims:
            return None if trial.state == TrialState.FAIL else trial
        judged, values = copy.copy(trial), values_of(SweepTrial(trial), self.aims)
        if values is not None:
            judged.state, judged.values = TrialState.COMPLETE, values
        elif any(value > 0 for value in trial.constraints.values()):
            judged.state, judged.values = TrialState.PRUNED, None
        else:
            return None
        return judged


def _by_tpe(trial: FrozenTrial) -> tuple[float, float, float, int]:
    """Return a key that sorts trials as TPE does, the best first: complete ones, stopped ones, those over a limit."""
    if (excess := sum(value for value in trial.constraints.values() if value > 0)) > 0:
        return 2, excess, 0.0, trial.number
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return 0, -trial.value, 0.0, trial.number
    epoch, value = max(trial.intermediate_values.items(), default=(-1, 0.0))
    return 1, -epoch, math.inf if math.isnan(value) else -value, trial.number


def _age(trial: FrozenTrial) -> int:
    """Return a key that sorts trials by their proposals, the newest first."""
    return -trial.number
