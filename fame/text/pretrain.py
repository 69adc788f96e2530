"""The text stage of FAME+: item vectors whose blocks are facets, from text alone.

Every head h has one linear projection W_h of the centred text vectors, and an item's block for it is

    x_v^h = (e_v − ē) W_h / |(e_v − ē) W_h| / √H,  x_v = [x_v^1 ‖ … ‖ x_v^H]

Facets go to heads in turn: facet f trains head f mod H, and a head without a facet learns to tell the
items themselves apart. One objective a step (`fame.text.contrast`), each for `text.period` steps.

Letters: V items, N items with text, E width of a text vector, H heads, K = D/H, B items of a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fame.config import TextConfig
from fame.datasets.entry import Report
from fame.datasets.items import Items
from fame.errors import DivergedError, UserError
from fame.text.cache import text_vectors
from fame.text.contrast import PairedBatches, contrastive_loss, overlap, plain_batches, two_views
from fame.text.facets import Facet, stage_facets
from fame.text.texts import item_texts, with_text

NOTHING = 1e-6
"""Smallest part of the largest variance that a direction is divided by: what lies below is rounding."""


def text_stage(
    config: TextConfig,
    heads: int,
    dim: int,
    items: Items,
    declared: Sequence[str],
    seed: int,
    device: torch.device,
    report: Report,
) -> dict[str, Tensor]:
    """Item vectors from text: `table_VD`, rows of unit length, and `known_V`, which items have text.

    `declared` are the dataset's facets, used where `config.facets` names none. The result depends on
    the arguments alone, not on any random state. Raises `UserError` if the items have no text, or a
    facet that was asked for is none.
    """
    known, e_NE = encoded_items(config, items, device, report)
    return item_vectors(config, heads, dim, items, declared, seed, known, e_NE, report)


def encoded_items(config: TextConfig, items: Items, device: torch.device, report: Report) -> tuple[np.ndarray, Tensor]:
    """Indices of the items that have text, [N], and their centred text vectors, [N, E]."""
    known, e_NE = text_vectors_of(config, items, device, report)
    return known, e_NE - e_NE.mean(0)


def text_vectors_of(
    config: TextConfig, items: Items, device: torch.device, report: Report
) -> tuple[np.ndarray, Tensor]:
    """Indices of the items that have text, [N], and their text vectors, [N, E]."""
    texts = item_texts(items, config.columns)
    known = np.flatnonzero([bool(text) for text in texts])
    if not len(known):
        raise UserError(
            f"the text stage needs text, and none of the {len(items):,} items has any in the columns "
            f"{', '.join(config.columns or items.columns) or '(there are none)'}; name others with text.columns, "
            "or set text.epochs=0"
        )
    report(f"text: {len(items) - len(known):,} of {len(items):,} items have none ({1 - len(known) / len(items):.1%})")
    began = time.perf_counter()
    found = text_vectors([texts[v] for v in known], config.encoder, device, report, config.skip_layers)
    report(
        f"text: {found.encoded:,} texts encoded in {time.perf_counter() - began:.1f} s, the others were in the cache"
    )
    return known, found.vectors.to(device)


def item_vectors(
    config: TextConfig,
    heads: int,
    dim: int,
    items: Items,
    declared: Sequence[str],
    seed: int,
    known: np.ndarray,
    e_NE: Tensor,
    report: Report,
) -> dict[str, Tensor]:
    """`text_stage` from the vectors of `encoded_items`."""
    if config.plain:
        x_ND = normalize(e_NE @ principal_components(e_NE, dim, config.whitening), dim=1)
    else:
        facets = stage_facets(config, items, declared, known, report)
        x_ND = blocks(e_NE, Contrast(config, heads, dim, facets, len(known), seed, e_NE.device).train(e_NE))
    table_VD = torch.zeros(len(items), dim)
    table_VD[torch.from_numpy(known)] = x_ND.cpu()
    known_V = torch.zeros(len(items), dtype=torch.bool)
    known_V[torch.from_numpy(known)] = True
    return {"table_VD": table_VD, "known_V": known_V}


def principal_components(e_NE: Tensor, dim: int, whitening: float) -> Tensor:
    """Directions u_d of the largest variances σ_d² of centred vectors, as columns u_d / σ_d^whitening, [E, D].

    A few directions hold most of what texts vary in. Divided by a power of σ_d, the others get a larger part of the
    items' vectors (WhitenRec, Zhang et al., ICDE 2024, divides by σ_d itself).
    """
    if dim > e_NE.shape[1]:
        raise UserError(
            f"text.plain: model.dim = {dim} is more than the {e_NE.shape[1]} of the encoder's vectors; use a smaller one"
        )
    squares_E, directions_EE = torch.linalg.eigh(e_NE.T @ e_NE)
    chosen_ED = directions_EE.flip(1)[:, :dim]
    deviations_D = squares_E.clamp(min=float(squares_E[-1]) * NOTHING).sqrt().flip(0)[:dim]
    largest_D = chosen_ED.gather(0, chosen_ED.abs().argmax(0, keepdim=True))
    return chosen_ED * largest_D.sign() / deviations_D**whitening  # either sign is right: take one


def blocks(e_NE: Tensor, projections_HEK: Tensor) -> Tensor:
    """Normalised projections of all heads side by side, rows of unit length, [N, H·K]."""
    x_HNK = normalize(e_NE @ projections_HEK, dim=-1) / len(projections_HEK) ** 0.5
    return x_HNK.transpose(0, 1).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A loss of the text stage: a head's contrast of batches with weights between their rows."""

    name: str
    head: int
    facet: Facet | None


