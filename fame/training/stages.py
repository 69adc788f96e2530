"""The stages of an experiment's training, in order, and what decides the result of each.

text        item vectors to start from (`fame.text`)
backbone    a model of its own kind that the last one starts from
the model   what is evaluated and exported
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fame.artifacts import StageRecipe
from fame.config import Experiment, TrainConfig
from fame.config.tree import to_dict
from fame.models.base import SequentialModel
from fame.registry import models
from fame.text.start import AFTER, text_recipe

if TYPE_CHECKING:
    from fame.datasets.dataset import Dataset

BACKBONE = "backbone"
"""Name of the stage that trains a model's backbone."""
BACKBONE_VERSION = 2
"""To be raised by a change after which a backbone with the same settings is another one, or an `EpochReport`
has other fields."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training of one model within an experiment."""

    index: int
    name: str
    model_class: type[SequentialModel]
    model: object
    train: TrainConfig
    recipe: StageRecipe | None = None
    """The settings that decide the stage's result. None for the last stage: no other training needs it."""


def stages(experiment: Experiment, dataset: Dataset | None = None) -> list[Stage]:
    """The stages of an experiment that train a model, in order; `dataset` is for their recipes."""
    before = [_backbone(experiment, dataset)] if experiment.backbone.epochs else []
    model_class = models.get(experiment.model.name)
    last = Stage(
        index=len(before),
        name=experiment.model.name,
        model_class=model_class,
        model=experiment.model,
        train=experiment.train,
    )
    return [*before, last]


def recipes(experiment: Experiment) -> list[StageRecipe]:
    """Return the recipes of the stages that a training can share with others, in order."""
    text = text_recipe(experiment)
    return ([text] if text else []) + [stage.recipe for stage in stages(experiment) if stage.recipe is not None]


def _backbone(experiment: Experiment, dataset: Dataset | None) -> Stage:
    """The stage that trains the model's backbone, which has the model's settings as far as it knows them."""
    model_class = models.get(experiment.model.name).Backbone
    assert model_class is not None
    config_class = model_class.Config
    shared = {f.name: getattr(experiment.model, f.name) for f in dataclasses.fields(config_class)}
    model = config_class(**{**shared, "name": config_class.name})
    train = dataclasses.replace(experiment.train, epochs=experiment.backbone.epochs, lr=experiment.backbone.lr)
    elsewhere = ("epochs", "lr", "shard_items")  # below, or never with a backbone
    settings = {
        **{f"model.{key}": value for key, value in to_dict(model).items()},
        **{f"train.{key}": value for key, value in to_dict(train).items() if key not in elsewhere},
        "backbone.epochs": train.epochs,
        "backbone.lr": train.lr,
        **{f"evaluate.{key}": value for key, value in to_dict(experiment.evaluate).items()},
        "data.fingerprint": experiment.data.fingerprint,
        "data.max_length": experiment.data.max_length,
        "seed": experiment.seed,
    }
    if experiment.text.enabled:
        settings |= {f"text.{key}": getattr(experiment.text, key) for key in AFTER}
    if model.reads_labels():
        settings |= {f"text.{key}": getattr(experiment.text, key) for key in ("facets", "rare")}
        settings |= {"items": dataset.items_fingerprint, "facets": list(dataset.facets)} if dataset is not None else {}
    return Stage(
        index=0,
        name=BACKBONE,
        model_class=model_class,
        model=model,
        train=train,
        recipe=StageRecipe(
            stage=BACKBONE,
            version=BACKBONE_VERSION,
            settings=settings,
            before=text_recipe(experiment, dataset),
        ),
    )
