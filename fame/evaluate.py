"""Leave-one-out evaluation by full ranking.

Letters: B users of a batch, U users, V items, D width.

Each user's target is ranked among all items by its score; items of the history are left out (a switch
keeps them; the target itself never is left out). Ranks are counted on the device: no sort, no top-k.
With a items scored above the target, b below it and c others tied with it, V = a + b + c + 1 and
Σ_v sign(score_v − score_target) = a − b, so the rank a + c/2 is (V − 1 + Σ sign) / 2: one pass.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.batches import Batcher
from fame.config import EvaluateConfig
from fame.errors import DivergedError
from fame.metrics import metric_sums
from fame.model import SequentialModel
from fame.parallel import Workers
from fame.sequences import HELD_OUT, Part, Sequences, evaluation_windows

CPU_SCORE_BYTES = 4 << 20
"""Size of the block of scores that is held at a time: on CPU it should stay in cache."""
GPU_SCORE_BYTES = 1 << 30
ENCODE_USERS = 1024
"""Users whose queries are computed together."""


class Evaluator:
    """Ranks the held-out items of a set of sequences; made once, asked every epoch.

    values: `device_values(sequences, device)`.
    """

    def __init__(
        self,
        sequences: Sequences,
        values: Tensor,
        part: Part,
        max_length: int,
        config: EvaluateConfig,
        workers: Workers,
    ) -> None:
        self.sequences, self.config, self.workers = sequences, config, workers
        self.batcher = Batcher(values, evaluation_windows(sequences, part, max_length))
        history_end = sequences.offsets[1:] - (1 if part == "test" else HELD_OUT)
        self.history_lengths = history_end - sequences.offsets[:-1]
        users = np.argsort(self.batcher.windows.lengths, kind="stable")
        self.users = users[workers.rank :: workers.size]

    def metrics(self, model: SequentialModel) -> dict[str, float]:
        """Mean of every metric over all users of all workers.

        Raises `DivergedError` if a score is not a number: after the sum, so that all workers do.
        """
        sums = metric_sums(self.ranks(model), self.config.cutoffs)
        totals = self.workers.sum(torch.stack(list(sums.values())).cpu().to(self.workers.device))
        if not torch.isfinite(totals).all():
            raise DivergedError("the model's scores are not finite; lower train.lr or set train.clip_norm")
        return {name: float(total) / len(self.sequences) for name, total in zip(sums, totals, strict=True)}

    @torch.no_grad()
    def ranks(self, model: SequentialModel) -> Tensor:
        """Ranks of the targets of this worker's users, float32, in the order of `self.users`.

        NaN where the scores are not finite.
        """
        was_training = model.training
        model.eval()
        table_VD = model.item_table()
        ranks = [self._ranks(model, table_VD, users) for users in _chunks(self.users, ENCODE_USERS)]
        model.train(was_training)
        return torch.cat(ranks) if ranks else torch.empty(0)

    def _ranks(self, model: SequentialModel, table_VD: Tensor, users: np.ndarray) -> Tensor:
        items_BT, starts_B, lengths_B = self.batcher.gather(users)
        targets_B = self.batcher.values[starts_B + lengths_B].long() - 1
        queries_BD = model.encode(items_BT, lengths_B)
        budget = GPU_SCORE_BYTES if table_VD.is_cuda else CPU_SCORE_BYTES
        rows = max(16, budget // (4 * len(table_VD)))
        blocks = zip(queries_BD.split(rows), targets_B.split(rows), _chunks(users, rows), strict=True)
        ranks = [self._rank_block(queries @ table_VD.T, targets, part) for queries, targets, part in blocks]
        # |score| ≤ |query|·|item|: where this is finite so are the scores. (The sign of NaN is 0: a tie.)
        bounds_B = queries_BD.norm(dim=1) * table_VD.norm(dim=1).max()
        return torch.cat(ranks).masked_fill_(~bounds_B.isfinite(), float("nan"))

    def _rank_block(self, scores_BV: Tensor, targets_B: Tensor, users: np.ndarray) -> Tensor:
        """Ranks from scores, which are overwritten."""
        target_scores_B1 = scores_BV.gather(1, targets_B[:, None])
        if self.config.exclude_seen:
            scores_BV[self._seen(users)] = float("-inf")
            scores_BV.scatter_(1, targets_B[:, None], target_scores_B1)
        above_minus_below_B = scores_BV.sub_(target_scores_B1).sign_().sum(1)
        return (scores_BV.shape[1] - 1 + above_minus_below_B) / 2

    def _seen(self, users: np.ndarray) -> tuple[Tensor, Tensor]:
        """Row of the batch and 0-based item of everything in the users' whole histories."""
        lengths = self.history_lengths[users]
        row = np.repeat(np.arange(len(users)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        position = self.sequences.offsets[:-1][users][row] + within
        device = self.workers.device
        return torch.from_numpy(row).to(device), self.batcher.values[torch.from_numpy(position).to(device)].long() - 1


def _chunks(values: np.ndarray, size: int) -> list[np.ndarray]:
    return [values[start : start + size] for start in range(0, len(values), size)]
