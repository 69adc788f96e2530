"""The trials of a sweep as its study has them: the one place that interprets Optuna's states and attributes.

| state | meaning | word | in MLflow |
| --- | --- | --- | --- |
| `running` | not ended | running | `running`, `interrupted` once the sweep has ended |
| `finished` | trained to its end | finished | `finished` |
| `stopped` | the scheduler stopped it early | stopped | `pruned` |
| `failed` | it went wrong | the kind of its fault | `failed` |
| `lost` | a kill came before Tune knew the trial | lost | `interrupted` |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from optuna.trial import FrozenTrial, TrialState

from tuning.faults import Fault
from tuning.space.space import MODEL, plain
from tuning.study.stage_uses import ATTRIBUTE, Uses, from_metrics

RAY_ID, LOST = "ray_id", "lost"
"""Attributes of a trial in the study: its id in Tune, and the mark of a trial that Tune does not know."""
EARLIER = "earlier"
"""Attribute of a trial that goes on after its end: the seconds that it took before. Optuna's trial is a new one."""
MODEL_FROM = "model_from"
"""Attribute of a trial with a backbone stage: the first epoch of the model itself, 0 before that epoch.

A trial without the attribute trains the model from its first epoch."""
NUMBERS, BROKEN = "numbers", "broken"
"""Attributes of a trial: its numbers beside the metric at its best epoch, and the limits that they break."""
STANDARD_ERROR = "standard_error"
"""The number of a trial whose metric is that of a sample of the users."""
LETTERS = {"model.heads": "H", "model.experts": "N", "model.dim": "D", "model.blocks": "L", "seed": "seed "}
"""Searched keys that a trial's name shows, with the paper's letters."""

State = Literal["running", "finished", "stopped", "failed", "lost"]
STATES: Mapping[TrialState, State] = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
}
ENDED: tuple[State, ...] = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class SweepTrial:
    """One trial of a sweep, read from the study."""

    stored: FrozenTrial
    """Optuna's own view. Only the search may use it."""

    @property
    def id(self) -> str:
        """The trial's id in Tune."""
        return self.stored.user_attrs[RAY_ID]

    @property
    def point(self) -> dict[str, Any]:
        """The searched settings."""
        return self.stored.params

    @property
    def name(self) -> str:
        return run_name(self.point, self.id)

    @cached_property
    def state(self) -> State:
        if LOST in self.stored.user_attrs:
            return "lost"
        if self.fault is not None and self.stored.state.is_finished():
            return "failed"
        return STATES.get(self.stored.state, "running")

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def went_wrong(self) -> bool:
        """Whether the trial has a fault, or ended over a limit."""
        return self.fault is not None or bool(self.broken and self.ended)

    @property
    def word(self) -> str:
        """The state for people: a failed trial says the kind of its fault."""
        if self.broken and self.ended:
            return "over a limit"
        return self.fault.kind if self.state == "failed" and self.fault is not None else self.state

    @cached_property
    def fault(self) -> Fault | None:
        """Why the trial went wrong. A running trial has a fault once it was decided that it ends."""
        return Fault.of(self.stored.user_attrs)

    @cached_property
    def curve(self) -> dict[int, float]:
        """Validation metric by epoch, over all stages."""
        return dict(sorted(self.stored.intermediate_values.items()))

    @property
    def epoch(self) -> int:
        """The last epoch that was reported; 0 before the first one."""
        return max(self.stored.intermediate_values, default=0)

    @property
    def epochs_before(self) -> int:
        """Epochs of the backbone before the model's own. 0 while the backbone trains."""
        return max(0, self.stored.user_attrs.get(MODEL_FROM, 1) - 1)

    @cached_property
    def own_curve(self) -> dict[int, float]:
        """Validation metric of the model's own epochs. Epochs of its backbone are left out."""
        first = self.stored.user_attrs.get(MODEL_FROM, 1)
        return {epoch: value for epoch, value in self.curve.items() if first and epoch >= first}

    @cached_property
    def value(self) -> float | None:
        """Best validation metric of the model's own epochs. None without one, and for a trial that went wrong or
        breaks a limit."""
        if self.fault is not None or self.broken or self.state in ("failed", "lost"):
            return None
        if self.state == "finished":
            return self.stored.value
        return max(self.own_curve.values(), default=None)

    @property
    def numbers(self) -> dict[str, float]:
        """The other aims and the limited numbers at the best epoch so far."""
        return self.stored.user_attrs.get(NUMBERS, {})

    @property
    def value_text(self) -> str:
        """The value for people, with its standard error if it is that of a sample of the users."""
        error = f" ± {self.numbers[STANDARD_ERROR]:.4f}" if STANDARD_ERROR in self.numbers else ""
        return number(self.value) + (error if self.value is not None else "")

    @property
    def broken(self) -> list[str]:
        """The limits that the trial breaks at its best epoch so far."""
        return self.stored.user_attrs.get(BROKEN, [])

    @property
    def over_limit(self) -> str:
        """Say which limits the trial breaks, and by which values."""
        if self.fault is not None:
            return self.fault.reason
        return ", ".join(
            f"{text.split()[0]} is {number(self.numbers[text.split()[0]])}, not {text}" for text in self.broken
        )

    @property
    def best_epoch(self) -> int | None:
        """The epoch that reached the best validation metric."""
        return max(self.own_curve, key=self.own_curve.__getitem__, default=None)

    @property
    def uses(self) -> dict[str, Uses]:
        """How the trial came to the results of shared stages, by stage."""
        return from_metrics(self.stored.user_attrs.get(ATTRIBUTE, {}))

    @property
    def began(self) -> datetime | None:
        return self.stored.datetime_start

    @property
    def over(self) -> datetime | None:
        """When the trial ended."""
        return self.stored.datetime_complete

    def seconds(self, now: datetime) -> float:
        """Return the time since the trial's start, or from its start to its end. Waiting is included."""
        earlier = self.stored.user_attrs.get(EARLIER, 0.0)
        return earlier if self.began is None else earlier + ((self.over or now) - self.began).total_seconds()

    def best_until(self, epoch: int) -> float:
        """Return the best validation metric of the stage that `epoch` belongs to, up to that epoch."""
        first = self.stored.user_attrs.get(MODEL_FROM, 1)
        stage = self.own_curve if first and epoch >= first else self.curve
        return max(value for number, value in stage.items() if number <= epoch)


