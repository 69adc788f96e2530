"""SASRec and FAME.

Letters: B batch, T time, D model width, H heads = facets, K = D/H, V items.

FAME's score (Eq. 8–11) is Σ_h g_h (x_v W_f^h)·F^h = x_v·z with z = Σ_h g_h W_f^h F^h in R^D, so both
models are trained with one query per position against the item table and ranked with one dot
product; scores of single facets exist only in `Fame.facet_queries`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from fame.attention import GroupedAttention
from fame.blocks import FacetBlock, TransformerBlock
from fame.config import BackboneConfig, ModelConfig, TrainConfig, require
from fame.dropout import Dropout
from fame.registry import models
from fame.sequential import SequentialModel


@dataclass(frozen=True, kw_only=True)
class SASRecConfig(ModelConfig):
    """SASRec (Kang & McAuley, 2018): a causal transformer over item embeddings."""

    causal: ClassVar[bool] = True
    """Whether a position sees itself and earlier ones alone."""

    name: Literal["sasrec"] = "sasrec"  # type: ignore[assignment]
    dim: int = 64
    """D, width of items and hidden states."""
    blocks: int = 2
    """Transformer blocks."""
    heads: int = 2
    """H, attention heads; divides D."""
    inner: int = 4
    """Width of the feed-forward networks, in multiples of their input's width."""
    dropout: float = 0.5
    """Dropout of embeddings, attention outputs and feed-forward outputs."""
    attention_dropout: float = 0.5
    """Dropout of attention weights."""
    positions: Literal["relative", "absolute", "absolute_right", "none"] = "relative"
    """Learned bias per head and distance; learned vector counted from the left; from the right."""
    activation: Literal["gelu", "relu"] = "gelu"
    """Activation of the feed-forward networks; the paper's Eq. 5 and 7 have ReLU."""
    attention_residual: bool = True
    """Residual sum and layer norm around attention; the paper prints none."""
    init: Literal["normal", "xavier"] = "normal"
    """Start of linear layers: deviation `init_std`, or Xavier's √(2 / (inputs + outputs))."""
    init_std: float = 0.02
    """Standard deviation of initial embeddings, and of other weights where `init` is `normal`."""

    def __post_init__(self) -> None:
        for key in ("dim", "blocks", "heads", "inner"):
            require(getattr(self, key) >= 1, f"model.{key}", getattr(self, key), "must be at least 1")
        if self.dim % self.heads:
            divisors = [str(h) for h in range(1, self.dim + 1) if self.dim % h == 0]
            rule = f"must divide model.dim = {self.dim}; use one of {', '.join(divisors)}"
            require(False, "model.heads", self.heads, rule)
        for key in ("dropout", "attention_dropout"):
            require(0 <= getattr(self, key) < 1, f"model.{key}", getattr(self, key), "must be in [0, 1)")
        require(self.init_std > 0, "model.init_std", self.init_std, "must be positive")

    def item_blocks(self) -> tuple[int, int]:
        return self.heads, self.dim

    def check_training(self, train: TrainConfig) -> None:
        # Elsewhere a position's code would say how many items follow it, which nothing knows when it serves.
        require(
            self.positions != "absolute_right" or train.mode == "prefix",
            "model.positions",
            self.positions,
            "counts from the newest item, so it needs train.mode = prefix",
        )


