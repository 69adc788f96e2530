"""One stage of a training: a model, its optimiser and its data, epoch by epoch.

Batch order, negatives and dropout of an epoch depend on the seed and the epoch's number alone. So a resumed stage needs
no random state. On CPU, with the same number of threads and workers, it repeats the uninterrupted one bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.artifacts.checkpoint import optimizer_tensors, restore_optimizer, with_prefix, without_prefix
from fame.config import Experiment
from fame.datasets.batches import Batch, Batcher, device_values
from fame.datasets.sequences import Sequences, training_windows
from fame.errors import DivergedError, UserError
from fame.evaluation.evaluator import Evaluator
from fame.losses.objective import make_objective
from fame.models.base import EpochStart
from fame.runtime.hardware import keep_freed_memory
from fame.runtime.parallel import Workers
from fame.text.start import ItemStart
from fame.training.earlier import Earlier
from fame.training.optimizer import clip_gradients, make_optimizer
from fame.training.stages import Stage, stages


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """The figures of one epoch."""

    epoch: int
    """Number of the epoch, from 1, counted through all stages."""
    stage: str
    """`backbone`, or the model's name."""
    loss: float
    """Mean training loss of a target, in nats."""
    validation: dict[str, float]
    """Validation metrics of the weights after this epoch."""
    best: float
    """Best validation `train.metric` of this stage so far."""
    best_epoch: int
    """Epoch that reached it."""
    train_seconds: float
    evaluate_seconds: float
    items_per_second: float
    """Training targets a second."""
    padding: float
    """Share of padded positions in the batches."""
    finished: bool
    """Whether the training ended with this epoch."""
    standard_error: float | None = None
    """Standard error of `validation[train.metric]` for a sample of the users; None if all were validated."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """Settings that changed between two epochs, when a training took over another one's state."""

    epoch: int
    """Last epoch before the change."""
    origin: str
    """The state that was taken over."""
    settings: dict[str, list[Any]]
    """Old and new value by key."""


@dataclass
class State:
    """Where a training stands between two epochs."""

    stage: int = 0
    history: list[EpochReport] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    """Weights of the best epoch of the current stage."""
    previous_best: dict[str, Tensor] = field(default_factory=dict)
    """Weights that the stage before has left for this one."""
    changes: list[Change] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        return len(self.history)


