"""One experiment = one tree of frozen dataclasses = one YAML file.

Every section is a dataclass whose fields are the keys of the YAML; `Experiment` holds them all.
Anything in the tree can be set from the command line (`--set model.heads=4`) and searched by a
sweep. Ranges are checked here, names and types when a tree is read (`fame.config.tree`); each error
is a `UserError` that names the key, the value and the rule.

The `model` section belongs to the model that its `name` selects: the class registered under that
name in `fame.registry.models` says with its attribute `Config` which dataclass describes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from fame.config.data import DataConfig
from fame.config.metrics import ACCURACY, LISTS
from fame.config.ranges import Count, Natural, NotNegative, Positive, Range, Rate, Section, Share, require
from fame.registry import models

SAMPLED_LOSSES = ("sampled_softmax", "gbce", "bpr_max", "top1_max")
"""Values of `train.loss` that read a sample of the items."""
DEFAULT_NEGATIVES = 1024
"""Items that a step of a sampled loss draws."""

CHANGEABLE = ("train.lr", "train.weight_decay", "train.clip_norm", "model.dropout", "model.attention_dropout")
"""Settings that may change between two epochs of a training: neither a weight's shape nor a stage depends on them."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How the model is trained."""

    section: ClassVar[str] = "train"

    mode: Literal["all", "prefix"] = "all"
    """`all`: every position of a sequence in one causal pass; `prefix`: one sample per prefix."""
    targets: Count = 1
    """Mode `prefix`: targets of a sample, the last positions of its prefix. More of them make fewer samples."""
    epochs: Count = 40
    """Most epochs of the final stage."""
    batch_size: Count = 64
    """Sequences (`all`) or prefixes (`prefix`) of one step, over all workers together."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam adds weight decay to the gradient, AdamW applies it to the weight."""
    lr: Positive = 1e-3
    """Highest learning rate."""
    weight_decay: NotNegative = 0.0
    """Weight decay of all weights; with a sampled loss an item's row decays in the steps that it occurs in."""
    warmup_steps: Natural = 0
    """Steps over which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the learning rate falls to 0 over the stage's epochs."""
    clip_norm: NotNegative = 5.0
    """Largest norm of the gradient; 0 is no limit."""
    patience: Natural = 10
    """Stop after this many epochs without a better validation metric; 0 never stops."""
    metric: str = "ndcg@10"
    """Validation metric that early stopping, checkpoints and the search look at."""
    validation_users: Natural = 0
    """Users that are validated after each epoch, always the same random ones; 0 is all. The final evaluation has all."""
    loss: Literal["softmax", "sampled_softmax", "gbce", "bpr_max", "top1_max"] = "softmax"
    """Against all items; or against a sample of them, for catalogues of which a step should not read
    every item: softmax with the sampling's correction, calibrated binary cross entropy (gBCE), or GRU4Rec's
    ranking losses, which look at the highest of the sample."""
    label_smoothing: Rate = 0.0
    """Share of a target of `softmax` that is spread over all items alike; 0 is the plain cross entropy."""
    negatives: Count | None = None
    """Items drawn for a step of a sampled loss, shared by its targets; None is 1024."""
    negatives_power: Share | None = None
    """Items are drawn by count^power over the training targets: 0 is uniform, 1 by popularity; None is 0.5
    for `sampled_softmax`, 0 for `gbce`, whose calibration is that of uniform draws, and 0.75 for the others."""
    gbce_t: Share | None = None
    """Calibration t of `gbce`: 0 is plain binary cross entropy, 1 makes up for the whole sampling; None
    is 0.75."""
    bpr_max_penalty: NotNegative | None = None
    """Weight of the negatives' squared scores in `bpr_max`; None is 1."""
    shard_items: bool = False
    """Each worker holds some rows of the item table, and of the optimiser's state for it, in place of all. With a sampled
    loss, for catalogues that are too large for one worker's memory."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Matrix products of the loss; `auto` takes bfloat16 where the hardware multiplies it faster."""
    threads: Natural = 0
    """CPU threads of a worker, set by the command that trains; 0 is those that the worker is given.
    Results depend on it in the last digits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        readers = {"negatives": SAMPLED_LOSSES, "negatives_power": SAMPLED_LOSSES, "gbce_t": ("gbce",)}
        readers |= {"bpr_max_penalty": ("bpr_max",)}
        for key, losses in readers.items():
            value, rule = getattr(self, key), f"is ignored by train.loss = {self.loss}; leave it out, or use "
            require(value is None or self.loss in losses, f"train.{key}", value, rule + " or ".join(losses))
        require(
            self.targets == 1 or self.mode == "prefix",
            "train.targets",
            self.targets,
            "needs train.mode = prefix; use 1",
        )
        rule = f"needs a sampled loss, and train.loss is {self.loss}; use {', '.join(SAMPLED_LOSSES)}"
        require(not self.shard_items or self.loss in SAMPLED_LOSSES, "train.shard_items", self.shard_items, rule)
        smoothing, rule = self.label_smoothing, f"is ignored by train.loss = {self.loss}; leave it out, or use softmax"
        require(not smoothing or self.loss == "softmax", "train.label_smoothing", smoothing, rule)

    @property
    def one_target(self) -> bool:
        """Whether a sample's target is that of its last position alone."""
        return self.mode == "prefix" and self.targets == 1

    def require_plain_softmax(self, rule: str) -> None:
        """For a model that has a loss of its own in place of `loss`: raise `UserError` if another one is asked for."""
        require(self.loss == "softmax", "train.loss", self.loss, rule)
        require(not self.label_smoothing, "train.label_smoothing", self.label_smoothing, rule)


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

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("columns", "facets"):
            value = getattr(self, key)
            require(value is None or len(value) == len(set(value)) > 0, f"text.{key}", value, "must name columns, once")
        self._check_ignored()

    def _check_ignored(self) -> None:
        if self.epochs:
            require(
                not self.plain, "text.plain", True, f"is without the stage that text.epochs = {self.epochs} asks for"
            )
            return
        # What text there is may be said in any case: trials of one sweep differ in whether they read it.
        ignored: tuple[str, ...] = ("facet_count", "temperature", "period", "lr", "batch_size", "dropout")
        ignored += () if self.plain else ("scale", "freeze_epochs", "delta")
        for f in dataclasses.fields(self):
            value, rule = getattr(self, f.name), "is ignored with text.epochs = 0; leave it out, or give text.epochs"
            require(f.name not in ignored or value == f.default, f"text.{f.name}", value, rule)

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
    """What the `model` section of every model has; a model's own `Config` derives from it."""

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
        if self.backbone.epochs:
            require(
                models.get(self.model.name).Backbone is not None,
                "backbone.epochs",
                self.backbone.epochs,
                f"model '{self.model.name}' has no backbone to pre-train; use 0",
            )

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
