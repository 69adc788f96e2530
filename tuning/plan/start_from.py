"""Earlier sweeps that a new sweep starts from: `--start-from SWEEP[:K]`, `EXPERIMENT[:K]` or a file of an experiment.

The best K points of the earlier sweeps are the first trials. Their finished trials teach the sampler, if everything that
decides a trial's value is the same: the searched settings, the others, the data and the metric.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fame.config.tree import experiment_from_dict, flatten, read_experiment, to_dict
from fame.errors import UserError, nearest
from fame.remote import is_remote
from fame.training.fit import deciding
from tuning.plan.sweep_plan import Plan
from tuning.space import Space, plain
from tuning.space.file import space_from_dict
from tuning.space.space import MODEL
from tuning.storage import object_store
from tuning.storage.layout import Storage, below, shown, sweeps_in
from tuning.study.aims import Limit, aims_of, watched
from tuning.study.lessons import Lesson
from tuning.study.overview import trials_of
from tuning.study.trials import SweepTrial, ranked

if TYPE_CHECKING:
    from fame.datasets import Dataset

BEST = 3
"""Points that are taken if the option names no number."""


@dataclass(frozen=True, kw_only=True)
class EarlierSweep:
    """An earlier sweep."""

    name: str
    space: Space
    metric: str
    fingerprint: str
    watched: Sequence[str]
    """Its other aims and limited numbers."""
    trials: Sequence[SweepTrial]

    def settings(self, trial: SweepTrial) -> dict[str, Any]:
        """Return all settings of a trial, with dotted keys."""
        return flatten(to_dict(experiment_from_dict(self.space.experiment(trial.point))))

    def is_whole(self, trial: SweepTrial) -> bool:
        """Whether a finished trial had all epochs of its sweep, or ran out of patience. The sweep may have been extended."""
        train = experiment_from_dict(self.space.experiment(trial.point)).train
        waited = trial.epoch - (trial.best_epoch or 0)
        return len(trial.own_curve) >= train.epochs or 0 < train.patience <= waited

    def difference(self, plan: Plan, fingerprint: str) -> str | None:
        """Say why values of this sweep do not count in another one. None if they do."""
        if fingerprint != self.fingerprint:
            return "its data are others"
        if plan.metric != self.metric:
            return f"its metric is {self.metric}"
        if missing := [name for name in plan.shown_numbers if name not in self.watched]:
            return f"its trials have no {missing[0]}"
        if _searched(plan.space) != _searched(self.space):
            return "it searches other settings"
        return "its other settings differ" if _fixed(plan.space) != _fixed(self.space) else None


def start_from(plan: Plan, dataset: Dataset) -> Plan:
    """Return the plan with the first points and the lessons of what --start-from names.

    Raises `UserError` if there is no such sweep, or it has nothing to start from.
    """
    asked = plan.options.start_from
    assert asked is not None
    name, _, number = asked.partition(":")
    if number and not (number.isdigit() and int(number)):
        raise UserError(f"--start-from {asked}: after the colon must be a number of points, such as {name}:{BEST}")
    count = int(number or BEST)
    file = _experiment_file(name)
    if file is not None:
        points, lessons = [(str(file), flatten(to_dict(read_experiment(file))))], []
    else:
        found = list(_earlier(plan.options.storage, name))
        points = [(one.name, one.settings(trial)) for one, trial in _best_of(found)]
        if not points:
            raise UserError(f"--start-from {asked}: no trial of it has a value yet; let it run, or name another sweep")
        lessons = list(_lessons(plan, found, dataset.fingerprint))
    start = list(_start(plan.space, points, count))
    if not start:
        raise UserError(
            f"--start-from {asked}: none of its points lies in the space {plan.space.source}; "
            "widen the space, or give their model with --model"
        )
    start += [dict(point) for point in plan.space.start if point not in start]
    return dataclasses.replace(plan, space=dataclasses.replace(plan.space, start=tuple(start)), lessons=tuple(lessons))


def _best_of(found: Sequence[EarlierSweep]) -> list[tuple[EarlierSweep, SweepTrial]]:
    """Return the trials of several sweeps, best first.

    Values of sweeps on other data, or by another metric, cannot be compared. Then the best of each sweep comes first.
    """
    places = {(one.name, trial.id): place for one in found for place, trial in enumerate(ranked(one.trials))}
    comparable = len({(one.metric, one.fingerprint) for one in found}) == 1

    def order(pair: tuple[EarlierSweep, SweepTrial]) -> tuple[float, ...]:
        one, trial = pair
        return (trial.state != "finished", -(trial.value or 0.0)) if comparable else (places[one.name, trial.id],)

    return sorted(((one, trial) for one in found for trial in ranked(one.trials)), key=order)


def _start(space: Space, points: Sequence[tuple[str, Mapping[str, Any]]], count: int) -> Iterator[dict[str, Any]]:
    """Yield the settings as points of the space, as far as they are allowed there."""
    known: list[dict[str, Any]] = []
    for name, settings in points:
        try:
            name_of = {key: key if key == MODEL else plain(key) for key in space.search}
            own = {key: settings[known] for key, known in name_of.items() if known in settings}
            point = space.complete(own)
        except UserError as error:
            print(f"start   a point of {name} is left out: {error}")
            continue
        if point not in known and len(known) < count:
            known.append(point)
            yield point


def _lessons(plan: Plan, found: Sequence[EarlierSweep], fingerprint: str) -> Iterator[Lesson]:
    for one in found:
        if why := one.difference(plan, fingerprint):
            print(f"start   the trials of {one.name} teach the sampler nothing: {why}")
            continue
        for trial in one.trials:
            if trial.state == "finished" and trial.value is not None and one.is_whole(trial):
                numbers = {name: trial.numbers[name] for name in plan.shown_numbers}
                yield Lesson(
                    origin=f"{one.name}/{trial.id}", point=dict(trial.point), value=trial.value, numbers=numbers
                )


def _experiment_file(name: str) -> Path | None:
    """Return the file of an experiment, or that of an exported model's folder. None if the name is no path."""
    path = Path(name)
    if path.is_dir() and (path / "config.yaml").is_file():
        return path / "config.yaml"
    return path if path.suffix in (".yaml", ".yml") and path.is_file() else None


