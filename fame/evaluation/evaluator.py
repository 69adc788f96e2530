"""Evaluation by full ranking.

Letters: B users of a batch, N targets, V items, D width, K places of a list.

Each target of a user is ranked among all items by its score. Items of the history are left out, unless a switch keeps
them. Targets are never left out. Ranks are counted on the device: no sort, no top-k. Scores exist a tile at a time,
some users × some items, which on CPU stays in cache. Let a items score above a target, b below it, and c others tie
with it. Then V = a + b + c + 1 and Σ_v sign(score_v − score_target) = a − b. So the rank a + c/2 is (V − 1 + Σ sign) /
2: one pass for each target of a user.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fame.config import EvaluateConfig
from fame.config.metrics import LISTS
from fame.datasets.batches import Batcher
from fame.datasets.sequences import Part, Sequences, evaluation_windows, known_items, targets, train_counts
from fame.errors import DivergedError, UserError
from fame.evaluation.lists import Occurrences, Vectors, list_metrics
from fame.evaluation.metrics import user_metrics
from fame.models.base import SequentialModel
from fame.models.scoring import Scorer, highest
from fame.runtime.hardware import chunk_bytes
from fame.runtime.parallel import Workers

FREQUENCIES = {"0-5": 5, "6-20": 20, "21+": np.inf}
"""Groups of `Evaluator.by_frequency`: the largest number of occurrences that belongs to each."""
SAMPLE_SEED = 0
"""Seed of the users that are sampled: trainings with other seeds are compared on the same users."""
RANK_USERS, SEVERAL = 1024, 128
"""Users that are ranked together: with one target each, and where some have several."""
CPU_ENCODE_ITEMS, GPU_ENCODE_ITEMS = 4096, 1 << 18
"""Items of histories (with padding) that are encoded together: on CPU their hidden states should stay in cache."""


class Evaluator:
    """Ranks the held-out items of a set of sequences; made once, asked every epoch.

    values: `device_values(sequences, device)`; names: the metrics to return, by default those of every epoch; sample: so
    many users at random in place of all (0).
    """

    def __init__(
        self,
        sequences: Sequences,
        values: Tensor,
        part: Part,
        max_length: int,
        config: EvaluateConfig,
        workers: Workers,
        names: Sequence[str] | None = None,
        sample: int = 0,
    ) -> None:
        self.sequences, self.config, self.workers, self.part = sequences, config, workers, part
        self.names = config.names(config.metrics) if names is None else tuple(names)
        self.batcher = Batcher(values, evaluation_windows(sequences, part, max_length))
        self.history_lengths = sequences.history_ends(part) - sequences.offsets[:-1]
        known = known_items(sequences, part) if config.candidates == "known" else None
        self.left_out = np.empty(0, np.int64) if known is None else np.flatnonzero(~known[1:])
        """Items (from 0) that nobody is recommended."""
        self.targets = targets(sequences, part, known)
        self.counts = self.targets.counts
        (asked,) = np.nonzero(self.counts)
        if not len(asked):
            raise UserError(f"no user has a {part} item and a history before it; choose another split with data.split")
        self.left_users = max(0, len(asked) - sample) if sample else 0
        """Users that are not in the sample."""
        if self.left_users:
            asked = np.random.default_rng(SAMPLE_SEED).choice(asked, sample, replace=False)
        self.user_count = len(asked)
        users = asked[np.argsort(self.batcher.windows.lengths[asked], kind="stable")]
        self.users = users[workers.rank :: workers.size]
        self.single = bool(self.counts.max() == 1)

    def metrics(self, model: SequentialModel) -> dict[str, float]:
        """Mean of every metric over all users of all workers.

        Raises `DivergedError` if a score is not a number: after the sum, so that all workers do.
        """
        return self._metrics(model, self.ranks(model))

    def metrics_and_error(self, model: SequentialModel, name: str) -> tuple[dict[str, float], float | None]:
        """`metrics`, and the standard error of one of accuracy, as an estimate of that of all users; None if all are ranked.

        With s the standard deviation over the n sampled of N users it is s/√n · √(1 − n/N).
        """
        ranks_N = self.ranks(model)
        metrics = self._metrics(model, ranks_N)
        if not self.left_users:
            return metrics, None
        counts = None if self.single else torch.from_numpy(self.counts[self.users])
        values_U, n = user_metrics(ranks_N, [name], counts)[name] - metrics[name], self.user_count
        variance = float(self.workers.sum(values_U.square().sum().to(self.workers.device))) / max(1, n - 1)
        return metrics, math.sqrt(variance / n * self.left_users / (n + self.left_users))

    def _metrics(self, model: SequentialModel, ranks_N: Tensor) -> dict[str, float]:
        lists = [name for name in self.names if name.partition("@")[0] in LISTS]
        return self.means(ranks_N) | self.lists(model, lists)

    def means(self, ranks_N: Tensor) -> dict[str, float]:
        """The metrics of accuracy from the `ranks` of a model."""
        return self._means(ranks_N, self.counts[self.users], self.user_count)

    def lists(self, model: SequentialModel, names: Sequence[str], vectors: Vectors | None = None) -> dict[str, float]:
        """The metrics of the lists that the users of all workers get from a model; for no names, no lists."""
        if not names:
            return {}
        lists_UK = self.top(model, max(self.config.cutoffs))
        return list_metrics(lists_UK, names, Occurrences.of(self.sequences), self.workers, vectors)

    def by_frequency(self, ranks_N: Tensor) -> dict[str, dict[str, float]]:
        """Metrics by how often the target occurs in the training parts, with the number of `users`.

        From the `ranks` of a model. Groups without users are left out. Raises `DivergedError` as `metrics` does.
        """
        ranks_N, counts = ranks_N.cpu(), self.counts[self.users]
        items = self.targets.items[self.targets.places(self.users)]
        occurs = np.append(train_counts(self.sequences), 0)[np.minimum(items, self.sequences.item_count + 1)]
        group_of_target = np.searchsorted(list(FREQUENCIES.values()), occurs)
        owner = np.repeat(np.arange(len(self.users)), counts)
        results = {}
        for number, name in enumerate(FREQUENCIES):
            ours = group_of_target == number
            left = np.bincount(owner[ours], minlength=len(self.users))
            left = left[left > 0]
            users = int(self.workers.sum(torch.tensor(len(left), device=self.workers.device)))
            if users:
                results[name] = {"users": users, **self._means(ranks_N[torch.from_numpy(ours)], left, users)}
        return results

    def by_target(self, ranks_N: Tensor) -> Tensor:
        """The `ranks` of a model, of all workers, in the order of the targets in the data; float32 on the CPU."""
        all_ranks_N = torch.zeros(len(self.targets.items), device=self.workers.device)
        all_ranks_N[torch.from_numpy(self.targets.places(self.users)).to(all_ranks_N.device)] = ranks_N.to(all_ranks_N)
        return self.workers.sum(all_ranks_N).cpu()

    def _means(self, ranks_N: Tensor, counts: np.ndarray, users: int) -> dict[str, float]:
        names = [name for name in self.names if name.partition("@")[0] not in LISTS]
        values = user_metrics(ranks_N, names, None if self.single else torch.from_numpy(counts))
        sums = [values_U.sum() for values_U in values.values()]
        totals = self.workers.sum(torch.stack([*sums, ranks_N.isnan().sum().double()]).cpu().to(self.workers.device))
        if totals[-1]:
            raise DivergedError("the model's scores are not finite; lower train.lr or set train.clip_norm")
        return {name: float(total) / users for name, total in zip(values, totals[:-1], strict=True)}

    @torch.no_grad()
    def ranks(self, model: SequentialModel) -> Tensor:
        """Ranks of the targets of this worker's users, float32, in the order of `self.users` and of their targets.

        NaN where the scores are not finite.
        """
        was_training = model.training
        model.eval()
        scorer, size = model.scorer(), RANK_USERS if self.single else SEVERAL
        ranks = [self._ranks(model, scorer, users) for users in _chunks(self.users, size)]
        model.train(was_training)
        return torch.cat(ranks) if ranks else torch.empty(0)

    @torch.no_grad()
    def top(self, model: SequentialModel, k: int) -> Tensor:
        """The k items with the highest scores for each of `self.users`, best first, int64 [U, K], from 0.

        Items of the history are left out where they are left out of the ranking, also if they are targets. −1 stands where
        no item is left.
        """
        was_training = model.training
        model.eval()
        scorer, found = model.scorer(), []
        k = min(k, scorer.item_count)
        rows = max(1, chunk_bytes(self.workers.device) // (4 * scorer.item_count))
        for users in _chunks(self.users, RANK_USERS):
            queries_BD = self._queries(model, users)
            for part in _chunks(np.arange(len(users)), rows):
                scores_BV = scorer.scores(queries_BD[part[0] : part[-1] + 1])
                scores_BV[tuple(map(self._put, self._seen(users[part])))] = float("-inf")
                scores_BV[:, self._put(self.left_out)] = float("-inf")
                values_BK, items_BK = highest(scores_BV, k)
                found.append(items_BK.masked_fill(values_BK == float("-inf"), -1))
        model.train(was_training)
        return torch.cat(found) if found else torch.empty(0, k, dtype=torch.int64)

    def _ranks(self, model: SequentialModel, scorer: Scorer, users: np.ndarray) -> Tensor:
        # Users with more targets come first: those who have an n-th one are then the first rows of every tile.
        order = np.argsort(-self.counts[users], kind="stable")
        queries_BD = self._queries(model, users)
        if not self.single:
            queries_BD, users = queries_BD[self._put(order)], users[order]
        counts = self.counts[users]
        starts = np.cumsum(counts) - counts
        items = self.targets.items[self.targets.places(users)] - 1
        known = items < scorer.item_count
        items = np.where(known, items, 0)
        nth = [self._put(starts[counts > n] + n) for n in range(counts[0])]
        # By a product of the tiles' kind and not by a sum of its own, so that equal items have equal scores.
        items_N = self._put(items)
        nth_scores = [scorer.scores(queries_BD, items_N[place_B]).diagonal() for place_B in nth]
        scores_N = nth_scores[0].new_empty(len(items)).index_put_((torch.cat(nth),), torch.cat(nth_scores))
        fixed = _Fixed(np.repeat(np.arange(len(users)), counts)[known], items[known], scores_N[self._put(known)])
        seen = _Fixed(*self._seen(users), scores_N.new_full((), float("-inf")))
        columns = max(1, chunk_bytes(queries_BD.device) // (scores_N.element_size() * len(users)))
        tile_BC = scores_N.new_empty(len(users), min(columns, scorer.item_count))
        above_minus_below_N = torch.zeros_like(scores_N)
        for part in scorer.tiles(columns):
            scores_BC = scorer.scores(queries_BD, part, out=tile_BC.narrow(1, 0, part.stop - part.start))
            seen.write(scores_BC, part.start)
            if len(self.left_out):
                within = slice(*np.searchsorted(self.left_out, (part.start, part.stop)))
                scores_BC[:, self._put(self.left_out[within] - part.start)] = float("-inf")
            fixed.write(scores_BC, part.start)
            for n, place_B in enumerate(nth, start=1):
                rows_BC, scores_B1 = scores_BC[: len(place_B)], scores_N[place_B, None]
                # The last one may overwrite the scores.
                differences_BC = rows_BC.sub_(scores_B1) if n == len(nth) else rows_BC - scores_B1
                above_minus_below_N[place_B] += differences_BC.sign_().sum(1)
        ranks_N = (scorer.item_count - 1 + scorer.total(above_minus_below_N)) / 2
        ranks_N.masked_fill_(~self._put(known), float("inf"))
        # The sign of NaN is 0, a tie.
        ranks_N.masked_fill_(
            ~scorer.finite(queries_BD)[self._put(np.repeat(np.arange(len(users)), counts))], float("nan")
        )
        if self.single:
            return ranks_N
        # Back into the order of the users.
        back = np.argsort(order)
        places = np.repeat(starts[back] - (np.cumsum(counts[back]) - counts[back]), counts[back]) + np.arange(
            len(items)
        )
        return ranks_N[self._put(places)]

    def _queries(self, model: SequentialModel, users: np.ndarray) -> Tensor:
        """[B, D]; `users` are sorted by the length of their windows, so the last one has the longest."""
        longest = int(self.batcher.windows.lengths[users[-1]])
        together = (CPU_ENCODE_ITEMS if self.workers.device.type == "cpu" else GPU_ENCODE_ITEMS) // longest
        gathered = (self.batcher.gather(part) for part in _chunks(users, max(1, together)))
        return torch.cat([model.encode(items_BT, lengths_B) for items_BT, lengths_B in gathered])

    def _seen(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and items (from 0) of what is left out of the ranking of the chosen users."""
        if not self.config.exclude_seen:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        lengths = self.history_lengths[users]
        rows = np.repeat(np.arange(len(users)), lengths)
        places = np.repeat(self.sequences.offsets[users] - (np.cumsum(lengths) - lengths), lengths) + np.arange(
            len(rows)
        )
        return rows, self.sequences.values[places].astype(np.int64) - 1

    def _put(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.workers.device)


class _Fixed:
    """Scores of single (row, item) pairs, or one score for all of them, to be written into tiles of columns."""

    def __init__(self, rows: np.ndarray, items: np.ndarray, scores: Tensor) -> None:
        order = np.argsort(items, kind="stable")
        self.items = items[order]
        device = scores.device
        self.rows_F, self.items_F, order_F = (torch.from_numpy(a).to(device) for a in (rows[order], self.items, order))
        self.scores_F = scores[order_F] if scores.ndim else scores.expand(len(order))

    def write(self, scores_BC: Tensor, start: int) -> None:
        """Write those of the items from `start` on that the tile has."""
        part = slice(*np.searchsorted(self.items, (start, start + scores_BC.shape[1])))
        scores_BC.index_put_((self.rows_F[part], self.items_F[part] - start), self.scores_F[part])


def _chunks(values: np.ndarray, size: int) -> list[np.ndarray]:
    return [values[start : start + size] for start in range(0, len(values), size)]
