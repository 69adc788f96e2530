"""One database for the tests of a file, one server, and sweeps whose studies are filled by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from tests.tuning.mlflow_server import Server
from tuning.faults import FAULT, Fault
from tuning.study.overview import overview
from tuning.study.trials import LOST, RAY_ID, SweepTrial
from tuning.tracking.projection import Projection

METRIC = "ndcg@10"
STATES = {
    "running": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}

Settings = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Sweep:
    """A study in memory, and its projection: what Tune's callbacks and the search do to both."""

    def __init__(self, projection: Projection, study: optuna.Study, folder: Path, settings: Settings) -> None:
        self.projection, self.study, self.folder = projection, study, folder
        projection.follow(self.trials, str(folder), settings=settings)

    def trials(self) -> dict[str, SweepTrial]:
        return dict(overview(self.study).trials)

    def begin(self, trial: str, point: Mapping[str, object] | None = None) -> None:
        """A trial is proposed, if the study does not have it, and Tune starts it."""
        point = {"x": 1} if point is None else point
        if trial not in self.trials():
            domains = {key: optuna.distributions.CategoricalDistribution([value]) for key, value in point.items()}
            self.study.add_trial(
                optuna.create_trial(
                    state=TrialState.RUNNING, params=dict(point), distributions=domains, user_attrs={RAY_ID: trial}
                )
            )
        self.projection.reports.begin(trial, point)

    def report(self, trial: str, epoch: int, value: float, **metrics: float) -> None:
        number = self._number(trial)
        if epoch not in self.study.trials[number].intermediate_values:
            self.study._storage.set_trial_intermediate_value(self._id(trial), epoch, value)
        self.projection.reports.note(trial, {"epoch": epoch, METRIC: value, **metrics})

    def end(self, trial: str, status: str, fault: Fault | None = None) -> None:
        if fault is not None:
            self.study._storage.set_trial_user_attr(self._id(trial), FAULT, str(fault))
        values = self.study.trials[self._number(trial)].intermediate_values
        value = max(values.values(), default=0.0) if status == "finished" else None
        self.study.tell(self._number(trial), value, state=STATES[status])
        self.projection.reports.end(trial)

    def lose(self, trial: str) -> None:
        """A kill came before Tune knew the trial."""
        self.study._storage.set_trial_user_attr(self._id(trial), LOST, True)
        self.study.tell(self._number(trial), state=TrialState.FAIL)

    def _number(self, trial: str) -> int:
        return next(one.number for one in self.study.trials if one.user_attrs.get(RAY_ID) == trial)

    def _id(self, trial: str) -> int:
        return self.study.trials[self._number(trial)]._trial_id


Open = Callable[..., Sweep]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Making a database's tables takes 2 s."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/runs of 'mine'.db"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return request.node.name


@pytest.fixture
def open_sweep(uri: str, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open a sweep, as after the end of the process that had it. Its study stays."""
    monkeypatch.setattr("tuning.tracking.projection.EVERY_SECONDS", 0.05)
    opened: dict[str, Sweep] = {}

    def open(
        name: str,
        tags: Mapping[str, object] | None = None,
        *,
        uri: str = uri,
        resume: bool = False,
        settings: Settings = dict,
        **more: Any,
    ) -> Sweep:
        study = optuna.create_study(direction="maximize")
        if name in opened:
            opened[name].projection.close()
            study = opened[name].study
        projection = Projection.open(
            uri, experiment, name, METRIC, tags=tags or {}, params={"trials": 8}, resume=resume, **more
        )
        opened[name] = Sweep(projection, study, tmp_path / f"sweep-{name.encode().hex()}" / "trials", settings)
        return opened[name]

    yield open
    for sweep in opened.values():
        sweep.projection.close()
