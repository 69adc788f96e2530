"""Ranks of a final evaluation as a file, and metrics of single users."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from fame.artifacts.checkpoint import save_checkpoint
from fame.config import DataConfig, EvaluateConfig, Experiment, SplitConfig
from fame.errors import UserError
from fame.evaluation.ranks import Ranks, rules

SEEDS = {
    3: {"validation": torch.tensor([0.0, 2.5, 7.0]), "test": torch.tensor([1.0, 0.0, 99.5])},
    1: {"validation": torch.tensor([4.0, 4.0, 4.0]), "test": torch.tensor([3.0, 10.0, 0.0])},
}


@pytest.fixture
def ranks() -> Ranks:
    return Ranks(fingerprint="abc", rules=rules(Experiment()), by_seed=SEEDS)


def test_what_is_written_is_read_back(ranks, tmp_path: Path):
    ranks.write(tmp_path / "ranks.safetensors")
    back = Ranks.read(tmp_path / "ranks.safetensors")
    assert (back.fingerprint, back.rules, list(back.by_seed)) == ("abc", ranks.rules, [3, 1])
    for seed, parts in SEEDS.items():
        assert all(torch.equal(back.by_seed[seed][part], ranks_U) for part, ranks_U in parts.items())


def test_a_users_metric_is_its_mean_over_seeds(ranks):
    assert ranks.metric("hr@10", "test").tolist() == [1.0, 0.5, 0.5]
    first, second = (1 / math.log2(3) + 1 / math.log2(5)) / 2, 0.5
    assert ranks.metric("ndcg@10", "test").tolist() == pytest.approx([first, second, 0.5])


def test_rules_tell_evaluations_apart_that_cannot_be_compared():
    plain = rules(Experiment())
    assert plain == {"split": "leave-one-out", "candidates": "all items", "exclude_seen": True}
    for other in (EvaluateConfig(exclude_seen=False), EvaluateConfig(candidates="known")):
        assert rules(Experiment(evaluate=other)) != plain
    for split in (SplitConfig(by="time"), SplitConfig(test=2)):
        assert rules(Experiment(data=DataConfig(split=split))) != plain
    assert rules(Experiment(evaluate=EvaluateConfig(cutoffs=(1, 10)))) == plain  # any cutoff can be read off a rank


def test_users_with_several_targets_have_their_metrics_after_reading_too(tmp_path: Path):
    ranks = {"validation": torch.tensor([0.0, 3.0, 1.0]), "test": torch.tensor([2.0, 0.0])}
    counts = {"validation": torch.tensor([2, 1], dtype=torch.int32)}
    Ranks(fingerprint="abc", rules={}, by_seed={0: ranks}, counts=counts).write(tmp_path / "ranks.safetensors")
    back = Ranks.read(tmp_path / "ranks.safetensors")
    assert back.counts.keys() == counts.keys()
    assert back.metric("recall@2", "validation").tolist() == [0.5, 1]
    assert back.metric("hr@2", "test").tolist() == [0, 1]


def test_another_file_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no such checkpoint"):
        Ranks.read(tmp_path / "ranks.safetensors")
    save_checkpoint(tmp_path / "model.safetensors", {"w": torch.zeros(1)}, {"model": "fame"})
    with pytest.raises(UserError, match="holds no ranks of a final evaluation"):
        Ranks.read(tmp_path / "model.safetensors")
    (tmp_path / "ranks.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="is damaged"):
        Ranks.read(tmp_path / "ranks.safetensors")
