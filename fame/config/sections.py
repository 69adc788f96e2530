"""One experiment = one tree of frozen dataclasses = one YAML file.

Every section is a dataclass whose fields are the keys of the YAML; `Experiment` holds them all.
Anything in the tree can be set from the command line (`--set model.heads=4`) and searched by a
sweep. Ranges are checked here, names and types when a tree is read (`fame.config.tree`). Each error is a `UserError`
that names the key, the value and the rule.

The `model` section belongs to the model that its `name` selects. That model's class (`fame.registry.models`) names the
section's dataclass in its attribute `Config`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from fame.config.data import DataConfig
from fame.config.metrics import ACCURACY, LISTS
from fame.config.ranges import Count, Natural, NotNegative, Positive, Range, Rate, Section, Share, require
from fame.config.train import TrainConfig
from fame.registry import models

CHANGEABLE = ("train.lr", "train.weight_decay", "train.clip_norm", "model.dropout", "model.attention_dropout")
"""Settings that may change between two epochs of a training: neither a weight's shape nor a stage depends on them."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(Section):
    """Two-stage training (paper §4.4.2): the model's backbone is trained first.

    For FAME the backbone is SASRec; the last block's query is then replaced by the experts' queries,
    its keys and values are kept, and the whole model is trained again with `train`.
    """

    section: ClassVar[str] = "backbone"

    epochs: Natural = 0
    """Epochs of backbone pre-training; 0 switches the stage off."""
    lr: Positive = 1e-3
    """Learning rate of the stage; everything else is as in `train`."""
    query: Literal["copy", "fresh"] = "copy"
    """Start of the experts' queries: the backbone's query plus noise, or new random ones."""
    facets: Literal["init", "output"] = "init"
    """Start of W_f: as `model.facet_init` says, or H times the output projection of the backbone's last block."""
    noise: NotNegative = 0.5
    """Noise on copied queries, as a share of the standard deviation of the copied weight."""


