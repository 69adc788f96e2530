"""The runs that MLflow has to have, computed from the study.

A trial's run has the tag `status`: `running`, `finished`, `pruned`, `failed` or `interrupted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuning.study.aims import UNTRAINED
from tuning.study.trials import State, SweepTrial
from tuning.tracking.links import Place
from tuning.tracking.runs import PARAM_LENGTH, TAG_LENGTH, milliseconds, texts

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

Status = Literal["running", "finished", "pruned", "failed", "interrupted"]
STATUS: Mapping[State, Status] = {
    "running": "running",
    "finished": "finished",
    "stopped": "pruned",
    "failed": "failed",
    "lost": "interrupted",
}
CHILD_TAGS = (
    *("dataset", "fingerprint", "commit", "model"),
    *("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"),
)
"""Tags of the sweep that each trial carries, too, to search for."""
TRIAL = "trial"
"""Tag `kind` of the runs of a sweep's trials."""


def status_of(trial: SweepTrial, is_open: bool, over: bool) -> Status:
    """Return the status of a trial's run. `is_open` says that Tune runs the trial, `over` that the sweep has ended."""
    status = "running" if is_open and not over else STATUS[trial.state]
    return "interrupted" if over and status == "running" else status


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Trials whose runs MLflow has to have."""

    trials: Callable[[], Mapping[str, SweepTrial]]
    """Reads them by id from the study, lost ones too."""
    folder: str
    """Folder of their checkpoints: a path or URI."""
    kind: str
    """Tag `kind` of their runs."""
    settings: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """Returns all settings of the trial at a point."""


@dataclass(frozen=True, kw_only=True)
class WantedRun:
    """A trial's run as it has to be, without its epochs."""

    trial: str
    name: str
    status: Status
    params: dict[str, str]
    tags: dict[str, str]
    """Tags of the trial's fault, its numbers that need no training, and the limits that it breaks."""
    epochs: frozenset[int]
    began: int
    """Milliseconds since 1970."""
    ended: int

    @classmethod
    def of(cls, trial: SweepTrial, settings: Mapping[str, Any], status: Status) -> WantedRun:
        fault = {} if trial.fault is None else {"failure": trial.fault.kind, "error": trial.fault.reason}
        untrained: dict[str, Any] = {name: trial.numbers[name] for name in UNTRAINED if name in trial.numbers}
        over = {"over_limit": ", ".join(trial.broken)} if trial.broken else {}
        shows_value = status not in ("running", "interrupted") and trial.value is not None
        return cls(
            trial=trial.id,
            name=f"{trial.name} · {trial.value:.4f}" if shows_value else trial.name,
            status=status,
            params=texts(settings, PARAM_LENGTH),
            tags=texts((fault if status == "failed" else {}) | untrained | over, TAG_LENGTH),
            epochs=frozenset(trial.curve),
            began=milliseconds(trial.began),
            ended=milliseconds(trial.over if trial.ended else None),
        )


@dataclass(kw_only=True)
class WantedSweep:
    """The sweep's own run as it has to be."""

    tags: dict[str, str]
    """Tags of the first start. Where a resumed sweep's differ, they become `resumed.<key>`."""
    params: dict[str, str]
    dataset: DatasetInput | None = None
    """Input of the sweep's run and of its trials' runs."""
    note: Callable[[Place], str] | None = None
    """Writes the run's description, in Markdown."""
    numbers: Sequence[str] = ()
    searched: Sequence[str] = ()
    """Numbers of reports and settings that the page of the trials shows."""
    status: Status = "running"
    metrics: dict[str, float] = field(default_factory=dict)
    end_tags: dict[str, str] = field(default_factory=dict)
    files: list[tuple[Path, str | None]] = field(default_factory=list)
    """Artifacts, each with its folder; None is the root."""
    front: Sequence[str] = ()
    """Trials on the Pareto front."""

    def end(
        self,
        status: Status,
        tags: Mapping[str, object],
        metrics: Mapping[str, float],
        files: Sequence[tuple[Path, str | None]],
        front: Sequence[str],
        note: Callable[[Place], str] | None,
    ) -> None:
        """Note the end of the sweep. Without a note the description stays as it is."""
        self.end_tags, self.metrics = texts(tags, TAG_LENGTH), {key: float(value) for key, value in metrics.items()}
        self.files, self.front, self.note = list(files), front, note or self.note
        self.status = status  # last: the writer's thread ends the run once it is another one
