"""Compute SASRec and FAME from the printed equations, with plain loops.

This file follows the FAME paper (arXiv 2411.01457), and SASRec (Kang & McAuley 2018) where the paper refers to it.
Its author did not read the package `fame`. So an equal result is evidence for both. It favours clarity over speed.
Vectors are rows, as in the paper: a projection of `x` is `x @ W`. All numbers are float64.

Letters: D model width, H heads (facets), N experts per head, K = D / H, T positions, V items.
`h` counts heads, `n` experts, `t` and `s` positions, `v` items. All of them count from zero.

The paper leaves some choices open. `PaperOptions` holds them. Its defaults add nothing to the printed text.
This reference evaluates, so every Dropout of the equations is the identity.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class PaperOptions:
    """Hold the choices that the paper leaves open, and the project's own variants."""

    positions: Literal["left", "right", "none", "relative"] = "left"  # "left": row 0 of the table is the oldest item's
    attention_residual: bool = False  # LayerNorm(X + f) over the D numbers after the attention
    activation: Literal["relu", "gelu"] = "relu"  # Eq. 5 and 7 print RELU
    facet_norm: Literal["facet", "joint"] = "facet"  # Eq. 7 norms K numbers; "joint" norms the D numbers of all heads
    embedding_norm: bool = False  # LayerNorm over the D numbers of an embedding
    epsilon: float = 1e-5  # the paper names no epsilon for LayerNorm


@dataclass
class PaperBlock:
    """Hold the weights of one SASRec block; a bias that is None is zero."""

    W_Q: Sequence[Tensor]  # H times D × K
    W_K: Sequence[Tensor]  # H times D × K
    W_V: Sequence[Tensor]  # H times D × K
    W_O: Tensor  # D × D
    W_1: Tensor  # D × inner width; Eq. 5: D × D
    b_1: Tensor
    W_2: Tensor  # inner width × D; Eq. 5: D × D
    b_2: Tensor
    ln_weight: Tensor  # D
    ln_bias: Tensor  # D
    b_Q: Sequence[Tensor] | None = None  # H times K
    b_K: Sequence[Tensor] | None = None  # H times K
    b_V: Sequence[Tensor] | None = None  # H times K
    b_O: Tensor | None = None  # D
    attention_ln_weight: Tensor | None = None  # D, with `attention_residual`
    attention_ln_bias: Tensor | None = None  # D, with `attention_residual`
    relative: Sequence[Tensor] | None = None  # [h][distance], with positions "relative"


@dataclass
class PaperFacetBlock:
    """Hold the weights of FAME's last block; a bias that is None is zero."""

    W_Qn: Sequence[Sequence[Tensor]]  # [h][n], D × K
    W_K: Sequence[Tensor]  # H times D × K
    W_V: Sequence[Tensor]  # H times D × K
    W_exp: Sequence[Tensor]  # H times NK × N
    b_exp: Sequence[Tensor]  # H times N
    W_1: Tensor  # K × inner width, shared by the heads; Eq. 7: K × K
    b_1: Tensor
    W_2: Tensor  # inner width × K, shared by the heads; Eq. 7: K × K
    b_2: Tensor
    ln_weight: Tensor  # K, shared by the heads; D with `facet_norm` "joint"
    ln_bias: Tensor  # K, shared by the heads; D with `facet_norm` "joint"
    W_f: Sequence[Tensor]  # H times D × K
    W_g: Tensor  # D × H
    b_g: Tensor  # H
    b_Qn: Sequence[Sequence[Tensor]] | None = None  # [h][n], K
    b_K: Sequence[Tensor] | None = None  # H times K
    b_V: Sequence[Tensor] | None = None  # H times K
    attention_ln_weight: Tensor | None = None  # D, with `attention_residual`
    attention_ln_bias: Tensor | None = None  # D, with `attention_residual`
    relative: Sequence[Sequence[Tensor]] | None = None  # [h][n][distance], with positions "relative"


@dataclass
class PaperWeights:
    """Hold a whole model: FAME with a facet block, SASRec without one."""

    item_vectors: Tensor  # V × D; row v is x_v, which is both input and target
    blocks: Sequence[PaperBlock]
    facet_block: PaperFacetBlock | None = None
    position_vectors: Tensor | None = None  # at least T × D, with positions "left" or "right"
    embedding_ln_weight: Tensor | None = None  # D, with `embedding_norm`
    embedding_ln_bias: Tensor | None = None  # D, with `embedding_norm`
    options: PaperOptions = field(default_factory=PaperOptions)


# --- Parts that several equations use ---


