"""The section train of an experiment, and its rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fame.config.ranges import Count, Natural, NotNegative, Positive, Rate, Section, Share, require

SAMPLED_LOSSES = ("sampled_softmax", "gbce", "bpr_max", "top1_max")
"""Values of `train.loss` that read a sample of the items."""
DEFAULT_NEGATIVES = 1024
"""Items that a step of a sampled loss draws."""


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