def run_name(point: Mapping[str, Any], trial_id: str) -> str:
    """Return ``H2 N4 D64``, or the trial's id if the search varies none of these."""
    own = {plain(key): value for key, value in point.items()}
    words = [own[MODEL]] if MODEL in own else []
    words += [f"{letter}{own[key]}" for key, letter in LETTERS.items() if key in own]
    return " ".join(words) or trial_id


def setting(point: Mapping[str, Any], keys: Collection[str]) -> str:
    """Return the settings of these keys in one line: ``H2 N4, lr 0.001, dropout 0.3``."""
    known = {key if key == MODEL else plain(key): value for key, value in point.items() if key in keys}
    named = (MODEL, *LETTERS)
    others = [
        f"{key.removeprefix('model.').removeprefix('train.')} {short(value)}"
        for key, value in known.items()
        if key not in named
    ]
    return ", ".join([run_name(known, "")] * any(key in named for key in known) + others)


@dataclass(frozen=True)
class Varied:
    """The searched keys that have several values among the points of trials."""

    values: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def among(cls, trials: Iterable[SweepTrial]) -> Varied:
        varied = cls()
        for trial in trials:
            varied.learn(trial.point)
        return varied

    def learn(self, point: Mapping[str, Any]) -> None:
        for key, value in point.items():
            self.values.setdefault(key, set()).add(str(value))

    def setting(self, point: Mapping[str, Any]) -> str:
        """Return what distinguishes a point from the others, in one line. A single point has its name."""
        return setting(point, [key for key, values in self.values.items() if len(values) > 1]) or run_name(point, "")


def number(value: float | None) -> str:
    """Return a trial's number for people: metrics with four decimals, counts whole."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"


def short(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def ranked(trials: Iterable[SweepTrial]) -> list[SweepTrial]:
    """Return the trials that have a value, best first. Finished trials come before others."""
    having = [trial for trial in trials if trial.value is not None]
    return sorted(having, key=lambda trial: (trial.state == "finished", trial.value), reverse=True)


def without_progress(trials: Iterable[SweepTrial]) -> int:
    """Return how many trials have ended since the best one did. It is 0 while the best one runs."""
    having = [trial for trial in trials if trial.value is not None]
    leader = max(having, key=lambda trial: trial.value or 0.0, default=None)
    if leader is None or leader.over is None:
        return 0
    return sum(trial.over is not None and trial.over > leader.over for trial in having)


def total_uses(trials: Iterable[SweepTrial]) -> dict[str, Uses]:
    """Return the uses of shared stages over all trials, by stage."""
    found: dict[str, Uses] = {}
    for trial in trials:
        for stage, uses in trial.uses.items():
            found[stage] = found.get(stage, Uses()) + uses
    return found
