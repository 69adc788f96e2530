"""Published models to compare FAME with, one file each; importing this package registers them.

A file's docstring gives the paper, the equations, and what differs. What a model may use, all of it open to a model of one's own
(`fame.models.base.SequentialModel`):

- **Queries and scores.** Implement `hidden` (all positions in one causal pass) and, where it is cheaper, `encode`
  (the last one), and `item_table`, of which `item_embedding` is the embedding if there is one. A model that reads a
  history as a whole (no causal pass) derives from `PrefixModel` and implements `encode` alone. Position t of `hidden`
  never depends on later items or on padding. A score that is no dot product with a table is a `fame.models.scoring.Scorer`,
  returned by `scorer`. SASRec's parts can be overridden one by one: `_vectors`, `_embed`, `_blocks`, `_query`
  (`mask.py` is a SASRec that reads hidden items).
- **Another loss, or one more.** Override `forward(batch, objective)`. It returns the *sum over the batch's targets*,
  with several workers this worker's part of it. `queries(batch)` are the queries of the targets [R, D], and
  `objective(self, queries_RD, batch.targets_R)` is the loss that `train.loss` names. A term that is a mean over the rows of the
  whole batch is added as `batch.part(mean)`.
- **Other rows of the batch** (in-batch negatives). `batch.all_rows(x_BD)` has those of all workers, in the batch's order
  and with gradients, so that a batch means the same however many workers share it. Compute the term from it on every
  worker; `batch.part` makes it count once. `queries_RD[batch.last_R]` and `batch.targets_R[batch.last_R]` are those of each
  row's last position, in both modes of training (a worker without rows gets none; every weight must still take part in
  the loss).
- **Random views.** Keep `self.generator = epoch.torch_generator()` of `start_epoch`, and draw with
  `batch.draw(self.generator, …)`: numbers for each row that do not depend on how many workers there are. Of dropout
  each worker has its own.
- **The training data.** `start_epoch(epoch)` is called before each epoch, on every worker, in evaluation mode, without
  gradients (`EpochStart`): `epoch.sequences` (`train_counts`, `target_counts` count them), `epoch.batcher.windows` (which
  stretches of them are trained on; `batch.windows` says which one a row is), `epoch.batcher.gather(numbers)` (their
  items), `epoch.generator`, `epoch.workers`, `epoch.index`. What it makes is rebuilt when a training is resumed, from the
  same weights and random numbers: keep it in plain attributes, or in buffers if the trained model needs it to serve.
  A buffer whose size depends on the data is built with its final size, or `_load_from_state_dict` is overridden.
- **No weights.** A model without parameters learns in `start_epoch`, into buffers. Nothing is optimised, its training
  ends after one epoch, and its loss is whatever `forward` says.

Parts that more than one model may use: cosine scores (`cosine`), in-batch contrast (`contrast`, `views`), k-means
(`kmeans`), a softmax with exact zeros (`entmax`), scores that are a mixture of softmaxes (`mixture`) or a maximum
(`max_mean`), with their losses.

`tests/fame/test_conformance.py` tests each model without being told. What is special to one is tested against plain
loops in `tests/fame/baselines/`.
"""

from fame.models.baselines import (
    atten_mixer,
    bert4rec,
    bsarec,
    cl4srec,
    core,
    duorec,
    faceted,
    gru4rec,
    iclrec,
    miasrec,
    msgifsr,
    popularity,
    transition,
)

__all__ = [
    "atten_mixer",
    "bert4rec",
    "bsarec",
    "cl4srec",
    "core",
    "duorec",
    "faceted",
    "gru4rec",
    "iclrec",
    "miasrec",
    "msgifsr",
    "popularity",
    "transition",
]
