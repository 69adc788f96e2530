"""A study as Optuna's dashboard shows it: with the objective's and the trials' names, and links to MLflow.

The notes and names are computed when a page is asked for. The study itself is not written.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.study._frozen import FrozenStudy

from tuning.study.reading import TRACKED, ReadOnlyJournal
from tuning.study.trials import RAY_ID, run_name
from tuning.tracking.links import Place

NAMES = "study:metric_names"
"""Optuna's attribute of a study with the names of its objectives."""


class NamedStudy(JournalStorage):
    """The study of a file, for reading. `runs` is the address of MLflow's pages."""

    def __init__(self, path: Path, metric: str, runs: str) -> None:
        super().__init__(ReadOnlyJournal(path))
        self.metric, self.runs = metric, runs

    def get_all_studies(self) -> list[FrozenStudy]:
        return [self._named(study) for study in super().get_all_studies()]

    def _named(self, study: FrozenStudy) -> FrozenStudy:
        named = copy.copy(study)
        names = {NAMES: [f"validation {self.metric}"]}
        named.system_attrs = names | self._notes(study) | study.system_attrs
        return named

    def _notes(self, study: FrozenStudy) -> dict[str, Any]:
        """Return the dashboard's notes of the study and of its trials."""
        place = Place.of(study.user_attrs.get(TRACKED))
        link = "" if place is None else self.runs + place.trials(study.study_name, self.metric)
        notes = note(None, f"[Trials in MLflow, best first]({link})") if link else {}
        for trial in self.get_all_trials(study._study_id, deepcopy=False):
            if (id := trial.user_attrs.get(RAY_ID)) is not None:
                text = f"**{run_name(trial.params, id)}** · {id}"
                if place is not None:
                    text += f" · [MLflow]({self.runs}{place.trial(id, self.metric)})"
                notes |= note(trial._trial_id, text)
        return notes


def note(trial: int | None, text: str) -> dict[str, Any]:
    """Return the attributes with which optuna-dashboard keeps a note of a study or of a trial, by its number in the storage."""
    from optuna_dashboard._note import note_str_key_prefix, note_ver_key

    return {note_ver_key(trial): 1, f"{note_str_key_prefix(trial)}0": text}