class StageRun:
    """Model, optimiser and data of one stage, on this worker's device."""

    def __init__(
        self,
        experiment: Experiment,
        stage: Stage,
        sequences: Sequences,
        workers: Workers,
        start: dict[str, Tensor],
        on_step: Callable[[int, int], None] | None,
        text: ItemStart | None = None,
        labels_VM: np.ndarray | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        keep_freed_memory()
        self.stage, self.workers, self.seed, self.on_step = stage, workers, experiment.seed, on_step
        self.sequences = sequences
        max_length = experiment.data.max_length
        torch.manual_seed(experiment.seed)
        model = stage.model_class(stage.model, sequences.item_count, max_length)
        if labels_VM is not None:
            model.start_from_labels(labels_VM)
        if earlier is not None:
            earlier.load_into(model, text)
        elif start:
            first_stage = stages(experiment)[0]
            backbone = first_stage.model_class(first_stage.model, sequences.item_count, max_length)
            backbone.load_state_dict(start)
            model.start_from(backbone, experiment.backbone)
        elif text is not None:
            model.start_from_items(text.table_VD, text.known_V)
        self.text = text.to(workers.device) if text is not None else None
        similar = self.text.similar if self.text is not None else None
        self.objective = make_objective(stage.train, sequences, workers.device, similar)
        embedding = model.item_embedding()
        if embedding is not None:
            # Also on a CPU alone: there, adding rows to the loss's gradient of the table is less than adding a table.
            alone_on_cpu = workers.size == 1 and workers.device.type == "cpu"
            embedding.sparse = self.objective.row_gradients or alone_on_cpu
        self.sharded = None
        """The item table, where each worker has some of its rows."""
        if stage.train.shard_items and workers.size > 1:
            assert embedding is not None
            self.sharded = workers.share_rows(model, embedding)
        self.model = model.to(workers.device)
        self.frozen_epochs = 0 if start or earlier else experiment.text.freeze_epochs
        self.wrapped = workers.wrap(self.model)
        self.optimizer = make_optimizer(self.model.parameters(), stage.train)
        self.has_weights = any(weight.requires_grad for weight in self.model.parameters())
        windows = training_windows(sequences, stage.train.mode, max_length, stage.train.targets)
        if not len(windows):
            raise UserError("no user has the four interactions that a training pair needs (two to learn from)")
        self.values = device_values(sequences, workers.device)
        self.batcher = Batcher(self.values, windows, workers.share)
        self.steps_per_epoch = math.ceil(len(windows) / stage.train.batch_size)
        self.padding = self.batcher.padding(stage.train.batch_size)
        sample = stage.train.validation_users
        # Workers share the users, or the items.
        ranking = workers if self.sharded is None else Workers(device=workers.device)
        self.settings = (max_length, experiment.evaluate, ranking, experiment.epoch_metrics, sample)

    @cached_property
    def evaluator(self) -> Evaluator:
        """Made when it is first asked for: a training on everything has nothing to evaluate by."""
        return Evaluator(self.sequences, self.values, "validation", *self.settings)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(without_prefix("model.", tensors))
        restore_optimizer(self.optimizer, without_prefix("optimizer.", tensors))

    def tensors(self) -> dict[str, Tensor]:
        return {
            **with_prefix("model.", self.model.state_dict()),
            **with_prefix("optimizer.", optimizer_tensors(self.optimizer)),
        }

    def epochs(self, state: State, last_stage: bool) -> Iterator[EpochReport]:
        """Train the rest of the stage's epochs; `state` is brought up to date before each report."""
        config = self.stage.train
        done = sum(report.stage == self.stage.name for report in state.history)
        last = config.epochs if self.has_weights else 1
        for index in range(done, last):
            began = time.perf_counter()
            loss, targets = self.train_epoch(state.epoch + 1, index)
            trained = time.perf_counter()
            validation, error = self.evaluator.metrics_and_error(self.model, config.metric)
            evaluated = time.perf_counter()
            value = validation[config.metric]
            before = state.history[-1] if index else None
            if before is None or value > before.best:
                best, best_epoch = value, state.epoch + 1
                state.best_weights = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            else:
                best, best_epoch = before.best, before.best_epoch
            out_of_patience = config.patience > 0 and state.epoch + 1 - best_epoch >= config.patience
            stage_ends = out_of_patience or index + 1 == last
            report = EpochReport(
                epoch=state.epoch + 1,
                stage=self.stage.name,
                loss=loss,
                validation=validation,
                best=best,
                best_epoch=best_epoch,
                train_seconds=trained - began,
                evaluate_seconds=evaluated - trained,
                items_per_second=targets / (trained - began),
                padding=self.padding,
                finished=stage_ends and last_stage,
                standard_error=error,
            )
            state.history.append(report)
            if stage_ends and not last_stage:
                state.stage, state.previous_best = state.stage + 1, state.best_weights
            yield report
            if stage_ends:
                return

    def train_epoch(self, epoch: int, index: int) -> tuple[float, int]:
        """Mean loss and number of targets of one epoch; `index` counts the stage's epochs from 0."""
        config, device = self.stage.train, self.workers.device
        # Batch order and negatives are common to all workers, dropout is each one's own.
        order = np.random.default_rng([self.seed, epoch])
        self.objective.start_epoch(order.spawn(1)[0])
        self.start_epoch(index, order.spawn(1)[0])
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, self.workers.rank]).generate_state(1)[0]))
        self.wrapped.train()
        total, targets = torch.zeros((), dtype=torch.float64, device=device), 0
        batches = self.batcher.epoch(config.batch_size, order)
        for step, batch in enumerate(batches, start=index * self.steps_per_epoch):
            self._set_lr(step)
            total += self.step(batch, frozen=index < self.frozen_epochs)
            targets += batch.target_count
            if self.on_step:
                self.on_step(step % self.steps_per_epoch + 1, self.steps_per_epoch)
        mean = float(self.workers.sum(total)) / targets
        if not math.isfinite(mean):
            raise DivergedError(f"the training loss of epoch {epoch} is {mean}; lower train.lr or set train.clip_norm")
        return mean, targets

    @torch.no_grad()
    def start_epoch(self, index: int, generator: np.random.Generator) -> None:
        """Let the model look at the training data, before epoch `index` (from 0) of the stage."""
        self.model.eval()
        self.model.start_epoch(
            EpochStart(
                index=index,
                sequences=self.sequences,
                batcher=self.batcher,
                generator=generator,
                workers=self.workers,
            )
        )

    def step(self, batch: Batch, frozen: bool = False) -> Tensor:
        """One step of the optimiser; returns this worker's part of the batch's loss, a sum over targets.

        frozen: leave the items that start from text as they are.
        """
        loss = self.wrapped(batch, self.objective)
        if not self.has_weights:
            return loss.detach()
        # DDP averages gradients over workers; the sum is over the targets of the whole batch.
        (loss * (self.workers.size / batch.mean_targets)).backward()
        self.workers.average_rows(self.model)
        if self.text is not None:
            embedding = self.model.text_embedding()
            assert embedding is not None
            self.text.hold(embedding, self.optimizer.param_groups[0]["lr"], frozen)
        if self.stage.train.clip_norm:
            clip_gradients(self.model.parameters(), self.stage.train.clip_norm, self.sharded)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def _set_lr(self, step: int) -> None:
        config = self.stage.train
        total = config.epochs * self.steps_per_epoch
        factor = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
        left = 1 - step / total
        if config.schedule == "linear":
            factor *= left
        elif config.schedule == "cosine":
            factor *= (1 + math.cos(math.pi * (1 - left))) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * factor
