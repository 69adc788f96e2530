"""A study's journal for reading, also while the sweep writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend


class ReadOnlyError(PermissionError):
    """Somebody wants to write to a study that is open for reading."""


class ReadOnlyJournal(BaseJournalBackend):
    """Whole lines of the file; the one that is being written is left for the next time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    return
                if number >= log_number_from:
                    yield json.loads(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise ReadOnlyError(f"{self.path} is open for reading: the sweep alone writes its study")


def open_read_only(path: Path) -> JournalStorage:
    """The study's storage. Raises `OSError` if there is no such file."""
    return JournalStorage(ReadOnlyJournal(path))
