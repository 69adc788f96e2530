"""A study opened for reading, also while the sweep's driver writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend

from fame.errors import UserError
from tuning.study.file import operation
from tuning.study.overview import all_trials
from tuning.study.trials import SweepTrial

TRACKED = "mlflow"
"""Attribute of a study: ids of the sweep's run in MLflow and of its experiment."""


class ReadOnlyError(PermissionError):
    """A study that is open for reading was about to be written."""


class ReadOnlyJournal(BaseJournalBackend):
    """The whole lines of the file. The line that is being written is left for the next time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = (0, 0)
        """Number of a line, and where it begins in the file."""

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        number, offset = self._known if log_number_from >= self._known[0] else (0, 0)
        with self.path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                if number >= log_number_from:
                    yield self._decoded(line, number + 1)
                number, offset = number + 1, offset + len(line)
                self._known = (number, offset)

    def _decoded(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            return operation(line)
        except ValueError:
            raise UserError(
                f"{self.path}: line {number} is damaged; --resume of the sweep mends it from the file's copy"
            ) from None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise ReadOnlyError(f"{self.path} is open for reading: the sweep alone writes its study")


def open_read_only(path: Path) -> JournalStorage:
    """Return the study's storage. Raises `OSError` if there is no such file, and `UserError` if a line is damaged."""
    return JournalStorage(ReadOnlyJournal(path))


def read_trials(path: Path, name: str) -> list[SweepTrial]:
    """Return all trials of the study `name` that were proposed to Tune, lost ones too. None before the study has begun."""
    try:
        return all_trials(optuna.load_study(study_name=name, storage=open_read_only(path)))
    except (FileNotFoundError, KeyError):
        return []


def tracked_of(study: optuna.Study) -> Mapping[str, str] | None:
    """Return the ids in MLflow. None before a store has answered, and for sweeps of earlier versions."""
    return study.user_attrs.get(TRACKED)
