"""The base class of every sequential recommender, and the methods that a model may override.

Letters: B batch, T time, D model width, H heads = facets, N experts per head, V items, R predicted positions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fame.config import BackboneConfig, ModelConfig
from fame.datasets.batches import Batch, Batcher
from fame.datasets.sequences import Sequences
from fame.losses.objective import Objective, Softmax
from fame.models.layers.attention import last_position
from fame.models.scoring import DotProduct, Scorer, ShardedDotProduct
from fame.runtime.parallel import Workers
from fame.runtime.sharding import ShardedEmbedding

EXACT = Softmax()


@dataclass(frozen=True, kw_only=True)
class EpochStart:
    """Inputs of a model before an epoch: the same on all workers, and the same when the epoch is repeated."""

    index: int
    """Number of the epoch within its stage, from 0."""
    sequences: Sequences
    """All users; of each only the training part (`fame.datasets.sequences`) is to be looked at."""
    batcher: Batcher
    """The stage's training windows (`batcher.windows`), and their items on the device (`batcher.gather`)."""
    generator: np.random.Generator
    """The source of the model's random draws in this epoch, besides dropout."""
    workers: Workers

    def torch_generator(self) -> torch.Generator:
        """A generator on the device, seeded from `generator`."""
        return torch.Generator(self.workers.device).manual_seed(int(self.generator.integers(2**63)))