@models.register("sasrec")
class SASRec(SequentialModel):
    """Item embeddings, `blocks` transformer blocks; the last hidden state is the query."""

    Config = SASRecConfig
    Block: type[nn.Module] = TransformerBlock

    def __init__(self, config: SASRecConfig, item_count: int, max_length: int) -> None:
        super().__init__()
        self.config, self.item_count, self.max_length = config, item_count, max_length
        self.items = nn.Embedding(item_count + 1, config.dim, padding_idx=0)
        absolute = config.positions in ("absolute", "absolute_right")
        self.positions = nn.Embedding(max_length, config.dim) if absolute else None
        self.embedding_norm = nn.LayerNorm(config.dim, eps=1e-12)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(self._blocks())
        self.apply(self._initialise)

    def _blocks(self) -> list[nn.Module]:
        return [self.Block(self.config, self.max_length) for _ in range(self.config.blocks)]

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.init_std)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
            if self.config.init == "xavier":
                nn.init.xavier_normal_(module.weight)
        if isinstance(module, GroupedAttention) and self.config.init == "xavier":
            for weight in (module.query.weight, module.key_value.weight):  # projections of D × D on top of each other
                nn.init.normal_(weight, std=self.config.dim**-0.5)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            nn.init.zeros_(module.weight[module.padding_idx].detach())
        if isinstance(module, FacetBlock):
            nn.init.normal_(module.router_weight, std=self.config.init_std)

    def item_table(self) -> Tensor:
        return self.items.weight[1:]

    def item_embedding(self) -> nn.Embedding:
        return self.items

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self._query(self.blocks[-1](self._before_last_block(items_BT, lengths_B)))

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self._query(self.blocks[-1](self._before_last_block(items_BT, lengths_B), lengths_B))[:, 0]

    def _vectors(self, items_BT: Tensor) -> Tensor:
        """Vectors of item numbers, [B, T, D]."""
        return self.items(items_BT)

    def _embed(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """What the first block reads, [B, T, D]."""
        x_BTD = self._vectors(items_BT)
        if self.positions is not None:
            position = torch.arange(items_BT.shape[1], device=items_BT.device)
            if self.config.positions == "absolute_right":
                # Distance to the newest item; padded positions, which nothing reads, would be negative.
                position = (lengths_B[:, None] - 1 - position).clamp(min=0)
            x_BTD = x_BTD + self.positions(position)
        return self.dropout(self.embedding_norm(x_BTD))

    def _before_last_block(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        x_BTD = self._embed(items_BT, lengths_B)
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD)
        return x_BTD

    def _query(self, x_BTD: Tensor) -> Tensor:
        return x_BTD


@dataclass(frozen=True, kw_only=True)
class FameConfig(SASRecConfig):
    """FAME (WSDM 2025): facet-aware heads and expert attention in the last block."""

    name: Literal["fame"] = "fame"  # type: ignore[assignment]
    experts: int = 4
    """N, experts (queries) per head."""
    facet_norm: Literal["joint", "facet"] = "joint"
    """Layer norm of Eq. 7 over all heads together, or over the K numbers of each head, as printed."""
    expert_masks: Literal["own", "shared"] = "own"
    """Attention dropout of a head's experts: a mask for each, or one for all of them."""
    facet_init: Literal["slice", "random"] = "slice"
    """Start of W_f^h: the slice of the identity that belongs to facet h, or random."""
    facet_scale: float | None = None
    """Factor on the start of W_f; None is H for `slice` (a uniform gate then scores the plain dot
    product of hidden state and item) and 1 for `random`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.experts >= 1, "model.experts", self.experts, "must be at least 1")
        if self.facet_scale is not None:
            require(self.facet_scale > 0, "model.facet_scale", self.facet_scale, "must be positive")


@models.register("fame")
class Fame(SASRec):
    """SASRec whose last block is a `FacetBlock`, and whose query is z = Σ_h g_h W_f^h F^h."""

    Config = FameConfig
    Backbone = SASRec
    LastBlock: type[nn.Module] = FacetBlock

    def __init__(self, config: FameConfig, item_count: int, max_length: int) -> None:
        super().__init__(config, item_count, max_length)
        if config.facet_init == "slice":
            weight, scale = torch.eye(config.dim), float(config.heads)
        else:
            weight, scale = torch.empty(config.dim, config.dim).normal_(std=config.init_std), 1.0
        weight *= scale if config.facet_scale is None else config.facet_scale
        self.facet_projection = nn.Parameter(weight)
        """W_f of Eq. 9: columns h·K to (h + 1)·K are W_f^h, [D, H·K]."""

    def _blocks(self) -> list[nn.Module]:
        return [*super()._blocks()[:-1], self.LastBlock(self.config, self.max_length)]

    def _query(self, facets: tuple[Tensor, Tensor]) -> Tensor:
        facets_BTHK, weights_BTH = facets
        return (facets_BTHK * weights_BTH[..., None]).flatten(2) @ self.facet_projection.T

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """q^h = W_f^h F^h, so that an item's dot product with it is P^h of Eq. 8."""
        facets_BTHK, weights_BTH = self.blocks[-1](self._before_last_block(items_BT, lengths_B), lengths_B)
        projection_DHK = self.facet_projection.view(self.config.dim, self.config.heads, -1)
        return torch.einsum("bhk,dhk->bhd", facets_BTHK[:, 0], projection_DHK), weights_BTH[:, 0]

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        return self.blocks[-1].experts(self._before_last_block(items_BT, lengths_B), lengths_B)

    def item_facets(self) -> Tensor:
        """x_v W_f^h of all heads side by side (Eq. 9)."""
        return self.item_table() @ self.facet_projection

    @torch.no_grad()
    def start_from(self, backbone: SASRec, config: BackboneConfig) -> None:
        """Take over a trained backbone (paper §4.4.2).

        What the text names as new starts fresh: FFN' with the norm after it where that is over K numbers, gate and
        router. The experts' queries take the place of the backbone's query: copies of it plus noise (so that they
        can part), or fresh. The relative bias of a head is copied to each of its experts. W_f starts as
        `config.facets` says.
        """
        parts = ["output.", "feed_forward.", "attention.query.", "attention.bias"]
        if self.blocks[-1].norm_each:
            parts += ["feed_forward_norm."]
        # `head` is what a backbone has between its last block and the query.
        skipped = [f"blocks.{len(self.blocks) - 1}.{part}" for part in parts] + ["head."]
        weights = {k: v for k, v in backbone.state_dict().items() if not k.startswith(tuple(skipped))}
        _, unexpected = self.load_state_dict(weights, strict=False)
        assert not unexpected, unexpected
        ours, theirs = self.blocks[-1].attention, backbone.blocks[-1].attention
        heads, experts = self.config.heads, self.config.experts
        if ours.bias is not None:
            ours.bias.copy_(theirs.bias.repeat_interleave(experts, dim=0))
        if config.query == "copy":
            weight = theirs.query.weight.view(heads, 1, -1, self.config.dim).repeat(1, experts, 1, 1)
            if experts > 1:
                weight += torch.randn_like(weight) * weight.std() * config.noise
            ours.query.weight.copy_(weight.flatten(0, 2))
            ours.query.bias.copy_(theirs.query.bias.view(heads, 1, -1).repeat(1, experts, 1).flatten())
        if config.facets == "output":
            # Row vectors: the backbone has Σ_h head^h W_O^h, so (W_f^h)ᵀ = H · W_O^h gives that at a uniform gate.
            self.facet_projection.copy_(backbone.blocks[-1].output.weight * self.config.heads)
