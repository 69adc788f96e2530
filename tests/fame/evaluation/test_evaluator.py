"""Evaluation against an implementation that sorts, in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import fame.evaluation.evaluator
from fame.config import EvaluateConfig
from fame.datasets.batches import device_values
from fame.datasets.sequences import Sequences
from fame.errors import DivergedError, UserError
from fame.evaluation.evaluator import Evaluator
from fame.evaluation.metrics import user_metrics
from fame.models.base import SequentialModel
from fame.runtime.parallel import Workers
from tests.fame.evaluation.naive import CUTOFFS, Apart, LastItemModel, naive_metrics, naive_ranks, several_ranks
from tests.fame.helpers import CPU, jagged, sequences_of, split_sequences


def tied_scores(item_count: int, seed: int) -> Tensor:
    """Random integers from −2 to 2: exact in floating point, and many of them equal."""
    return torch.randint(-2, 3, (item_count, item_count), generator=torch.Generator().manual_seed(seed)).float()


def evaluator(sequences, part, exclude_seen=True, max_length=50, workers=None) -> Evaluator:
    config = EvaluateConfig(cutoffs=CUTOFFS, exclude_seen=exclude_seen)
    return Evaluator(sequences, device_values(sequences, CPU), part, max_length, config, workers or Workers(device=CPU))


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("part", ["validation", "test"])
@given(sequences=jagged(), max_length=st.integers(1, 20), seed=st.integers(0, 99))
def test_ranks_and_metrics_are_those_of_sorting_with_ties_in_the_middle(
    part, exclude_seen, sequences, max_length, seed
):
    # The window may be shorter than the history: what the model no longer sees is left out all the same.
    scores = tied_scores(sequences.item_count, seed)
    ours, model = evaluator(sequences, part, exclude_seen, max_length), LastItemModel(scores)
    expected = naive_ranks(sequences, part, lambda history: scores[history[-1] - 1].tolist(), exclude_seen)
    assert ours.ranks(model).tolist() == [expected[user] for user in ours.users]
    assert sorted(ours.users) == list(range(len(sequences)))
    assert ours.metrics(model) == pytest.approx(naive_metrics(expected), abs=1e-12)


@pytest.mark.parametrize("part", ["validation", "test"])
@given(
    users=st.lists(st.tuples(*[st.lists(st.integers(1, 9), max_size=6)] * 3), min_size=1, max_size=7),
    seed=st.integers(0, 99),
    together=st.integers(1, 5),
)
def test_users_may_have_any_number_of_targets(part, users, seed, together):
    users.append(([1], [2], [3]))  # one at least who can be asked
    sequences, scores = split_sequences(users, item_count=9), tied_scores(9, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fame.evaluation.evaluator, "RANK_USERS", together)
        patch.setattr(fame.evaluation.evaluator, "SEVERAL", together)
        ours, model = evaluator(sequences, part), LastItemModel(scores)
        ranks = ours.ranks(model)
        assert ours.by_target(ranks).tolist() == several_ranks(sequences, part, scores)
    groups = ours.by_frequency(ranks)
    assert sum(group["users"] for group in groups.values()) >= ours.user_count == len(ours.users)


@pytest.mark.parametrize("part", ["validation", "test"])
@given(sequences=jagged(), seed=st.integers(0, 99), k=st.integers(1, 12))
def test_lists_are_the_items_with_the_highest_scores_without_the_history(part, sequences, seed, k):
    scores = torch.randn(9, 9, generator=torch.Generator().manual_seed(seed))
    ours = evaluator(sequences, part)
    for row, user in zip(ours.top(LastItemModel(scores), k).tolist(), ours.users, strict=True):
        history = sequences[user][: -1 if part == "test" else -2] - 1
        left = [item for item in scores[history[-1]].argsort(descending=True).tolist() if item not in history]
        assert row == (left + [-1] * 9)[: min(k, 9)]


def test_lists_are_asked_for_by_name_and_cost_nothing_else(tiny, single, monkeypatch):
    model, config = LastItemModel(tied_scores(30, 1)), EvaluateConfig(metrics=("hr", "coverage", "gini"))
    asked = Evaluator(tiny, device_values(tiny, CPU), "validation", 9, config, single)
    found = asked.metrics(model)
    assert found.keys() == {f"{kind}@{k}" for kind in config.metrics for k in config.cutoffs}
    assert found["coverage@20"] == len(set(asked.top(model, 20).flatten().tolist()) - {-1}) / 30
    monkeypatch.setattr(Evaluator, "top", None)
    evaluator(tiny, "validation").metrics(model)


@pytest.mark.parametrize("part", ["validation", "test"])
@given(
    users=st.lists(st.tuples(*[st.lists(st.integers(1, 9), max_size=6)] * 3), min_size=1, max_size=7),
    seed=st.integers(0, 99),
)
def test_among_the_items_known_before_a_part_later_items_are_neither_ranked_nor_asked_for(part, users, seed):
    users.append(([1, 4], [4], [1]))  # one at least who can be asked
    sequences, scores = split_sequences(users, item_count=9), tied_scores(9, seed)
    before = [item for one in users for items in one[: 1 if part == "validation" else 2] for item in items]
    late = [item for item in range(1, 10) if item not in before]
    kept = split_sequences(
        [tuple([item for item in items if item in before] for items in one) for one in users], item_count=9
    )
    worst = scores.clone()
    worst[:, torch.tensor(late, dtype=torch.int64) - 1] = -99
    config = EvaluateConfig(cutoffs=CUTOFFS, candidates="known")
    workers = Workers(device=CPU)
    ours = Evaluator(sequences, device_values(sequences, CPU), part, 50, config, workers)
    assert ours.by_target(ours.ranks(LastItemModel(scores))).tolist() == several_ranks(kept, part, worst)
    assert not set(ours.top(LastItemModel(scores), 9).flatten().tolist()) & {item - 1 for item in late}


def sampled(sequences: Sequences, sample: int, workers: Workers) -> Evaluator:
    values, config = device_values(sequences, CPU), EvaluateConfig(cutoffs=CUTOFFS)
    return Evaluator(sequences, values, "validation", 9, config, workers, ("ndcg@5",), sample)


@pytest.mark.parametrize("several", [False, True])
def test_a_sample_of_users_is_always_the_same_and_has_a_standard_error(several, single):
    rng = np.random.default_rng(0)
    parts = (2, 3 if several else 1, 1)
    users = [[rng.permutation(30)[:n] + 1 for n in parts] for _ in range(400)]
    sequences, model = split_sequences(users, 30), LastItemModel(tied_scores(30, 1))
    whole, part = sampled(sequences, 0, single), sampled(sequences, 100, single)
    assert part.user_count == len(set(part.users)) == 100
    assert (np.sort(part.users) == np.sort(sampled(sequences, 100, single).users)).all()
    values = user_metrics(part.ranks(model), ["ndcg@5"], torch.from_numpy(part.counts[part.users]))["ndcg@5"]
    metrics, error = part.metrics_and_error(model, "ndcg@5")
    assert metrics == {"ndcg@5": pytest.approx(float(values.mean()))}
    assert error == pytest.approx(float(values.std()) / 10 * math.sqrt(1 - 100 / 400))
    all_metrics, no_error = whole.metrics_and_error(model, "ndcg@5")
    assert abs(metrics["ndcg@5"] - all_metrics["ndcg@5"]) < 4 * error and no_error is None
    assert sampled(sequences, 400, single).metrics_and_error(model, "ndcg@5") == (all_metrics, None)


def test_the_standard_error_is_as_large_as_samples_differ(single, monkeypatch):
    rng = np.random.default_rng(1)
    sequences = split_sequences([[rng.permutation(30)[:n] + 1 for n in (2, 1, 1)] for _ in range(300)], 30)
    model, found = LastItemModel(tied_scores(30, 2)), []
    for seed in range(60):
        monkeypatch.setattr(fame.evaluation.evaluator, "SAMPLE_SEED", seed)
        found.append(sampled(sequences, 75, single).metrics_and_error(model, "ndcg@5"))
    spread = np.std([metrics["ndcg@5"] for metrics, _ in found])
    assert np.mean([error for _, error in found]) == pytest.approx(spread, rel=0.25)


def test_a_part_without_anyone_to_ask_is_an_error():
    with pytest.raises(UserError, match="no user has a validation item and a history before it"):
        evaluator(split_sequences([([1, 2], [], [3]), ([], [1], [2])]), "validation")


def test_a_target_that_occurs_in_the_history_is_ranked_and_not_left_out():
    scores = torch.zeros(4, 4)
    scores[0] = torch.tensor([3.0, 2.0, 1.0, 0.0])  # after item 1
    sequences = sequences_of([[2, 3, 1, 2]], item_count=4)
    # 1, 2 and 3 are the history, 2 the target: left to compare with is 4, which scores lower.
    assert evaluator(sequences, "test").ranks(LastItemModel(scores)).tolist() == [0]
    assert evaluator(sequences, "test", exclude_seen=False).ranks(LastItemModel(scores)).tolist() == [1]


def test_the_validation_item_is_part_of_the_history_when_the_test_item_is_ranked():
    scores = torch.zeros(4, 4)
    scores[2, 3] = 1.0  # item 4 comes first after item 3
    model, sequences = LastItemModel(scores), sequences_of([[1, 3, 4], [1, 2, 3, 4]])
    assert evaluator(sequences, "test").ranks(model).tolist() == [0, 0]


def test_small_blocks_of_users_and_scores_change_nothing(monkeypatch, tiny):
    scores, whole = torch.randn(30, 30, generator=torch.Generator().manual_seed(0)), {}
    for part in ("validation", "test"):
        whole[part] = evaluator(tiny, part).ranks(LastItemModel(scores))
    for users, tile_bytes, encoded in [(19, 1, 1), (4, 4 * 4 * 7, 40), (1000, 1 << 20, 1 << 20)]:
        monkeypatch.setattr(fame.evaluation.evaluator, "RANK_USERS", users)
        monkeypatch.setattr(fame.evaluation.evaluator, "chunk_bytes", lambda device, size=tile_bytes: size)
        monkeypatch.setattr(fame.evaluation.evaluator, "CPU_ENCODE_ITEMS", encoded)
        for part, ranks in whole.items():
            assert torch.equal(evaluator(tiny, part).ranks(LastItemModel(scores)), ranks)


class TwinItems(SequentialModel):
    """Every second item has the same embedding as the one before it."""

    def __init__(self, item_count: int, dim: int = 24) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.table_VD = nn.Parameter(torch.randn(item_count // 2, dim, generator=generator).repeat_interleave(2, 0))
        self.queries_VD = nn.Parameter(torch.randn(item_count, dim, generator=generator))

    def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
        return self.queries_VD[(items_BT - 1).clamp(min=0)]

    def item_table(self) -> Tensor:
        return self.table_VD


@pytest.mark.parametrize("columns", [64, 100, 300])
def test_items_of_equal_embedding_tie_in_whatever_tile_they_lie(columns, monkeypatch):
    random = np.random.default_rng(0)
    sequences = sequences_of([random.integers(1, 301, 5).tolist() for _ in range(200)], item_count=300)
    monkeypatch.setattr(fame.evaluation.evaluator, "chunk_bytes", lambda device: 4 * len(sequences) * columns)
    ranks = evaluator(sequences, "test", exclude_seen=False).ranks(TwinItems(sequences.item_count))
    assert (ranks % 1 == 0.5).all(), ranks


def test_no_tensor_of_users_times_items_is_ever_made(tiny, monkeypatch):
    monkeypatch.setattr(fame.evaluation.evaluator, "RANK_USERS", 10)
    monkeypatch.setattr(fame.evaluation.evaluator, "chunk_bytes", lambda device: 4 * 10 * 6)
    made = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            made.update([tuple(out.shape)] if isinstance(out, Tensor) else [])
            return out

    with Watch():
        evaluator(tiny, "test").ranks(TwinItems(tiny.item_count, dim=2))
    assert (10, 6) in made, "the tiles are not where this test looks for them"
    assert max(rows * columns for rows, columns, *_ in [(*shape, 1, 1) for shape in made if len(shape) > 1]) < 10 * 30


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_workers_shares_add_up_to_the_whole(size, tiny):
    model = LastItemModel(tied_scores(30, 1))
    shares = [evaluator(tiny, "test", workers=Apart(rank=rank, size=size, device=CPU)) for rank in range(size)]
    assert sorted(user for share in shares for user in share.users) == list(range(len(tiny)))
    whole = evaluator(tiny, "test").metrics(model)
    parts = [share.metrics(model) for share in shares]
    assert {key: math.fsum(part[key] for part in parts) for key in whole} == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("size", [1, 3])
def test_ranks_by_user_are_those_of_all_workers_in_the_order_of_the_data(size, tiny):
    model, expected = LastItemModel(tied_scores(30, 1)), torch.full((len(tiny),), -1.0)
    whole = evaluator(tiny, "test")
    expected[torch.from_numpy(whole.users)] = whole.ranks(model)
    shares = [evaluator(tiny, "test", workers=Apart(rank=rank, size=size, device=CPU)) for rank in range(size)]
    # Each worker fills in its own users; `Workers.sum` adds them up.
    assert torch.equal(sum(share.by_target(share.ranks(model)) for share in shares), expected)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_an_error_and_never_a_rank(bad, tiny):
    scores = torch.zeros(30, 30)
    scores[int(tiny[0][-2]) - 1, 0] = bad
    with pytest.raises(DivergedError, match="not finite"):
        evaluator(tiny, "test").metrics(LastItemModel(scores))


class HugeModel(LastItemModel):
    """Finite queries and finite items whose products are not."""

    def item_table(self) -> Tensor:
        return torch.full_like(self.scores_VV, 1e30)


def test_scores_that_overflow_are_an_error_though_queries_and_items_are_finite(tiny):
    alternating = torch.full((30, 30), 1e30) * (1 - 2 * (torch.arange(30) % 2))
    with pytest.raises(DivergedError, match="not finite"):
        evaluator(tiny, "test").metrics(HugeModel(alternating))


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_as_it_was_before_and_dropout_is_off_meanwhile(training, tiny):
    seen = []

    class Watched(LastItemModel):
        def hidden(self, items_BT: Tensor, lengths_B: Tensor) -> Tensor:
            seen.append((self.training, torch.is_grad_enabled()))
            return super().hidden(items_BT, lengths_B)

    model = Watched(tied_scores(30, 2)).train(training)
    evaluator(tiny, "test").metrics(model)
    assert set(seen) == {(False, False)}
    assert model.training is training


@pytest.mark.parametrize("part", ["validation", "test"])
def test_metrics_by_the_targets_frequency_in_training(part, single):
    """Item 1 is met 25 times in training, item 2 six times, item 3 five times, item 4 never."""
    users = [[1] * 25 + [2, 3], [2] * 6 + [3, 4], [3] * 5 + [4, 1], [5, 1, 2]]
    sequences = sequences_of(users)
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    model, config = LastItemModel(scores), EvaluateConfig(cutoffs=CUTOFFS, exclude_seen=False)
    evaluator = Evaluator(sequences, device_values(sequences, CPU), part, 9, config, single)
    found = evaluator.by_frequency(evaluator.ranks(model))
    targets = {"validation": [2, 3, 4, 1], "test": [3, 4, 1, 2]}[part]
    group = {1: "21+", 2: "6-20", 3: "0-5", 4: "0-5"}
    ranks = naive_ranks(sequences, part, lambda history: scores[history[-1] - 1].tolist(), False)
    for name in ("0-5", "6-20", "21+"):
        ours = [rank for rank, target in zip(ranks, targets, strict=True) if group[target] == name]
        expected = naive_metrics(ours, CUTOFFS)
        assert found[name].pop("users") == len(ours)
        assert found[name] == pytest.approx(expected)


def test_a_group_without_users_is_left_out(single):
    sequences = sequences_of([[1, 2, 3], [3, 1, 2]])
    config = EvaluateConfig(cutoffs=CUTOFFS)
    evaluator = Evaluator(sequences, device_values(sequences, CPU), "test", 9, config, single)
    ranks = evaluator.ranks(LastItemModel(torch.randn(3, 3)))
    assert list(evaluator.by_frequency(ranks)) == ["0-5"]
