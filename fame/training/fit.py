"""Training: `fit` is a generator of epoch reports that can be stopped and resumed at any of them.

A training has one or two stages (`fame.training.stages`): the backbone, if it is pre-trained, and the model
itself. Epochs are counted through both. What a training has reached is one checkpoint file.
Trainings can share the results of stages (`fame.training.shared_stages`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fame.artifacts import Folder
from fame.artifacts.checkpoint import load_checkpoint, save_checkpoint, send_shards, with_prefix, without_prefix
from fame.config import Experiment, TrainConfig
from fame.config.tree import experiment_from_dict, to_dict
from fame.datasets.sequences import Sequences
from fame.errors import UserError
from fame.runtime.parallel import Workers
from fame.runtime.sharding import Shard
from fame.text.facets import item_labels
from fame.training.earlier import Earlier
from fame.training.loop import Change, EpochReport, StageRun, State
from fame.training.sharded_state import own, whole
from fame.training.shared_stages import claimed, end_stage, items_from_text
from fame.training.stages import stages

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset

CHECKPOINT = "checkpoint.safetensors"


def experiment_key(experiment: Experiment) -> str:
    """Short hash of everything that decides a training's result."""
    return hashlib.sha256(json.dumps(deciding(experiment), sort_keys=True).encode()).hexdigest()[:16]


def deciding(experiment: Experiment) -> dict[str, Any]:
    """The settings that decide a training's result; the data count by content.

    Where the data lie, how many threads compute, and which worker has which item, is left out.
    """
    tree = to_dict(experiment)
    tree["data"] = {key: tree["data"][key] for key in ("fingerprint", "max_length")}
    del tree["train"]["threads"], tree["train"]["shard_items"]
    return tree


def fit(
    experiment: Experiment,
    sequences: Sequences,
    folder: Path,
    workers: Workers | None = None,
    on_step: Callable[[int, int], None] | None = None,
    shared: Folder | None = None,
    dataset: Dataset | None = None,
    earlier: Earlier | None = None,
) -> Iterator[EpochReport]:
    """Train, and yield a report after every epoch.

    Before each report the state is written to `folder/checkpoint.safetensors`; a file that is there
    is resumed from, and its earlier reports are not yielded again. The checkpoint carries the weights
    of the best epoch: `read_trained` reads them. `on_step(done, of)` is called after every step of an
    epoch. A training that is there may be given more epochs, if its learning rate is constant. `dataset` has the
    items' text and labels for an experiment that reads them. With `shared`, a stage that
    another training has left there is taken over: its reports follow each other at once. With `earlier` the
    model's stage, the only one then, goes on from those weights.

    Raises `DivergedError` if the loss or a score is not finite, `UserError` if the checkpoint
    belongs to another experiment.
    """
    workers = workers or Workers.current()
    checkpoint = folder / CHECKPOINT
    plan = stages(experiment, dataset)
    first = len(plan) - 1 if earlier is not None else 0
    resumed = checkpoint.exists()
    state, tensors = _read_state(checkpoint, experiment, earlier) if resumed else (State(stage=first), {})
    text, labels_VM = None, item_labels(experiment, dataset)
    while not (state.history and state.history[-1].finished):
        stage, seen = plan[state.stage], state.epoch
        with claimed(stage, state, shared, workers) as claim:
            if claim is not None and claim.found is not None:
                end_stage(state, stage, claim, folder)
                tensors.clear()
                if workers.first:
                    _write_state(checkpoint, experiment, state, None, earlier)
                yield from state.history[seen:]
            else:
                if experiment.text.enabled and text is None:
                    text = items_from_text(experiment, dataset, workers, folder, shared)
                run = StageRun(
                    experiment, stage, sequences, workers, state.previous_best, on_step, text, labels_VM, earlier
                )
                if tensors:
                    run.restore(own(run, tensors))
                    tensors.clear()
                    state.best_weights = own(run, state.best_weights, "best.")
                for report in run.epochs(state, last_stage=stage is plan[-1]):
                    if claim is not None and state.stage > stage.index:
                        end_stage(state, stage, claim, folder)
                    if workers.first:
                        _write_state(checkpoint, experiment, state, run, earlier)
                    else:
                        send_shards(_tensors(state, run))
                    with claim.lease.resting() if claim is not None else contextlib.nullcontext():
                        yield report


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The state of a training in its checkpoint."""

    experiment: Experiment
    weights: dict[str, Tensor]
    """Weights of the best epoch of the stage that the training has reached."""
    history: list[EpochReport]
    changes: list[Change]
    """Settings that were other ones at first; `experiment` has those at the end."""

    @property
    def reached_model(self) -> bool:
        """Whether `weights` are those of the experiment's model, not of its backbone."""
        return self.history[-1].stage == self.experiment.model.name


