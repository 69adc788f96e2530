"""FAME (Liu, Zhang, Long, WSDM 2025): facet-aware heads and expert attention in the last block.

Letters: B batch, T time, D model width, H heads = facets, K = D/H, V items.

The score (Eq. 8–11) is Σ_h g_h (x_v W_f^h)·F^h = x_v·z with z = Σ_h g_h W_f^h F^h in R^D. FAME therefore trains with
one query per position against the item table, and ranks with one dot product. Scores of single facets exist only in
`Fame.facet_queries`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from fame.config import BackboneConfig, Count, Positive
from fame.models.base import SequentialModel
from fame.models.layers.blocks import FacetBlock, TransformerBlock
from fame.models.sasrec import SASRec, SASRecConfig
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class FameConfig(SASRecConfig):
    """FAME (WSDM 2025): facet-aware heads and expert attention in the last block."""

    name: Literal["fame"] = "fame"  # type: ignore[assignment]
    experts: Count = 4
    """N, experts (queries) per head."""
    facet_norm: Literal["joint", "facet"] = "joint"
    """Layer norm of Eq. 7 over all heads together, or over the K numbers of each head, as printed."""
    expert_masks: Literal["own", "shared"] = "own"
    """Attention dropout of a head's experts: a mask for each, or one for all of them."""
    facet_init: Literal["slice", "random"] = "slice"
    """Start of W_f^h: the slice of the identity that belongs to facet h, or random."""
    facet_scale: Positive | None = None
    """Factor on the start of W_f; None is H for `slice` (a uniform gate then scores the plain dot
    product of hidden state and item) and 1 for `random`."""


@models.register("fame")
class Fame(SASRec):
    """SASRec whose last block is a `FacetBlock`, and whose query is z = Σ_h g_h W_f^h F^h."""

    Config: type[FameConfig] = FameConfig
    Backbone: type[SASRec] = SASRec
    LastBlock: type[FacetBlock] = FacetBlock
    config: FameConfig

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

    @property
    def _last_block(self) -> FacetBlock:
        return cast(FacetBlock, self.blocks[-1])

    def _initialise(self, module: nn.Module) -> None:
        super()._initialise(module)
        if isinstance(module, FacetBlock):
            nn.init.normal_(module.router_weight, std=self.config.init_std)

    def _query(self, facets: tuple[Tensor, Tensor]) -> Tensor:
        facets_BTHK, weights_BTH = facets
        return (facets_BTHK * weights_BTH[..., None]).flatten(2) @ self.facet_projection.T

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """q^h = W_f^h F^h, so that an item's dot product with it is P^h of Eq. 8."""
        facets_BTHK, weights_BTH = self.blocks[-1](self._before_last_block(items_BT, lengths_B), lengths_B)
        projection_DHK = self.facet_projection.view(self.config.dim, self.config.heads, -1)
        return torch.einsum("bhk,dhk->bhd", facets_BTHK[:, 0], projection_DHK), weights_BTH[:, 0]

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        return self._last_block.experts(self._before_last_block(items_BT, lengths_B), lengths_B)

    def item_facets(self) -> Tensor:
        """x_v W_f^h of all heads side by side (Eq. 9)."""
        return self.item_table() @ self.facet_projection

    @torch.no_grad()
    def start_from(self, backbone: SequentialModel, config: BackboneConfig) -> None:
        """Take over a trained backbone (paper §4.4.2).

        What the text names as new starts fresh: FFN' with the norm after it where that is over K numbers, gate and
        router. The experts' queries take the place of the backbone's query: copies of it plus noise (so that they
        can part), or fresh. The relative bias of a head is copied to each of its experts. W_f starts as
        `config.facets` says.
        """
        assert isinstance(backbone, SASRec)
        parts = ["output.", "feed_forward.", "attention.query.", "attention.bias"]
        if self._last_block.norm_each:
            parts += ["feed_forward_norm."]
        # `head` is what a backbone has between its last block and the query.
        skipped = [f"blocks.{len(self.blocks) - 1}.{part}" for part in parts] + ["head."]
        weights = {k: v for k, v in backbone.state_dict().items() if not k.startswith(tuple(skipped))}
        _, unexpected = self.load_state_dict(weights, strict=False)
        assert not unexpected, unexpected
        last = cast(TransformerBlock, backbone.blocks[-1])
        ours, theirs = self._last_block.attention, last.attention
        heads, experts = self.config.heads, self.config.experts
        if ours.bias is not None:
            assert theirs.bias is not None
            ours.bias.copy_(theirs.bias.repeat_interleave(experts, dim=0))
        if config.query == "copy":
            weight = theirs.query.weight.view(heads, 1, -1, self.config.dim).repeat(1, experts, 1, 1)
            if experts > 1:
                weight += torch.randn_like(weight) * weight.std() * config.noise
            ours.query.weight.copy_(weight.flatten(0, 2))
            ours.query.bias.copy_(theirs.query.bias.view(heads, 1, -1).repeat(1, experts, 1).flatten())
        if config.facets == "output":
            # Row vectors: the backbone has Σ_h head^h W_O^h, so (W_f^h)ᵀ = H · W_O^h gives that at a uniform gate.
            self.facet_projection.copy_(last.output.weight * self.config.heads)
