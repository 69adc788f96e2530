"""Sweeps and their exported models, read from MLflow on any tracking server."""

from __future__ import annotations

import collections
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.config.tree import flatten, read_yaml
from fame.errors import UserError, nearest
from fame.evaluation.ranks import RANKS, Ranks
from fame.runtime.provenance import mask_credentials
from tuning.tracking.addresses import check_tracking_uri, database_file
from tuning.tracking.runs import children, search
from tuning.tracking.store import be_patient, client_of, follow_moved_artifacts, in_one_line
from tuning.tracking.vocabulary import history, latest

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

BEST = "best"
"""Folder of the exported model among a sweep's artifacts."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The effort of a sweep's trials."""

    trials: Mapping[str, int]
    """Number of trials by the way they ended."""
    epochs: int
    train_seconds: float
    """Seconds of all epochs that were computed. Epochs taken over from another trial are left out."""


@dataclass(frozen=True, kw_only=True)
class ComparedSweep:
    """A sweep that has exported a model."""

    name: str
    experiment: str
    started: int
    """Milliseconds since 1970."""
    model: str
    metric: str
    """Validation metric that the sweep searched by."""
    fingerprint: str
    settings: Mapping[str, Any]
    """The exported configuration, with dotted keys."""
    results: Mapping[str, Any]
    """Its `metrics.json`."""
    ranks: Ranks | None
    """None for an export of an early version."""
    effort: Effort


class Store:
    """The sweeps of a tracking server or database.

    Raises `UserError` for an address that cannot be used.
    """

    def __init__(self, uri: str) -> None:
        self.uri, self.shown = uri, mask_credentials(uri)
        be_patient()
        address = check_tracking_uri(uri) if uri.startswith(("http://", "https://")) else _existing(uri, self.shown)

        follow_moved_artifacts(address)
        with in_one_line(uri):
            self.client: MlflowClient = client_of(address)
            self.experiments: dict[str, Experiment] = {e.experiment_id: e for e in self.client.search_experiments()}
            self.runs: list[Run] = [
                run for id in self.experiments for run in search(self.client, id, "tags.kind = 'sweep'")
            ]

    def find(self, names: Sequence[str]) -> tuple[list[ComparedSweep], list[str]]:
        """Return the sweeps of these names. The name of an experiment stands for all of its sweeps.

        Also return why sweeps of an experiment are left out. Raises `UserError` for a name that is missing or not unique,
        and for a sweep without a model.
        """
        runs: dict[str, Run] = {}
        optional = set()
        for name in names:
            found = self._named(name)
            if not found:
                found = [run for run in self.runs if self._experiment(run) == name]
                optional |= {run.info.run_id for run in found} - runs.keys()
            if not found:
                known = {run.data.tags["sweep"] for run in self.runs} | {self._experiment(run) for run in self.runs}
                rule = nearest(name, known) if known else "there are none"
                raise UserError(f"no sweep or experiment '{name}' in MLflow at {self.shown}: {rule}")
            runs |= {run.info.run_id: run for run in found}
        sweeps, notes = [], []
        for id, run in runs.items():
            try:
                with in_one_line(self.uri):
                    sweeps.append(self._read(run))
            except NoModelError as error:
                if id not in optional:
                    raise
                notes.append(f"left out: {error}")
        return sweeps, notes

    def _named(self, name: str) -> list[Run]:
        """Return the sweep of a name, or of ``EXPERIMENT/NAME``."""
        exact = [run for run in self.runs if f"{self._experiment(run)}/{run.data.tags['sweep']}" == name]
        found = exact or [run for run in self.runs if run.data.tags["sweep"] == name]
        if len(found) > 1:
            places = " or ".join(f"{self._experiment(run)}/{name}" for run in found)
            raise UserError(f"'{name}' is a sweep of {len(found)} experiments; write {places}")
        return found

    def _experiment(self, run: Run) -> str:
        return self.experiments[run.info.experiment_id].name

    def _read(self, run: Run) -> ComparedSweep:
        tags, name = run.data.tags, run.data.tags["sweep"]
        with tempfile.TemporaryDirectory(prefix="fame-compare-") as temporary:
            there = {file.path for file in self.client.list_artifacts(run.info.run_id, BEST)}

            def fetch(file: str) -> Path:
                return Path(self.client.download_artifacts(run.info.run_id, f"{BEST}/{file}", temporary))

            if not {f"{BEST}/metrics.json", f"{BEST}/config.yaml"} <= there:
                raise NoModelError(f"sweep '{name}' has exported no model (it is {tags.get('status', 'unfinished')})")
            results = json.loads(fetch("metrics.json").read_text(encoding="utf-8"))
            settings = flatten(read_yaml(fetch("config.yaml")))
            ranks = Ranks.read(fetch(RANKS)) if f"{BEST}/{RANKS}" in there else None
        return ComparedSweep(
            name=name,
            experiment=self._experiment(run),
            started=run.info.start_time,
            model=settings["model.name"],
            metric=results["metric"],
            fingerprint=results["dataset"]["fingerprint"],
            settings=settings,
            results=results,
            ranks=ranks,
            effort=self._effort(run),
        )

    def _effort(self, run: Run) -> Effort:
        trials = [
            child
            for child in children(self.client, run.info.experiment_id, run.info.run_id)
            if child.data.tags.get("kind") == "trial"
        ]
        seconds = [
            point.value for trial in trials for point in history(self.client, trial.info.run_id, "train_seconds")
        ]
        # A trial that took a backbone over reports the epochs with the times of the trial that computed it.
        shared = latest(run.data.metrics, "stage_backbone_seconds_saved") or 0.0
        return Effort(
            trials=collections.Counter(trial.data.tags.get("status", "unknown") for trial in trials),
            epochs=len(seconds),
            train_seconds=max(0.0, sum(seconds) - shared),
        )


class NoModelError(UserError):
    """A sweep has exported no model, or not yet."""


def _existing(uri: str, shown: str) -> str:
    """Return the address of a database, which must exist: looking makes nothing."""
    path = database_file(uri) if uri.startswith("sqlite:///") else None
    if path and not path.is_file():
        raise UserError(f"tracking URI '{shown}': there is no file {path}; run a sweep first, or name another store")
    return check_tracking_uri(uri)