def _earlier(storage: str, name: str) -> Iterator[EarlierSweep]:
    """Yield the sweep of this name, or all sweeps on the data of this name."""
    known = sorted(sweeps_in(storage), key=sweeps_in(storage).__getitem__, reverse=True)
    records = {sweep: Storage.of(storage, sweep).read_record() for sweep in ([name] if name in known else known)}
    if name not in known:
        records = {sweep: record for sweep, record in records.items() if _data_name(record) == name}
    if not records:
        raise UserError(
            f"--start-from {name}: no sweep, experiment or file of this name at {shown(storage)}"
            + (f": {nearest(name, known)}" if known else "; there are no sweeps yet")
        )
    for sweep, record in records.items():
        trials = _trials(Storage.of(storage, sweep))
        aims = aims_of(record["options"]["metric"])
        source = f"the record of sweep '{sweep}'"
        yield EarlierSweep(
            name=sweep,
            space=space_from_dict(record["space"], source),
            metric=aims[0],
            fingerprint=record["fingerprint"],
            watched=watched(aims, tuple(map(Limit.parse, record["options"].get("limits", ())))),
            trials=trials,
        )


def _data_name(record: Mapping[str, Any]) -> str:
    return experiment_from_dict(space_from_dict(record["space"], "an earlier sweep").experiment({})).data.name


def _trials(storage: Storage) -> list[SweepTrial]:
    """Return the trials of a sweep that may run elsewhere."""
    import optuna

    from tuning.study.reading import open_read_only

    with tempfile.TemporaryDirectory() as folder:
        path = storage.study
        if is_remote(storage.shared):
            path = Path(folder) / path.name
            with object_store.one_line(f"--storage {storage.shared}"):
                path.write_bytes(object_store.read(below(storage.shared, path.name)) or b"")
        try:
            return trials_of(optuna.load_study(study_name=storage.name, storage=open_read_only(path)))
        except (FileNotFoundError, KeyError):  # it has not begun
            return []


def _searched(space: Space) -> dict[str, Any]:
    tree = space.to_dict()
    return {key: tree[key] for key in tree if key not in ("base", "start")}


def _fixed(space: Space) -> dict[str, Any]:
    """Return what decides a trial's result beside its point and its data."""
    found = {}
    for name, one in (space.members or {space.model: space}).items():
        tree = deciding(experiment_from_dict(one.base))
        del tree["data"]["fingerprint"]
        found[name] = tree
    return found
