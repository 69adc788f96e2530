"""Stages that trainings share: what `fit` claims before a stage, and does when one is through.

Whether a stage was computed or taken over makes no difference to reports, weights or checkpoint. The
file `stages.json` beside the checkpoint tells it.

A training that takes a stage over yields all the stage's reports, one after the other. So a scheduler finds the same
value at an epoch for all trials that share the stage, and a chart has each epoch once. While it waits for another
training it reports nothing, so nothing can stop it. It keeps its resources, with which it would have computed the stage
itself in that time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from fame.artifacts import Artifact, Claim, Folder, claim
from fame.config import Experiment
from fame.errors import UserError
from fame.runtime.files import replaced
from fame.runtime.parallel import Workers
from fame.text.start import ItemStart, text_blocks, text_recipe
from fame.training.loop import EpochReport, State
from fame.training.stages import Stage

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset

USES = "stages.json"


@dataclass(frozen=True, kw_only=True)
class StageUse:
    """How a training came to the result of a shared stage."""

    stage: str
    shared: bool
    """Whether it was taken over, and not computed."""
    seconds: float
    """Seconds that the stage's training took, here or elsewhere."""
    waited: float
    """Seconds spent waiting for another training to compute it."""
    rebuilt: bool
    """Whether it was computed in place of a damaged one."""


def read_uses(folder: Path) -> list[StageUse]:
    """The shared stages that the training in `folder` is through with; none if it shares nothing."""
    path = folder / USES
    return [StageUse(**use) for use in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def claimed(
    stage: Stage, state: State, shared: Folder | None, workers: Workers
) -> contextlib.AbstractContextManager[Claim | None]:
    """A claim on the stage's artifact; None for a stage that is not shared.

    A training whose settings changed on the way has a result that no settings stand for.
    """
    if shared is None or stage.recipe is None or state.changes:
        return contextlib.nullcontext()
    return claim(shared, stage.recipe, workers)


def end_stage(state: State, stage: Stage, claim: Claim, folder: Path) -> None:
    """Keep what was computed for others, or bring the state to where computing would have brought it."""
    if claim.found is None:
        claim.keep(_artifact(state, stage))
    else:
        before = [report for report in state.history if report.stage != stage.name]
        state.history = [*before, *(EpochReport(**report) for report in claim.found.history)]
        state.best_weights = state.previous_best = claim.found.tensors
        state.stage = stage.index + 1
    note_use(folder, claim)


def items_from_text(
    experiment: Experiment, dataset: Dataset | None, workers: Workers, folder: Path, shared: Folder | None
) -> ItemStart:
    """The text stage's result, computed or taken over.

    A training that is resumed asks again; without `shared` it computes it again, to the same, in a short time.
    Raises `UserError` without the items' text.
    """
    from fame.datasets import print_to_stderr
    from fame.text.pretrain import encoded_items, item_vectors

    if dataset is None:
        raise UserError("text.epochs, text.plain: the text stage needs the items' text; load the data as a dataset")
    heads, dim = text_blocks(experiment)
    report = print_to_stderr if workers.first else lambda line: None

    def compute() -> tuple[dict[str, Tensor], float]:
        known, e_NE = encoded_items(experiment.text, dataset.items, workers.device, report)
        began = time.perf_counter()  # text vectors are kept for whoever needs them, so they are not what sharing saves
        settings = (experiment.text, heads, dim, dataset.items, dataset.facets, experiment.seed)
        return item_vectors(*settings, known, e_NE, report), time.perf_counter() - began

    if shared is None:
        return ItemStart(experiment.text, compute()[0])
    recipe = text_recipe(experiment, dataset)
    assert recipe is not None
    with claim(shared, recipe, workers) as one:
        if one.found is None:
            tensors, seconds = compute()
            one.keep(Artifact(tensors=tensors, history=[], seconds=seconds))
        note_use(folder, one)
        assert one.found is not None
        return ItemStart(experiment.text, one.found.tensors)


def note_use(folder: Path, claim: Claim) -> None:
    """Tell beside the checkpoint in `folder` how a claim ended, unless an earlier run has."""
    earlier, name = read_uses(folder), claim.recipe.stage
    # A training that was ended after it kept a stage, and before its checkpoint said so, finds its own.
    if not claim.workers.first or any(use.stage == name for use in earlier):
        return
    assert claim.found is not None
    use = StageUse(
        stage=name,
        shared=claim.shared,
        seconds=claim.found.seconds,
        waited=claim.waited,
        rebuilt=claim.rebuilds,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with replaced(folder / USES) as file:
        file.write_text(json.dumps([dataclasses.asdict(each) for each in (*earlier, use)]), encoding="utf-8")


def _artifact(state: State, stage: Stage) -> Artifact:
    reports = [report for report in state.history if report.stage == stage.name]
    return Artifact(
        tensors=state.previous_best,
        history=[dataclasses.asdict(report) for report in reports],
        seconds=sum(report.train_seconds + report.evaluate_seconds for report in reports),
    )
