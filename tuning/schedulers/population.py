"""Population based training: a bad trial takes over a good one's state and varies its settings.

Jaderberg et al. 2017. All trials are started and advance together. A milestone is an epoch that is a multiple of the
interval. There a trial is paused as long as others wait. When its turn comes again it is compared with all trials at
that same milestone. If it is in the worst quarter, it takes over the checkpoint that a trial of the best quarter wrote
there, with that trial's settings. Settings that may change during a training are varied.

Ray's `PopulationBasedTraining` does not fit. It refuses search algorithms, compares trials at different epochs, and
leaves the searched ranges. And it takes states from Tune's checkpoints, which a trial on Ray Train does not have. Here
a state is a folder of the good trial's run on Ray Train, known by its name, so nothing has to be handed over.
"""

from __future__ import annotations

import pickle
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from tuning.faults import FAULT
from tuning.schedulers.limits import QUARTER, changeable
from tuning.space import Space
from tuning.space.domains import Domain, is_number
from tuning.trial.restart import Restart, leave_note, milestone_name, point_of, restart_of

RESAMPLED = 0.25
"""Share of settings that are drawn anew instead of moved a little."""
FACTORS = (0.8, 1.25)
"""A continuous setting is multiplied with one of these."""
TRIES = 20
"""Variations that are tried until one meets the space's constraints."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trial at a milestone."""

    score: float
    point: dict[str, Any]
    state: str
    """Its checkpoint, below the folder of the sweep's trials."""


class Population(FIFOScheduler):
    """Reads `epoch`, the metric, and the ends that a trial reports (`finished`, `fault`)."""

    _metric: str

    def __init__(self, metric: str, interval: int, space: Space, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Ray has no types here
        self._metric = metric
        self.interval, self.space, self.rng = interval, space, random.Random(seed)
        self.milestones: dict[int, dict[str, Member]] = defaultdict(dict)
        self.waiting: dict[str, int] = {}
        """Milestone of the trials that were paused there and are not compared yet."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        epoch, score = result["epoch"], result[self._metric]
        ends = result.get("finished") or FAULT in result
        # A trial that crashed reports epochs again.
        if ends or epoch % self.interval or trial.trial_id in self.milestones[epoch]:
            return self.CONTINUE
        restart = restart_of(trial.config)
        state = f"{trial.trial_id}/{milestone_name(epoch, restart.generation)}"
        self.milestones[epoch][trial.trial_id] = Member(score=score, point=point_of(trial.config), state=state)
        if any(other is not trial for other in _idle(tune_controller)):
            leave_note(trial, Restart(seen=epoch, generation=restart.generation, origin=restart.origin))
            self.waiting[trial.trial_id] = epoch
            return self.PAUSE
        return self.PAUSE if self.take_over(trial, epoch) else self.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The trial that is behind most; of several the best, so that the worst are compared with most others."""

        def turn(trial: Trial) -> tuple[int, bool, float]:
            milestone = self.waiting.get(trial.trial_id)
            score = -self.milestones[milestone][trial.trial_id].score if milestone else 0.0
            return (trial.last_result or {}).get("epoch", 0), trial.status == Trial.PAUSED, score

        trial = min(_idle(tune_controller), key=turn, default=None)
        if trial is not None and trial.trial_id in self.waiting:
            self.take_over(trial, self.waiting.pop(trial.trial_id))
        return trial

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_bytes(pickle.dumps((self.milestones, self.waiting, self.rng)))

    def restore(self, checkpoint_path: str) -> None:
        self.milestones, self.waiting, self.rng = pickle.loads(Path(checkpoint_path).read_bytes())

    def take_over(self, trial: Trial, epoch: int) -> bool:
        """Let the trial go on from a better one's state, if it is among the worst at this milestone."""
        members = self.milestones[epoch]
        ranking = sorted(members, key=lambda trial_id: members[trial_id].score)
        quarter = len(ranking) // QUARTER
        if trial.trial_id not in ranking[:quarter]:
            return False
        better = members[self.rng.choice(ranking[-quarter:])]
        if not better.score > members[trial.trial_id].score:
            return False
        generation = restart_of(trial.config).generation + 1
        leave_note(trial, Restart(seen=epoch, generation=generation, origin=better.state), self.vary(better.point))
        return True

    def vary(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """The point with other values of what may change during a training."""
        keys = [key for key in changeable(self.space) if key in point]
        for _ in range(TRIES):
            varied = {**point, **{key: vary(self.space.search[key].domain, point[key], self.rng) for key in keys}}
            if self.space.problem(varied) is None:
                return varied
        return dict(point)


def vary(domain: Domain, value: Any, rng: random.Random) -> Any:
    """Another value of a domain: mostly one nearby."""
    if rng.random() < RESAMPLED:
        return domain.draw(rng)
    values: Sequence[Any] | None = domain.values()
    if values is None:
        low, high = domain.ends()
        return min(max(value * rng.choice(FACTORS), low), high)
    ordered = sorted(values) if all(map(is_number, values)) else list(values)
    index = ordered.index(value)
    return rng.choice(ordered[max(0, index - 1) : index] + ordered[index + 1 : index + 2] or ordered)


def _idle(tune_controller: Any) -> list[Trial]:
    """Trials that wait for their turn."""
    return [trial for trial in tune_controller.get_trials() if trial.status in (Trial.PENDING, Trial.PAUSED)]
