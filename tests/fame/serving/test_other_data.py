"""Other data: ranked by the items that the model knows."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from fame import evaluate
from fame.config.metrics import ACCURACY
from fame.serving.exported import load_model
from fame.serving.recommender import Recommender
from tests.commands import Done, call, write_lines

pytestmark = pytest.mark.usefixtures("clicks_cache")


def ask(clicks_model: Path, *args: object) -> Done:
    return call(evaluate.main, "--model", clicks_model, *args)


def test_other_data_are_ranked_by_the_items_that_the_model_knows(clicks_model, tmp_path):
    """`new` is unknown: left out of a history, and never found. One user has nothing else before the last item."""
    users = {
        "a": ["003", "new", "005", "009"],
        "b": ["001", "002", "new"],
        "c": ["new", "newer", "004"],
        "d": ["007", "008", "011"],
    }
    rows = [f"{user},{item},{time}" for user, items in users.items() for time, item in enumerate(items)]
    write_lines(tmp_path / "new.csv", "user,item,time", *rows)
    done = ask(clicks_model, "--data", tmp_path / "new.csv", "--output", tmp_path / "found.json")
    assert done.code == 0, done.err
    assert "1 of 4 users have no known item before their test items: left out" in done.out
    assert "1 of 3 test items (33.3%) are unknown to the model: not found" in done.out
    recommender = Recommender(load_model(clicks_model))
    ranks = [math.inf]
    for history, target in ((["003", "005"], "009"), (["007", "008"], "011")):
        numbers = [recommender.number(item) for item in history]
        scores = recommender.scorer.scores(recommender.queries([numbers])[0])[0]
        scores[torch.tensor(numbers) - 1] = -math.inf
        ranks.append(int((scores > scores[recommender.number(target) - 1]).sum()))
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert found["metrics"].keys() == {f"{kind}@{k}" for kind in ACCURACY for k in (5, 10, 20)}
    assert found["metrics"]["hr@5"] == pytest.approx(sum(rank < 5 for rank in ranks) / 3)
    assert found["metrics"]["mrr@20"] == pytest.approx(sum(1 / (rank + 1) for rank in ranks if rank < 20) / 3)
