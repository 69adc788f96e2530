"""Leave-one-out evaluation by full ranking.

Letters: B users of a batch, U users, V items, D width.

Each user's target is ranked among all items by its score; items of the history are left out (a switch
keeps them; the target itself never is left out). Ranks are counted on the device: no sort, no top-k.
Scores exist a tile at a time, some users × some items, which on CPU stays in cache. With a items scored above the target, b below it and c others tied with it, V = a + b + c + 1 and
Σ_v sign(score_v − score_target) = a − b, so the rank a + c/2 is (V − 1 + Σ sign) / 2: one pass.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fame.config import EvaluateConfig
from fame.datasets.batches import Batcher
from fame.datasets.sequences import HELD_OUT, Part, Sequences, evaluation_windows, train_counts
from fame.errors import DivergedError
from fame.evaluation.metrics import metric_sums
from fame.models.base import SequentialModel
from fame.models.scoring import Scorer
from fame.runtime.hardware import chunk_bytes
from fame.runtime.parallel import Workers

FREQUENCIES = {"0-5": 5, "6-20": 20, "21+": np.inf}
"""Groups of `Evaluator.by_frequency`: the largest number of occurrences that belongs to each."""
RANK_USERS = 1024
"""Users that are ranked together."""
CPU_ENCODE_ITEMS, GPU_ENCODE_ITEMS = 4096, 1 << 18
"""Items of histories (with padding) that are encoded together: on CPU their hidden states should stay in cache."""


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
        return self.means(self.ranks(model))

    def means(self, ranks_U: Tensor) -> dict[str, float]:
        """`metrics` from the `ranks` of a model."""
        return self._means(ranks_U, len(self.sequences))

    def by_frequency(self, ranks_U: Tensor) -> dict[str, dict[str, float]]:
        """Metrics by how often the target occurs in the training parts, with the number of `users`.

        From the `ranks` of a model. Groups without users are left out. Raises `DivergedError` as `metrics` does.
        """
        ranks_U = ranks_U.cpu()
        targets = self.sequences.values[self.sequences.offsets[:-1][self.users] + self.history_lengths[self.users]]
        group_of_user = np.searchsorted(list(FREQUENCIES.values()), train_counts(self.sequences)[targets])
        results = {}
        for number, name in enumerate(FREQUENCIES):
            ours_U = torch.from_numpy(group_of_user == number)
            users = int(self.workers.sum(ours_U.sum().to(self.workers.device)))
            if users:
                results[name] = {"users": users, **self._means(ranks_U[ours_U], users)}
        return results

    def by_user(self, ranks_U: Tensor) -> Tensor:
        """The `ranks` of a model, of all workers, in the order of the users in the data; float32 on the CPU."""
        all_ranks_U = torch.zeros(len(self.sequences), device=self.workers.device)
        all_ranks_U[torch.from_numpy(self.users).to(all_ranks_U.device)] = ranks_U.to(all_ranks_U)
        return self.workers.sum(all_ranks_U).cpu()

    def _means(self, ranks_U: Tensor, users: int) -> dict[str, float]:
        sums = metric_sums(ranks_U, self.config.cutoffs)
        totals = self.workers.sum(torch.stack(list(sums.values())).cpu().to(self.workers.device))
        if not torch.isfinite(totals).all():
            raise DivergedError("the model's scores are not finite; lower train.lr or set train.clip_norm")
        return {name: float(total) / users for name, total in zip(sums, totals, strict=True)}

    @torch.no_grad()
    def ranks(self, model: SequentialModel) -> Tensor:
        """Ranks of the targets of this worker's users, float32, in the order of `self.users`.

        NaN where the scores are not finite.
        """
        was_training = model.training
        model.eval()
        scorer = model.scorer()
        ranks = [self._ranks(model, scorer, users) for users in _chunks(self.users, RANK_USERS)]
        model.train(was_training)
        return torch.cat(ranks) if ranks else torch.empty(0)

    def _ranks(self, model: SequentialModel, scorer: Scorer, users: np.ndarray) -> Tensor:
        queries_BD = self._queries(model, users)
        targets = self._items(self.sequences.offsets[:-1][users] + self.history_lengths[users])
        targets_B = torch.from_numpy(targets).to(queries_BD.device)
        # By a product of the tiles' kind and not by a sum of its own, so that equal items have equal scores.
        target_scores_B1 = scorer.scores(queries_BD, targets_B).diagonal()[:, None]
        fixed = self._fixed(users, targets, target_scores_B1)
        columns = max(1, chunk_bytes(queries_BD.device) // (target_scores_B1.element_size() * len(users)))
        tile_BC = target_scores_B1.new_empty(len(users), min(columns, scorer.item_count))
        above_minus_below_B = target_scores_B1.new_zeros(len(users))
        for start in range(0, scorer.item_count, columns):
            part = slice(start, min(start + columns, scorer.item_count))
            scores_BC = scorer.scores(queries_BD, part, out=tile_BC.narrow(1, 0, part.stop - start))
            fixed.write(scores_BC, start)
            above_minus_below_B += scores_BC.sub_(target_scores_B1).sign_().sum(1)
        ranks_B = (scorer.item_count - 1 + above_minus_below_B) / 2
        # The sign of NaN is 0, a tie.
        return ranks_B.masked_fill_(~scorer.finite(queries_BD), float("nan"))

    def _queries(self, model: SequentialModel, users: np.ndarray) -> Tensor:
        """[B, D]; `users` are sorted by the length of their windows, so the last one has the longest."""
        longest = int(self.batcher.windows.lengths[users[-1]])
        together = (CPU_ENCODE_ITEMS if self.workers.device.type == "cpu" else GPU_ENCODE_ITEMS) // longest
        gathered = (self.batcher.gather(part) for part in _chunks(users, max(1, together)))
        return torch.cat([model.encode(items_BT, lengths_B) for items_BT, lengths_B in gathered])

    def _items(self, positions: np.ndarray) -> np.ndarray:
        """0-based items at positions of `sequences.values`, int64."""
        return self.sequences.values[positions].astype(np.int64) - 1

    def _fixed(self, users: np.ndarray, targets: np.ndarray, target_scores_B1: Tensor) -> _Fixed:
        """Scores that are known beforehand: −∞ for seen items and, over those, the targets' own."""
        rows, items = np.arange(len(users)), targets
        scores_F = target_scores_B1[:, 0]
        if self.config.exclude_seen:
            lengths = self.history_lengths[users]
            seen_rows = np.repeat(rows, lengths)
            within = np.arange(len(seen_rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            seen = self._items(self.sequences.offsets[:-1][users][seen_rows] + within)
            other = seen != targets[seen_rows]
            rows, items = np.append(rows, seen_rows[other]), np.append(items, seen[other])
            scores_F = torch.cat([scores_F, scores_F.new_full((int(other.sum()),), float("-inf"))])
        return _Fixed(rows, items, scores_F)


class _Fixed:
    """Scores of single (row, item) pairs, to be written into tiles of columns."""

    def __init__(self, rows: np.ndarray, items: np.ndarray, scores: Tensor) -> None:
        order = np.argsort(items, kind="stable")
        self.items = items[order]
        device = scores.device
        self.rows_F, self.items_F, order_F = (torch.from_numpy(a).to(device) for a in (rows[order], self.items, order))
        self.scores_F = scores[order_F]

    def write(self, scores_BC: Tensor, start: int) -> None:
        """Write those of the items from `start` on that the tile has."""
        part = slice(*np.searchsorted(self.items, (start, start + scores_BC.shape[1])))
        scores_BC.index_put_((self.rows_F[part], self.items_F[part] - start), self.scores_F[part])


def _chunks(values: np.ndarray, size: int) -> list[np.ndarray]:
    return [values[start : start + size] for start in range(0, len(values), size)]