def softmax(values: Sequence[Tensor]) -> list[Tensor]:
    """Return exp(a_i) / Σ_j exp(a_j), with the largest a subtracted first."""
    largest = max(values)
    powers = [torch.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    """Return (x − mean) / √(variance + ε) · weight + bias over all numbers of x."""
    mean = sum(x) / len(x)
    variance = sum((value - mean) ** 2 for value in x) / len(x)
    return torch.stack([(x[i] - mean) / torch.sqrt(variance + epsilon) * weight[i] + bias[i] for i in range(len(x))])


def activate(x: Tensor, activation: str) -> Tensor:
    """Return RELU(x), or x Φ(x) for "gelu"."""
    if activation == "relu":
        return torch.stack([value if value > 0 else torch.zeros_like(value) for value in x])
    return torch.stack([value * (1 + torch.erf(value / math.sqrt(2))) / 2 for value in x])


def feed_forward(f: Tensor, block: PaperBlock | PaperFacetBlock, activation: str) -> Tensor:
    """Return FFN(f) of Eq. 5 or FFN'(f) of Eq. 7: RELU(f W1 + b1) W2 + b2."""
    return activate(f @ block.W_1 + block.b_1, activation) @ block.W_2 + block.b_2


def attention_row(query: Tensor, keys: Sequence[Tensor], relative: Tensor | None) -> list[Tensor]:
    """Return one row of softmax(Q Kᵀ / √K), for the newest of the keys' positions.

    The caller passes the keys up to the query's position, so the row is causal. The project's own departure adds a
    learned number to each scaled score: `relative[distance]`, where the query's own position has the distance 0.
    """
    t = len(keys) - 1
    scores = [query @ keys[s] / math.sqrt(len(query)) for s in range(t + 1)]
    if relative is not None:
        scores = [scores[s] + relative[t - s] for s in range(t + 1)]
    return softmax(scores)


def mixture(shares: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
    """Return Σ_i share_i vector_i."""
    return sum(share * vector for share, vector in zip(shares, vectors, strict=True))


def project(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    """Return x W, plus b where there is one (the paper prints no bias for Q, K, V and O)."""
    return x @ W if b is None else x @ W + b


# --- SASRec ---


def embeddings(weights: PaperWeights, items: Sequence[int]) -> list[Tensor]:
    """Return the input X of the first block: the item's vector plus the position's vector."""
    options = weights.options
    rows = []
    for t, item in enumerate(items):
        x = weights.item_vectors[item]
        # Open in the paper: the end from which positions count.
        if options.positions == "left":
            x = x + weights.position_vectors[t]
        elif options.positions == "right":
            x = x + weights.position_vectors[len(items) - 1 - t]
        # Open in the paper: a LayerNorm over the embedding.
        if options.embedding_norm:
            x = layer_norm(x, weights.embedding_ln_weight, weights.embedding_ln_bias, options.epsilon)
        rows.append(x)
    return rows


def self_attention(block: PaperBlock, X: Sequence[Tensor], t: int, options: PaperOptions) -> Tensor:
    """Return f = [head_1 || … || head_H] W_O at the position t."""
    heads = []
    for h in range(len(block.W_Q)):
        # Q_h = X W_Q^h, K_h = X W_K^h, V_h = X W_V^h
        query = project(X[t], block.W_Q[h], block.b_Q[h] if block.b_Q is not None else None)
        b_K = block.b_K[h] if block.b_K is not None else None
        keys = [project(X[s], block.W_K[h], b_K) for s in range(t + 1)]
        b_V = block.b_V[h] if block.b_V is not None else None
        values = [project(X[s], block.W_V[h], b_V) for s in range(t + 1)]
        # head_h = softmax(Q_h K_hᵀ / √K) V_h
        relative = block.relative[h] if options.positions == "relative" else None
        heads.append(mixture(attention_row(query, keys, relative), values))
    return project(torch.cat(heads), block.W_O, block.b_O)


def sasrec_block(block: PaperBlock, X: Sequence[Tensor], options: PaperOptions) -> list[Tensor]:
    """Return F for every position: multi-head attention, then Eq. 5."""
    outputs = []
    for t in range(len(X)):
        f = self_attention(block, X, t, options)
        # Open in the paper: a residual around the attention.
        if options.attention_residual:
            f = layer_norm(X[t] + f, block.attention_ln_weight, block.attention_ln_bias, options.epsilon)
        # Eq. 5: F = LayerNorm(f + Dropout(FFN(f)))
        F = layer_norm(f + feed_forward(f, block, options.activation), block.ln_weight, block.ln_bias, options.epsilon)
        outputs.append(F)
    return outputs


def hidden_states(weights: PaperWeights, items: Sequence[int]) -> list[Tensor]:
    """Return the output of the SASRec blocks for every position."""
    X = embeddings(weights, items)
    for block in weights.blocks:
        X = sasrec_block(block, X, weights.options)
    return X


def sasrec_scores(weights: PaperWeights, items: Sequence[int], t: int | None = None) -> Tensor:
    """Return F · x_v for every item v (text after Eq. 5), at the position t or at the last one."""
    F = hidden_states(weights, items)[len(items) - 1 if t is None else t]
    return torch.stack([F @ x_v for x_v in weights.item_vectors])


# --- FAME ---


def expert_attention(weights: PaperWeights, items: Sequence[int], t: int, h: int, n: int) -> list[Tensor]:
    """Return the row t of A_n^h (Eq. 12–14): the shares of the positions 0 … t."""
    block = weights.facet_block
    X = hidden_states(weights, items)
    # Eq. 12: Q_n^h = X W_{Q,n}^h
    query = project(X[t], block.W_Qn[h][n], block.b_Qn[h][n] if block.b_Qn is not None else None)
    # Eq. 13: K^h = X W_K^h, one for all experts of a head
    b_K = block.b_K[h] if block.b_K is not None else None
    keys = [project(X[s], block.W_K[h], b_K) for s in range(t + 1)]
    # Eq. 14: A_n^h = softmax(Q_n^h K^hᵀ / √K)
    relative = block.relative[h][n] if weights.options.positions == "relative" else None
    return attention_row(query, keys, relative)


def expert_outputs(weights: PaperWeights, items: Sequence[int], t: int, h: int) -> list[Tensor]:
    """Return F_1^h … F_N^h (Eq. 15) at the position t."""
    block = weights.facet_block
    X = hidden_states(weights, items)
    # Eq. 13: V^h = X W_V^h, one for all experts of a head
    b_V = block.b_V[h] if block.b_V is not None else None
    values = [project(X[s], block.W_V[h], b_V) for s in range(t + 1)]
    # Eq. 15: F_n^h = A_n^h V^h
    return [mixture(expert_attention(weights, items, t, h, n), values) for n in range(len(block.W_Qn[h]))]


def router_shares(weights: PaperWeights, items: Sequence[int], t: int, h: int) -> list[Tensor]:
    """Return β^h = softmax([F_1^h || … || F_N^h] W_exp^h + b_exp^h) (Eq. 16) at the position t."""
    block = weights.facet_block
    logits = torch.cat(expert_outputs(weights, items, t, h)) @ block.W_exp[h] + block.b_exp[h]
    return softmax(list(logits))


def facets(weights: PaperWeights, items: Sequence[int], t: int) -> list[Tensor]:
    """Return F^1 … F^H (Eq. 17, then Eq. 7) at the position t."""
    block, options = weights.facet_block, weights.options
    # Eq. 17: f^h = Σ_n β_n^h F_n^h
    f = [
        mixture(router_shares(weights, items, t, h), expert_outputs(weights, items, t, h))
        for h in range(len(block.W_Qn))
    ]
    K = len(f[0])
    # Open in the paper: a residual around the attention, here over the D numbers of [f^1 || … || f^H].
    if options.attention_residual:
        x = hidden_states(weights, items)[t] + torch.cat(f)
        x = layer_norm(x, block.attention_ln_weight, block.attention_ln_bias, options.epsilon)
        f = [x[h * K : (h + 1) * K] for h in range(len(f))]
    # Eq. 7: FFN' is shared by the heads, and so is the LayerNorm: F^h = LayerNorm(f^h + Dropout(FFN'(f^h)))
    sums = [f_h + feed_forward(f_h, block, options.activation) for f_h in f]
    if options.facet_norm == "facet":
        return [layer_norm(row, block.ln_weight, block.ln_bias, options.epsilon) for row in sums]
    # The project's variant, not in the paper: one LayerNorm over all heads.
    joint = layer_norm(torch.cat(sums), block.ln_weight, block.ln_bias, options.epsilon)
    return [joint[h * K : (h + 1) * K] for h in range(len(f))]


def gate(weights: PaperWeights, items: Sequence[int], t: int) -> list[Tensor]:
    """Return g = softmax([F^1 || … || F^H] W_g + b_g) (Eq. 10) at the position t."""
    block = weights.facet_block
    return softmax(list(torch.cat(facets(weights, items, t)) @ block.W_g + block.b_g))


def facet_scores(weights: PaperWeights, items: Sequence[int], t: int | None = None) -> Tensor:
    """Return P^h(v) as H × V, at the position t or at the last one."""
    F = facets(weights, items, len(items) - 1 if t is None else t)
    rows = []
    for h in range(len(F)):
        row = []
        for x_v in weights.item_vectors:
            x_v_h = x_v @ weights.facet_block.W_f[h]  # Eq. 9: x_v^h = x_v W_f^h
            row.append(x_v_h @ F[h])  # Eq. 8: P^h(v) = x_v^h · F^h
        rows.append(torch.stack(row))
    return torch.stack(rows)


def scores(weights: PaperWeights, items: Sequence[int], t: int | None = None) -> Tensor:
    """Return P(v) = Σ_h g_h P^h(v) (Eq. 11) for every item v, at the position t or at the last one."""
    shares = gate(weights, items, len(items) - 1 if t is None else t)
    return mixture(shares, list(facet_scores(weights, items, t)))