class SequentialModel(nn.Module, ABC):
    """The methods that training, evaluation and serving need from a model.

    A model is built as `Model(config, item_count, max_length)`, is registered under a name, and says
    with `Config` which dataclass its `model` section is. It implements `hidden` (a query for every position) and
    `encode` (for the last one). An item's score is the dot product of a query with its row of `item_table`. A model
    whose table is an embedding names it with `item_embedding`.

    It may also override `forward` (a loss of its own, or one more), `start_epoch` (to look at the training data before
    each epoch) and `scorer` (a score that is no dot product). A model without weights is not optimised: it learns in
    `start_epoch`, and its training is a single epoch.
    """

    Config: type[ModelConfig]
    Backbone: type[SequentialModel] | None = None
    """Model of the pre-training stage that this model can start from, if there is one."""
    named_facets: tuple[str, ...] = ()
    """Names of facets that come after those of the heads, in `facet_queries` and `experts`."""
    fixed_length: bool = False
    """Whether a graph of the model (`fame.serving.graph`) has one length: shorter histories are padded in it."""
    personal: bool = True
    """Whether the query depends on the history."""

    @abstractmethod
    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Queries of every position, [B, T, D]. Rows are padded on the right with 0."""

    def encode(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Query of the last real position of each row, [B, D]."""
        return last_position(self.hidden(items_BT, lengths_B), lengths_B)[:, 0]

    def queries(self, batch: Batch) -> Tensor:
        """The query for each of a batch's targets, [R, D]."""
        if batch.last_only:
            return self.encode(batch.items_BT, batch.lengths_B)
        return self.hidden(batch.items_BT, batch.lengths_B).flatten(0, 1)[batch.positions_R]

    def facet_queries(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """Queries q^h of each facet alone, [B, H, D], and the facets' weights g, [B, H]; None without facets.

        Σ_h g_h q^h is the query of `encode`.
        """
        return None

    def experts(self, items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the attention of each facet's experts, [B, H, N, T], and their weights within the facet, [B, H, N].

        None where `facet_queries` is None.
        """
        return None

    def item_table(self) -> Tensor:
        """Items as rows, [V, D]; row i is item number i + 1. A model with a `scorer` of its own may have none."""
        raise TypeError(f"{type(self).__name__} has no item table; define item_table, or scorer")

    def item_embedding(self) -> nn.Embedding | None:
        """The embedding whose rows 1 to V are the item table, and whose row 0 is the padding.

        A model that has one, and otherwise only looks items up in it, trains with a sampled loss at a
        cost that does not grow with the catalogue. Without one a step costs what the table costs. With
        `train.shard_items` its rows lie on several workers, which all have to look up equally often.
        """
        return None

    def text_embedding(self) -> nn.Embedding | None:
        """The embedding whose rows 1 to V start from text; the item table, unless that has other parts, too."""
        return self.item_embedding()

    def item_facets(self) -> Tensor:
        """Items as the heads see them, a block each, [V, D]; of what the table consists where heads share it."""
        return self.item_table()

    def item_rows(self, items: Tensor) -> Tensor:
        """Rows of the table for item numbers, [..., D]; what sampled losses read in place of the table."""
        embedding = self.item_embedding()
        return self.item_table()[items - 1] if embedding is None else embedding(items)

    def scorer(self) -> Scorer:
        """How items score against the queries of `encode` when they are ranked."""
        embedding = self.item_embedding()
        return (
            ShardedDotProduct(embedding) if isinstance(embedding, ShardedEmbedding) else DotProduct(self.item_table())
        )

    @classmethod
    def shards_items(cls) -> bool:
        """Whether workers can share the rows of the item table: it is an embedding, and ranking and epochs are the usual ones."""
        own, usual = cls.item_embedding, SequentialModel
        return own is not usual.item_embedding and cls.scorer is usual.scorer and cls.start_epoch is usual.start_epoch

    def forward(self, batch: Batch, objective: Objective = EXACT) -> Tensor:
        """Loss of a batch: the sum over its targets, a scalar.

        With several workers it is this worker's part of the sum; a term that is a mean over the whole batch
        is added as `batch.part(mean)`.
        """
        return objective(self, self.queries(batch), batch.targets_R)

    def start_epoch(self, epoch: EpochStart) -> None:
        """Called before each training epoch, on every worker, in evaluation mode and without gradients.

        What it keeps is not in the checkpoint unless it is a buffer: a resumed training calls it again with
        the same weights and the same random numbers.
        """

    def start_from(self, backbone: SequentialModel, config: BackboneConfig) -> None:
        """Take over the weights of a trained `Backbone`. A model that names one defines this."""
        raise TypeError(f"{type(self).__name__} has no backbone to start from; define start_from")

    @torch.no_grad()
    def start_from_items(self, table_VD: Tensor, known_V: Tensor) -> None:
        """Take over item vectors, where they are known, in place of the initial ones.

        A model whose `Config.item_blocks` says how they are made up has an `item_embedding`, or overrides this.
        """
        embedding = self.text_embedding()
        assert embedding is not None, f"{type(self).__name__} has no item embedding to start from text"
        embedding.weight[1:][known_V] = table_VD[known_V]

    @torch.no_grad()
    def add_items(self, table_ND: Tensor) -> None:
        """Know N more items, after the last one, by their rows of the item table.

        A model whose `Config.item_blocks` says how items are made up defines this.
        """
        raise TypeError(f"{type(self).__name__} cannot take new items; define add_items")

    def start_from_labels(self, labels_VM: np.ndarray) -> None:
        """Begin with vectors for these labels of items 1 to V: numbers from 1, at most M an item, 0 for none.

        A model whose `Config.reads_labels` can be true defines this.
        """
        raise TypeError(f"{type(self).__name__} reads no labels; define start_from_labels")


class PrefixModel(SequentialModel):
    """A model that reads a history as a whole, and so has no pass that serves all positions: it implements `encode`.

    Every position is then a row of its own, its prefix. Training costs T times as much as with one causal pass.
    """

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.encode(*every_prefix(items_BT, lengths_B)).unflatten(0, items_BT.shape)


def every_prefix(items_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
    """The prefix that ends at each position, as a row: items [B·T, T] and lengths [B·T].

    A padded position, whose query nothing reads, has the whole row.
    """
    time = torch.arange(items_BT.shape[1], device=items_BT.device)
    lengths_BT = torch.minimum(time + 1, lengths_B[:, None])
    prefixes_BTT = torch.where(time < lengths_BT[..., None], items_BT[:, None], 0)
    return prefixes_BTT.flatten(0, 1), lengths_BT.flatten()