@dataclass(frozen=True, kw_only=True)
class TextConfig(Section):
    """Text stage (FAME+): item vectors from text, disentangled by facet, to start from (`fame.text`)."""

    section: ClassVar[str] = "text"

    epochs: Natural = 0
    """Epochs of the contrastive stage; 0 switches it off."""
    plain: bool = False
    """Without the contrastive stage: items start from the principal components of their text vectors."""
    whitening: Share = 0.0
    """Power of a principal component's standard deviation that it is divided by; at 1 all vary alike, at 0 as the texts do."""
    encoder: str = "all-MiniLM-L6-v2"
    """Frozen text encoder: a Hugging Face model by name, or the folder of one."""
    skip_layers: Natural = 0
    """Last layers of the encoder that are left out; what earlier ones know is nearer to the words."""
    columns: tuple[str, ...] | None = None
    """Item columns that make an item's text; None is title, description, labels, as far as they are there."""
    facets: tuple[str, ...] | None = None
    """Item columns whose labels are facets, `NAME:BINS` for numbers, a list or joined by commas; None is those
    that the dataset declares. The text stage and `model.labels` read them."""
    facet_count: Natural = 0
    """Only the first so many facets are learned; 0, and more than there are, is all."""
    rare: Annotated[int, Range(low=2)] = 5
    """Labels of fewer items are merged into none."""
    temperature: Positive = 0.1
    """τ of the contrastive loss."""
    period: Count = 1
    """Steps that one facet is trained for before the next one has its turn."""
    lr: Positive = 1e-3
    """Learning rate of the facets' projections."""
    batch_size: Annotated[int, Range(low=4)] = 256
    """Items of one step."""
    dropout: Rate = 0.2
    """Dropout of text vectors in the stage."""
    scale: Positive = 1.0
    """Norm of an item's vector at the start; a random one's is about `model.init_std` · √D."""
    freeze_epochs: Natural = 0
    """First epochs of the training in which the item table stays as it is."""
    delta: NotNegative = 0.0
    """Items are frozen content plus a trainable delta that starts at 0, and this is the delta's weight decay;
    at 0 nothing pulls items back to their text."""
    smoothing: Rate = 0.0
    """Share of a target of `softmax` that the ten items with the most similar texts have; 0 is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("columns", "facets"):
            value = getattr(self, key)
            require(value is None or len(value) == len(set(value)) > 0, f"text.{key}", value, "must name columns, once")
        self._check_ignored()

    def _check_ignored(self) -> None:
        rule = "is ignored without text.plain=true; leave it out, or give that"
        require(self.plain or not self.whitening, "text.whitening", self.whitening, rule)
        if self.epochs:
            require(
                not self.plain, "text.plain", True, f"is without the stage that text.epochs = {self.epochs} asks for"
            )
            return
        # What text there is may be said in any case: trials of one sweep differ in whether they read it.
        stage, start = "is ignored with text.epochs = 0; leave it out, or give text.epochs", " or text.plain=true"
        ignored = dict.fromkeys(("facet_count", "temperature", "period", "lr", "batch_size", "dropout"), stage)
        if not self.plain:
            ignored |= dict.fromkeys(("scale", "freeze_epochs", "delta", "smoothing"), stage + start)
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            require(f.name not in ignored or value == f.default, f"text.{f.name}", value, ignored.get(f.name, ""))

    @property
    def enabled(self) -> bool:
        """Whether items start from text."""
        return self.epochs > 0 or self.plain


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Section):
    """Full-ranking evaluation."""

    section: ClassVar[str] = "evaluate"

    cutoffs: tuple[int, ...] = (5, 10, 20)
    """k of the metrics."""
    exclude_seen: bool = True
    """Leave the items of the history out of the ranking."""
    candidates: Literal["all", "known"] = "all"
    """Rank among all items, or among those that occur before the part; targets that do not occur there are then left out."""
    metrics: tuple[str, ...] = ("hr", "ndcg")
    """Metrics of every epoch, beside `train.metric`: hr, ndcg, recall, precision, mrr, map, coverage, novelty,
    popularity and gini. The last four need the lists of all users, which costs time. The final evaluation has all."""
    diversity: str | None = None
    """Item column whose labels the metric diversity compares, or `text` for the text encoder's vectors; None is
    categories, genres or brand, the first that the items have."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(bool(self.cutoffs), "evaluate.cutoffs", self.cutoffs, "needs at least one cutoff")
        require(min(self.cutoffs) >= 1, "evaluate.cutoffs", self.cutoffs, "each must be at least 1")
        require(len(set(self.cutoffs)) == len(self.cutoffs), "evaluate.cutoffs", self.cutoffs, "must not repeat")
        choices = [kind for kind in (*ACCURACY, *LISTS) if kind != "diversity"]
        rule = f"each must be one of {', '.join(choices)}, once"
        good = set(self.metrics) <= set(choices) and len(set(self.metrics)) == len(self.metrics)
        require(good, "evaluate.metrics", self.metrics, rule)

    def names(self, kinds: Sequence[str]) -> tuple[str, ...]:
        """Names of the metrics of these kinds: each at every cutoff."""
        return tuple(f"{kind}@{k}" for k in self.cutoffs for kind in kinds)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The fields that every model's `model` section has. A model's own `Config` derives from it."""

    section: ClassVar[str] = "model"

    name: str
    """Name under which the model is registered."""

    def item_blocks(self) -> tuple[int, int] | None:
        """Heads H and width D of item vectors that can start from text: H blocks of D/H side by side."""
        return None

    def reads_labels(self) -> bool:
        """Whether items have vectors of their labels, the facets of `text.facets`."""
        return False

    def check_training(self, train: TrainConfig) -> None:
        """Raise `UserError` for a way of training that does not go with these settings."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a training's result."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = None  # type: ignore[assignment]  # made in __post_init__: the default is registered
    """Settings of the model; the dataclass that the model's class names as `Config`."""
    train: TrainConfig = field(default_factory=TrainConfig)
    text: TextConfig = field(default_factory=TextConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    seed: int = 0
    """Seed of initial weights, batch order and dropout."""

    def __post_init__(self) -> None:
        if self.model is None:
            object.__setattr__(self, "model", models.get("fame").Config())
        require(0 <= self.seed < 2**63, "seed", self.seed, "must be at least 0 and below 2**63")
        known = self.evaluate.names(ACCURACY)
        require(self.train.metric in known, "train.metric", self.train.metric, f"must be one of {', '.join(known)}")
        self.model.check_training(self.train)
        if self.train.shard_items:
            self._check_sharding()
        if self.text.enabled:
            key = "text.epochs" if self.text.epochs else "text.plain"
            rule = f"model '{self.model.name}' does not say of what its item vectors consist; leave it out"
            require(self.model.item_blocks() is not None, key, getattr(self.text, key[5:]), rule)
        if self.text.smoothing:
            self._check_smoothing()
        if self.backbone.epochs:
            require(
                models.get(self.model.name).Backbone is not None,
                "backbone.epochs",
                self.backbone.epochs,
                f"model '{self.model.name}' has no backbone to pre-train; use 0",
            )

    def _check_smoothing(self) -> None:
        """Refuse soft targets that a loss does not read, or that leave nothing for the target itself."""
        loss, smoothing = self.train.loss, self.text.smoothing
        rule = f"is ignored by train.loss = {loss}; leave it out, or use softmax"
        require(loss == "softmax", "text.smoothing", smoothing, rule)
        rule = f"must be below 1 − train.label_smoothing = {1 - self.train.label_smoothing:g}, or nothing is left for the target itself"
        require(smoothing + self.train.label_smoothing < 1, "text.smoothing", smoothing, rule)

    def _check_sharding(self) -> None:
        """Refuse what reads the whole item table in an epoch."""
        plain = models.get(self.model.name).shards_items() and not self.model.reads_labels()
        lists = [name for name in self.epoch_metrics if name.partition("@")[0] in LISTS]
        reads_all = {
            f"model.name = {self.model.name}" + (" with labels" if self.model.reads_labels() else ""): not plain,
            "text": self.text.enabled,
            f"backbone.epochs = {self.backbone.epochs}": bool(self.backbone.epochs),
            f"evaluate.metrics = {', '.join(lists)}": bool(lists),
        }
        for what, reads in reads_all.items():
            rule = f"does not go with {what}, which reads all items at once; change that, or use false"
            require(not reads, "train.shard_items", True, rule)

    @property
    def epoch_metrics(self) -> tuple[str, ...]:
        """Names of the metrics that every epoch reports."""
        return tuple(dict.fromkeys((*self.evaluate.names(self.evaluate.metrics), self.train.metric)))