def read_trained(folder: Path) -> Trained:
    """The state of the training in `folder`. Raises `UserError` if there is none, or it is damaged."""
    path = folder / CHECKPOINT
    tensors, header = load_checkpoint(path)
    return Trained(
        experiment=header_experiment(path, header),
        weights=without_prefix("best.", tensors),
        history=[EpochReport(**report) for report in header["history"]],
        changes=[Change(**change) for change in header["changes"]],
    )


def can_go_on(trained: Trained, epochs: int) -> bool:
    """Whether a training goes on if its last stage may have so many epochs: it is not over, or was so early."""
    train, last = trained.experiment.train, trained.history[-1]
    if epochs == train.epochs:
        return not last.finished
    return _can_be_longer(train, epochs) and not (last.finished and _out_of_patience(train, last))


def _can_be_longer(train: TrainConfig, epochs: int) -> bool:
    """Whether more epochs change nothing before them: a rate that falls to the end depends on their number."""
    return epochs > train.epochs and train.schedule == "constant"


def _out_of_patience(train: TrainConfig, last: EpochReport) -> bool:
    return train.patience > 0 and last.epoch - last.best_epoch >= train.patience


def _write_state(
    path: Path, experiment: Experiment, state: State, run: StageRun | None, earlier: Earlier | None
) -> None:
    header = {
        "experiment": to_dict(experiment),
        "stage": state.stage,
        "history": [dataclasses.asdict(report) for report in state.history],
        "changes": [dataclasses.asdict(change) for change in state.changes],
        "earlier": earlier.digest if earlier is not None else None,
    }
    save_checkpoint(path, _tensors(state, run), header)


def _tensors(state: State, run: StageRun | None) -> dict[str, Tensor | Shard]:
    tensors = {**with_prefix("best.", state.best_weights), **with_prefix("previous.", state.previous_best)}
    if run is not None and run.stage.index == state.stage:  # else a stage has just ended: its best weights count
        return whole(run, {**tensors, **run.tensors()})
    return {**tensors}


def _read_state(path: Path, experiment: Experiment, earlier: Earlier | None) -> tuple[State, dict[str, Tensor]]:
    tensors, header = load_checkpoint(path)
    before, train = header_experiment(path, header), experiment.train
    if _can_be_longer(before.train, train.epochs):
        last, longer = header["history"][-1], dataclasses.replace(before.train, epochs=train.epochs)
        before = dataclasses.replace(before, train=longer)
        last["finished"] = last["finished"] and _out_of_patience(train, EpochReport(**last))
    if experiment_key(before) != experiment_key(experiment):
        raise UserError(f"{path} belongs to another experiment; choose another folder or remove it")
    if header.get("earlier") != (earlier.digest if earlier is not None else None):
        raise UserError(f"{path} belongs to a training with another start (--from); choose another folder or remove it")
    state = State(
        stage=header["stage"],
        history=[EpochReport(**report) for report in header["history"]],
        best_weights=without_prefix("best.", tensors),
        previous_best=without_prefix("previous.", tensors),
        changes=[Change(**change) for change in header["changes"]],
    )
    return state, {k: v for k, v in tensors.items() if k.startswith(("model.", "optimizer."))}


def header_experiment(path: Path, header: dict[str, Any]) -> Experiment:
    """The experiment of a checkpoint. Raises `UserError` if the file is another one, or too old."""
    if "experiment" not in header:
        raise UserError(f"{path} is not the checkpoint of a training")
    try:
        return experiment_from_dict(header["experiment"])
    except UserError as error:
        raise UserError(f"{path} was written by another version of this program: {error}") from None
