"""The weights of a model of `fame` in the letters of `tests.fame.paper`, so that both compute from the same numbers.

PyTorch keeps the transpose of a projection: `nn.Linear` computes x Wᵀ + b, the paper x W.
"""

from __future__ import annotations

from types import SimpleNamespace

from torch import Tensor, nn

from fame.models.layers.blocks import FacetBlock, TransformerBlock
from tests.fame import paper

EPSILON = 1e-12
"""The ε of every layer norm in `fame`."""


def paper_weights(model: nn.Module) -> paper.PaperWeights:
    """Return the weights of a `SASRec` or a `Fame`, and the options of its configuration."""
    config = model.config
    places = {"absolute": "left", "absolute_right": "right"}
    options = paper.PaperOptions(
        positions=places.get(config.positions, config.positions),
        attention_residual=config.attention_residual,
        activation=config.activation,
        facet_norm=getattr(config, "facet_norm", "facet"),
        embedding_norm=True,
        epsilon=EPSILON,
    )
    *before, last = model.blocks
    facets = isinstance(last, FacetBlock)
    return paper.PaperWeights(
        item_vectors=model.items.weight[1:],
        blocks=[plain_block(block) for block in (before if facets else model.blocks)],
        facet_block=facet_block(last, model.facet_projection) if facets else None,
        position_vectors=model.positions.weight if model.positions is not None else None,
        embedding_ln_weight=model.embedding_norm.weight,
        embedding_ln_bias=model.embedding_norm.bias,
        options=options,
    )


def plain_block(block: TransformerBlock) -> paper.PaperBlock:
    attention = block.attention
    W_K, b_K, W_V, b_V = keys_and_values(block)
    return paper.PaperBlock(
        W_Q=pieces(attention.query.weight.T, attention.heads),
        b_Q=pieces(attention.query.bias, attention.heads),
        W_K=W_K,
        b_K=b_K,
        W_V=W_V,
        b_V=b_V,
        W_O=block.output.weight.T,
        b_O=block.output.bias,
        relative=list(attention.bias) if attention.bias is not None else None,
        **network(block),
    )


def facet_block(block: FacetBlock, W_f: Tensor) -> paper.PaperFacetBlock:
    attention = block.attention
    W_K, b_K, W_V, b_V = keys_and_values(block)
    relative = attention.bias.unflatten(0, (attention.heads, -1)) if attention.bias is not None else None
    return paper.PaperFacetBlock(
        W_Qn=[pieces(W, attention.queries) for W in pieces(attention.query.weight.T, attention.heads)],
        b_Qn=[pieces(b, attention.queries) for b in pieces(attention.query.bias, attention.heads)],
        W_K=W_K,
        b_K=b_K,
        W_V=W_V,
        b_V=b_V,
        W_exp=list(block.router_weight),
        b_exp=list(block.router_bias),
        W_f=pieces(W_f, attention.heads),
        W_g=block.gate.weight.T,
        b_g=block.gate.bias,
        relative=relative,
        **network(block),
    )


def keys_and_values(block: TransformerBlock | FacetBlock) -> tuple[list[Tensor], ...]:
    heads, layer = block.attention.heads, block.attention.key_value
    W_K, W_V = layer.weight.T.chunk(2, dim=-1)
    b_K, b_V = layer.bias.chunk(2)
    return pieces(W_K, heads), pieces(b_K, heads), pieces(W_V, heads), pieces(b_V, heads)


def network(block: TransformerBlock | FacetBlock) -> dict[str, Tensor]:
    """The feed-forward network, and both layer norms as far as they are there."""
    first, _, second, _ = block.feed_forward
    weights = {"W_1": first.weight.T, "b_1": first.bias, "W_2": second.weight.T, "b_2": second.bias}
    weights |= {"ln_weight": block.feed_forward_norm.weight, "ln_bias": block.feed_forward_norm.bias}
    if block.attention_norm is not None:
        weights |= {"attention_ln_weight": block.attention_norm.weight, "attention_ln_bias": block.attention_norm.bias}
    return weights


def pieces(stacked: Tensor, count: int) -> list[Tensor]:
    """Projections that lie side by side in the last dimension."""
    return list(stacked.chunk(count, dim=-1))


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return paper.layer_norm(x, norm.weight, norm.bias, norm.eps)


def feed_forward(layers: nn.Sequential, x: Tensor) -> Tensor:
    """W2 GELU(W1 x + b1) + b2."""
    first, _, second, _ = layers
    block = SimpleNamespace(W_1=first.weight.T, b_1=first.bias, W_2=second.weight.T, b_2=second.bias)
    return paper.feed_forward(x, block, "gelu")
