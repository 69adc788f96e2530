"""The trials of a study, kept up to date without reading all of them again.

The driver asks for trials at every step. Optuna never changes a trial that has ended, so only the others are read again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning.study.lessons import TAUGHT_BY
from tuning.study.trials import EARLIER, LOST, RAY_ID, SweepTrial, ranked


class Overview:
    """All trials of a study as the journal has them. `overview` returns the one of a study."""

    def __init__(self) -> None:
        self.trials: dict[str, SweepTrial] = {}
        """The trials that were proposed to Tune, lost ones too, in the order of their proposals."""
        self.ended = 0
        """How many of them have ended."""
        self.over: list[FrozenTrial] = []
        """Optuna's trials that have ended, in the order of their ends."""
        self.tried: Counter[tuple[Any, ...]] = Counter()
        """The points of trials that are not lost, and of earlier sweeps that teach: how many have each."""
        self._open: dict[int, FrozenTrial] = {}
        """Optuna's trials that have not ended, by number."""
        self._places: list[bool] = []
        """Whether each of Optuna's trials is one more of the sweep, by number."""
        self._best: SweepTrial | None = None
        """The leader among the trials that have ended."""
        self._shared: dict[tuple[str, BaseDistribution], BaseDistribution] = {}
        self._lock = threading.Lock()

    def look(self, study: optuna.Study) -> None:
        """Read the trials that had not ended before, and the new ones."""
        with self._lock:
            storage = study._storage  # the study itself can only give all of its trials
            for trial in list(self._open.values()):
                self._note(storage.get_trial(trial._trial_id))
            while (new := _id_of(study, number=len(self._places))) is not None:
                self._places.append(True)
                self._note(storage.get_trial(new))

    @property
    def running(self) -> list[FrozenTrial]:
        """Optuna's trials that run. One that is just asked for is among them."""
        return [trial for trial in self._open.values() if trial.state == TrialState.RUNNING]

    @property
    def queued(self) -> int:
        """Number of points that wait to be proposed."""
        return len(self._open) - len(self.running)

    @property
    def proposed(self) -> int:
        """Number of points that were proposed. Lost trials do not count: their points are proposed again."""
        return sum(self._places) - self.queued

    @property
    def leader(self) -> SweepTrial | None:
        """The best trial, as `ranked` has it."""
        running = (self.trials[t.user_attrs[RAY_ID]] for t in self.running if RAY_ID in t.user_attrs)
        return _first([*([] if self._best is None else [self._best]), *running])

    def place(self, number: int) -> int:
        """Return the place of Optuna's trial in the sweep. Lost trials take none: their points are proposed again."""
        return sum(self._places[:number])

    def _note(self, stored: FrozenTrial) -> None:
        attributes, ended = stored.user_attrs, stored.state.is_finished()
        # Neither a lost trial nor one that goes on after its end nor one of an earlier sweep is one more.
        self._places[stored.number] = attributes.keys().isdisjoint((LOST, EARLIER, TAUGHT_BY))
        if not ended:
            self._open[stored.number] = stored
        else:
            self._open.pop(stored.number, None)
            # Every trial comes with copies of the space's distributions, which take most of its memory.
            for key, domain in stored.distributions.items():
                stored.distributions[key] = self._shared.setdefault((key, domain), domain)
            self.over.append(stored)
        if RAY_ID in attributes:
            self._note_trial(SweepTrial(stored))
        elif TAUGHT_BY in attributes:
            self.tried[identity(stored.params)] += 1

    def _note_trial(self, trial: SweepTrial) -> None:
        before = self.trials.get(trial.id)
        self.trials[trial.id] = trial
        self.ended += trial.ended - (before is not None and before.ended)
        point = identity(trial.point)
        self.tried[point] += (trial.state != "lost") - (before is not None and before.state != "lost")
        if not self.tried[point]:
            del self.tried[point]
        if before is not None and before is self._best:  # it goes on after its end
            self._best = _first(one for one in self.trials.values() if one.ended)
        elif trial.ended:
            self._best = _first([*([] if self._best is None else [self._best]), trial])


_known: WeakKeyDictionary[optuna.Study, Overview] = WeakKeyDictionary()


def overview(study: optuna.Study) -> Overview:
    """Return what is known of a study's trials, as they are now."""
    found = _known.setdefault(study, Overview())
    found.look(study)
    return found


def all_trials(study: optuna.Study) -> list[SweepTrial]:
    """Return the trials that were proposed to Tune, lost ones too."""
    return list(overview(study).trials.values())


def trials_of(study: optuna.Study) -> list[SweepTrial]:
    """Return the sweep's trials in the order of their proposals."""
    return [trial for trial in all_trials(study) if trial.state != "lost"]


def identity(point: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the keys of a point in their order, then their values. A set of pairs would take eight times the memory."""
    keys = sorted(point)
    return (*keys, *(point[key] for key in keys))


def _id_of(study: optuna.Study, number: int) -> int | None:
    """Return Optuna's id of the trial with a number; None if there is no such trial yet."""
    try:
        return study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    except KeyError:
        return None


def _first(trials: Iterable[SweepTrial]) -> SweepTrial | None:
    return next(iter(ranked(sorted(trials, key=lambda trial: trial.stored.number))), None)
