"""Training: `fit` is a generator of epoch reports that can be stopped and resumed at any of them.

A training has one or two stages (`fame.stage`): the backbone, if it is pre-trained, and the model
itself. Epochs are counted through both. What a training has reached is one checkpoint file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fame.checkpoint import load_checkpoint, save_checkpoint, with_prefix, without_prefix
from fame.config import Experiment
from fame.config_tree import experiment_from_dict, to_dict
from fame.errors import UserError
from fame.parallel import Workers
from fame.sequences import Sequences
from fame.stage import Change, EpochReport, StageRun, State, stages
from fame.text.start import ItemStart

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset

CHECKPOINT = "checkpoint.safetensors"


def experiment_key(experiment: Experiment) -> str:
    """Short hash of everything that decides a training's result."""
    return hashlib.sha256(json.dumps(deciding(experiment), sort_keys=True).encode()).hexdigest()[:16]


def deciding(experiment: Experiment) -> dict[str, Any]:
    """The settings that decide a training's result; the data count by content.

    Where the data lie, and how many threads compute, is left out.
    """
    tree = to_dict(experiment)
    tree["data"] = {key: tree["data"][key] for key in ("fingerprint", "max_length")}
    del tree["train"]["threads"]
    return tree


def fit(
    experiment: Experiment,
    sequences: Sequences,
    folder: Path,
    workers: Workers | None = None,
    on_step: Callable[[int, int], None] | None = None,
    dataset: Dataset | None = None,
) -> Iterator[EpochReport]:
    """Train, and yield a report after every epoch.

    Before each report the state is written to `folder/checkpoint.safetensors`; a file that is there
    is resumed from, and its earlier reports are not yielded again. The checkpoint carries the weights
    of the best epoch: `read_trained` reads them. `on_step(done, of)` is called after every step of an
    epoch. `dataset` has the items' text for an experiment that starts from it.

    Raises `DivergedError` if the loss or a score is not finite, `UserError` if the checkpoint
    belongs to another experiment.
    """
    workers = workers or Workers.current()
    checkpoint = folder / CHECKPOINT
    plan = stages(experiment)
    resumed = checkpoint.exists()
    state, tensors = _read_state(checkpoint, experiment) if resumed else (State(), {})
    text = None
    while not (state.history and state.history[-1].finished):
        if experiment.text.enabled and text is None:
            text = _items_from_text(experiment, dataset, workers)
        run = StageRun(experiment, plan[state.stage], sequences, workers, state.previous_best, on_step, text)
        if tensors:
            run.restore(tensors)
            tensors = {}
        for report in run.epochs(state, last_stage=state.stage == len(plan) - 1):
            if workers.first:
                _write_state(checkpoint, experiment, state, run)
            yield report


def _items_from_text(experiment: Experiment, dataset: Dataset | None, workers: Workers) -> ItemStart:
    """Run the text stage. It is run again when a training is resumed: it gives the same, in a short time."""
    from fame.datasets import print_to_stderr
    from fame.text.pretrain import text_stage

    if dataset is None:
        raise UserError("text.epochs, text.plain: the text stage needs the items' text; load the data as a dataset")
    heads, dim = experiment.model.item_blocks()
    report = print_to_stderr if workers.first else lambda line: None
    items, facets, seed = dataset.items, dataset.facets, experiment.seed
    return ItemStart(
        experiment.text, text_stage(experiment.text, heads, dim, items, facets, seed, workers.device, report)
    )


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training has left in its checkpoint."""

    experiment: Experiment
    weights: dict[str, Tensor]
    """Of the best epoch of the stage that it has reached."""
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


def _write_state(path: Path, experiment: Experiment, state: State, run: StageRun) -> None:
    tensors = {**with_prefix("best.", state.best_weights), **with_prefix("previous.", state.previous_best)}
    if run.stage.index == state.stage:  # else the stage has just ended, and only its best weights count
        tensors |= run.tensors()
    header = {
        "experiment": to_dict(experiment),
        "stage": state.stage,
        "history": [dataclasses.asdict(report) for report in state.history],
        "changes": [dataclasses.asdict(change) for change in state.changes],
    }
    save_checkpoint(path, tensors, header)


def _read_state(path: Path, experiment: Experiment) -> tuple[State, dict[str, Tensor]]:
    tensors, header = load_checkpoint(path)
    if experiment_key(header_experiment(path, header)) != experiment_key(experiment):
        raise UserError(f"{path} belongs to another experiment; choose another folder or remove it")
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