def tasks(heads: int, facets: Sequence[Facet]) -> list[Task]:
    """One task a facet, facets to heads in turn; then instance contrast for every head that is left."""
    labelled = [Task(name=f.name, head=index % heads, facet=f) for index, f in enumerate(facets)]
    left = range(len(facets), heads)
    return labelled + [Task(name=f"items, head {head}", head=head, facet=None) for head in left]


def trained_facets(config: TextConfig, heads: int, items: Items, declared: Sequence[str]) -> list[list[str]]:
    """Names of the facets that each head is trained on, [H][…]; none for a head without a facet."""
    known = with_text(items, config.columns)
    labelled = [
        task for task in tasks(heads, stage_facets(config, items, declared, known, lambda line: None)) if task.facet
    ]
    return [[task.name for task in labelled if task.head == head] for head in range(heads)]


class Contrast:
    """Training of the projections."""

    def __init__(
        self,
        config: TextConfig,
        heads: int,
        dim: int,
        facets: Sequence[Facet],
        count: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.config, self.heads, self.width, self.count = config, heads, dim // heads, count
        self.tasks = tasks(heads, facets)
        self.steps = config.epochs * len(self.tasks) * -(-count // config.batch_size)
        if self.steps < config.period * len(self.tasks):
            raise UserError(
                f"text.period = {config.period}: the stage's {self.steps:,} steps end before each of its "
                f"{len(self.tasks)} facets had its turn; use at most {self.steps // len(self.tasks)}, or more epochs"
            )
        self.random = np.random.default_rng(seed)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.draws = [self._batches(task) for task in self.tasks]

    def _batches(self, task: Task) -> Iterator[np.ndarray]:
        random = self.random.spawn(1)[0]
        if task.facet is None:
            return plain_batches(np.arange(self.count), self.config.batch_size // 2, random)
        return PairedBatches(task.facet, self.config.batch_size).draw(random)

    def train(self, e_NE: Tensor, on_loss: Callable[[Task, Tensor], None] | None = None) -> Tensor:
        """The projections, [H, E, K]."""
        from tqdm import trange

        weights = [nn.Parameter(weight) for weight in self._start(e_NE)]
        # Not one tensor: Adam leaves a weight without gradient alone, while it would go on moving a zero one.
        optimizer = torch.optim.Adam(weights, lr=self.config.lr)
        for step in trange(self.steps, desc="text stage", unit="step", disable=None, leave=False):
            task_index = step // self.config.period % len(self.tasks)
            task = self.tasks[task_index]
            loss = self.loss(task, next(self.draws[task_index]), e_NE, weights[task.head])
            if on_loss:
                on_loss(task, loss.detach())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        projections_HEK = torch.stack([weight.detach() for weight in weights])
        if not torch.isfinite(projections_HEK).all():
            raise DivergedError("the text stage's projections are not finite; lower text.lr or raise text.temperature")
        return projections_HEK

    def loss(self, task: Task, items: np.ndarray, e_NE: Tensor, weight_EK: Tensor) -> Tensor:
        rows_BE = e_NE[torch.from_numpy(items).to(e_NE.device)]
        if task.facet is None:
            rows_BE, weights_BB = rows_BE.repeat(2, 1), two_views(len(items))
        else:
            weights_BB = overlap(task.facet, items)
        z_BK = normalize(self._dropped(rows_BE) @ weight_EK, dim=1)
        return contrastive_loss(z_BK, weights_BB.to(z_BK.device), self.config.temperature)

    def _dropped(self, rows_BE: Tensor) -> Tensor:
        kept_BE = torch.rand(rows_BE.shape, generator=self.generator, device=rows_BE.device) >= self.config.dropout
        return rows_BE * kept_BE / (1 - self.config.dropout)

    def _start(self, e_NE: Tensor) -> Iterator[Tensor]:
        """Random directions."""
        E = e_NE.shape[1]
        for _ in range(self.heads):
            yield torch.randn(E, self.width, generator=self.generator, device=e_NE.device) / E**0.5
