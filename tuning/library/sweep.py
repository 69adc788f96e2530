"""A sweep that has run, or still runs: its trials, its best model, its report."""

from __future__ import annotations

import dataclasses
import html
import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from fame.errors import UserError, nearest
from fame.remote import is_remote
from tuning.storage.layout import RECORD, Storage, root, shown

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from fame.datasets import Dataset
    from fame.library.model import Model
    from tuning.plan.sweep_plan import Plan
    from tuning.study.trials import SweepTrial

HEIGHT = 800
"""Pixels of a report in a notebook."""


@dataclass(frozen=True)
class Page:
    """A page that a notebook shows. Elsewhere it is its path: `open(page)`."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Page({shown(self.path)!r})"

    def _repr_html_(self) -> str:
        """The whole page in a frame: it needs no file beside the notebook."""
        text = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{text}" width="100%" height="{HEIGHT}" frameborder="0"></iframe>'


class Sweep:
    """The results of a sweep, from `tune` or `open_sweep`. All of them are read when they are asked for."""

    def __init__(self, name: str, storage: str = "runs", data: Dataset | None = None) -> None:
        self._storage, self._place, self._data = Storage.of(storage, name), storage, data

    def __repr__(self) -> str:
        from tuning.study.trials import ranked

        best = next(iter(ranked(self._trials())), None)
        value = "none has a value yet" if best is None else f"best {self._metric} {best.value:.4f}"
        return f"Sweep({self.name}: {len(self._trials())} trials, {value}; {shown(self._storage.shared)})"

    @property
    def name(self) -> str:
        """Name of the sweep, its folder and its run in MLflow."""
        return self._storage.name

    @property
    def folder(self) -> Path:
        """The sweep's folder on this machine."""
        return self._storage.local

    @property
    def best_model(self) -> Model:
        """The exported model of the best trial. Raises `UserError` if no trial has trained one."""
        from fame.library.model import Model, load

        if not self._storage.best.is_dir():
            raise UserError(f"sweep '{self.name}' has exported no model to {shown(self._storage.best)}")
        return Model(self._storage.best, self._data) if self._data is not None else load(self._storage.best)

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial, best first: `trial`, `state`, the validation metric, `epochs`, `best_epoch`, `seconds`.

        Behind them is a column for each searched setting. A setting that a trial did not have is missing.
        """
        import pandas as pd

        from tuning.study.trials import ranked

        trials, now = self._trials(), datetime.now()
        having = ranked(trials)
        last = [trial for trial in trials if trial.value is None]
        rows = [
            {
                "trial": trial.id,
                "state": trial.word,
                self._metric: trial.value,
                "epochs": trial.epoch,
                "best_epoch": trial.best_epoch,
                "seconds": trial.seconds(now),
                **trial.point,
            }
            for trial in (*having, *last)
        ]
        return pd.DataFrame(rows)

    @property
    def study(self) -> optuna.Study:
        """The Optuna study, for Optuna's plots and importances. It is open for reading.

        Raises `UserError` if the sweep has not begun yet.
        """
        import optuna

        from tuning.study import mirror
        from tuning.study.reading import open_read_only

        mirror.fetch(self._storage)
        try:
            return optuna.load_study(study_name=self.name, storage=open_read_only(self._storage.study))
        except (FileNotFoundError, KeyError):
            place = shown(self._storage.study)
            raise UserError(f"sweep '{self.name}' has no study at {place}: it has not begun yet") from None

    def report(self, path: str | os.PathLike[str] | None = None) -> Page:
        """Write the sweep's page, `report.html` in its folder by default, and return it. A notebook shows it.

        Raises `UserError` if it cannot be written, or if the sweep has not begun yet.
        """
        from tuning.report.page import statistics_of, write_report

        target = None if path is None else Path(path)
        storage = dataclasses.replace(self._storage, extended=self._plan.extended)
        return Page(write_report(self._plan, storage, self.study, statistics_of(storage), target))

    @cached_property
    def _plan(self) -> Plan:
        from tuning.plan.options import Options
        from tuning.plan.recorded_plan import plan_from_record

        return plan_from_record(self._storage.read_record(), Options(name=self.name, storage=self._place), {})

    @property
    def _metric(self) -> str:
        return self._plan.metric

    def _trials(self) -> list[SweepTrial]:
        from tuning.study.overview import trials_of

        return trials_of(self.study)


def open_sweep(name: str, storage: str = "runs") -> Sweep:
    """Open a sweep that has run, or that runs now in another process.

    `storage` is the path or URI that the sweep was started with. Raises `UserError` if it holds no sweep of this name.

        >>> import tuning
        >>> tuning.open_sweep("mine")
        Traceback (most recent call last):
        fame.errors.UserError: no sweep 'mine' at runs/mine: ...
    """
    sweep = Sweep(name, storage)
    places = sweep._storage
    if not places.exists:
        known = [] if is_remote(storage) else [path.parent.name for path in root(storage).glob(f"*/{RECORD}")]
        hint = nearest(name, known) if known else "see --storage"
        raise UserError(f"no sweep '{name}' at {shown(places.shared)}: {hint}")
    return sweep
