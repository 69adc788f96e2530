"""FAME on other backbones: the paper says that its heads and experts go with any attention-based model.

Each model is a backbone's class before `Fame`: what the backbone changes in SASRec, it changes in FAME, and `Fame`
replaces the last block and the query. Settings are those of both; with one head, one expert and W_f = I, each is its
backbone without the last attention's output projection. `backbone.epochs` pre-trains the plain backbone, as for FAME.

- `fame_bsarec`: the frequency filter stays beside the experts, α · filter(X) + (1 − α) · LN(X + experts(X)), before
  the heads' feed-forward network. The filter needs that residual, so `attention_residual: false` is an error.
- `fame_bert4rec`: experts attend in both directions, from the mask when it recommends. Facets replace BERT4Rec's output
  layer, too. Σ_h g_h q^h is the query, and a layer after the sum would leave no score to a facet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fame.config import require
from fame.models.baselines.bert4rec import Bert4Rec, Bert4RecConfig, Cloze
from fame.models.baselines.bsarec import BSARec, BSARecConfig, Filtered
from fame.models.fame import Fame, FameConfig
from fame.models.layers.blocks import FacetBlock
from fame.registry import models


@dataclass(frozen=True, kw_only=True)
class FameBSARecConfig(BSARecConfig, FameConfig):
    """FAME on BSARec."""

    name: Literal["fame_bsarec"] = "fame_bsarec"  # type: ignore[assignment]

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "the filter is part of the residual sum; leave it out"
        require(self.attention_residual, "model.attention_residual", self.attention_residual, rule)


class FilteredFacetBlock(Filtered, FacetBlock):
    """FAME's last block with the filter beside the experts."""


@models.register("fame_bsarec")
class FameBSARec(BSARec, Fame):
    """BSARec with FAME's last block and query."""

    Config = FameBSARecConfig
    config: FameBSARecConfig
    Backbone = BSARec
    LastBlock = FilteredFacetBlock


@dataclass(frozen=True, kw_only=True)
class FameBert4RecConfig(Bert4RecConfig, FameConfig):
    """FAME on BERT4Rec."""

    name: Literal["fame_bert4rec"] = "fame_bert4rec"  # type: ignore[assignment]


@models.register("fame_bert4rec")
class FameBert4Rec(Cloze, Fame):
    """FAME in both directions, trained on masked items."""

    Config = FameBert4RecConfig
    config: FameBert4RecConfig
    Backbone = Bert4Rec
